"""Measure Table 2 or 3: plan the steps, run them, publish the predictions, compute the cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

from stilts_artifact.benchmark.experiments import BEST, NONE, Row, rows, targets
from stilts_artifact.config.schema import Scale
from stilts_artifact.data.library import InputRecord, Library
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.tasks import Benchmark, Source, Task
from stilts_artifact.errors import ConfigError, unknown_name
from stilts_artifact.experiments.execution import Executed, execute
from stilts_artifact.experiments.scores import Measuring, Request, RunKey, merged, publish, request
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.metrics.tables import table_values
from stilts_artifact.pipeline.errors import RunReport
from stilts_artifact.pipeline.executor import Options
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.progress import Watch

Wanted = Sequence[tuple[Row, Task]]
Progress = Callable[[str], AbstractContextManager[Watch]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured table.

    Args:
        rows: with a title each; those of Table 3 are the untrained encoder and the best of each
            target.
        chosen: Table 3: target -> row of Table 2 that is best on development data.
        inputs: verified files that the cells rest on.
        folder: of the published predictions and labels.
    """

    table: int
    rows: tuple[Row, ...]
    cells: list[Measurement]
    chosen: dict[str, Row]
    inputs: list[InputRecord]
    folder: Path
    reports: tuple[RunReport, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One scale on this machine.

    Args:
        context, options: where and how steps run.
    """

    builder: StepBuilder
    library: Library
    context: Context
    options: Options

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark."""
        return self.builder.benchmark

    @property
    def scale(self) -> Scale:
        """The scale."""
        return self.builder.scale

    def request(self, table: int, wanted: Wanted) -> Request:
        """The steps behind the wanted cells."""
        return request(self.builder, table, wanted, self.library.missing)

    def table2(self, folder: Path, wanted: Wanted, progress: Progress) -> Measured:
        """Measure some cells of Table 2, and publish their predictions into ``folder``."""
        executed = self._execute(self.request(2, wanted), "Table 2", progress)
        publish(folder, executed.predictions, executed.labels)
        chosen = tuple(dict.fromkeys(row for row, _ in wanted))
        cells = self._measure(executed, folder, 2, chosen)
        inputs = self._inputs([executed], {2}, wanted)
        return Measured(2, chosen, cells, {}, inputs, folder, (executed.report,))

    def table3(self, folder: Path, wanted: Wanted, progress: Progress) -> Measured:
        """Choose each target's best row on development data, then score it and the untrained encoder on test data."""
        tasks = tuple({task.name: task for _, task in wanted}.values())
        selection = self._execute(
            self.request(2, wanted), "Table 3, selection on development data", progress
        )
        best = self._best(selection, wanted, tasks)
        none = next(row for row, _ in wanted if row.name == NONE)
        first = self.request(3, [(none, task) for task in tasks])
        others = [
            self.request(3, [(best[task.name], task)]).renamed(BEST)
            for task in tasks
            if task.name in best
        ]
        executed = self._execute(merged([first, *others]), "Table 3, test data", progress)
        lost = {
            RunKey(BEST, seed, task.name): _why(selection, task)
            for task in tasks
            if task.name not in best
            for seed in self.scale.seeds
        }
        executed = replace(executed, failed={**executed.failed, **lost})
        publish(folder, executed.predictions, executed.labels)
        shown = (none, replace(none, name=BEST, title="Best intermediate task"))
        cells = self._measure(executed, folder, 3, shown)
        inputs = self._inputs([selection, executed], {2, 3}, wanted)
        return Measured(3, shown, cells, best, inputs, folder, (selection.report, executed.report))

    def _execute(self, asked: Request, label: str, progress: Progress) -> Executed:
        with progress(label) as watch:
            return execute(asked, self.context, self.options, watch)

    def _measure(
        self, executed: Executed, folder: Path, table: int, shown: Sequence[Row]
    ) -> list[Measurement]:
        measuring = Measuring(self.builder, executed.failed, executed.flags)
        return measuring.measure(folder, table, [row.name for row in shown])

    def _inputs(
        self, executed: Sequence[Executed], tables: set[int], wanted: Wanted
    ) -> list[InputRecord]:
        """What the workers read, verified once more here: a verdict rests on no file that was only claimed to be so."""
        made = {(place.row, place.task) for one in executed for place in one.predictions}
        parts = [
            part
            for row, task in wanted
            if (row.name, task.name) in made
            for table in sorted(tables)
            for part in self.builder.parts(row, task, table)
        ]
        return self.library.records(parts)

    def _best(self, executed: Executed, wanted: Wanted, tasks: Sequence[Task]) -> dict[str, Row]:
        """Target -> its best row; the first of equals; targets without any score are left out."""
        candidates = [row for row in dict.fromkeys(row for row, _ in wanted) if row.name != NONE]
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / "selection"
            publish(folder, executed.predictions, executed.labels)
            values = table_values(
                folder, self.benchmark, 2, [row.name for row in candidates], self.scale.seeds
            )
        best: dict[str, Row] = {}
        for task in tasks:
            found = [
                (value, row)
                for row in candidates
                if (value := values[CellKey(row.name, task.name)].value) is not None
            ]
            if found:
                best[task.name] = max(found, key=lambda scored: scored[0])[1]
        return best


def wanted_cells(benchmark: Benchmark, table: int, only: Sequence[str]) -> list[tuple[Row, Task]]:
    """The rows and targets that a table needs.

    Args:
        only: ``ROW``, ``ROW,COLUMN`` or ``*,COLUMN``, with ``*`` for anything; none for the whole
            table. Table 3 needs every row that its best ones are chosen among, so only its columns
            can be limited.

    Raises:
        ConfigError: a row or column that the table does not have.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> wanted = wanted_cells(load_benchmark("mini"), 2, ["mnli*,xnli", "none,panx"])
        >>> [(row.name, task.name) for row, task in wanted][:3]
        [('none', 'panx'), ('mnli', 'xnli'), ('mnli+mlm', 'xnli')]
    """
    candidates = (
        rows(benchmark)
        if table == 2
        else tuple(row for row in rows(benchmark) if row.group == "English")
    )
    patterns = [_pattern(text) for text in only] or [("*", "*")]
    known = {row.name: row for row in candidates}
    columns = {task.name: task for task in targets(benchmark)}
    for row, column in patterns:
        if not any(fnmatchcase(name, row) for name in known):
            raise unknown_name("row", row, known)
        if not any(fnmatchcase(name, column) for name in columns):
            raise unknown_name("column", column, columns)
        if table == 3 and row != "*":
            raise ConfigError(
                "Table 3 is chosen among all rows", got=row, expected="*,COLUMN", where="--only"
            )
    return [
        (row, task)
        for row in candidates
        for task in columns.values()
        if any(
            fnmatchcase(row.name, own) and fnmatchcase(task.name, column)
            for own, column in patterns
        )
    ]


def needed_sources(builder: StepBuilder, table: int, wanted: Wanted) -> list[Source]:
    """The sources behind some cells, each once."""
    parts = [
        part
        for row, task in wanted
        for number in {2, table}
        for part in builder.parts(row, task, number)
    ]
    return [
        builder.benchmark.sources[name] for name in dict.fromkeys(part.source for part in parts)
    ]


def _pattern(text: str) -> tuple[str, str]:
    row, _, column = text.partition(",")
    return row.strip() or "*", column.strip() or "*"


def _why(executed: Executed, task: Task) -> str:
    reasons = [
        reason for place, reason in sorted(executed.failed.items()) if place.task == task.name
    ]
    return (
        f"no row was scored on development data: {reasons[0] if reasons else 'none was asked for'}"
    )
