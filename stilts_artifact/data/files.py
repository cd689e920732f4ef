"""The file store: upstream files, each published once under its own sha256.

Nothing is trusted because it exists. A file is hashed on its way in, and again at its first use in
every process, so one edited after publication is found. No correctness rests on locks: a writer has
a file of its own, and one rename publishes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stilts_artifact.data.incoming import (
    Incoming,
    IncomingLostError,
    copy,
    disk_errors,
    orphans,
    remove,
)
from stilts_artifact.domain.tasks import Source
from stilts_artifact.errors import IntegrityError, ResourceError


def hash_file(path: Path) -> tuple[int, str]:
    """Size in bytes and sha256 of a file, read once.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), digest


def describe(size: int | None, sha256: str | None) -> str:
    """The two sums of a file as every message shows them: ``1,234 bytes, sha256 ab12...``."""
    length = "unknown size" if size is None else f"{size:,} bytes"
    return f"{length}, sha256 {sha256 or 'not pinned'}"


class FileStore:
    """Verified files under ``root/files/<sha256>``."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "files"
        self._verified: set[str] = set()

    def path(self, source: Source) -> Path:
        """Where the source's file lies once published."""
        return self.folder / str(source.sha256)

    def has(self, source: Source) -> bool:
        """Whether a file is there. Says nothing about its content: :meth:`get` does."""
        with _read_errors(self.path(source)):
            return source.sha256 is not None and self.path(source).is_file()

    def get(self, source: Source) -> Path | None:
        """The source's file, hashed at its first use in this process; ``None`` if it is not here or has no pin.

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
        left = orphans(self.folder, source)
        incoming = self.incoming(source)
        for path in left[:1]:
            copy(path, incoming)
        for path in left:
            remove(path)
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
                got=describe(incoming.size, incoming.sha256),
                expected=describe(source.bytes, source.sha256),
                fix=f"try again, or bring the file yourself: {source.obtain}",
            )
        path = self.path(source)
        with disk_errors(path, incoming.size):
            incoming.sync()
            lost = not _rename(incoming.path, path)
            _sync_folder(self.folder)
            incoming.keep()
        if lost and self.get(source) is None:
            where = str(incoming.path)
            raise IncomingLostError(
                "another process removed the unfinished file", where=where, fix="run it again"
            )
        self._verified.add(incoming.sha256)
        for orphan in orphans(self.folder, source):
            remove(orphan)
        return path

    def _verify(self, path: Path, source: Source) -> None:
        with _read_errors(path):
            size, sha256 = hash_file(path)
        if sha256 == source.sha256:
            self._verified.add(sha256)
            return
        aside = path.with_name(f"{source.sha256}.corrupt")
        # A store that may not be written keeps the bad file; the error is the same.
        with contextlib.suppress(OSError):
            path.replace(aside)
        raise IntegrityError(
            f"{source.name} was changed after it was published",
            where=str(aside if aside.exists() else path),
            got=describe(size, sha256),
            expected=describe(source.bytes, source.sha256),
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


def _rename(old: Path, new: Path) -> bool:
    """Atomic rename; ``False`` if ``old`` is gone."""
    try:
        old.replace(new)
    except FileNotFoundError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Have the disk hold the rename itself."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems refuse this call; there the file is hashed again at its next use
        # anyway.
        with contextlib.suppress(OSError):
            os.fsync(file)
    finally:
        os.close(file)
