"""Which step to start next: those that are ready, depth first.

What a trained model was made for comes before the next model is made, so that few are held at a
time; only where there are several workers do some of them always make encoders. Of the rest, the
start of the longest chain comes first. The engine and the planner's simulation use the same
scheduler.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from stilts_artifact.pipeline.step import Graph, KeepModels, KeyedStep
from stilts_artifact.pipeline.store import Store


def missing(graph: Graph, store: Store) -> list[str]:
    """Addresses of the steps that must run for the targets to be there, in graph order.

    A finished step needs none of its inputs any more, and one that is only to be reported may have
    been dropped since.
    """
    inputs = {address: step.inputs.values() for address, step in graph.steps.items()}
    wanted = unmade(graph.targets, graph.reported, inputs, store)
    return [address for address in graph.steps if address in wanted]


def unmade(
    targets: Iterable[str],
    reported: Iterable[str],
    inputs: Mapping[str, Iterable[str]],
    store: Store,
) -> set[str]:
    """Addresses of what must be made for the targets to be there, see :func:`missing`."""
    wanted: set[str] = set()
    stack = [*targets, *(address for address in reported if not store.has_report(address))]
    while stack:
        address = stack.pop()
        if address not in wanted and not store.has(address):
            wanted.add(address)
            stack.extend(inputs[address])
    return wanted


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    """Sorts by the place in the depth-first order, then by graph order."""

    rank: int
    position: int
    address: str


class Scheduler:
    """The steps still to start, and what each waits for.

    A model is open from when it starts to be made, or is found, until nothing waits for it. Of each
    sort (see :class:`stilts_artifact.pipeline.step.KindSpec`) no more are open than there are
    workers, unless nothing else can be done. That keeps no worker idle: an open model is being
    made, or something that reads it runs, or could. Half of the workers make encoders first: else
    all would do so at the same time, and those have the largest checkpoints.

    Args:
        wanted: addresses of the steps to run.
        seconds: expected length of a step.
        needs_gpu: whether a step may only start where a GPU is free.
        keep: which models are kept; the others are what :meth:`finish` frees.
    """

    def __init__(
        self,
        graph: Graph,
        wanted: Collection[str],
        seconds: Callable[[KeyedStep], float],
        needs_gpu: Callable[[KeyedStep], bool],
        keep: KeepModels = "all",
    ) -> None:
        self._steps, self._kinds, self._keep = graph.steps, graph.kinds, keep
        self._users = graph.users()
        self._position = {address: index for index, address in enumerate(graph.steps)}
        self._needs_gpu = needs_gpu
        chosen = [address for address in graph.steps if address in set(wanted)]
        self._left = set(chosen)
        self._lost: set[str] = set()
        self._waits: dict[str, set[str]] = {}
        self._readers: dict[str, set[str]] = {}
        self._open: dict[str, str] = {}
        # Two queues: a step that must wait for a GPU does not hold up those that need none.
        self._ready: dict[bool, list[_Entry]] = {False: [], True: []}
        self._rank = self._order(chosen, seconds)
        self._enter(chosen)

    @property
    def waiting(self) -> list[str]:
        """Addresses of all that has not started, ready or not."""
        ready = [entry.address for queue in self._ready.values() for entry in queue]
        return ready + list(self._waits)

    def has_ready(self, *, gpu: bool) -> bool:
        """Whether a step that does, or does not, need a GPU could start now."""
        return bool(self._ready[gpu])

    def take(self, *, gpu_free: bool, workers: int = 1, idle: bool = True) -> KeyedStep | None:
        """The step to start next, taken off the queue; ``None`` if none can start.

        Args:
            workers: that there are: as many models of each sort may be open.
            idle: nothing runs, so something has to start whatever is open.
        """
        open_now = Counter(self._open.values())
        queues = [queue for gpu, queue in self._ready.items() if gpu_free or not gpu]
        entries = sorted(entry for queue in queues for entry in queue)
        due = [entry for entry in entries if open_now[self._sort(entry.address)] < workers]
        in_making = Counter(sort for model, sort in self._open.items() if model in self._left)
        if in_making["encoder"] < workers // 2:
            due.sort(key=lambda entry: self._sort(entry.address) != "encoder")
        # All that is ready would open another model, and that is all that can be done.
        chosen = next(iter(due or (entries if idle else [])), None)
        if chosen is None:
            return None
        self._ready[self._on_gpu(chosen.address)].remove(chosen)
        if sort := self._sort(chosen.address):
            self._open[chosen.address] = sort
        return self._steps[chosen.address]

    def finish(self, address: str) -> list[str]:
        """A step has its result: what waited only for it becomes ready.

        Returns:
            Addresses of models that are not kept, and that nothing waits for any more.
        """
        self._left.discard(address)
        for user in self._users[address]:
            # It is taken off once another of its inputs has failed.
            if user in self._waits:
                self._waits[user].discard(address)
                if not self._waits[user]:
                    self._make_ready(user)
        read = [other for other in self._inputs(address) if self._sort(other)]
        for model in read:
            self._readers[model].discard(address)
        own = [address] if self._sort(address) else []
        return [model for model in [*read, *own] if self._close(model)]

    def fail(self, address: str) -> list[KeyedStep]:
        """A step will have no result: take off, and return, everything that rests on it.

        What it would have read is not freed: the command that resumes reads it.
        """
        blocked, stack = [], list(self._users[address])
        while stack:
            user = stack.pop()
            if self._waits.pop(user, None) is not None:
                blocked.append(user)
                stack.extend(self._users[user])
        self._lost.update([address, *blocked])
        for model in list(self._open):
            self._close(model)
        return [self._steps[user] for user in sorted(blocked, key=self._position.__getitem__)]

    def reopen(self, address: str, again: Collection[str]) -> None:
        """A step that was taken finds inputs gone: it waits again, until they are there again.

        Args:
            again: all that has to run for that.
        """
        new = [other for other in self._steps if other in again and other not in self._left]
        self._left.update(new)
        self._lost.difference_update(new)
        for other in new:
            self._rank[other] = self._rank[address]
        self._enter([*new, address])

    def _enter(self, addresses: Iterable[str]) -> None:
        """Let steps wait for those of their inputs that are not there."""
        for address in addresses:
            inputs = self._inputs(address)
            self._waits[address] = {other for other in inputs if other in self._left}
            for model in inputs:
                if sort := self._sort(model):
                    self._readers.setdefault(model, set()).add(address)
                    if model not in self._left:
                        self._open[model] = sort
        for address in [address for address, inputs in self._waits.items() if not inputs]:
            self._make_ready(address)

    def _close(self, model: str) -> bool:
        """Whether nothing waits for a model; then, or if that can only fail, it is not open."""
        readers = self._readers.get(model, set())
        if model in self._left and model not in self._lost:
            return False
        if readers <= self._lost:
            self._open.pop(model, None)
        return not readers and model not in self._lost

    def _inputs(self, address: str) -> list[str]:
        return sorted(set(self._steps[address].inputs.values()), key=self._position.__getitem__)

    def _sort(self, address: str) -> str:
        """Encoder or target, of a result that is dropped once nothing needs it; else nothing."""
        spec = self._kinds[self._steps[address].kind]
        return (spec.model or "") if spec.is_dropped(self._keep) else ""

    def _on_gpu(self, address: str) -> bool:
        return self._needs_gpu(self._steps[address])

    def _make_ready(self, address: str) -> None:
        del self._waits[address]
        entry = _Entry(self._rank[address], self._position[address], address)
        self._ready[self._on_gpu(address)].append(entry)

    def _order(
        self, chosen: Collection[str], seconds: Callable[[KeyedStep], float]
    ) -> dict[str, int]:
        """The place of each step: inputs first, and the users of a model right after it."""
        chain: dict[str, float] = {}
        # Users come after their inputs in the graph, so from the end each user's chain is known.
        for address in reversed(list(chosen)):
            longest = max((chain.get(user, 0.0) for user in self._users[address]), default=0.0)
            chain[address] = longest + seconds(self._steps[address])

        def longest_first(addresses: Iterable[str]) -> list[str]:
            own = (address for address in addresses if address in chain)
            return sorted(own, key=lambda address: (-chain[address], self._position[address]))

        # Models that are here already come first: the sooner they are used, the sooner they go.
        here = [address for address in self._steps if self._sort(address) and address not in chain]
        todo = list(reversed(longest_first(chain)))
        todo += [user for model in reversed(here) for user in self._users[model] if user in chain]
        order: dict[str, int] = {}
        while todo:
            stack, placed = [todo.pop()], list[str]()
            while stack:
                address = stack[-1]
                inputs = [other for other in self._inputs(address) if other not in order]
                if address in order:
                    stack.pop()
                elif due := longest_first(inputs):
                    stack.extend(reversed(due))
                else:
                    order[stack.pop()] = len(order)
                    placed.append(address)
            for model in filter(self._sort, placed):
                todo += reversed(longest_first(self._users[model]))
        return order
