"""Files that people bring: found in their folders by content, whatever their names.

Only a file whose size equals a wanted size is hashed, so that a large folder costs little more than
its listing.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stilts_artifact.errors import DataError
from stilts_artifact.files import FileSum, hash_file

_GZ = ".gz"


@dataclass(frozen=True, slots=True)
class Brought:
    """A file with the wanted content; ``packed`` if that content is what gunzip makes of it."""

    path: Path
    packed: bool


@dataclass
class _Index:
    by_size: dict[int, list[Path]] = field(default_factory=dict)
    by_unpacked_size: dict[int, list[Path]] = field(default_factory=dict)
    by_name: dict[str, list[Path]] = field(default_factory=dict)


class DataFolders:
    """All regular files below some folders, in sorted order; links are followed, loops are not."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        #: Files and folders that could not be read, for messages about what is missing.
        self.unreadable: list[Path] = []
        self._sums: dict[tuple[Path, int | None], FileSum | None] = {}

    def find(self, size: int, sha256: str) -> Brought | None:
        """The first file with this content, as it is or gzipped."""
        for packed, paths in ((False, self._index.by_size), (True, self._index.by_unpacked_size)):
            # A gzip file knows its content's size only modulo 2**32.
            for path in paths.get(size % 2**32 if packed else size, ()):
                if self._sums_of(path, size if packed else None) == FileSum(size, sha256):
                    return Brought(path, packed)
        return None

    def versions(self, name: str) -> dict[FileSum, Path]:
        """Files called as the last part of ``name``: the first of each content, by its sums."""
        versions: dict[FileSum, Path] = {}
        for path in self._index.by_name.get(name.rpartition("/")[2], ()):
            sums = self._sums_of(path, None)
            if sums is not None:
                versions.setdefault(sums, path)
        return versions

    def look_alikes(self, name: str) -> list[str]:
        """For messages: files with the right name, and what could not be read."""
        found = [f"{path}: {sums}" for sums, path in self.versions(name).items()]
        return found + [f"{path}: cannot be read" for path in self.unreadable]

    @cached_property
    def _index(self) -> _Index:
        index = _Index()
        for path, size in self._files():
            index.by_size.setdefault(size, []).append(path)
            index.by_name.setdefault(path.name, []).append(path)
            unpacked = _unpacked_size(path) if path.name.endswith(_GZ) else None
            if unpacked is not None:
                index.by_unpacked_size.setdefault(unpacked, []).append(path)
        return index

    def _files(self) -> Iterator[tuple[Path, int]]:
        visited: set[tuple[int, int]] = set()
        for folder in self.folders:
            if not folder.is_dir():
                raise DataError(
                    "data folder does not exist", where=str(folder), fix="name an existing folder"
                )
            yield from self._walk(folder, visited)

    def _walk(self, folder: Path, visited: set[tuple[int, int]]) -> Iterator[tuple[Path, int]]:
        try:
            found = folder.stat()
            paths = sorted(folder.iterdir())
        except OSError:
            self.unreadable.append(folder)
            return
        if (found.st_dev, found.st_ino) in visited:
            return
        visited.add((found.st_dev, found.st_ino))
        for path in paths:
            try:
                status = path.stat()
            except OSError:  # Among others a link to nothing.
                self.unreadable.append(path)
                continue
            if stat.S_ISDIR(status.st_mode):
                yield from self._walk(path, visited)
            elif stat.S_ISREG(status.st_mode):
                yield path, status.st_size

    def _sums_of(self, path: Path, unpacked: int | None) -> FileSum | None:
        """The sums, taken once: of the file, or of what it unpacks to.

        Args:
            unpacked: bytes that it must unpack to; ``None`` for the file as it is.
        """
        key = (path, unpacked)
        if key not in self._sums:
            try:
                self._sums[key] = (
                    hash_file(path) if unpacked is None else _hash_unpacked(path, unpacked)
                )
            # gzip's three: it is none, it is cut, it is damaged.
            except (OSError, EOFError, zlib.error):
                self.unreadable.append(path)
                self._sums[key] = None
        return self._sums[key]


def _unpacked_size(path: Path) -> int | None:
    """Size of a gzip file's content modulo 2**32: its last four bytes (RFC 1952, ISIZE)."""
    try:
        with path.open("rb") as stream:
            stream.seek(-4, os.SEEK_END)
            return int.from_bytes(stream.read(4), "little")
    except OSError:
        return None


def _hash_unpacked(path: Path, size: int) -> FileSum | None:
    """The sums of the content; ``None`` once it exceeds ``size``.

    A small file can unpack without end.
    """
    digest, total = hashlib.sha256(), 0
    with gzip.open(path) as stream:
        while chunk := stream.read(1 << 20):
            total += len(chunk)
            if total > size:
                return None
            digest.update(chunk)
    return FileSum(total, digest.hexdigest())
