"""The manifest of a checkpoint folder: sums of every file, written last, verified before use."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from stilts_artifact.benchmark.encoders import fingerprint
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError, MissingDataError
from stilts_artifact.files import MANIFEST, FileManifest, FileSum, hash_file, write_file

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
FILES = (CONFIG, TOKENIZER, WEIGHTS)
"""What every encoder has: no pickle, no code."""
OPTIONAL = ("tokenizer_config.json", "special_tokens_map.json")
"""What some have beside them: which of the tokens stand for what."""
ORIGIN = "origin.json"
"""Of a checkpoint that was trained here: which encoder of phase (i) it comes from."""
FORMAT = 1
_DESCRIBING = frozenset({"README.md", "pretraining.json", "quality.json", ORIGIN})
PICKLES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".py"}
)
"""Suffixes of files that run code when they are opened the usual way: none is in a checkpoint."""

_REMAKE = "bring the folder anew from where it was made; nothing in it can be trusted as it is"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which encoder of phase (i) a checkpoint is, or was trained from: fields of a signature.

    Args:
        weights: sha256 of its weights.
        checkpoint: start of the :func:`~stilts_artifact.benchmark.encoders.fingerprint` of its
            weights, configuration and tokenizer together.
    """

    weights: str
    checkpoint: str

    @classmethod
    def of(cls, files: Mapping[str, str]) -> Origin:
        """From the sums of all files that decide what it computes."""
        return cls(files[WEIGHTS], fingerprint(files)[:12])

    def write(self, folder: Path) -> None:
        """Into a checkpoint that was trained from it, before the manifest is written."""
        write_file(folder / ORIGIN, dump_json(asdict(self)))


def read_origin(folder: Path, files: Mapping[str, FileSum]) -> Origin:
    """Where a verified checkpoint comes from; one that was not trained here is its own origin.

    Raises:
        IntegrityError: it says so in another form.
    """
    if ORIGIN not in files:
        return Origin.of(deciding_files(files))
    path = folder / ORIGIN
    try:
        origin = Origin(**parse_json(read_document(path), str(path)))
        if not all(isinstance(value, str) for value in asdict(origin).values()):
            raise TypeError
    except (DataError, TypeError) as error:
        raise IntegrityError(
            "not the origin of a checkpoint", where=str(path), expected="weights and checkpoint"
        ) from error
    return origin


def deciding_files(files: Mapping[str, FileSum]) -> dict[str, str]:
    """Name -> sha256 of the files of a checkpoint that decide what it computes: not of its card."""
    return {name: found.sha256 for name, found in files.items() if name not in _DESCRIBING}


def brought_files(folder: Path) -> dict[str, str]:
    """Name -> sha256 of the files that decide what an encoder computes which somebody brought.

    A folder of the package's own has more; what else lies there is left alone.

    Raises:
        MissingDataError: a file that every encoder has is not there.
        DataError: one cannot be read.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise MissingDataError(
                "not the folder of an encoder",
                where=str(folder / name),
                got=_instead(folder) if name == WEIGHTS else "no such file",
                expected=", ".join(FILES),
                fix="save it with transformers' save_pretrained, its fast tokenizer too",
            )
    names = [name for name in (*FILES, *OPTIONAL) if (folder / name).is_file()]
    try:
        return {name: hash_file(folder / name).sha256 for name in names}
    except OSError as error:
        raise _unreadable(folder, error) from error


def depth_of(folder: Path) -> int:
    """Number of layers of the encoder in a folder, by its configuration alone.

    Raises:
        IntegrityError: the configuration does not say it.
        DataError: it cannot be read.
    """
    path = folder / CONFIG
    content = parse_json(read_document(path), str(path))
    depth = content.get("num_hidden_layers") if isinstance(content, dict) else None
    # DistilBERT's name of it.
    depth = content.get("n_layers") if depth is None and isinstance(content, dict) else depth
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 1:
        raise IntegrityError(
            "not the configuration of an encoder",
            where=str(path),
            got=repr(depth),
            expected="num_hidden_layers, a positive number",
        )
    return depth


def _instead(folder: Path) -> str:
    """What a folder without the one file of weights has in its place."""
    if sorted(folder.glob("*.safetensors")):
        return "weights in several files"
    found = [path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in PICKLES]
    return f"{found[0]}, a pickle, which could run anything" if found else "no such file"


def bring(source: Path, target: Path) -> None:
    """Copy an encoder that somebody brought into a folder of its own, with a manifest.

    Raises:
        MissingDataError, DataError: as :func:`brought_files`.
        ResourceError: the disk is full or the folder cannot be written.
    """
    names = brought_files(source)
    target.mkdir()
    for name in names:
        # A name in the hub's cache is a link; what it leads to is meant.
        shutil.copyfile(source / name, target / name)
    write_manifest(target)


def require_files(
    folder: Path, files: Mapping[str, FileSum], pinned: Mapping[str, str], encoder: str, fix: str
) -> None:
    """Hold a checkpoint of phase (i) against the sums that its encoder is known to have.

    Args:
        files: the folder's, verified.
        pinned: name -> sha256 of every file that decides what the encoder computes.
        encoder: what a message calls it.

    Raises:
        IntegrityError: another file, one too few or one too many, or a checkpoint that was trained.
    """
    if ORIGIN in files:
        what = f"a checkpoint that was trained, under the name of {encoder}"
        raise IntegrityError(what, where=str(folder / ORIGIN), expected=encoder, fix=fix)
    found = deciding_files(files)
    for name in sorted(pinned.keys() | found.keys()):
        if found.get(name) != pinned.get(name):
            raise IntegrityError(
                f"a file that is not the one of {encoder}",
                where=str(folder / name),
                got=f"sha256 {found[name]}" if name in found else "no such file",
                expected=f"sha256 {pinned[name]}" if name in pinned else "no such file",
                fix=fix,
            )


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
