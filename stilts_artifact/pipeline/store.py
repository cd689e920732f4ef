"""The store: finished results under ``store/<kind>/<key>/``, each published by one rename.

A result is there or it is not; existence is completion, and nothing else is. Work in progress lies
under ``work/`` on the same file system. What is read is verified against its manifest: hashed at
its first use in a process, and again whenever the file has changed since.

A result that was dropped to save room leaves a record under ``dropped/<kind>/<key>.json``: its
manifest, what it reported, when and why. Made again, it is held against that manifest.
"""

from __future__ import annotations

import contextlib
import errno
import platform
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stilts_artifact import __version__
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError, ResourceError
from stilts_artifact.files import (
    MANIFEST,
    FileManifest,
    FileSum,
    LockedFolder,
    compare,
    discard_folder,
    disk_errors,
    hash_bytes,
    hash_file,
    move_into_place,
    orphaned_names,
    plain_files,
    remove_orphans,
    size_below,
    sync,
    sync_below,
    write_file,
)
from stilts_artifact.pipeline.rates import machine_name
from stilts_artifact.pipeline.step import KeyedStep
from stilts_artifact.pipeline.tasks import REPORT

FORMAT = 1
UNLIKE_FIRST = "unlike_first"
"""In what a manifest says of the making: the file in which it differs from that before a drop."""
_FILES = "files"
_RESULT = "result"
_CHECKPOINTS = "checkpoints"
_LOG = "log.txt"
_DROPPED = "dropped"
_INSTEAD = "another --store"
# For so long at most (60 s unless it is mounted otherwise), NFS says of a name that it is not there
# because it was not when this machine last looked.
_LATE_SECONDS = 90.0
_AGAIN = "run the same command again: the step is made anew"
_LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "faiss", "safetensors")

_UNMEASURED: Mapping[str, int] = MappingProxyType({})

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ResultManifest:
    """What a published result is: what was made, of what, by which versions.

    Attributes:
        step: that made it.
        files: the sums of its files.
        made: host, machine, time, seconds, what it used and versions; never compared.
    """

    step: KeyedStep
    files: FileManifest
    made: Mapping[str, Any]

    @classmethod
    def of(
        cls, step: KeyedStep, files: FileManifest, seconds: float, used: Mapping[str, int]
    ) -> ResultManifest:
        """The manifest of what this process just made.

        Args:
            seconds: it took.
            used: see :meth:`stilts_artifact.pipeline.meter.Meter.used`.
        """
        # A library that this process has not loaded had no part in the result.
        loaded = {
            name: getattr(sys.modules[name], "__version__", "?")
            for name in _LIBRARIES
            if name in sys.modules
        }
        versions = {"stilts-artifact": __version__, "python": platform.python_version(), **loaded}
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        made = {
            "host": socket.gethostname(),
            "machine": machine_name(),
            "finished": finished,
            "seconds": round(seconds, 3),
            "used": dict(used),
            "versions": versions,
        }
        return cls(step, files, made)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(sums.bytes for sums in self.files.files.values())

    def to_json(self) -> dict[str, Any]:
        """The document ``manifest.json``."""
        return {
            "format": FORMAT,
            "step": asdict(self.step),
            "files": self.files.to_json(),
            "made": dict(self.made),
        }

    def dump(self) -> bytes:
        """The bytes of ``manifest.json``."""
        return dump_json(self.to_json())

    @classmethod
    def from_json(cls, content: Any) -> ResultManifest:
        """The opposite of :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: it has another form.
        """
        if content["format"] != FORMAT:
            raise ValueError("another format")
        step, made = KeyedStep(**content["step"]), content["made"]
        if not _is_typed(step) or not isinstance(made, dict):
            raise TypeError("another type than a manifest has")
        return cls(step, FileManifest.from_json(content["files"]), made)

    @classmethod
    def load(cls, path: Path) -> ResultManifest:
        """Read a manifest.

        Raises:
            IntegrityError: it is absent or does not have its form.
        """
        try:
            return cls.from_json(parse_json(read_document(path), str(path)))
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            expected = f"a manifest of format {FORMAT}"
            raise IntegrityError(
                "a result without a sound manifest", where=str(path), expected=expected
            ) from error


def _is_typed(step: KeyedStep) -> bool:
    """Whether a step that was read has the types that it is declared to have."""
    texts = (step.kind, step.key, *step.inputs.values()) if isinstance(step.inputs, dict) else ()
    return (
        all(isinstance(text, str) for text in texts)
        and bool(texts)
        and type(step.version) is int
        and isinstance(step.params, dict)
    )


@dataclass(frozen=True, slots=True)
class Dropped:
    """What is left of a result that was dropped.

    Attributes:
        first: its manifest. Made again and dropped again, it keeps that of the first making.
        report: the bytes of what it reported; ``None`` of a result without a report.
        why, when: it was dropped.
    """

    first: ResultManifest
    report: bytes | None
    why: str
    when: str

    def dump(self) -> bytes:
        """The bytes of the record."""
        report = None if self.report is None else self.report.decode()
        return dump_json(
            {
                "format": FORMAT,
                "dropped": {"why": self.why, "when": self.when, "bytes": self.first.size},
                "manifest": self.first.to_json(),
                "report": report,
            }
        )

    @classmethod
    def load(cls, path: Path) -> Dropped:
        """Read a record.

        Raises:
            IntegrityError: it does not have its form, or its report is not the manifest's.
        """
        try:
            content = parse_json(read_document(path), str(path))
            first, report = ResultManifest.from_json(content["manifest"]), content["report"]
            own = content["dropped"]
            if first.step.address != f"{path.parent.name}/{path.stem}":
                raise ValueError("another's record")
            if (report is None) is (REPORT in first.files.files):
                raise ValueError("a report where there was none, or none")
            found = cls(first, None if report is None else report.encode(), own["why"], own["when"])
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                "the record of a dropped result is damaged",
                where=str(path),
                expected=f"a record of format {FORMAT}",
                fix="remove it, and the result is made again where it is needed",
            ) from error
        if found.report is not None:
            compare(path, hash_bytes(found.report), first.files.files[REPORT])
        return found


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
        try:
            return (self.path(address) / MANIFEST).is_file()
        except OSError as error:
            # What a network file system says of a folder that another machine has just moved away.
            if error.errno != errno.ESTALE:
                raise
            return False

    def manifest(self, address: str) -> ResultManifest:
        """The manifest of a published result, the files not looked at.

        Raises:
            IntegrityError: there is no sound one.
        """
        return ResultManifest.load(self.path(address) / MANIFEST)

    def manifests(self, kind: str) -> list[ResultManifest]:
        """Every sound manifest of a kind, in the order of the keys."""
        found = []
        for path in sorted((self.root / "store" / kind).glob(f"*/{MANIFEST}")):
            with contextlib.suppress(IntegrityError):
                found.append(ResultManifest.load(path))
        return found

    def made(self, kind: str) -> list[ResultManifest]:
        """Every sound manifest of a kind, and of what was dropped that of its first making."""
        found = {manifest.step.address: manifest for manifest in self.manifests(kind)}
        for path in sorted((self.root / _DROPPED / kind).glob("*.json")):
            with contextlib.suppress(IntegrityError):
                first = Dropped.load(path).first
                found.setdefault(first.step.address, first)
        return [found[address] for address in sorted(found)]

    def read(self, address: str) -> Path:
        """The folder of a result, every file of it verified.

        Raises:
            IntegrityError: absent, or a file is missing, surplus or altered. The result is moved
                aside, so that the next run makes it anew.
            ResourceError: it cannot be read.
        """
        folder = self.path(address)
        try:
            self._verify(folder, self.manifest(address))
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
        return folder / _FILES

    def check(self, address: str) -> None:
        """See whether a result is sound, every file of it; changes nothing.

        Raises:
            IntegrityError: a file is missing, surplus or altered, or the manifest is.
            ResourceError: it cannot be read.
        """
        folder = self.path(address)
        try:
            self._verify(folder, self.manifest(address))
        except OSError as error:
            what = "a result of the store cannot be read"
            raise ResourceError(what, where=str(folder), got=error.strerror) from error

    def has_report(self, address: str) -> bool:
        """Whether a step was made, its result be here or dropped."""
        return self.has(address) or self._record(address).is_file()

    def report(self, address: str) -> bytes:
        """What a step reported, verified; its result may have been dropped.

        Raises:
            IntegrityError: it was never made, has no report, or what is here was altered.
            ResourceError: it cannot be read.
        """
        if self.has(address):
            path = self.path(address) / _FILES / REPORT
            try:
                data = read_document(path)
                compare(path, hash_bytes(data), self.manifest(address).files.files[REPORT])
                return data
            except (DataError, IntegrityError, KeyError):
                # It may have been dropped in this moment; what is damaged is told and put aside.
                if self.has(address):
                    return read_document(self.read(address) / REPORT)
        record = self.dropped(address)
        if record is None or record.report is None:
            raise IntegrityError("no report of a step", where=str(self._record(address)))
        return record.report

    def dropped(self, address: str) -> Dropped | None:
        """The record of a result that was dropped, be it here again or not.

        Raises:
            IntegrityError: the record is damaged.
        """
        path = self._record(address)
        return Dropped.load(path) if path.is_file() else None

    def drop(self, address: str, why: str) -> int:
        """Give up a result for the room it takes, and leave a record of it.

        The record comes first: killed at any instant, the result is here, or its record is.

        Returns:
            Bytes that became free; 0 if it was not here.

        Raises:
            IntegrityError: what would be recorded of it is not sound.
            ResourceError: the disk is full or refuses.
        """
        if not self.has(address):
            return 0
        path = self._record(address)
        with disk_errors(path, instead=_INSTEAD):
            manifest = self.manifest(address)
            if self._sound_record(address) is None:
                has_report = REPORT in manifest.files.files
                report = self.report(address) if has_report else None
                when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                write_file(path, Dropped(manifest, report, why, when).dump())
            return manifest.size if discard_folder(self.path(address), self.work) else 0

    def await_published(self, address: str) -> None:
        """Wait until this machine, too, sees a result that another one has published.

        A network file system may show a folder's new content late; some ask again when it is
        listed. One that was dropped is not waited for.
        """
        end = time.monotonic() + _LATE_SECONDS
        while not self.has_report(address) and time.monotonic() < end:
            with contextlib.suppress(OSError):
                list(self.path(address).parent.iterdir())
            time.sleep(0.1)

    @contextmanager
    def draft(self, step: KeyedStep) -> Iterator[Draft]:
        """A draft to fill and publish. Left unpublished, its checkpoints stay for the next attempt.

        Raises:
            ResourceError: the disk is full or refuses.
        """
        with disk_errors(self.work, instead=_INSTEAD):
            owned = LockedFolder.take(self.work, step.key)
        draft = Draft(self, step, owned)
        try:
            with disk_errors(owned.path, instead=_INSTEAD):
                draft.prepare()
            yield draft
        finally:
            draft.close()

    def clean(self) -> None:
        """Remove what killed runs left, but spare the checkpoints of what is not published yet."""
        published = {path.parent.name for path in self.root.glob(f"store/*/*/{MANIFEST}")}
        with contextlib.suppress(OSError):
            for key in orphaned_names(self.work):
                if key in published:
                    remove_orphans(self.work, key)
                else:
                    remove_orphans(self.work, key, spare=_has_checkpoints)

    def unlike_first(self, manifest: ResultManifest, *, exact: bool) -> str | None:
        """The first file in which a result differs from its first making, which was dropped.

        Args:
            exact: whether the same machine with the same versions promises the same bytes.

        Raises:
            IntegrityError: it differs in more than what it reports, and should not.
        """
        # A damaged record is told by whoever reads it; what was made anew is not lost for it.
        record = self._sound_record(manifest.step.address)
        different = [] if record is None else _different(manifest, record.first)
        if record is None or not different:
            return None
        if exact and _made_alike(record.first, manifest) and different != [REPORT]:
            raise _unlike(manifest.step, different[0])
        return different[0]

    def publish(self, result: Path, manifest: ResultManifest) -> None:
        """Move a complete result to its place, or compare it with the one already there.

        Raises:
            IntegrityError: another process published other bytes for the same step; ours is kept
                aside.
            OSError: the disk is full or refuses.
        """
        address = manifest.step.address
        target = self.path(address)
        target.parent.mkdir(parents=True, exist_ok=True)
        if move_into_place(result, target):
            sync(target.parent)
        else:
            # Verified first: a damaged result must not look like one that came out differently.
            self.read(address)
            self._compare(result, manifest, self.manifest(address))

    def _compare(self, result: Path, own: ResultManifest, other: ResultManifest) -> None:
        different = _different(own, other)
        if not different:
            return
        ours, theirs = own.files.files, other.files.files
        aside = self._put_aside(result, own.step.address)
        raise IntegrityError(
            f"two runs of the same step made different files: {own.step.label}",
            where=f"{different[0]} in {self.path(own.step.address)} and {aside}",
            got=str(ours.get(different[0], "no such file")),
            expected=str(theirs.get(different[0], "no such file")),
            fix="report it: a step must not depend on anything outside its key",
        )

    def _verify(self, folder: Path, manifest: ResultManifest) -> None:
        step = manifest.step
        if f"{step.kind}/{step.key}" != f"{folder.parent.name}/{folder.name}":
            what = "a result lies under another's key"
            raise IntegrityError(what, where=str(folder), got=step.address, expected="its own")
        files = folder / _FILES
        manifest.files.verify(plain_files(files), files, "result", measure=self._sum)

    def _sum(self, path: Path) -> FileSum:
        """Sums of a file, from memory if nothing about it has changed since it was hashed here."""
        status = path.stat()
        # ctime as well: mtime can be set back by whoever changes the file, ctime cannot.
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._hashed.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, hash_file(path))
            self._hashed[path] = known
        return known[1]

    def _sound_record(self, address: str) -> Dropped | None:
        with contextlib.suppress(IntegrityError):
            return self.dropped(address)
        return None

    def _record(self, address: str) -> Path:
        return self.root / _DROPPED / f"{address}.json"

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

    def __init__(self, store: Store, step: KeyedStep, owned: LockedFolder) -> None:
        self._store = store
        self._step = step
        self._owned = owned
        self._result = owned.path / _RESULT
        self.out = self._result / _FILES
        self.work = owned.path / _CHECKPOINTS
        self.log = owned.path / _LOG

    def prepare(self) -> None:
        """Empty ``out``, whatever a killed run left in it, and keep the checkpoints."""
        if self._result.exists():
            shutil.rmtree(self._result)
        self.out.mkdir(parents=True)
        self.work.mkdir(exist_ok=True)

    def publish(
        self, seconds: float, used: Mapping[str, int] = _UNMEASURED, *, exact: bool = True
    ) -> str | None:
        """Make ``out`` the step's result; afterwards its checkpoints are gone.

        Args:
            seconds: it took.
            used: see :meth:`stilts_artifact.pipeline.meter.Meter.used`.
            exact: whether the step promises the same bytes each time. A GPU does not, nor do
                another machine or other versions: there a result that was dropped and comes out
                differently is published, and said to.

        Returns:
            What is to be said of it, if anything.

        Raises:
            IntegrityError: nothing was written, or something other than plain files, or another
                process published different bytes, or the result was dropped and had others.
            ResourceError: the disk is full or refuses; nothing is published.
        """
        with disk_errors(self.out, self.written(), _INSTEAD):
            # All of it is on the disk before the rename: else a power cut could leave a published
            # result with empty files.
            sync_below(self.out)
            files = FileManifest.of(plain_files(self.out))
            if not files.files:
                what = f"the step wrote no file: {self._step.label}"
                raise IntegrityError(
                    what, where=self._step.kind, expected="at least one file in its folder"
                )
            manifest = ResultManifest.of(self._step, files, seconds, used)
            differs = self._store.unlike_first(manifest, exact=exact)
            if differs is not None:
                manifest = replace(manifest, made={**manifest.made, UNLIKE_FIRST: differs})
            path = self._result / MANIFEST
            path.write_bytes(manifest.dump())
            sync(path)
            sync(self._result)
            self._store.publish(self._result, manifest)
        self._owned.remove()
        # What killed attempts at this step left serves nobody now that the result is there.
        remove_orphans(self._store.work, self._step.key)
        if differs is None:
            return None
        what = f"made again, and not as before it was dropped ({differs})"
        return f"{what}: {self._step.label}"

    def written(self) -> int:
        """Bytes in ``out`` and the checkpoints so far."""
        return size_below(self.out, self.work)

    def close(self) -> None:
        """Leave checkpoints to the next attempt; without any, leave nothing."""
        # Gone once the draft was published.
        if self._owned.path.is_dir():
            shutil.rmtree(self._result, ignore_errors=True)
            if not _has_checkpoints(self._owned.path):
                self._owned.remove()
        self._owned.release()


def _different(one: ResultManifest, other: ResultManifest) -> list[str]:
    """Names of the files in which two results differ."""
    ours, theirs = one.files.files, other.files.files
    names = sorted(ours.keys() | theirs.keys())
    return [name for name in names if ours.get(name) != theirs.get(name)]


def _made_alike(one: ResultManifest, other: ResultManifest) -> bool:
    """Whether two results were made on one machine with the same versions of what both loaded."""
    ours, theirs = one.made.get("versions", {}), other.made.get("versions", {})
    same = all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())
    return same and one.made.get("host") == other.made.get("host")


def _unlike(step: KeyedStep, name: str) -> IntegrityError:
    return IntegrityError(
        f"made again, a result is not as it was before it was dropped: {step.label}",
        where=name,
        expected="the bytes of the first making, on which other results rest",
        fix="report it: a step must not depend on anything outside its key",
    )


def _has_checkpoints(draft: Path) -> bool:
    folder = draft / _CHECKPOINTS
    return folder.is_dir() and any(folder.iterdir())
