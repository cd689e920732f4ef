"""Which step to start next: those that are ready, the start of the longest chain first.

The engine and the planner's simulation use the same scheduler.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from dataclasses import dataclass

from stilts_artifact.pipeline.step import Graph, KeyedStep
from stilts_artifact.pipeline.store import Store


def missing(graph: Graph, store: Store) -> list[str]:
    """Addresses of the steps that must run for the targets to be there, in graph order.

    A finished step needs none of its inputs any more.
    """
    wanted: set[str] = set()
    stack = list(graph.targets)
    while stack:
        address = stack.pop()
        if address not in wanted and not store.has(address):
            wanted.add(address)
            stack.extend(graph.steps[address].inputs.values())
    return [address for address in graph.steps if address in wanted]


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    """Sorts by the seconds of the longest chain from here to a target, then by graph order."""

    minus_seconds: float
    position: int
    address: str


class Scheduler:
    """The steps still to start, and what each waits for.

    Args:
        wanted: addresses of the steps to run.
        seconds: expected length of a step.
        needs_gpu: whether a step may only start where a GPU is free.
    """

    def __init__(
        self,
        graph: Graph,
        wanted: Collection[str],
        seconds: Callable[[KeyedStep], float],
        needs_gpu: Callable[[KeyedStep], bool],
    ) -> None:
        self._steps = graph.steps
        chosen = set(wanted)
        self._users = {
            address: [user for user in users if user in chosen]
            for address, users in graph.users().items()
        }
        self._waits = {
            address: {other for other in graph.steps[address].inputs.values() if other in chosen}
            for address in graph.steps
            if address in chosen
        }
        self._needs_gpu = {address: needs_gpu(graph.steps[address]) for address in self._waits}
        self._entries = self._rank(seconds)
        # Two queues: a step that must wait for a GPU does not hold up those that need none.
        self._ready: dict[bool, list[_Entry]] = {False: [], True: []}
        for address in [address for address, inputs in self._waits.items() if not inputs]:
            self._make_ready(address)

    @property
    def waiting(self) -> list[str]:
        """Addresses of all that has not started, ready or not."""
        ready = [entry.address for heap in self._ready.values() for entry in heap]
        return ready + list(self._waits)

    def has_ready(self, *, gpu: bool) -> bool:
        """Whether a step that does, or does not, need a GPU could start now."""
        return bool(self._ready[gpu])

    def take(self, *, gpu_free: bool) -> KeyedStep | None:
        """The step to start next, taken off the queue; ``None`` if none can start."""
        heaps = [heap for gpu, heap in self._ready.items() if heap and (gpu_free or not gpu)]
        if not heaps:
            return None
        return self._steps[heapq.heappop(min(heaps, key=lambda heap: heap[0])).address]

    def finish(self, address: str) -> None:
        """A step has its result: what waited only for it becomes ready."""
        for user in self._users[address]:
            # It is taken off once another of its inputs has failed.
            if user in self._waits:
                self._waits[user].discard(address)
                if not self._waits[user]:
                    self._make_ready(user)

    def fail(self, address: str) -> list[KeyedStep]:
        """A step will have no result: take off, and return, everything that rests on it."""
        blocked, stack = [], list(self._users[address])
        while stack:
            user = stack.pop()
            if self._waits.pop(user, None) is not None:
                blocked.append(user)
                stack.extend(self._users[user])
        return [
            self._steps[user]
            for user in sorted(blocked, key=lambda user: self._entries[user].position)
        ]

    def _make_ready(self, address: str) -> None:
        del self._waits[address]
        heapq.heappush(self._ready[self._needs_gpu[address]], self._entries[address])

    def _rank(self, seconds: Callable[[KeyedStep], float]) -> dict[str, _Entry]:
        chain: dict[str, float] = {}
        # Users come after their inputs in the graph, so from the end each user's chain is known.
        for address in reversed(list(self._waits)):
            longest = max((chain[user] for user in self._users[address]), default=0.0)
            chain[address] = longest + seconds(self._steps[address])
        return {
            address: _Entry(-chain[address], index, address)
            for index, address in enumerate(self._waits)
        }
