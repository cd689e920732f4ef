"""Progress on standard error: bars on a terminal, one line for each item when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stilts_artifact.cli.options import say
from stilts_artifact.domain.units import readable_size, readable_time
from stilts_artifact.texts import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from stilts_artifact.data.progress import Doing
    from stilts_artifact.data.progress import Progress as DownloadProgress
    from stilts_artifact.domain.tasks import Task
    from stilts_artifact.training.loop import Progress as TrainingProgress

_TRAINING_LINES = 20  # at most so many lines of a training run where there is no terminal


class _DownloadBars:
    """One bar for each file: name, size, speed, time left."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._current: TaskID | None = None

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        shown = visible(name)
        label = shown if doing == "fetching" else f"{doing} {shown}"
        self._current = self._bars.add_task(label, total=total)

    def advance(self, count: int) -> None:
        if self._current is not None:
            self._bars.advance(self._current, count)

    def finish(self) -> None:
        if self._current is not None:
            self._bars.stop_task(self._current)
            self._current = None


class _DownloadLines:
    """One line for each file that was fetched, or is about to be read, for logs."""

    def __init__(self) -> None:
        self._doing: Doing = "fetching"
        self._name = ""
        self._total = 0
        self._count = 0
        self._began = 0.0

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        if doing != "fetching":
            say(f"{doing} {name}", sys.stderr)
        self._doing = doing
        self._name, self._total, self._count, self._began = name, total, 0, time.monotonic()

    def advance(self, count: int) -> None:
        self._count += count

    def finish(self) -> None:
        if self._doing != "fetching":
            return
        seconds = max(time.monotonic() - self._began, 1e-9)
        size, speed = readable_size(self._count), readable_size(self._count / seconds)
        word = "fetched" if self._count == self._total else "gave up"
        say(f"{word} {self._name}: {size} at {speed}/s", sys.stderr)


@contextmanager
def download_progress() -> Iterator[DownloadProgress]:
    """Progress of downloads."""
    if not sys.stderr.isatty():
        yield _DownloadLines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as bars:
        yield _DownloadBars(bars)


@contextmanager
def row_progress(total: int) -> Iterator[Callable[[Task], None]]:
    """Progress through a table's rows: call the yielded function as each row starts."""
    if not sys.stderr.isatty():
        started = 0

        def line(task: Task) -> None:
            nonlocal started
            started += 1
            sys.stderr.write(f"reading {task.title} ({started} of {total})\n")

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("reading {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        # A row is announced when it starts: with the first one, nothing is done yet.
        bar = bars.add_task("", total=total, completed=-1)

        def update(task: Task) -> None:
            bars.update(bar, description=task.title, advance=1)

        yield update


@contextmanager
def work_progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Progress of one piece of work on standard error: a bar on a terminal, else a line at the end.

    Yields:
        A function to call with the amount just done.
    """
    began = time.monotonic()
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
            bar = bars.add_task(label, total=total)
            yield lambda amount: bars.advance(bar, amount)
    else:
        yield lambda _: None
    sys.stderr.write(f"{label}: {readable_time(time.monotonic() - began)}\n")


class _TrainingLines:
    """A line now and then, for logs."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first: int | None = None

    def step(self, done: int, total: int, loss: float) -> None:
        # A run that resumes starts at a later step: steps done before say nothing of its pace.
        if self._first is None:
            self._first, self._began = done, time.monotonic()
        if done % max(1, total // _TRAINING_LINES) and done != total:
            return
        left = (time.monotonic() - self._began) / max(1, done - self._first) * (total - done)
        ends = (
            f"about {readable_time(left)} left" if done > self._first else "time left not known yet"
        )
        say(f"step {done:,} of {total:,}, loss {loss:.3f}, {ends}", sys.stderr)

    def note(self, text: str) -> None:
        say(text, sys.stderr)


@contextmanager
def training_progress(title: str) -> Iterator[TrainingProgress]:
    """Progress through the steps of a training run, with the time left."""
    if not sys.stderr.isatty():
        yield _TrainingLines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as bars:
        # A loss from the start, because its column is drawn before the first step.
        bar = bars.add_task(title, total=None, loss=float("nan"))

        class OnScreen:
            """The bar."""

            def step(self, done: int, total: int, loss: float) -> None:
                bars.update(bar, completed=done, total=total, loss=loss)

            def note(self, text: str) -> None:
                bars.console.print(text, markup=False)

        yield OnScreen()
