"""The store: finished results under ``store/<kind>/<key>/``, each published by one rename.

A result is there or it is not; existence is completion, and nothing else is. Work in progress lies
under ``work/`` on the same file system. What is read is verified against its manifest: hashed at
its first use in a process, and again whenever the file has changed since.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stilts_artifact.data.files import hash_file
from stilts_artifact.data.incoming import disk_errors
from stilts_artifact.errors import IntegrityError, ResourceError
from stilts_artifact.pipeline.claims import LockedFolder, claim, dead_names, remove_dead
from stilts_artifact.pipeline.records import (
    FILES,
    MANIFEST,
    FileSum,
    ResultManifest,
    describe_files,
    dump_record,
    load_record,
    make_record,
    plain_files,
    sync,
)
from stilts_artifact.pipeline.step import KeyedStep

_RESULT = "result"
_CHECKPOINTS = "checkpoints"
_LOG = "log.txt"
_LATE_SECONDS = 15.0
_SOME_ROOM = 1 << 20
_AGAIN = "run the same command again: the step is made anew"

_Stamp = tuple[int, int, int, int]


class Store:
    """Results by address, which is ``kind/key``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self._hashed: dict[Path, tuple[_Stamp, FileSum]] = {}

    def path(self, address: str) -> Path:
        """Where the address's result lies once published."""
        return self.root / "store" / address

    def has(self, address: str) -> bool:
        """Whether a result was published. Says nothing about its bytes: :meth:`read` does."""
        return (self.path(address) / MANIFEST).is_file()

    def record(self, address: str) -> ResultManifest:
        """The manifest of a published result, the files not looked at.

        Raises:
            IntegrityError: there is no sound one.
        """
        return load_record(self.path(address) / MANIFEST)

    def records(self, kind: str) -> list[ResultManifest]:
        """Every sound manifest of a kind, in the order of the keys."""
        found = []
        for path in sorted((self.root / "store" / kind).glob(f"*/{MANIFEST}")):
            with contextlib.suppress(IntegrityError):
                found.append(load_record(path))
        return found

    def read(self, address: str) -> Path:
        """The folder of a result, every file of it verified.

        Raises:
            IntegrityError: absent, or a file is missing, surplus or altered. The result is moved
                aside, so that the next run makes it anew.
            ResourceError: it cannot be read.
        """
        folder = self.path(address)
        try:
            self._verify(folder, self.record(address))
        except IntegrityError as error:
            if not folder.is_dir():
                raise
            aside = self._put_aside(folder, address)
            raise IntegrityError(
                f"{error.what}; the result now lies in {aside}",
                where=error.where,
                got=error.got,
                expected=error.expected,
                fix=_AGAIN,
            ) from error
        except OSError as error:
            fix = "give this user the right to read it, or choose another --store"
            what = "a result of the store cannot be read"
            raise ResourceError(what, where=str(folder), got=error.strerror, fix=fix) from error
        return folder / FILES

    def await_published(self, address: str) -> None:
        """Wait until this machine, too, sees a result that another one has published.

        A network file system may show a folder's new content seconds late; listing it asks again.
        """
        end = time.monotonic() + _LATE_SECONDS
        while not self.has(address) and time.monotonic() < end:
            with contextlib.suppress(OSError):
                list(self.path(address).parent.iterdir())
            time.sleep(0.1)

    @contextmanager
    def draft(self, node: KeyedStep) -> Iterator[Draft]:
        """A draft to fill and publish. Left unpublished, its checkpoints stay for the next attempt.

        Raises:
            ResourceError: the disk is full or refuses.
        """
        owned = claim(self.work, node.key)
        draft = Draft(self, node, owned)
        try:
            with disk_errors(owned.path, _SOME_ROOM):
                draft.prepare()
            yield draft
        finally:
            draft.close()

    def clean(self) -> None:
        """Remove what killed runs left: drafts without checkpoints, and all drafts of published results."""
        published = {path.parent.name for path in self.root.glob(f"store/*/*/{MANIFEST}")}
        with contextlib.suppress(OSError):
            for key in dead_names(self.work):
                remove_dead(self.work, key, only_without=None if key in published else _CHECKPOINTS)

    def publish(self, result: Path, record: ResultManifest) -> None:
        """Move a complete result to its place, or compare it with the one already there.

        Raises:
            IntegrityError: another process published other bytes for the same step; ours is kept
                aside.
            OSError: the disk is full or refuses.
        """
        target = self.path(record.node.address)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            result.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self.read(record.node.address)
            self._compare(result, record, self.record(record.node.address).files)
            return
        sync(target.parent)

    def _compare(self, result: Path, ours: ResultManifest, theirs: Mapping[str, FileSum]) -> None:
        names = sorted(ours.files.keys() | theirs.keys())
        different = [name for name in names if ours.files.get(name) != theirs.get(name)]
        if not different:
            return
        aside = self._put_aside(result, ours.node.address)
        raise IntegrityError(
            f"two runs of the same step made different files: {ours.node.label}",
            where=f"{different[0]} in {self.path(ours.node.address)} and {aside}",
            got=_show(ours.files.get(different[0])),
            expected=_show(theirs.get(different[0])),
            fix="report it: a step must not depend on anything outside its key",
        )

    def _verify(self, folder: Path, record: ResultManifest) -> None:
        if f"{record.node.kind}/{record.node.key}" != f"{folder.parent.name}/{folder.name}":
            what = "a result lies under another's key"
            raise IntegrityError(
                what, where=str(folder), got=record.node.address, expected="its own"
            )
        files = plain_files(folder / FILES)
        for name in sorted(files.keys() ^ record.files.keys()):
            what = (
                "a file of a result is missing"
                if name in record.files
                else "a file that no manifest knows"
            )
            raise IntegrityError(
                what, where=str(folder / FILES / name), expected=f"the files of {MANIFEST}"
            )
        for name, path in files.items():
            found = self._sum(path)
            if found != record.files[name]:
                expected = _show(record.files[name])
                raise IntegrityError(
                    "a file of a result is altered",
                    where=str(path),
                    got=_show(found),
                    expected=expected,
                )

    def _sum(self, path: Path) -> FileSum:
        """Sums of a file, from memory if nothing about it has changed since it was hashed here."""
        status = path.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._hashed.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, FileSum(*hash_file(path)))
            self._hashed[path] = known
        return known[1]

    def _put_aside(self, folder: Path, address: str) -> Path:
        aside = self.root / "aside" / f"{address.replace('/', '-')}-{uuid.uuid4().hex[:8]}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(aside)
        except OSError:
            # A store that may not be written keeps it where it is; the error is the same.
            return folder
        return aside


class Draft:
    """A result being made, in a folder that no other process writes."""

    def __init__(self, store: Store, node: KeyedStep, owned: LockedFolder) -> None:
        self._store = store
        self._node = node
        self._claim = owned
        self._result = owned.path / _RESULT
        self.out = self._result / FILES
        self.work = owned.path / _CHECKPOINTS
        self.log = owned.path / _LOG

    def prepare(self) -> None:
        """Empty ``out``, whatever a killed run left in it, and keep the checkpoints."""
        if self._result.exists():
            shutil.rmtree(self._result)
        self.out.mkdir(parents=True)
        self.work.mkdir(exist_ok=True)

    def publish(self, seconds: float) -> None:
        """Make ``out`` the step's result; afterwards its checkpoints are gone.

        Raises:
            IntegrityError: nothing was written, or something other than plain files, or another
                process published different bytes.
            ResourceError: the disk is full or refuses; nothing is published.
        """
        needed = self.written()
        with disk_errors(self.out, needed):
            files = describe_files(self.out)
            if not files:
                what = f"the step wrote no file: {self._node.label}"
                raise IntegrityError(
                    what, where=self._node.kind, expected="at least one file in its folder"
                )
            record = make_record(self._node, files, seconds)
            manifest = self._result / MANIFEST
            manifest.write_bytes(dump_record(record))
            sync(manifest)
            sync(self._result)
            self._store.publish(self._result, record)
        self._claim.remove()
        remove_dead(self._store.work, self._node.key)

    def written(self) -> int:
        """Bytes in ``out`` and the checkpoints so far."""
        paths = [*self.out.rglob("*"), *self.work.rglob("*")]
        return sum(path.lstat().st_size for path in paths if not path.is_dir())

    def close(self) -> None:
        """Leave checkpoints to the next attempt; without any, leave nothing."""
        if self._claim.path.is_dir():
            shutil.rmtree(self._result, ignore_errors=True)
            if not self.work.is_dir() or not any(self.work.iterdir()):
                self._claim.remove()
        self._claim.release()


def _show(sums: FileSum | None) -> str:
    return "no such file" if sums is None else f"{sums.bytes:,} bytes, sha256 {sums.sha256}"
