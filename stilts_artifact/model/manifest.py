"""The manifest of a checkpoint folder: sums of every file, written last, verified before use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError, MissingDataError
from stilts_artifact.files import MANIFEST, FileManifest, FileSum, write_file

WEIGHTS = "model.safetensors"
FORMAT = 1
PICKLES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".py"}
)
"""Suffixes of files that run code when they are opened the usual way: none is in a checkpoint."""

_REMAKE = "bring the folder anew from where it was made; nothing in it can be trusted as it is"


def write_manifest(folder: Path) -> None:
    """Record every file of the folder, last and atomically: with a manifest it is complete.

    Raises:
        DataError: a file cannot be read.
        ResourceError: the disk is full or the folder cannot be written.
    """
    try:
        manifest = FileManifest.of(_present(folder))
    except OSError as error:
        raise _unreadable(folder, error) from error
    write_file(folder / MANIFEST, dump_json({"format": FORMAT, "files": manifest.to_json()}))


def verify_folder(folder: Path) -> Mapping[str, FileSum]:
    """Hold every file of a checkpoint folder against its manifest.

    A manifest vouches for content, wherever that lies: a file may be a link.

    Returns:
        The verified files by name.

    Raises:
        MissingDataError: no folder.
        IntegrityError: a pickle, no manifest, a file that is missing, surplus, truncated or
            altered; each by name.
        DataError: a file cannot be read.
    """
    if not folder.is_dir():
        raise MissingDataError(
            "no such checkpoint folder", where=str(folder), fix="name the folder of an encoder"
        )
    present = _present(folder)
    _refuse_pickles(folder, present)
    manifest = FileManifest(read_manifest(folder))
    try:
        manifest.verify(present, folder, "checkpoint", fix=_REMAKE)
    except OSError as error:
        raise _unreadable(folder, error) from error
    return manifest.files


def read_manifest(folder: Path) -> Mapping[str, FileSum]:
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
        return FileManifest.from_json(content["files"]).files
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        expected = f'{{"format": {FORMAT}, "files": {{name: {{"bytes", "sha256"}}}}}}'
        raise IntegrityError(
            "not a manifest", where=str(path), expected=expected, fix=_REMAKE
        ) from error


def _present(folder: Path) -> dict[str, Path]:
    """All that lies in the folder but its manifest; a checkpoint has no folders in it."""
    return {path.name: path for path in sorted(folder.iterdir()) if path.name != MANIFEST}


def _refuse_pickles(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if Path(name).suffix.lower() in PICKLES:
            raise IntegrityError(
                "a pickle, or code, in a checkpoint folder: opening it could run anything",
                where=str(folder / name),
                expected=f"weights in {WEIGHTS} only",
                fix="use a folder with safetensors weights",
            )


def _unreadable(folder: Path, error: OSError) -> DataError:
    where = str(error.filename or folder)
    return DataError("cannot read the file", where=where, got=error.strerror or str(error))
