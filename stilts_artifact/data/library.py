"""The library: reads the parts of tasks from verified files, wherever on this machine those lie.

A source is satisfied, in this order, by the store, by a file of a data folder with its sha256, or
by its members as single files. A source without a public pin is taken from a data folder by its
name, and its hash recorded.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

from stilts_artifact.data.archive import member_pattern, read_members, read_plain
from stilts_artifact.data.folders import Brought, DataFolders, Wanted
from stilts_artifact.data.progress import Progress, Silent
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Member, Part, Source
from stilts_artifact.errors import DataError, MissingDataError
from stilts_artifact.files import describe_sums

IN_STORE = "store"
BY_HASH = "data folder, by sha256"
BY_MEMBERS = "members"
BY_NAME = "data folder, by name (unpinned)"
WAYS = (IN_STORE, BY_HASH, BY_MEMBERS, BY_NAME)
"""How a source can be satisfied, in the words of a result."""


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes of one file, and the name it goes by in errors: ``source`` or ``source!member``."""

    where: str
    data: bytes


@dataclass(frozen=True, slots=True, order=True)
class InputRecord:
    """A file that was read: ``source`` or ``source!member``, its sums, and how it was satisfied."""

    source: str
    sha256: str
    bytes: int
    satisfied_by: str


@dataclass(frozen=True, slots=True)
class _Held:
    """A whole source on this machine."""

    path: Path
    record: InputRecord
    packed: bool = False


class Library:
    """The sources of one benchmark, as far as they are on this machine."""

    def __init__(
        self, sources: Mapping[str, Source], store: FileStore, data_folders: Sequence[Path] = ()
    ) -> None:
        self.sources = sources
        self.store = store
        self.folders = DataFolders(data_folders, _wanted(sources.values()))
        self._used: set[InputRecord] = set()
        self._ready: dict[tuple[Path, str], dict[str, bytes]] = {}

    @contextlib.contextmanager
    def shown(self, progress: Progress) -> Iterator[None]:
        """Show what takes long while this lasts: searching data folders, hashing large files."""
        self.store.progress = self.folders.progress = progress
        try:
            yield
        finally:
            self.store.progress = self.folders.progress = Silent()

    def documents(self, part: Part) -> list[Document]:
        """The files of a part; those that a ``*`` stands for in sorted order.

        Raises:
            MissingDataError: the source is not on this machine; the message says how to get it.
            IntegrityError: a file of the store was changed.
            DataError: the archive has no such member, or an unpinned source is here in two
                versions.
        """
        source = self.sources[part.source]
        held = self._held(source)
        if held is not None:
            return self._from_whole(held, source, part)
        members = self._members(source, part)
        if members is None:
            raise self.missing_error(source)
        return [self._from_member(source, member, found) for member, found in members]

    def prefetch(self, parts: Iterable[Part]) -> None:
        """Read the members of these parts in one pass over each tar archive, and hold them.

        Spares a pass for each part; costs the memory of the members. A zip archive needs no such
        help.
        """
        wanted: dict[Path, set[str]] = {}
        for part in parts:
            held = self._held(self.sources[part.source]) if part.member is not None else None
            if (
                held
                and part.member
                and (held.path, part.member) not in self._ready
                and not is_zipfile(held.path)
            ):
                wanted.setdefault(held.path, set()).add(part.member)
        for path, patterns in wanted.items():
            # Where one pattern has no member, documents() says for which part.
            with contextlib.suppress(DataError):
                found = read_members(path, patterns)
                self._ready.update(
                    {(path, pattern): _matching(pattern, found) for pattern in patterns}
                )

    def missing(self, parts: Iterable[Part]) -> list[Source]:
        """The sources that these parts need and that are not here, each once. Opens no archive."""
        missing = {}
        for part in parts:
            source = self.sources[part.source]
            if not self._seems_held(source) and self._members(source, part) is None:
                missing[source.name] = source
        return list(missing.values())

    def absent(self, sources: Iterable[Source]) -> list[Source]:
        """Those of the sources that are not here as a whole; what has no pin, by its name alone."""
        return [
            source
            for source in sources
            if not (
                self.folders.has_named(source.name)
                if source.sha256 is None
                else self._seems_held(source)
            )
        ]

    def satisfied_by(self, source: Source) -> str | None:
        """How a whole source is satisfied, its content verified; ``None`` if it is not here.

        Raises:
            IntegrityError: the store's file was changed.
        """
        held = self._held(source)
        return None if held is None else held.record.satisfied_by

    def place(self, source: Source, target: Path) -> None:
        """Make ``target`` the whole source: another name of the store's file, or else a copy.

        Raises:
            MissingDataError: it is not here.
            IntegrityError: the store's file was changed.
            OSError: it cannot be read or written.
        """
        held = self._held(source)
        if held is None:
            raise self.missing_error(source)
        if held.record.satisfied_by == IN_STORE:
            with contextlib.suppress(OSError):  # Not every file system gives a file two names.
                os.link(held.path, target)
                return
        opener = gzip.open if held.packed else open
        with opener(held.path, "rb") as stream, target.open("wb") as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)

    def pins(self) -> dict[str, str]:
        """Sha256 of each source, as pinned or else as it is here; what is neither is left out.

        Raises:
            DataError: an unpinned source is here in two versions.
        """
        found = {}
        for name, source in self.sources.items():
            held = None if source.sha256 else self._held_by_name(source)
            sha256 = source.sha256 or (held and held.record.sha256)
            if sha256:
                found[name] = sha256
        return found

    def used(self) -> list[InputRecord]:
        """Every file whose bytes were read so far, sorted."""
        return sorted(self._used)

    def records(self, parts: Iterable[Part]) -> list[InputRecord]:
        """The files that these parts are read from, each verified in this process, sorted.

        Absent ones are left out.

        Raises:
            IntegrityError: a file of the store was changed.
            DataError: an unpinned source is here in two versions.
        """
        held: dict[str, _Held | None] = {}
        found: set[InputRecord] = set()
        for part in parts:
            source = self.sources[part.source]
            if source.name not in held:
                held[source.name] = self._held(source)
            whole = held[source.name]
            if whole is not None:
                found.add(whole.record)
            else:
                found |= {
                    _member_record(source, member)
                    for member, _ in self._members(source, part) or ()
                }
        return sorted(found)

    def missing_error(self, source: Source) -> MissingDataError:
        """Says what is missing, which files only look like it, and how to get it."""
        near = self.folders.look_alikes(source.name, source.bytes)
        command = "stilts-artifact fetch, or by hand: " if source.urls and source.sha256 else ""
        return MissingDataError(
            f"{source.name} is not on this machine",
            where=" or ".join(source.urls) or None,
            got="".join(f"\n    {line}" for line in near) or None,
            expected=describe_sums(source.bytes, source.sha256),
            fix=f"{command}{source.obtain}",
        )

    def _held(self, source: Source) -> _Held | None:
        """The whole source, its content verified in this process."""
        if source.sha256 is None:
            return self._held_by_name(source)
        path = self.store.get(source)
        if path is not None:
            size = source.bytes or path.stat().st_size
            return _Held(path, InputRecord(source.name, source.sha256, size, IN_STORE))
        found = self._brought(source, source.sha256)
        if found is None:
            return None
        size = source.bytes or found.path.stat().st_size
        return _Held(
            found.path, InputRecord(source.name, source.sha256, size, BY_HASH), found.packed
        )

    def _brought(self, source: Source, sha256: str) -> Brought | None:
        """The file of a data folder with a source's content.

        Where no size is public, it has to be called as the source is, or as its sha256.
        """
        if source.bytes is not None:
            return self.folders.find(source.bytes, sha256)
        for name in (source.name, sha256):
            for sums, path in self.folders.versions(name).items():
                if sums.sha256 == sha256:
                    return Brought(path, packed=False)
        return None

    def _held_by_name(self, source: Source) -> _Held | None:
        versions = self.folders.versions(source.name)
        if len(versions) > 1:
            raise DataError(
                f"{source.name} has no public sha256 and is here in {len(versions)} versions",
                where=", ".join(str(path) for path in versions.values()),
                expected="one version in all data folders",
                fix="remove the one you do not mean",
            )
        for sums, path in versions.items():
            return _Held(path, InputRecord(source.name, sums.sha256, sums.bytes, BY_NAME))
        return None

    def _seems_held(self, source: Source) -> bool:
        """Like :meth:`_held`, but raises nothing and hashes no file of the store."""
        if source.sha256 is None:
            return bool(self.folders.versions(source.name))
        return self.store.has(source) or self._brought(source, source.sha256) is not None

    def _members(self, source: Source, part: Part) -> list[tuple[Member, Brought]] | None:
        """The single files that stand in for a part of an archive.

        ``None`` unless they are known and all here.
        """
        wanted = stand_ins(source, part)
        if wanted is None:
            return None
        found = [(member, self.folders.find(member.bytes, member.sha256)) for member in wanted]
        here = [(member, brought) for member, brought in found if brought is not None]
        return (
            sorted(here, key=lambda pair: pair[0].path)
            if here and len(here) == len(wanted)
            else None
        )

    def _from_whole(self, held: _Held, source: Source, part: Part) -> list[Document]:
        self._used.add(held.record)
        if part.member is None:
            data = read_plain(held.path)
            self.folders.confirm(held.path)
            return [Document(source.name, data)]
        # Taken out: what was read need not be held in memory any longer.
        found = self._ready.pop((held.path, part.member), None)
        if found is None:
            found = read_members(held.path, [part.member])
        self.folders.confirm(held.path)
        return [Document(f"{source.name}!{name}", data) for name, data in sorted(found.items())]

    def _from_member(self, source: Source, member: Member, found: Brought) -> Document:
        record = _member_record(source, member)
        self._used.add(record)
        data = read_plain(found.path)
        self.folders.confirm(found.path)
        return Document(record.source, data)


def stand_ins(source: Source, part: Part) -> list[Member] | None:
    """The members of an archive that together stand in for it where a part is read.

    ``None`` where they are not known, or not all of them: where not every match of a pattern is
    known, a file that is missing would shorten the split without a word.
    """
    if part.member is None or ("*" in part.member and part.member not in source.complete):
        return None
    matches = member_pattern(part.member).fullmatch
    return [member for member in source.members if matches(member.path)]


def _wanted(sources: Iterable[Source]) -> Wanted:
    """What of a data folder may be a source, or stand in for a part of one."""
    sizes: set[int] = set()
    names: set[str] = set()
    for source in sources:
        sizes |= {member.bytes for member in source.members}
        sizes |= set() if source.bytes is None else {source.bytes}
        names.add(source.name.rpartition("/")[2])
        names |= {source.sha256} if source.sha256 and source.bytes is None else set()
    return Wanted(sizes, names)


def _member_record(source: Source, member: Member) -> InputRecord:
    return InputRecord(f"{source.name}!{member.path}", member.sha256, member.bytes, BY_MEMBERS)


def _matching(pattern: str, members: Mapping[str, bytes]) -> dict[str, bytes]:
    matches = member_pattern(pattern).fullmatch
    return {name: data for name, data in members.items() if matches(name)}
