"""Archives for tests, built in memory."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

Put = Callable[[bytes], Path]
Files = dict[str, bytes]
FILES: Files = {
    "folder/a.tsv": b"first\n" * 50,
    "folder/b.tsv": b"second\n",
    "c": b"",
    "d/e/\u00e9.txt": b"x" * 3000,
}
ZEROS = bytes(5_000_000)
KINDS = ("zip", "tar", "tar.gz", "tar.bz2")


def tar_bytes(files: Files, *entries: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as writer:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            writer.addfile(entry, io.BytesIO(data))
        for entry in entries:
            writer.addfile(entry)
    return packed.getvalue()


def zip_bytes(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as writer:
        for name, data in files.items():
            writer.writestr(name, data)
    return packed.getvalue()


def packed(kind: str, files: Files) -> bytes:
    if kind == "zip":
        return zip_bytes(files)
    compress: dict[str, Callable[[bytes], bytes]] = {
        "tar": bytes,
        "tar.gz": gzip.compress,
        "tar.bz2": bz2.compress,
    }
    return compress[kind](tar_bytes(files))


def written(folder: Path, data: bytes) -> Path:
    """Write bytes to a file whose name says nothing of their kind."""
    path = folder / "source.bin"
    path.write_bytes(data)
    return path
