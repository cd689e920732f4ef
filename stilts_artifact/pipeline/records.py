"""The manifest of a published result: what was made, of what, by which versions, and the hash of every file."""

from __future__ import annotations

import os
import platform
import socket
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stilts_artifact import __version__
from stilts_artifact.data.files import hash_file
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.pipeline.step import KeyedStep

MANIFEST = "manifest.json"
FILES = "files"
FORMAT = 1
_LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "faiss", "safetensors")


@dataclass(frozen=True, slots=True)
class FileSum:
    """Size in bytes and sha256 of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ResultManifest:
    """A manifest.

    Attributes:
        node: the step.
        files: path below the result's folder -> its sums.
        made: host, time, seconds and versions; never compared.
    """

    node: KeyedStep
    files: Mapping[str, FileSum]
    made: Mapping[str, Any]


def describe_files(folder: Path) -> dict[str, FileSum]:
    """Sums of every file below a folder, each brought safely to the disk, its folders too.

    Raises:
        IntegrityError: a link or another thing that is not a plain file, or a name that is not
            UTF-8.
        OSError: the disk is full or refuses.
    """
    sums = {}
    for name, path in plain_files(folder).items():
        sync(path)
        sums[name] = FileSum(*hash_file(path))
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync(path)
    sync(folder)
    return sums


def plain_files(folder: Path) -> dict[str, Path]:
    """Every file below a folder by its relative name, sorted.

    Raises:
        IntegrityError: something there is neither a plain file nor a folder, or has a name that is
            not UTF-8.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(folder).as_posix()
        if not stat.S_ISREG(mode) or not _is_text(name):
            got, expected = repr(name), "plain files with UTF-8 names"
            raise IntegrityError(
                "a result may hold plain files only", where=str(folder), got=got, expected=expected
            )
        files[name] = path
    return files


def sync(path: Path) -> None:
    """Have the disk hold a file's bytes or a folder's names.

    Raises:
        OSError: the disk refuses.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def make_record(node: KeyedStep, files: Mapping[str, FileSum], seconds: float) -> ResultManifest:
    """A record of what this process just made."""
    loaded = {
        name: getattr(sys.modules[name], "__version__", "?")
        for name in _LIBRARIES
        if name in sys.modules
    }
    versions = {"stilts-artifact": __version__, "python": platform.python_version(), **loaded}
    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = {
        "host": socket.gethostname(),
        "finished": finished,
        "seconds": round(seconds, 3),
        "versions": versions,
    }
    return ResultManifest(node, files, made)


def dump_record(record: ResultManifest) -> bytes:
    """The bytes of a manifest."""
    files = {name: asdict(sums) for name, sums in record.files.items()}
    return dump_json(
        {"format": FORMAT, "step": asdict(record.node), "files": files, "made": dict(record.made)}
    )


def load_record(path: Path) -> ResultManifest:
    """Read a manifest.

    Raises:
        IntegrityError: it is absent or does not have its form.
    """
    try:
        content = parse_json(read_document(path), str(path))
        if content["format"] != FORMAT:
            raise ValueError
        files = {
            name: FileSum(int(sums["bytes"]), str(sums["sha256"]))
            for name, sums in content["files"].items()
        }
        step = content["step"]
        node = KeyedStep(step["kind"], step["key"], step["version"], step["params"], step["inputs"])
        return ResultManifest(node, files, content["made"])
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        expected = f"a manifest of format {FORMAT}"
        raise IntegrityError(
            "a result without a sound manifest", where=str(path), expected=expected
        ) from error


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
