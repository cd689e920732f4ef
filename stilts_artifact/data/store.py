"""The file store: upstream files, each published once under its own sha256.

Nothing is trusted because it exists. A file is hashed on its way in, and again at its first use in
every process, so one edited after publication is found. No correctness rests on locks: a writer has
a file of its own, and one rename publishes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from stilts_artifact.data.progress import Progress, Silent, hash_shown
from stilts_artifact.domain.tasks import Source
from stilts_artifact.errors import IntegrityError, ResourceError
from stilts_artifact.files import (
    LockedFile,
    describe_sums,
    disk_errors,
    open_regular,
    orphaned_files,
    remove_file,
)

_INSTEAD = "another --store"


class IncomingLostError(ResourceError):
    """Another process took a file still being written for orphaned.

    Which can happen where locks do nothing.
    """


class Incoming:
    """A file on its way into the store, hashed as it is written.

    No other process writes it. Where locks do nothing, a writer can find its file gone; it then
    starts again, and nothing wrong is published.
    """

    def __init__(self, folder: Path, source: Source) -> None:
        self._needed = source.bytes or 0
        self.size = 0
        self._digest = hashlib.sha256()
        with self._disk_errors(folder, self._needed):
            self._locked = LockedFile(folder, str(source.sha256))

    @property
    def path(self) -> Path:
        """Where it lies until it is published."""
        return self._locked.path

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
        with self._disk_errors(self.path, missing):
            free = shutil.disk_usage(self.path.parent).free
        if free < missing:
            self.discard()
            with self._disk_errors(self.path, missing):
                # As the disk itself would say it, so that both give one message.
                raise OSError(errno.ENOSPC, f"{free:,} bytes free")

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``.

        Raises:
            ResourceError: the disk is full or refuses; the file is removed, so that it frees its
                room.
        """
        try:
            with self._disk_errors(self.path, self._needed - self.size):
                self._locked.write(chunk)
        except ResourceError:
            self.discard()
            raise
        self._digest.update(chunk)
        self.size += len(chunk)

    def append(self, path: Path) -> None:
        """Append the content of another file, unless another process just removed it.

        No more of it than shows that it is too much.
        """
        with (
            self._disk_errors(path, 0),
            contextlib.suppress(FileNotFoundError),
            open_regular(path) as stream,
        ):
            while self.size <= self._needed and (chunk := stream.read(1 << 20)):
                self.write(chunk)

    def restart(self) -> None:
        """Drop what was written."""
        with self._disk_errors(self.path, self._needed):
            os.ftruncate(self._locked.file, 0)
            os.lseek(self._locked.file, 0, os.SEEK_SET)
        self.size = 0
        self._digest = hashlib.sha256()

    def publish(self, target: Path) -> bool:
        """Make it ``target``; ``False`` if another process removed it.

        Raises:
            ResourceError: the disk refuses.
        """
        with self._disk_errors(target, self.size):
            published = self._locked.publish(target)
        self.keep()
        return published

    def keep(self) -> None:
        """Stop writing and leave the bytes for the next run to resume from."""
        self._locked.release()

    def discard(self) -> None:
        """Stop writing and remove the file."""
        self._locked.remove()

    @staticmethod
    def _disk_errors(path: Path, needed: int) -> AbstractContextManager[None]:
        return disk_errors(path, needed, _INSTEAD)


class FileStore:
    """Verified files under ``root/files/<sha256>``.

    Attributes:
        progress: told of each large file that is hashed.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "files"
        self.progress: Progress = Silent()
        self._verified: set[str] = set()

    def path(self, source: Source) -> Path:
        """Where the source's file lies once published."""
        return self.folder / str(source.sha256)

    def has(self, source: Source) -> bool:
        """Whether a file is there. Says nothing about its content: :meth:`get` does."""
        with _read_errors(self.path(source)):
            return source.sha256 is not None and self.path(source).is_file()

    def get(self, source: Source) -> Path | None:
        """The source's file, hashed at its first use in this process.

        ``None`` if it is not here or has no pin.

        Raises:
            IntegrityError: the content is not what was published. The file is moved aside to
                ``<sha256>.corrupt``.
            ResourceError: it cannot be read.
        """
        if source.sha256 is None or not self.has(source):
            return None
        path = self.path(source)
        if source.sha256 not in self._verified:
            self._verify(path, source)
        return path

    def publish(self, source: Source, chunks: Iterable[bytes]) -> Path:
        """Write ``chunks`` as the source's file.

        Raises:
            IntegrityError: they are not the pinned bytes; nothing is published.
            ResourceError: the disk is full or refuses; nothing is left there.
        """
        incoming = self.incoming(source)
        try:
            for chunk in chunks:
                incoming.write(chunk)
            return self.commit(incoming, source)
        finally:
            incoming.discard()

    def incoming(self, source: Source) -> Incoming:
        """A new empty file for the source's bytes."""
        return Incoming(self.folder, source)

    def resume(self, source: Source) -> Incoming:
        """A new file that starts with the most bytes any dead process left of this source.

        They are copied, not taken over: should their writer live after all, it writes to a file
        that nobody reads.
        """
        left = orphaned_files(self.folder, str(source.sha256))
        incoming = self.incoming(source)
        for path in left[:1]:
            incoming.append(path)
        for path in left:
            remove_file(path)
        if incoming.size > (source.bytes or 0):
            incoming.restart()
        return incoming

    def commit(self, incoming: Incoming, source: Source) -> Path:
        """Publish ``incoming`` by one rename, if it has the pinned size and sha256.

        Raises:
            IntegrityError: it has not; it stays where it is, for the caller to restart or discard.
            IncomingLostError: another process removed it, and nobody published the file.
            ResourceError: the disk refuses.
        """
        if (incoming.size, incoming.sha256) != (source.bytes, source.sha256):
            raise IntegrityError(
                f"{source.name} does not have the bytes it is pinned to",
                where=source.name,
                got=describe_sums(incoming.size, incoming.sha256),
                expected=describe_sums(source.bytes, source.sha256),
                fix=f"try again, or bring the file yourself: {source.obtain}",
            )
        path = self.path(source)
        if not incoming.publish(path) and self.get(source) is None:
            where = str(incoming.path)
            raise IncomingLostError(
                "another process removed the unfinished file", where=where, fix="run it again"
            )
        self._verified.add(incoming.sha256)
        for orphan in orphaned_files(self.folder, str(source.sha256)):
            remove_file(orphan)
        return path

    def _verify(self, path: Path, source: Source) -> None:
        with _read_errors(path):
            found = hash_shown(path, self.progress)
        if found.sha256 == source.sha256:
            self._verified.add(found.sha256)
            return
        aside = path.with_name(f"{source.sha256}.corrupt")
        # A store that may not be written keeps the bad file; the error is the same.
        with contextlib.suppress(OSError):
            path.replace(aside)
        raise IntegrityError(
            f"{source.name} was changed after it was published",
            where=str(aside if aside.exists() else path),
            got=str(found),
            expected=describe_sums(source.bytes, source.sha256),
            fix="stilts-artifact fetch",
        )


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fix = "give this user the right to read it, or choose another --store"
        raise ResourceError(
            "a file of the store cannot be read", where=str(path), got=error.strerror, fix=fix
        ) from error
