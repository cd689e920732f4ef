"""Progress on standard error: bars on a terminal, one line for each item when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stilts_artifact.cli import options
from stilts_artifact.cli.options import say
from stilts_artifact.data.progress import Silent
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
_LARGE = 10_000_000  # bytes of a file that comes in with a line of its own
_BAR = 48  # columns of a terminal that a bar, sizes, speed and time left take beside a name
_LINE_SECONDS = 30.0

_BROUGHT: dict[Doing, str] = {"generating": "generated", "fetching": "fetched"}


class _Brought:
    """The files that come in: a line for each large one, and at the end one for all the others.

    Args:
        tell: how a line is written while bars may be on the screen.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._each = options.detail() is options.Detail.VERBOSE
        self._others: dict[Doing, list[tuple[int, float]]] = {doing: [] for doing in _BROUGHT}
        self._doing: Doing = "fetching"
        self._name = ""
        self._total = 0
        self._count = 0
        self._began = 0.0

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        self._doing, self._name = doing, name
        self._total, self._count, self._began = total, 0, time.monotonic()

    def advance(self, count: int) -> None:
        self._count += count

    def finish(self) -> None:
        if self._doing not in _BROUGHT:
            return
        seconds = max(time.monotonic() - self._began, 1e-9)
        complete = self._count == self._total
        if complete and self._count < _LARGE and not self._each:
            self._others[self._doing].append((self._count, seconds))
            return
        size, speed = readable_size(self._count), readable_size(self._count / seconds)
        word = _BROUGHT[self._doing] if complete else "gave up"
        self._tell(f"{word} {self._name}: {size} at {speed}/s")

    def sum_up(self) -> None:
        """Tell of the files that had no line of their own."""
        for doing, files in self._others.items():
            if files:
                size = readable_size(sum(count for count, _ in files))
                took = readable_time(sum(seconds for _, seconds in files))
                number = "1 file" if len(files) == 1 else f"{len(files):,} files"
                self._tell(f"{_BROUGHT[doing]} {number}, {size}, in {took}")


class _DownloadBars:
    """A bar for the file at hand: name, size, speed, time left."""

    def __init__(self, bars: Bars, brought: _Brought) -> None:
        self._bars, self._brought = bars, brought
        self._current: TaskID | None = None

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        self._brought.start(name, total, doing)
        shown = visible(name)
        label = shown if doing == "fetching" else f"{doing} {shown}"
        # Two lines would flicker on a narrow terminal. The end of a name tells files apart.
        room = max(self._bars.console.width - _BAR, 20)
        if len(label) > room:
            label = f"{label[: room // 2]}…{label[-(room - room // 2 - 1) :]}"
        self._current = self._bars.add_task(label, total=total)

    def advance(self, count: int) -> None:
        self._brought.advance(count)
        if self._current is not None:
            self._bars.advance(self._current, count)

    def finish(self) -> None:
        if self._current is not None:
            self._bars.remove_task(self._current)
            self._current = None
        self._brought.finish()


class _DownloadLines(_Brought):
    """The same for logs, which are also told what is about to be read for minutes."""

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        if doing not in _BROUGHT:
            self._tell(f"{doing} {name}")
        super().start(name, total, doing)


@contextmanager
def download_progress() -> Iterator[DownloadProgress]:
    """Progress of files that are downloaded, generated, or hashed."""
    if options.detail() is options.Detail.QUIET:
        yield Silent()
        return
    if not sys.stderr.isatty():
        lines = _DownloadLines(lambda text: say(text, sys.stderr))
        yield lines
        lines.sum_up()
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
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        brought = _Brought(lambda text: _print(bars, text))
        yield _DownloadBars(bars, brought)
        brought.sum_up()


def _print(bars: Bars, text: str) -> None:
    """A line above bars."""
    bars.console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def row_progress(total: int) -> Iterator[Callable[[Task], None]]:
    """Progress through a table's rows: call the yielded function as each row starts."""
    if options.detail() is options.Detail.QUIET:
        yield lambda _: None
        return
    began = time.monotonic()
    if not sys.stderr.isatty():
        started, last = 0, began

        def line(task: Task) -> None:
            nonlocal started, last
            started += 1
            now = time.monotonic()
            if options.detail() is options.Detail.VERBOSE or now - last >= _LINE_SECONDS:
                last = now
                say(f"reading {task.title} ({started} of {total})", sys.stderr)

        yield line
    else:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            TextColumn("reading {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
            bar = bars.add_task("", total=total)

            def update(task: Task) -> None:
                # It is announced when it starts: with the first one, nothing is done yet.
                advance = 1 if bars.tasks[0].description else 0
                bars.update(bar, description=task.title, advance=advance)

            yield update
    say(f"read {total} tasks in {readable_time(time.monotonic() - began)}", sys.stderr)


@contextmanager
def work_progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Progress of one piece of work on standard error: a bar on a terminal, else a line at the end.

    Yields:
        A function to call with the amount just done.
    """
    if options.detail() is options.Detail.QUIET:
        yield lambda _: None
        return
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


class _TrainingUnseen:
    """Nobody watches."""

    def step(self, done: int, total: int, loss: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass


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
    if options.detail() is options.Detail.QUIET:
        yield _TrainingUnseen()
        return
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
