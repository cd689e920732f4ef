"""Folders that one running step alone writes, and how those of killed runs are found again.

A claimed folder has a unique name and holds a file that its owner keeps locked. The lock only tells
others that the owner lives; taking a dead owner's folder over, or removing it, starts with a rename
that just one process can win. Where locks do nothing, an owner can thus find its folder gone and
fail, but never share it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
import uuid
from pathlib import Path

from stilts_artifact.data.incoming import disk_errors

_LOCK = "lock"
_PART = ".part"
_NEW = ".new"
_GONE = ".gone"
_SOME_ROOM = 1 << 20
# A folder is unlocked and not yet visible only for the instant in which it is made.
_STALE_SECONDS = 3600.0


class LockedFolder:
    """A folder of this process: ``<name>.<unique>.part`` with its locked file inside."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def release(self) -> None:
        """Leave the folder to whoever takes it over."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Remove the folder and all in it."""
        _remove(self.path)
        self.release()


def claim(parent: Path, name: str) -> LockedFolder:
    """A dead owner's folder of that name with all it holds, the one last changed; else a new empty one.

    Raises:
        ResourceError: the disk is full or refuses.
    """
    left = sorted(_parts(parent, name), key=_changed, reverse=True)
    for path in left:
        lock = _lock_dead(path)
        if lock is None:
            continue
        new = parent / f"{name}.{uuid.uuid4().hex}{_PART}"
        try:
            path.rename(new)
        except FileNotFoundError:  # Another process was faster.
            os.close(lock)
            continue
        return LockedFolder(new, lock)
    return _create(parent, name)


def remove_dead(parent: Path, name: str = "*", *, only_without: str | None = None) -> None:
    """Remove folders whose owner is dead.

    Args:
        only_without: keep those in which this sub-folder holds anything.
    """
    for path in _parts(parent, name):
        lock = _lock_dead(path)
        if lock is not None:
            if only_without is None or not _holds_anything(path / only_without):
                _remove(path)
            os.close(lock)
    stale = time.time() - _STALE_SECONDS
    for path in sorted([*parent.glob(f"{name}.*{_NEW}"), *parent.glob(f"{name}.*{_GONE}")]):
        if _changed(path) < stale:
            shutil.rmtree(path, ignore_errors=True)


def dead_names(parent: Path) -> list[str]:
    """Names of which an unlocked folder may be left; a quick look that takes no lock."""
    return sorted({path.name.split(".", 1)[0] for path in _parts(parent, "*")})


def _create(parent: Path, name: str) -> LockedFolder:
    unique = f"{name}.{uuid.uuid4().hex}"
    hidden, path = parent / f"{unique}{_NEW}", parent / f"{unique}{_PART}"
    with disk_errors(path, _SOME_ROOM):
        hidden.mkdir(parents=True)
        lock = os.open(hidden / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _try_lock(lock)
        # Visible to others only now that it is locked.
        hidden.rename(path)
    return LockedFolder(path, lock)


def _parts(parent: Path, name: str) -> list[Path]:
    return sorted(parent.glob(f"{name}.*{_PART}"))


def _lock_dead(path: Path) -> int | None:
    """The lock of a folder whose owner is dead; ``None`` if it lives, or if nobody can tell."""
    try:
        file = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if _try_lock(file):
        return file
    os.close(file)
    return None


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    """By a rename first: a writer that lives after all then fails at once and publishes nothing half removed."""
    gone = path.with_suffix(_GONE)
    try:
        path.rename(gone)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return
    shutil.rmtree(gone, ignore_errors=True)


def _changed(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
