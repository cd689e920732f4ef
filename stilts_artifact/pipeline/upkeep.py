"""Upkeep of a store: what lies there and for whom, whether it is sound, and what may go.

    published/<file>.<unique>.json    results that one published file rests on
    rehearsal/<name>                  the store of a rehearsal that failed, or is at work

Published results are whole without the store; what it holds of them is what makes the same command
run nothing again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import ArtifactError, DataError, IntegrityError, ResourceError
from stilts_artifact.files import (
    discard_folder,
    orphaned_files,
    orphaned_names,
    remove_file,
    remove_orphans,
    size_below,
    write_file,
)
from stilts_artifact.pipeline.runs import Runs
from stilts_artifact.pipeline.step import Kinds
from stilts_artifact.pipeline.store import Store

FORMAT = 1
REHEARSALS = "rehearsal"
_PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Published:
    """What a published results file rests on.

    Attributes:
        results: the file, from the store's folder.
        addresses: of the steps whose results it was made of.
    """

    results: str
    addresses: frozenset[str]


def hold(
    store: Store, results: Path, addresses: Collection[str], *, alone: bytes | None = None
) -> set[str]:
    """Enter into the store what a results file rests on, beside what was entered before.

    By a file of its own, into which those before are gathered: of two runs at once, neither loses
    what the other enters.

    Args:
        alone: content of a results file that rests on nothing else. As long as that is there, what
            was entered before goes.

    Returns:
        All that it rests on now.

    Raises:
        ResourceError: the disk is full or refuses.
    """
    name = os.path.relpath(results.resolve(), store.root.resolve())
    folder = store.root / _PUBLISHED
    stem = hashlib.sha256(name.encode()).hexdigest()[:16]
    # Listed first: what is entered from now on stays, whoever publishes next.
    before = {path: _load(path) for path in sorted(folder.glob(f"{stem}*.json"))}
    every, gone = {*addresses}, [*before]
    if alone is None or not _has_content(results, alone):
        # What cannot be read cannot be gathered, and stays.
        gathered = {path: entry for path, entry in before.items() if entry is not None}
        every.update(*(entry.addresses for entry in gathered.values()))
        gone = [*gathered]
    document = {"format": FORMAT, "results": name, "addresses": sorted(every)}
    write_file(folder / f"{stem}.{uuid.uuid4().hex}.json", dump_json(document))
    for path in gone:
        remove_file(path)
    return every


def published(store: Store) -> list[Published]:
    """All that was published from a store.

    Raises:
        IntegrityError: an entry is damaged: what it holds cannot be told.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((store.root / _PUBLISHED).glob("*.json")):
        entry = _load(path)
        if entry is not None:
            found[entry.results] |= entry.addresses
        elif path.exists():
            raise IntegrityError(
                "what a published result rests on cannot be read",
                where=str(path),
                fix="remove it, and run the commands of those results again: they run no step, "
                "and enter it anew",
            )
        else:  # Gathered into another one meanwhile.
            return published(store)
    return [Published(name, frozenset(found[name])) for name in sorted(found)]


def _held(store: Store, sums: Collection[str]) -> set[str]:
    """Addresses of what published results rest on: by what was entered, and by their files.

    A results file that was published before there were entries, or that was brought here, is known
    by the sums of the predictions and labels that it names.
    """
    found = {address for entry in published(store) for address in entry.addresses}
    for address in results(store) if sums else ():
        with contextlib.suppress(IntegrityError):
            own = store.manifest(address).files.files.values()
            if any(file.sha256 in sums for file in own):
                found.add(address)
    return found


def _has_content(path: Path, data: bytes) -> bool:
    with contextlib.suppress(DataError):
        return read_document(path) == data
    return False


def _load(path: Path) -> Published | None:
    with contextlib.suppress(DataError, KeyError, TypeError):
        content = parse_json(read_document(path), str(path))
        if content["format"] == FORMAT:
            return Published(content["results"], frozenset(content["addresses"]))
    return None


@dataclass(frozen=True, slots=True)
class KindStock:
    """What a store has of one kind.

    Attributes:
        results, bytes: that are here.
        published, unfinished: of these bytes, what published results rest on, and runs that were
            ended before they were done.
        dropped, dropped_bytes: results that were here, and may be again.
    """

    kind: str
    results: int
    bytes: int
    published: int
    unfinished: int
    dropped: int
    dropped_bytes: int


@dataclass(frozen=True, slots=True)
class Stock:
    """What lies in a store.

    Attributes:
        work_bytes: of steps that are not done: checkpoints, and what killed runs left.
        aside_bytes: of damaged results, which were put aside.
        files_bytes: of downloads.
        rehearsal_bytes: of rehearsals that failed, or are at work.
        published: results files that were made of it.
        unfinished: runs that were ended before they were done.
    """

    kinds: tuple[KindStock, ...]
    work_bytes: int
    aside_bytes: int
    files_bytes: int
    rehearsal_bytes: int
    published: tuple[str, ...]
    unfinished: int


def take_stock(store: Store, sums: Collection[str] = ()) -> Stock:
    """What lies in a store, by kind, and for whom.

    Args:
        sums: sha256 of files of published results.

    Raises:
        IntegrityError: as :func:`published`.
    """
    entries, runs = published(store), Runs(store)
    for_results = _held(store, sums)
    for_runs = runs.needed()
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for address in results(store):
        sizes[address.partition("/")[0]][address] = _size(store, address)
    dropped: dict[str, list[int]] = defaultdict(list)
    for path in _records(store):
        address = f"{path.parent.name}/{path.stem}"
        with contextlib.suppress(IntegrityError):
            record = store.dropped(address)
            if record is not None and not store.has(address):
                dropped[path.parent.name].append(record.first.size)
    return Stock(
        kinds=tuple(
            KindStock(
                kind=kind,
                results=len(own := sizes.get(kind, {})),
                bytes=sum(own.values()),
                published=sum(size for address, size in own.items() if address in for_results),
                unfinished=sum(size for address, size in own.items() if address in for_runs),
                dropped=len(gone := dropped.get(kind, [])),
                dropped_bytes=sum(gone),
            )
            for kind in sorted(sizes.keys() | dropped.keys())
        ),
        work_bytes=size_below(store.work),
        aside_bytes=size_below(store.root / "aside"),
        files_bytes=size_below(store.root / "files"),
        rehearsal_bytes=size_below(store.root / REHEARSALS),
        published=tuple(entry.results for entry in entries),
        unfinished=len(runs.unfinished(ended=True)),
    )


def results(store: Store) -> list[str]:
    """Addresses of all that lies where results lie, sound or not."""
    folders = sorted((store.root / "store").glob("*/*"))
    return [f"{path.parent.name}/{path.name}" for path in folders if path.is_dir()]


def damaged(store: Store) -> Iterator[tuple[str, ArtifactError | None]]:
    """Every result and record of a store with what is wrong with it, if anything; changes nothing.

    Yields:
        Its address, and the first fault.
    """
    for address in results(store):
        try:
            store.check(address)
        except ArtifactError as error:
            yield address, error
        else:
            yield address, None
    for path in _records(store):
        address = f"{path.parent.name}/{path.stem}"
        try:
            store.dropped(address)
        except IntegrityError as error:
            yield address, error


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be.

    Attributes:
        results: address -> bytes.
        rehearsals: name -> bytes of its store.
        rest_bytes: of what killed runs left and of what was put aside.
    """

    results: dict[str, int]
    rehearsals: dict[str, int]
    rest_bytes: int

    @property
    def bytes(self) -> int:
        """All together."""
        return sum(self.results.values()) + sum(self.rehearsals.values()) + self.rest_bytes


def prune(
    store: Store, kinds: Kinds, sums: Collection[str] = (), *, dry_run: bool = False
) -> Pruned:
    """Drop what no published result and no unfinished run needs, and what rehearsals left.

    Each result that goes leaves a record, see :meth:`Store.drop`. Killed at any instant, every
    result is here whole, or gone.

    Args:
        sums: sha256 of files of published results; results that have such a file stay, too.

    Raises:
        ResourceError: a run is at work on the store, or the disk refuses.
        IntegrityError: as :func:`published`.
    """
    runs = Runs(store)
    _require_idle(runs)
    needed = _held(store, sums) | runs.needed()
    found = {address: _size(store, address) for address in results(store) if address not in needed}
    rest = _unneeded_work(store, runs)
    aside = store.root / "aside"
    rehearsals = [path for path in sorted((store.root / REHEARSALS).glob("*")) if _is_over(path)]
    left = {path.name: size_below(path) for path in rehearsals}
    pruned = Pruned(found, left, size_below(aside, *rest))
    if dry_run:
        return pruned
    # First: once its results are gone, a run that all was made for would count as one to resume.
    runs.settle(kinds, None)
    for address in found:
        # A run may have started meanwhile, and found it.
        _require_idle(runs)
        try:
            store.drop(address, "no published result and no unfinished run needed it")
        except IntegrityError:
            discard_folder(store.path(address), store.work)
    for path in filter(_is_over, rehearsals):
        discard_folder(path, store.work)
    for path in rest:
        remove_orphans(store.work, path.name.rsplit(".", 2)[0])
    for folder in (store.root / _PUBLISHED, *(store.root / "dropped").glob("*")):
        for name in {path.name.rsplit(".", 2)[0] for path in folder.glob(".*.part")}:
            for path in orphaned_files(folder, name):
                remove_file(path)
    shutil.rmtree(aside, ignore_errors=True)
    return pruned


def _require_idle(runs: Runs) -> None:
    if runs.at_work():
        raise ResourceError(
            "a run is at work on this store",
            where=str(runs.folder),
            fix="prune when it has ended; what it needs no more it drops itself (--keep-models)",
        )


def _is_over(rehearsal: Path) -> bool:
    return rehearsal.is_dir() and not Runs(Store(rehearsal)).at_work()


def _unneeded_work(store: Store, runs: Runs) -> list[Path]:
    """Folders of dead writers, but for the checkpoints of steps that a run has yet to end."""
    coming = {address.rpartition("/")[2] for address in runs.unmade()}
    names = [name for name in orphaned_names(store.work) if name not in coming]
    return [path for name in names for path in sorted(store.work.glob(f"{name}.*"))]


def _records(store: Store) -> list[Path]:
    return sorted((store.root / "dropped").glob("*/*.json"))


def _size(store: Store, address: str) -> int:
    with contextlib.suppress(IntegrityError):
        return store.manifest(address).size
    return size_below(store.path(address))
