"""How far a run has come: what is done, what runs, and how long the rest may take."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from stilts_artifact.domain.units import readable_time
from stilts_artifact.texts import visible

_LINE_SECONDS = 30.0
_SHOWN = 3


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


class Clock:
    """Seconds a step of each kind takes: measured here, else hinted at, else the mean of all."""

    def __init__(self, hints: Mapping[str, float]) -> None:
        self._hints = hints
        self._measured: dict[str, list[float]] = defaultdict(list)

    def add(self, kind: str, seconds: float) -> None:
        """Note a measured step."""
        self._measured[kind].append(seconds)

    def seconds(self, kind: str) -> float | None:
        """Expected seconds of a step of that kind."""
        if kind in self._measured:
            return _mean(self._measured[kind])
        if kind in self._hints:
            return self._hints[kind]
        everything = [seconds for measured in self._measured.values() for seconds in measured]
        return _mean(everything) if everything else None

    def left(self, steps: Iterable[tuple[str, float]], workers: int) -> float | None:
        """Seconds for the rest of these steps on so many workers, if no step waits for another.

        Args:
            steps: kind, and seconds it has run for, of each.

        Example:
            >>> Clock({"train": 60.0}).left([("train", 0.0), ("train", 20.0)], workers=2)
            50.0
        """
        total = 0.0
        for kind, elapsed in steps:
            seconds = self.seconds(kind)
            if seconds is None:
                return None
            total += max(seconds - elapsed, 0.0)
        return total / max(workers, 1)


def describe(state: Snapshot) -> str:
    """One line: ``412 of 700 steps done, 2 running, 286 to go, about 3 min 20 s left``."""
    waiting = state.total - state.done - state.failed - len(state.running)
    parts = [
        f"{state.done} of {state.total} steps done",
        f"{len(state.running)} running",
        f"{waiting} to go",
    ]
    parts += [f"{state.failed} failed or blocked"] if state.failed else []
    left = (
        "time left not known yet"
        if state.seconds_left is None
        else f"about {readable_time(state.seconds_left)} left"
    )
    parts.append(state.note or left)
    return ", ".join(parts)


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
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    # Labels come from parameters: rich must not read "[...]" in them as markup.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        bar = bars.add_task(label, total=None)
        current = bars.add_task("", total=None, visible=False)

        told = 0

        def update(state: Snapshot) -> None:
            nonlocal told
            for remark in state.remarks[told:]:
                bars.console.print(visible(remark), markup=False)
            told = len(state.remarks)
            bars.update(
                bar,
                total=state.total,
                completed=state.done,
                description=f"{label}: {describe(state)}",
            )
            more = len(state.running) - _SHOWN
            text = "; ".join(state.running[:_SHOWN]) + (f"; {more} more" if more > 0 else "")
            bars.update(current, description=f"  {visible(text)}", visible=bool(text))

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


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
