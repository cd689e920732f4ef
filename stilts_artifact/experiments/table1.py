"""Table 1: the tasks and their sizes, counted by reading every example of every split.

Cells: (task, ``train`` | ``dev`` | ``test``, language) = number of examples (gold pairs for bitext
mining); (task, ``languages``) = number of languages the task is evaluated in, every one of their
dev and test splits read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from stilts_artifact import __version__
from stilts_artifact.benchmark.experiments import LANGUAGES, counted_places, counted_tasks
from stilts_artifact.checking.results import row_records
from stilts_artifact.data.library import Library
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark, Part, Source, Split, Task
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ArtifactError
from stilts_artifact.experiments.session import Measured, Session
from stilts_artifact.forms import form_of


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts the splits of tasks; equal parts (SQuAD trains three tasks) are read once."""

    benchmark: Benchmark
    library: Library
    scale: str
    version: str
    _counts: dict[tuple[Part, ...], int] = field(default_factory=dict)
    _failures: dict[tuple[Part, ...], ArtifactError] = field(default_factory=dict)

    @property
    def failures(self) -> list[ArtifactError]:
        """Why splits that lie on this machine could not be read."""
        return list(self._failures.values())

    def measure(self, task: Task) -> Iterator[Measurement]:
        """The cells of one row, in the table's order."""
        places = counted_places(task, self.benchmark)
        # An archive that cannot be read fails again, and is reported, at the cell that needs it.
        with contextlib.suppress(ArtifactError):
            self.library.prefetch(part for place in places for part in task.parts[place])
        cells = [self._cell(task, split, language) for split, language in places]
        yield from cells
        evaluated = [cell for cell in cells if cell.key.column != Split.TRAIN]
        unread = [cell for cell in evaluated if cell.value is None]
        reason = (
            f"{len(unread)} of {len(evaluated)} splits not read: {unread[0].reason}"
            if unread
            else None
        )
        languages = tuple(dict.fromkeys(language for _, language in places))
        value = None if unread else len(languages)
        key = CellKey(task.name, LANGUAGES)
        yield Measurement(key, value, reason, self._signature(task, "all", languages, "languages"))

    def _cell(self, task: Task, split: Split, language: str) -> Measurement:
        value, reason = self._count(task, split, language)
        signature = self._signature(task, split, (language,), "examples")
        return Measurement(CellKey(task.name, split, language), value, reason, signature)

    def _count(self, task: Task, split: Split, language: str) -> tuple[int | None, str | None]:
        """The number of examples, or the reason why it is unknown."""
        parts = task.parts[split, language]
        if parts not in self._counts and parts not in self._failures:
            try:
                # What is merely absent leaves cells without a value, but is no failure to report.
                missing = self.library.missing(parts)
                if missing:
                    return None, "not on this machine: " + ", ".join(map(describe_source, missing))
                form = form_of(task)
                self._counts[parts] = form.size(form.read(task, split, language, self.library))
            except ArtifactError as error:
                self._failures[parts] = error
        if parts in self._failures:
            return None, "could not be read: " + in_one_line(self._failures[parts])
        return self._counts[parts], None

    def _signature(self, task: Task, split: str, languages: tuple[str, ...], metric: str) -> str:
        return Signature(
            task=task.name,
            split=split,
            languages=languages,
            metric=metric,
            scale=self.scale,
            version=self.version,
        ).short()


def needed_parts(benchmark: Benchmark) -> Iterator[Part]:
    """Every part that Table 1 reads."""
    for task in counted_tasks(benchmark):
        for place in counted_places(task, benchmark):
            yield from task.parts[place]


def needed_sources(benchmark: Benchmark) -> list[Source]:
    """Every source that Table 1 reads, once each, in the order of the benchmark's sources."""
    names = {part.source for part in needed_parts(benchmark)}
    return [source for name, source in benchmark.sources.items() if name in names]


def measure(session: Session) -> Measured:
    """Fetch what Table 1 reads, and count it; what is not here leaves cells NOT_RUN."""
    errors = session.obtain(needed_sources(session.benchmark))
    counter = Counter(session.benchmark, session.library, session.scale.name, __version__)
    tasks = counted_tasks(session.benchmark)
    cells: list[Measurement] = []
    with session.display.rows(len(tasks)) as started:
        for task in tasks:
            started(task)
            cells += counter.measure(task)
    rows = row_records(session.experiment, session.benchmark)
    return Measured(rows, cells, session.library.used(), [*errors, *counter.failures])


def describe_source(source: Source) -> str:
    """Name and size of a source, as messages give it.

    Example: ``"MNLI.zip (313 MB)"``
    """
    return source.name if source.bytes is None else f"{source.name} ({readable_size(source.bytes)})"


def in_one_line(error: ArtifactError) -> str:
    """An error as one line, for the reason of a cell."""
    return "; ".join(" ".join(line.split()) for line in str(error).splitlines())
