"""Files that people bring: found in their folders by content, whatever their names.

Only a file whose size equals a wanted size is hashed, and one without a public sha256 only if its
name is wanted, so that a large folder costs little more than its listing. Folders hold anything:
only regular files are opened, none is read beyond the size it has, and the search has an end.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stilts_artifact.data.admission import member_limit
from stilts_artifact.data.progress import Progress, Silent, hash_shown, shown
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.files import FileSum, open_regular

MAX_ENTRIES = 2_000_000  # files and folders; a person who has more below one folder has a narrower
MAX_BY_NAME = 4 << 30  # bytes of a file without a public size: archives of text, as all others are
MAX_LOOKED_THROUGH = 32 << 30  # bytes of gzip files, searched for such as have several members

_MANY = 100_000  # entries after which a search is shown
_LITTLE = 1 << 20  # bytes that a gzip file may have beyond its content, for its name and header
_SHOWN = 10  # unreadable files and folders that a message names
_GZ = (".gz", ".bgz")
_HEAD = 9  # bytes of a member's head that a chunk may end with: all but one
# Head of a gzip member (RFC 1952): magic, deflate, no reserved flag, any time, a compression and a
# system that somebody writes. By chance in one of 100 GB.
_MEMBER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL)
_MADE_UP = "the kernel makes it up"


class DataFolderError(DataError):
    """A data folder that cannot be searched; it says so for every file, and need not be asked."""


@dataclass(frozen=True, slots=True)
class Brought:
    """A file with the wanted content; ``packed`` if that content is what gunzip makes of it."""

    path: Path
    packed: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: sizes in bytes of pinned files, and names of any."""

    sizes: Collection[int]
    names: Collection[str]


@dataclass(frozen=True, slots=True)
class _Identity:
    """What a file is by its folder; another one where it was replaced or written to."""

    device: int
    number: int
    size: int
    changed: int  # ns

    @classmethod
    def of(cls, path: Path) -> _Identity:
        """Raises OSError: it is gone, or cannot be reached."""
        found = path.stat()
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass
class _Index:
    """The files that may be wanted.

    Attributes:
        by_unpacked_size: gzip files by the size of their last member's content, modulo 2**32.
        packed: all gzip files.
    """

    by_size: dict[int, list[Path]] = field(default_factory=dict)
    by_unpacked_size: dict[int, list[Path]] = field(default_factory=dict)
    packed: list[Path] = field(default_factory=list)
    by_name: dict[str, list[Path]] = field(default_factory=dict)


class DataFolders:
    """All regular files below some folders, in sorted order; links are followed, loops are not.

    What the kernel makes up (``/proc``, ``/sys``, ``/dev``) is not searched.

    Args:
        wanted: the only files that are ever asked for.

    Attributes:
        progress: told of a long search and of each large file that is hashed.
    """

    def __init__(self, folders: Sequence[Path], wanted: Wanted) -> None:
        self.folders = tuple(folders)
        self.progress: Progress = Silent()
        self._wanted = wanted
        self._unreadable: dict[Path, str] = {}
        self._unreadable_count = 0
        self._sums: dict[tuple[Path, int | None], tuple[_Identity, FileSum | None]] = {}

    def find(self, size: int, sha256: str) -> Brought | None:
        """The first file with this content, as it is or gzipped."""
        wanted = FileSum(size, sha256)
        for packed, paths in ((False, self._index.by_size), (True, self._index.by_unpacked_size)):
            # A gzip file knows its content's size only modulo 2**32.
            for path in paths.get(size % 2**32 if packed else size, ()):
                if self._sums_of(path, size, packed=packed) == wanted:
                    return Brought(path, packed)
        for path in self._of_several_members:
            if self._sums_of(path, max(self._wanted.sizes), packed=True) == wanted:
                return Brought(path, packed=True)
        return None

    def versions(self, name: str) -> dict[FileSum, Path]:
        """Files called as the last part of ``name``: the first of each content, by its sums."""
        versions: dict[FileSum, Path] = {}
        for path in self._named(name):
            sums = self._sums_of(path, MAX_BY_NAME)
            if sums is not None:
                versions.setdefault(sums, path)
        return versions

    def has_named(self, name: str) -> bool:
        """Whether a file that would be read is called as the last part of ``name``."""
        return any(_size(path) <= MAX_BY_NAME for path in self._named(name))

    def look_alikes(self, name: str, size: int | None) -> list[str]:
        """For messages: files with the right name, and what could not be read.

        Args:
            size: that it should have; a file of another one is not hashed to say so.
        """
        found = []
        for path in self._named(name):
            with contextlib.suppress(OSError):
                actual = path.stat().st_size
                asked = size in (None, actual)
                sums = self._sums_of(path, size or MAX_BY_NAME) if asked else None
                large = size is None and actual > MAX_BY_NAME
                why = f"at most {MAX_BY_NAME:,} are read" if large else "not hashed"
                found.append(f"{path}: {sums or f'{actual:,} bytes, {why}'}")
        return found + self.unreadable()

    def unreadable(self) -> list[str]:
        """Files and folders that could not be read so far, and why; the first few, and how many."""
        lines = [f"{path}: cannot be read: {why}" for path, why in self._unreadable.items()]
        more = self._unreadable_count - len(lines)
        return lines + ([f"and {more:,} more that cannot be read"] if more else [])

    def confirm(self, path: Path) -> None:
        """Make sure that a file which was hashed here is still the same, after it was read.

        Raises:
            IntegrityError: it is not.
        """
        known = {identity for (hashed, _), (identity, _) in self._sums.items() if hashed == path}
        with contextlib.suppress(OSError):  # What is gone by now was read whole.
            if known and _Identity.of(path) not in known:
                raise IntegrityError(
                    "a file changed while it was read",
                    where=str(path),
                    fix="leave the data folder as it is while this program runs",
                )

    def _named(self, name: str) -> list[Path]:
        return self._index.by_name.get(name.rpartition("/")[2], [])

    @cached_property
    def _index(self) -> _Index:
        index, search = _Index(), _Search(self._wanted, self.progress, self._pass_over)
        unpacked_sizes = {size % 2**32 for size in self._wanted.sizes}
        for folder in self.folders:
            for path, size in search.files(folder):
                if size in self._wanted.sizes:
                    index.by_size.setdefault(size, []).append(path)
                if path.name in self._wanted.names:
                    index.by_name.setdefault(path.name, []).append(path)
                if not path.name.lower().endswith(_GZ):
                    continue
                index.packed.append(path)
                unpacked = self._unpacked_size(path)
                if unpacked in unpacked_sizes:
                    index.by_unpacked_size.setdefault(unpacked, []).append(path)
        return index

    @cached_property
    def _of_several_members(self) -> list[Path]:
        """Gzip files whose last four bytes do not tell the size of all that they hold.

        Joined by ``cat``, written in blocks by bgzip, or padded with zeros: gunzip takes them all.
        Looked for once, and only if something was not found without.
        """
        found, left = [], MAX_LOOKED_THROUGH
        # What is much larger than all that is wanted is nobody's gzip file of it.
        largest = 2 * max(self._wanted.sizes) + _LITTLE
        sizes = {path: _size(path) for path in self._index.packed}
        sizes = {path: size for path, size in sizes.items() if size <= largest}
        with shown(self.progress, "gzip files", sum(sizes.values()), "searching") as advance:
            for path, size in sizes.items():
                left -= size
                try:
                    if left < 0:
                        raise OSError(errno.EFBIG, "there is too much before it to look through")
                    if self._unpacked_size(path) == 0 or _has_members(path, size):
                        found.append(path)
                except OSError as error:
                    self._pass_over(path, error.strerror or str(error))
                advance(size)
        return found

    def _unpacked_size(self, path: Path) -> int | None:
        """Size of its last member's content modulo 2**32: the last four bytes (RFC 1952, ISIZE)."""
        try:
            with open_regular(path) as stream:
                stream.seek(-4, os.SEEK_END)
                return int.from_bytes(stream.read(4), "little")
        except OSError as error:
            if error.errno != errno.EINVAL:  # which says that it has no four bytes
                self._pass_over(path, error.strerror or str(error))
            return None

    def _pass_over(self, path: Path, why: str) -> None:
        self._unreadable_count += path not in self._unreadable
        if len(self._unreadable) < _SHOWN:
            self._unreadable[path] = why

    def _sums_of(self, path: Path, limit: int, *, packed: bool = False) -> FileSum | None:
        """The sums of a file, or of what it unpacks to, taken once for each state of the file.

        Args:
            limit: bytes; ``None`` is returned for more.
        """
        try:
            before = _Identity.of(path)
            # More is a bomb's, and would not be read.
            limit = min(limit, member_limit(before.size)) if packed else limit
            key = (path, limit if packed else None)
            # What unpacks to less than half its size is nobody's gzip file.
            if before.size > (2 * limit + _LITTLE if packed else limit):
                return None
            if key not in self._sums or self._sums[key][0] != before:
                self._sums[key] = before, None  # what fails once is not read again
                # A hole is read like other bytes: there are no more of them than are wanted.
                sums = _hash_unpacked(path, limit) if packed else hash_shown(path, self.progress)
                if _Identity.of(path) != before:
                    raise OSError(errno.EBUSY, "it changes while it is read")
                self._sums[key] = before, sums
        # gzip's three: it is none, it is cut, it is damaged.
        except (OSError, EOFError, zlib.error) as error:
            self._pass_over(path, getattr(error, "strerror", None) or str(error))
            return None
        return self._sums[key][1]


class _Search:
    """Goes through folders for files that may be wanted; the same folder is never entered twice.

    Args:
        pass_over: told of what cannot be read, and why.
    """

    def __init__(
        self, wanted: Wanted, progress: Progress, pass_over: Callable[[Path, str], None]
    ) -> None:
        self._wanted, self._progress, self._pass_over = wanted, progress, pass_over
        self._made_up = _kernel_devices()
        self._visited: set[tuple[int, int]] = set()
        self._count = 0

    def files(self, top: Path) -> Iterator[tuple[Path, int]]:
        """Files with their sizes, those of a folder before those of the folders in it.

        Raises:
            DataFolderError: ``top`` is no folder that can be searched, or has too much in it.
        """
        _check_top(top, self._made_up)
        # Not by recursion: folders may lie in each other more deeply than Python's calls may.
        left = [top]
        while left:
            folder = left.pop()
            files, folders = self._list(folder, top)
            yield from ((folder / name, size) for name, size in sorted(files))
            left += (folder / name for name in sorted(folders, reverse=True))

    def _list(self, folder: Path, top: Path) -> tuple[list[tuple[str, int]], list[str]]:
        """The files in a folder that may be wanted, with their sizes, and its folders."""
        files: list[tuple[str, int]] = []
        folders: list[str] = []
        try:
            for entry in self._entries(folder, top):
                status = self._status(folder, entry)
                if status is not None and stat.S_ISDIR(status.st_mode):
                    folders.append(entry.name)
                elif status is not None and self._may_be_wanted(entry.name, status):
                    files.append((entry.name, status.st_size))
        except OSError as error:
            self._pass_over(folder, error.strerror or str(error))
        return files, folders

    def _status(self, folder: Path, entry: os.DirEntry[str]) -> os.stat_result | None:
        try:
            return entry.stat()
        except OSError as error:  # Among others a link to nothing, and what just vanished.
            self._pass_over(folder / entry.name, error.strerror or str(error))
            return None

    def _may_be_wanted(self, name: str, status: os.stat_result) -> bool:
        known = status.st_size in self._wanted.sizes or name in self._wanted.names
        return stat.S_ISREG(status.st_mode) and (known or name.lower().endswith(_GZ))

    def _entries(self, folder: Path, top: Path) -> Iterator[os.DirEntry[str]]:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in self._visited:
            return
        self._visited.add(here)
        if status.st_dev in self._made_up:
            self._pass_over(folder, _MADE_UP)
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                self._count += 1
                if self._count == _MANY:
                    self._progress.start(str(top), 0, "searching")
                    self._progress.finish()
                if self._count > MAX_ENTRIES:
                    raise DataFolderError(
                        "too much to search in the data folders",
                        where=str(top),
                        got=f"more than {MAX_ENTRIES:,} files and folders",
                        fix="name the folder that has the data",
                    )
                yield entry


def _check_top(folder: Path, made_up: Collection[int]) -> None:
    """A folder that was named must be one that can be searched; of those below it, errors tell."""
    fix = "name an existing folder that this user can read"
    try:
        found = folder.stat()
        os.scandir(folder).close()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        what = "data folder does not exist" if missing else "data folder cannot be read"
        raise DataFolderError(what, where=str(folder), got=error.strerror, fix=fix) from error
    if found.st_dev in made_up:
        raise DataFolderError(
            "data folder cannot be read", where=str(folder), got=_MADE_UP, fix=fix
        )


def _kernel_devices() -> set[int]:
    """File systems in which a file may have no end, wait for ever, or lead to all others."""
    found = set()
    for folder in ("/proc", "/sys", "/dev"):
        with contextlib.suppress(OSError):
            found.add(Path(folder).stat().st_dev)
    return found - {Path("/").stat().st_dev}


def _size(path: Path) -> int:
    """Bytes of a file; none if it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _has_members(path: Path, size: int) -> bool:
    """Whether a gzip file has more than one member; it is looked through, not unpacked.

    Args:
        size: of the file; what it grows by meanwhile is not read.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        file.seek(1)  # into the first head, which does not count
        seen = b""
        while chunk := file.read(min(1 << 20, max(0, size - file.tell()))):
            seen = seen[-_HEAD:] + chunk  # a head may lie across two chunks
            if _MEMBER.search(seen):
                return True
    return False


def _hash_unpacked(path: Path, size: int) -> FileSum | None:
    """The sums of the content; ``None`` once it exceeds ``size``.

    A small file can unpack without end, and a large one to nothing at all.
    """
    digest, total = hashlib.sha256(), 0
    with open_regular(path) as packed, gzip.GzipFile(fileobj=packed) as stream:
        while chunk := stream.read(1 << 20):
            total += len(chunk)
            if total > size:
                return None
            digest.update(chunk)
    return FileSum(total, digest.hexdigest())
