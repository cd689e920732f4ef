"""Which runs are at work on a store, or were ended before they were done, and what they need.

    runs/run.<unique>.part        what a run makes of what; locked as long as the run lives
    runs/session.<unique>.part    empty: somebody makes results of what lies here

A run that ends with all it was to make removes its file. One that was killed, interrupted or that
failed leaves it: what it still needs is spared by whoever makes room, until a run has made that. Of
what another version of this program wrote nobody can tell what it needs: nothing is removed for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import ArtifactError, DataError, IntegrityError, ResourceError
from stilts_artifact.files import LockedFile, orphaned_files, remove_file
from stilts_artifact.pipeline.scheduler import unmade
from stilts_artifact.pipeline.step import Graph, KeepModels, Kinds
from stilts_artifact.pipeline.store import Store

FORMAT = 1
RUNS = "runs"
_NAME, _SESSION = "run", "session"


@dataclass(frozen=True)
class Ask:
    """What a run is to make.

    Attributes:
        targets, reported: see :class:`stilts_artifact.pipeline.step.Graph`.
        inputs: address of each step -> addresses of what it reads.
        keep: which models the run keeps.
    """

    targets: tuple[str, ...]
    reported: tuple[str, ...]
    inputs: Mapping[str, tuple[str, ...]]
    keep: KeepModels

    @classmethod
    def of(cls, graph: Graph, keep: KeepModels) -> Ask:
        """What a run of a graph is to make."""
        steps = graph.steps.items()
        inputs = {address: tuple(sorted(set(step.inputs.values()))) for address, step in steps}
        return cls(graph.targets, graph.reported, inputs, keep)

    def dump(self) -> bytes:
        """As a document."""
        return dump_json({"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> Ask | None:
        """What a run's file says; ``None`` if another version of this program wrote it.

        Raises:
            DataError: it is not whole, as while it is being written, or gone.
        """
        content = parse_json(read_document(path), str(path))
        try:
            if content.pop("format") != FORMAT:
                return None
            inputs = {address: tuple(read) for address, read in content.pop("inputs").items()}
            targets, reported = tuple(content["targets"]), tuple(content["reported"])
            return cls(targets, reported, inputs, content["keep"])
        except (KeyError, TypeError, AttributeError):
            return None

    @cached_property
    def _readers(self) -> frozenset[str]:
        return frozenset(address for read in self.inputs.values() for address in read)

    def unmade(self, store: Store) -> set[str]:
        """Addresses of what is still to be made."""
        return unmade(self.targets, self.reported, self.inputs, store)

    def reads(self, address: str, store: Store) -> bool:
        """Whether a step that is still to be made reads this result."""
        if address not in self._readers:
            return False
        return any(address in self.inputs[step] for step in self.unmade(store))

    def models(self, kinds: Kinds) -> list[str]:
        """Addresses of the models that the run does not keep."""
        found = []
        for address in self.inputs:
            spec = kinds.get(address.partition("/")[0])
            if spec is not None and spec.is_dropped(self.keep):
                found.append(address)
        return found


class Runs:
    """The runs of a store, this process's own among them once it has entered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.folder = store.root / RUNS
        self._own: LockedFile | None = None
        self._known: dict[Path, Ask] = {}

    @contextlib.contextmanager
    def entered(self, ask: Ask) -> Iterator[None]:
        """Say for as long as the block lasts, and until it was made, what is to be made.

        Raises:
            ResourceError: the disk is full or refuses.
        """
        try:
            self._own = LockedFile(self.folder, _NAME)
            self._own.write(ask.dump())
        except OSError as error:
            # Half a file would count as a run that lives and may read anything.
            if self._own is not None:
                self._own.remove()
            raise ResourceError(
                "a run cannot be entered into the store",
                where=str(self.folder),
                got=error.strerror or os.strerror(error.errno or 0),
                fix="free some room there, or choose another --store",
            ) from error
        try:
            yield
        finally:
            # All that is done needs no file; what is left of it is left to the next run.
            done = not ask.unmade(self._store)
            self._own.remove() if done else self._own.release()

    @property
    def dead(self) -> dict[Path, Ask | None]:
        """The files of runs that ended before they were done, as far as locks tell.

        ``None`` of one that another version of this program wrote.
        """
        found = {}
        for path in orphaned_files(self.folder, _NAME):
            try:
                found[path] = self._ask(path)
            except DataError:
                # Killed before it had said anything.
                remove_file(path)
        return found

    def live(self) -> dict[Path, Ask | None]:
        """The files of the other runs that live; ``None`` of one that cannot be read."""
        own = None if self._own is None else self._own.path
        # First: it removes what counts for neither.
        dead, found = self.dead, dict[Path, Ask | None]()
        for path in sorted(self.folder.glob(f"{_NAME}.*.part")):
            if path != own and path not in dead:
                found[path] = None
                with contextlib.suppress(DataError):
                    found[path] = self._ask(path)
        return found

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """While the block lasts, nothing is pruned: of what is read in it results are published."""
        marker = None
        # Of a store that may not be written, results are published all the same.
        with contextlib.suppress(OSError):
            for path in orphaned_files(self.folder, _SESSION):
                remove_file(path)
            marker = LockedFile(self.folder, _SESSION)
        try:
            yield
        finally:
            if marker is not None:
                marker.remove()

    def at_work(self) -> bool:
        """Whether any run or session of another process lives."""
        dead = orphaned_files(self.folder, _SESSION)
        living = [path for path in self.folder.glob(f"{_SESSION}.*.part") if path not in dead]
        return bool(living or self.live())

    def unmade(self) -> set[str]:
        """Addresses of what runs that are not done have yet to make.

        Raises:
            IntegrityError: as :meth:`unfinished`.
        """
        return {address for ask in self.unfinished() for address in ask.unmade(self._store)}

    def needed(self) -> set[str]:
        """Addresses of what runs that are not done are to make, and of what they have yet to read.

        Of models that are only reported the record will do.

        Raises:
            IntegrityError: as :meth:`unfinished`.
        """
        found: set[str] = set()
        for ask in self.unfinished():
            left = ask.unmade(self._store)
            found |= set(ask.targets)
            found |= {address for step in left for address in ask.inputs[step]}
        return found

    def unfinished(self, *, ended: bool = False) -> list[Ask]:
        """What the runs are to make that are not done, or only those of them that have ended.

        Raises:
            IntegrityError: another version of this program wrote the file of one that has ended.
        """
        dead = self.dead
        for path in [path for path, ask in dead.items() if ask is None]:
            raise IntegrityError(
                "what an unfinished run needs cannot be read",
                where=str(path),
                expected=f"a run's file of format {FORMAT}",
                fix="end it with the version of this program that started it, or remove the file",
            )
        every = [*dead.values(), *([] if ended else self.live().values())]
        return [ask for ask in every if ask is not None and ask.unmade(self._store)]

    def is_read(self, address: str, asks: Mapping[Path, Ask | None]) -> bool:
        """Whether one of these runs has yet to read a result, or might."""
        return any(ask is None or ask.reads(address, self._store) for ask in asks.values())

    def drop(self, address: str, why: str, *, own: bool) -> bool:
        """Drop a model unless another run may read it; whether it was dropped.

        Args:
            own: it was made by this run. What was here before is spared for dead runs, too: one
                that resumes should find it.
        """
        # What cannot be dropped now can be later: as where nobody can tell who reads it.
        with contextlib.suppress(ArtifactError, OSError):
            others = self.live() if own else {**self.live(), **self.dead}
            return not self.is_read(address, others) and self._store.drop(address, why) > 0
        return False

    def settle(self, kinds: Kinds, own: Ask | None, *, over: bool = False) -> None:
        """Drop what dead runs would have dropped, and forget those of which nothing is left to do.

        Args:
            own: what this process makes. What it keeps is kept.
            over: it has ended; before, it takes the place of dead runs of no more.
        """
        dead, live = self.dead, self.live()
        kept = set() if own is None else own.inputs.keys() - own.models(kinds)
        for path, ask in dead.items():
            if ask is None:
                continue
            like = own is not None and not over and {*ask.targets} <= {*own.targets}
            models = [address for address in ask.models(kinds) if address not in kept]
            for address in filter(self._store.has, models):
                read = self.is_read(address, {**dead, **live})
                if read or (own is not None and own.reads(address, self._store)):
                    continue
                # What cannot be dropped now is tried again by the next run.
                with contextlib.suppress(ArtifactError):
                    self._store.drop(address, "a run that was ended had no more need of it")
            if like or not ask.unmade(self._store):
                remove_file(path)

    def _ask(self, path: Path) -> Ask | None:
        # What a run is to make never changes, and was written in one piece or not at all.
        if path not in self._known:
            ask = Ask.load(path)
            if ask is None:
                return None
            self._known[path] = ask
        return self._known[path]
