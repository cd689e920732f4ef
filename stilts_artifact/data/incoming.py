"""A file on its way into the store: written once, hashed as it is written, never shared by two writers."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stilts_artifact.domain.tasks import Source
from stilts_artifact.errors import ResourceError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EROFS, errno.EACCES, errno.EPERM}
_PART = ".part"


@contextmanager
def disk_errors(path: Path, needed: int) -> Iterator[None]:
    """Turn a failing disk operation on ``path`` into a :class:`ResourceError` that says how much room is needed."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            what, fix = (
                "no room left to write a file",
                f"free {needed:,} bytes there, or choose another --store",
            )
        elif error.errno in _NO_RIGHT:
            what, fix = (
                "no right to write a file",
                "give this user the right to write there, or choose another --store",
            )
        else:
            what, fix = "a file cannot be written", "mend the disk, or choose another --store"
        expected = f"room for {needed:,} bytes"
        raise ResourceError(
            what, where=str(path), got=error.strerror, expected=expected, fix=fix
        ) from error


class IncomingLostError(ResourceError):
    """Another process took a file still being written for orphaned, which can happen where locks do nothing."""


class Incoming:
    """A file on its way into the store, hashed as it is written.

    Its name is unique, so no two processes ever write the same file. While its writer lives it
    holds an advisory lock, which only tells others that the bytes are not orphaned. Where locks do
    nothing, a writer can find its file gone; it then starts again, and nothing wrong is published.
    """

    def __init__(self, folder: Path, source: Source) -> None:
        self._needed = source.bytes or 0
        hidden = folder / f"{source.sha256}.{uuid.uuid4().hex}.new"
        self.path = hidden.with_suffix(_PART)
        self.size = 0
        self._digest = hashlib.sha256()
        with disk_errors(hidden, self._needed):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            _lock(self._file)
            # Visible to others only now that it is locked.
            hidden.rename(self.path)

    @property
    def sha256(self) -> str:
        """Hash of the bytes written so far."""
        return self._digest.hexdigest()

    def check_room(self) -> None:
        """Find a disk that is too small before it is filled.

        Raises:
            ResourceError: the missing bytes do not fit; the file is removed.
        """
        missing = self._needed - self.size
        with disk_errors(self.path, missing):
            free = shutil.disk_usage(self.path.parent).free
        if free < missing:
            self.discard()
            with disk_errors(self.path, missing):
                raise OSError(errno.ENOSPC, f"{free:,} bytes free")

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``.

        Raises:
            ResourceError: the disk is full or refuses; the file is removed, so that it frees its
                room.
        """
        rest = memoryview(chunk)
        try:
            with disk_errors(self.path, self._needed - self.size):
                while rest:
                    rest = rest[os.write(self._file, rest) :]
        except ResourceError:
            self.discard()
            raise
        self._digest.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Drop what was written."""
        with disk_errors(self.path, self._needed):
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
        self.size = 0
        self._digest = hashlib.sha256()

    def sync(self) -> None:
        """Have the disk hold every byte before a rename makes them count.

        Raises:
            OSError: the disk refuses.
        """
        os.fsync(self._file)

    def keep(self) -> None:
        """Stop writing and leave the bytes for the next run to resume from."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def discard(self) -> None:
        """Stop writing and remove the file."""
        self.keep()
        remove(self.path)


def orphans(folder: Path, source: Source) -> list[Path]:
    """Unfinished files of this source whose writer is gone, as far as locks can tell; the longest first."""
    parts = [path for path in folder.glob(f"{source.sha256}.*{_PART}") if _is_unlocked(path)]
    return sorted(parts, key=lambda path: (-_size(path), path.name))


def copy(path: Path, incoming: Incoming) -> None:
    """Append the content of ``path``, unless another process just removed it."""
    with disk_errors(path, 0), contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            incoming.write(chunk)


def remove(path: Path) -> None:
    """Remove a leftover; one that cannot be removed harms nobody, for its name is never read as a file's."""
    with contextlib.suppress(OSError):
        path.unlink()


def _lock(file: int) -> bool:
    """Whether an advisory lock could be had; a file system without locks says no."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_unlocked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # Published or removed meanwhile, or another user's.
        return False
    try:
        return _lock(file)
    finally:
        os.close(file)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
