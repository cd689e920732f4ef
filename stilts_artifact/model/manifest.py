"""The manifest of a checkpoint folder: size and sha256 of every file, written last and verified before any use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts_artifact.documents import dump_json, parse_json, read_document, write_atomically
from stilts_artifact.errors import DataError, IntegrityError, MissingDataError

MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
FORMAT = 1
PICKLES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".py"}
)
"""Suffixes of files that run code when they are opened the usual way; none of them belongs in a checkpoint."""

_CHUNK = 1 << 20
_REMAKE = "bring the folder anew from where it was made; nothing in it can be trusted as it is"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size in bytes and sha256 of one file."""

    bytes: int
    sha256: str


def describe(path: Path) -> FileRecord:
    """Size and sha256 of a file as it is now.

    Raises:
        DataError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise DataError(
            "cannot read the file", where=str(path), got=error.strerror or str(error)
        ) from error
    return FileRecord(size, digest.hexdigest())


def write_manifest(folder: Path) -> None:
    """Record every file of the folder. Written last and atomically: a folder with a manifest is complete."""
    files = {name: describe(folder / name) for name in _names(folder)}
    records = {
        name: {"bytes": record.bytes, "sha256": record.sha256} for name, record in files.items()
    }
    write_atomically(folder / MANIFEST, dump_json({"format": FORMAT, "files": records}))


def verify_folder(folder: Path) -> dict[str, FileRecord]:
    """Hold every file of a checkpoint folder against its manifest.

    Returns:
        The verified files by name.

    Raises:
        MissingDataError: no folder.
        IntegrityError: a pickle, no manifest, a file that is missing, surplus, truncated or
            altered; each by name.
    """
    if not folder.is_dir():
        raise MissingDataError(
            "no such checkpoint folder", where=str(folder), fix="name the folder of an encoder"
        )
    names = _names(folder)
    _refuse_pickles(folder, names)
    recorded = read_manifest(folder)
    for name in sorted(recorded.keys() ^ set(names)):
        what = (
            "file of the checkpoint is missing"
            if name in recorded
            else "file that the manifest does not know"
        )
        raise IntegrityError(
            what, where=str(folder / name), expected=", ".join(recorded), fix=_REMAKE
        )
    for name, expected in recorded.items():
        _compare(folder / name, describe(folder / name), expected)
    return recorded


def read_manifest(folder: Path) -> dict[str, FileRecord]:
    """What the manifest says, without looking at the files.

    Raises:
        IntegrityError: there is none, or it does not have its form.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise IntegrityError(
            "checkpoint without a manifest",
            where=str(folder),
            expected=f"a {MANIFEST}",
            fix=_REMAKE,
        )
    try:
        content = parse_json(read_document(path), str(path))
        if content["format"] != FORMAT:
            raise ValueError
        return {name: _record(name, fields) for name, fields in content["files"].items()}
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        expected = f'{{"format": {FORMAT}, "files": {{name: {{"bytes", "sha256"}}}}}}'
        raise IntegrityError(
            "not a manifest", where=str(path), expected=expected, fix=_REMAKE
        ) from error


def _record(name: str, fields: dict[str, Any]) -> FileRecord:
    size, sha256 = fields["bytes"], fields["sha256"]
    plain = Path(name).name == name and name not in (".", "..")
    if not plain or not isinstance(size, int) or not isinstance(sha256, str) or len(fields) != 2:
        raise ValueError
    return FileRecord(size, sha256)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)


def _refuse_pickles(folder: Path, names: list[str]) -> None:
    for name in names:
        if Path(name).suffix.lower() in PICKLES:
            raise IntegrityError(
                "a pickle, or code, in a checkpoint folder: opening it could run anything",
                where=str(folder / name),
                expected=f"weights in {WEIGHTS} only",
                fix="use a folder with safetensors weights",
            )


def _compare(path: Path, found: FileRecord, expected: FileRecord) -> None:
    if found.bytes != expected.bytes:
        what = "file is truncated" if found.bytes < expected.bytes else "file is too long"
        got, wanted = f"{found.bytes} bytes", f"{expected.bytes} bytes"
    elif found.sha256 != expected.sha256:
        what, got, wanted = "file is altered", f"sha256 {found.sha256}", f"sha256 {expected.sha256}"
    else:
        return
    raise IntegrityError(what, where=str(path), got=got, expected=wanted, fix=_REMAKE)
