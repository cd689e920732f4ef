"""How far a run has come: what is done, what runs, and how long the rest may take."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from stilts_artifact.domain.units import readable_time
from stilts_artifact.pipeline.step import Graph
from stilts_artifact.texts import visible

_LINE_SECONDS = 30.0
_SHOWN = 3
# Before so much of the planned work is done, of kinds that are so much of it, or work has taken so
# long, no time left is given.
_ENOUGH = 0.05
_MOST = 0.5
_ENOUGH_SECONDS = 300.0
_LEAN = 2.0  # steps at the rate of all that those of one kind are taken together with
_OVERDUE = 0.05  # of its expected length that an overdue step still takes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run.

    Attributes:
        total: steps of the graph.
        done: finished, those found finished included.
        running: labels of the steps at work.
        failed: ended by an error, and steps that cannot run because of them.
        workers: processes that can take steps.
        seconds_left: estimate; ``None`` while there is nothing to base it on.
        note: what the run waits for, if it does.
        remarks: all that is to be said of results so far.
    """

    total: int
    done: int
    running: tuple[str, ...]
    failed: int
    workers: int
    seconds_left: float | None
    note: str = ""
    remarks: tuple[str, ...] = ()


Watch = Callable[[Snapshot], None]


@dataclass(frozen=True, slots=True)
class Slots:
    """How many steps can run at once.

    Attributes:
        threads: processes that can take steps.
        gpus: of them, those that can take a step which needs a GPU.
    """

    threads: int
    gpus: int = 0


class Pace:
    """How long the rest of a run takes: what the plan says of each step, at the rate measured here.

    The plan knows which steps are long, and another machine's speed; a run knows its own. So a
    step still to come takes its planned seconds times what those of its kind took in proportion to
    theirs. A kind of which few have run leans on all others: on their median, weighted by planned
    seconds, which the first step of each process, slowed by imports, does not move.

    Args:
        planned: seconds of each step, by address; only their proportions matter.
        due: addresses of those that have to run.
        on_gpu: addresses of those that need a GPU.
    """

    def __init__(
        self,
        graph: Graph,
        planned: Mapping[str, float],
        due: Collection[str],
        on_gpu: Collection[str] = (),
    ) -> None:
        self._graph, self._due, self._on_gpu = graph, tuple(due), frozenset(on_gpu)
        # A step that costs nothing has no rate.
        self._planned = {address: max(seconds, 1e-3) for address, seconds in planned.items()}
        self._users = {
            address: [user for user in users if user in self._planned]
            for address, users in graph.users().items()
        }
        self._ratios: list[tuple[float, float]] = []  # of measured to planned; planned
        self._ran: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def finish(self, address: str, seconds: float) -> None:
        """Note how long a step took, from its start to its end."""
        planned = self._planned[address]
        self._ratios.append((seconds / planned, planned))
        self._ran[self._graph.steps[address].kind].append((seconds, planned))

    def seconds(self, address: str) -> float:
        """Expected seconds of a step."""
        return self._planned[address] * self._rate(self._graph.steps[address].kind)

    def left(
        self, running: Mapping[str, float], waiting: Collection[str], slots: Slots
    ) -> float | None:
        """Seconds until the last step ends; ``None`` until enough has run to tell.

        The longest of three bounds that a schedule cannot beat, and that one which starts the
        longest chain first comes close to: all work shared by all processes, work on GPUs shared by
        these, and the longest chain of steps that wait for each other.

        Args:
            running: seconds that each step at work has run for.
            waiting: addresses of those that have not started.
        """
        if not self._knows_enough():
            return None
        seconds = {address: self.seconds(address) for address in waiting}
        for address, elapsed in running.items():
            expected = self.seconds(address)
            # One that takes longer than expected is about to end for all that is known.
            seconds[address] = max(expected - elapsed, _OVERDUE * expected)
        on_gpu = sum(length for address, length in seconds.items() if address in self._on_gpu)
        everything = sum(seconds.values())
        return max(
            everything / max(slots.threads, 1), on_gpu / max(slots.gpus, 1), self._chain(seconds)
        )

    def _knows_enough(self) -> bool:
        """Whether so much has run, and of kinds that make up most of the work, that it tells."""
        ran = sum(planned for _, planned in self._ratios)
        measured = sum(ratio * planned for ratio, planned in self._ratios)
        everything = sum(self._planned[address] for address in self._due)
        kinds = {address: self._graph.steps[address].kind for address in self._due}
        known = sum(self._planned[address] for address, kind in kinds.items() if kind in self._ran)
        typical = ran >= _ENOUGH * everything and known >= _MOST * everything
        return typical or measured >= _ENOUGH_SECONDS

    def _rate(self, kind: str) -> float:
        """Measured seconds of a kind's steps for one planned second."""
        own = self._ran.get(kind, [])
        measured = sum(seconds for seconds, _ in own)
        planned = sum(weight for _, weight in own)
        # As if so many more of the kind had run at the rate of all.
        others = _LEAN * (planned / len(own) if own else 1.0)
        return (measured + others * _weighted_median(self._ratios)) / (planned + others)

    def _chain(self, seconds: Mapping[str, float]) -> float:
        longest: dict[str, float] = {}
        # Users come after their inputs in the graph, so from the end each user's chain is known.
        for address in reversed(list(self._graph.steps)):
            if address in seconds:
                after = [longest[user] for user in self._users[address] if user in longest]
                longest[address] = seconds[address] + max(after, default=0.0)
        return max(longest.values(), default=0.0)


def _weighted_median(values: Iterable[tuple[float, float]]) -> float:
    """The value below which half of the weights lie; 1 without any.

    Example:
        >>> _weighted_median([(700.0, 0.1), (3.0, 2.0), (2.0, 1.0)])
        3.0
    """
    ordered = sorted(values)
    half, below = sum(weight for _, weight in ordered) / 2, 0.0
    for value, weight in ordered:
        below += weight
        if below >= half:
            return value
    return 1.0


def describe(state: Snapshot) -> str:
    """One line: ``412 of 700 steps done, about 3 min 20 s left, 2 running, 286 to go``."""
    return ", ".join([f"{state.done} of {state.total} steps done", *_to_come(state)])


def _to_come(state: Snapshot) -> list[str]:
    """What is known of the steps that are not done: first what people wait for."""
    if state.done == state.total:
        return []
    left = (
        "time left not known yet"
        if state.seconds_left is None
        else f"about {readable_time(state.seconds_left)} left"
    )
    waiting = state.total - state.done - state.failed - len(state.running)
    parts = [state.note or left, f"{len(state.running)} running", f"{waiting} to go"]
    return parts + ([f"{state.failed} failed or blocked"] if state.failed else [])


@contextmanager
def step_progress(label: str, *, verbose: bool = False) -> Iterator[Watch]:
    """Progress of a run on standard error: a live bar on a terminal, else a line now and then.

    Args:
        verbose: a line for each step that ends, with what runs then, on a terminal, too.

    Yields:
        A function to call with every new state.
    """
    if verbose or not sys.stderr.isatty():
        yield _lines(label, verbose)
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    # Labels come from parameters: rich must not read "[...]" in them as markup.
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} steps done"),
        TimeElapsedColumn(),
    )
    bar = bars.add_task(label, total=0)
    told, below = 0, [""]

    def view() -> Group:
        # Lines of their own: beside a bar, 80 columns would cut what people wait for.
        lines = [Text(f"  {line}", no_wrap=True, overflow="ellipsis") for line in below if line]
        return Group(bars, *lines)

    console = Console(file=sys.stderr)
    with Live(get_renderable=view, console=console, transient=True, refresh_per_second=4):

        def update(state: Snapshot) -> None:
            nonlocal told
            for remark in state.remarks[told:]:
                console.print(visible(remark), markup=False)
            told = len(state.remarks)
            bars.update(bar, total=state.total, completed=state.done)
            more = len(state.running) - _SHOWN
            text = "; ".join(state.running[:_SHOWN]) + (f"; {more} more" if more > 0 else "")
            below[:] = [", ".join(_to_come(state)), visible(text)]

        yield update


def _lines(label: str, verbose: bool) -> Watch:
    last, done, failed, told = 0.0, 0, 0, 0

    def line(state: Snapshot) -> None:
        nonlocal last, done, failed, told
        for remark in state.remarks[told:]:
            sys.stderr.write(f"{visible(remark)}\n")
        told = len(state.remarks)
        now = time.monotonic()
        finished = state.done + state.failed == state.total
        ended = verbose and state.done > done
        # A failure is told at once, not at the next turn.
        if finished or ended or state.failed > failed or now - last >= _LINE_SECONDS:
            last, done, failed = now, state.done, state.failed
            running = "; ".join(["", *state.running]) if verbose else ""
            sys.stderr.write(f"{label}: {describe(state)}{visible(running)}\n")

    return line
