"""The cells of an experiment, computed from a folder of prediction and label files.

    {folder}/labels/{task}/{split}-{language}.{tsv|json}
    {folder}/predictions/{row}/seed-{seed}/{task}/{split}-{language}.{tsv|json}

A cell with a language is the median over seeds of that language's metric; one without is, for each
seed, the mean over the languages that have labels, and then the median. Averages over tasks are
likewise taken for each seed first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np

from stilts_artifact.benchmark.experiments import NONE, Experiment
from stilts_artifact.documents import read_document
from stilts_artifact.domain.cells import CellKey, Flag
from stilts_artifact.domain.tasks import Benchmark, Split, Task
from stilts_artifact.forms import form_of
from stilts_artifact.forms.base import Gold, Sums
from stilts_artifact.metrics.averages import task_score

Read = Callable[[Path], bytes]
"""The bytes of a file; FileNotFoundError where there is none."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an experiment's table.

    Args:
        name: as cells call it.
        tasks: the one that it scores, or all that it averages.
        metric: of each task: ``score`` (its one number), ``f1`` or ``exact_match``.
    """

    name: str
    tasks: tuple[Task, ...]
    metric: str

    @property
    def is_average(self) -> bool:
        """Whether it averages over tasks, and so has no cells of single languages."""
        return len(self.tasks) > 1

    @property
    def metric_name(self) -> str:
        """What signatures call its metric."""
        if self.is_average:
            return "mean"
        name = form_of(self.tasks[0]).metric_name(self.tasks[0])
        return name if self.metric == "score" else f"{name}:{self.metric}"

    def is_among(self, row: str, places: Collection[tuple[str, str]]) -> bool:
        """Whether a row's cells are among some (row, task); an average: all that it averages."""
        return all((row, task.name) in places for task in self.tasks)

    def is_untrained(self, row: str) -> bool:
        """Whether no seed decides a row's cells: XLM-R as it is, on tasks without training."""
        return row == NONE and not any(form_of(task).is_trained for task in self.tasks)

    def languages(self, experiment: Experiment) -> tuple[str, ...]:
        """Every language behind it, sorted; each has a cell unless the column is an average."""
        return tuple(
            sorted(
                {
                    code
                    for task in self.tasks
                    for code in task.languages_of(experiment.scored_split(task))
                }
            )
        )


@dataclass(frozen=True, slots=True)
class CellValue:
    """A cell in points, or the reason why it has no value.

    Args:
        value: median over the seeds.
        seeds: the value of each seed, in the order of the seeds.
        examples: that each seed was scored on, over all languages and tasks of the cell.
        languages: of a mean, those behind it, sorted.
        left_out: number of languages, of each task, that a mean is without, because there are no
            labels: their data were not on the machine.
    """

    value: float | None
    seeds: tuple[float, ...]
    examples: int
    reason: str | None = None
    languages: tuple[str, ...] = ()
    left_out: int = 0

    def flag(self, said: Flag | None) -> Flag | None:
        """What is to be said of the number, where a run says that it collapsed, or nothing."""
        partial = Flag.PARTIAL if self.value is not None and self.left_out else None
        return said if said == Flag.DEGENERATE else partial


def table_columns(benchmark: Benchmark, experiment: Experiment) -> tuple[Column, ...]:
    """The columns in order: every task and its parts, then the averages over tasks.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> from stilts_artifact.benchmark.experiments import EXPERIMENTS
        >>> made = table_columns(load_benchmark("mini"), EXPERIMENTS["table3"])
        >>> [column.name for column in made][-7:]
        ['bucc2018', 'tatoeba', 'classification', 'tagging', 'qa', 'retrieval', 'overall']
    """
    tasks = experiment.targets(benchmark)
    single = [
        Column(name, (task,), metric)
        for task in tasks
        for name, metric in form_of(task).columns(task).items()
    ]
    averages = [
        Column(name, tuple(task for task in tasks if task.group in groups), "score")
        for name, groups in experiment.averages.items()
    ]
    return (*single, *averages)


def table_values(
    folder: Path,
    benchmark: Benchmark,
    experiment: Experiment,
    rows: Sequence[str],
    seeds: Sequence[int],
    read: Read | None = None,
) -> dict[CellKey, CellValue]:
    """Every cell of the given rows, row by row, each column's mean before its languages.

    Args:
        folder: of one experiment's run, such as ``results/table2.mini``.
        seeds: at least one, each with a folder of predictions.
        read: how a file's bytes are had, where a caller verifies them.

    Raises:
        DataError: a file that is there but cannot be scored. A file that is not there leaves its
            cells without value.
    """
    layout = table_columns(benchmark, experiment)
    golds = _Golds(folder, experiment, _read if read is None else read)
    cells: dict[CellKey, CellValue] = {}
    for row in rows:
        runs = [_Run(folder / "predictions" / row / f"seed-{seed}", golds) for seed in seeds]
        for column in layout:
            cells[CellKey(row, column.name)] = _over_seeds([run.mean(column) for run in runs])
            for language in () if column.is_average else column.languages(experiment):
                found = [run.language(column.tasks[0], language, column.metric) for run in runs]
                cells[CellKey(row, column.name, language)] = _over_seeds(found)
    return cells


@dataclass(frozen=True, slots=True)
class _Value:
    """One seed's value, or the reason why there is none."""

    value: float
    examples: int
    reason: str | None = None
    languages: frozenset[str] = frozenset()
    left_out: int = 0


class _Golds:
    """Label files, each parsed once."""

    def __init__(self, folder: Path, experiment: Experiment, read: Read) -> None:
        self.folder, self.experiment, self.read = folder, experiment, read
        self._parsed: dict[tuple[str, str], Gold | str] = {}

    def split(self, task: Task) -> Split:
        """The split that a task is scored on."""
        return self.experiment.scored_split(task)

    def file(self, folder: Path, task: Task, language: str) -> Path:
        """Where a task's file for a language lies under ``folder``."""
        return form_of(task).file(folder, task, language, self.split(task))

    def gold(self, task: Task, language: str) -> Gold | str:
        """Labels, or why there are none."""
        place = (task.name, language)
        if place not in self._parsed:
            path = self.file(self.folder / "labels", task, language)
            try:
                self.read(path)  # a caller's verification comes before the parser
                self._parsed[place] = form_of(task).read_gold(task, language, path)
            except FileNotFoundError:
                self._parsed[place] = self.missing(path)
        return self._parsed[place]

    def missing(self, path: Path) -> str:
        """The reason that names a file which is not there."""
        return f"no file {path.relative_to(self.folder).as_posix()}"


class _Run:
    """One row at one seed: its prediction files, each scored once."""

    def __init__(self, folder: Path, golds: _Golds) -> None:
        self._folder, self._golds = folder, golds
        self._points: dict[tuple[str, str], Mapping[str, float] | str] = {}

    def language(self, task: Task, language: str, metric: str) -> _Value:
        """One language of a task."""
        place = (task.name, language)
        if place not in self._points:
            self._points[place] = self._score(task, language)
        points = self._points[place]
        if isinstance(points, str):
            return _Value(0, 0, points)
        gold = self._golds.gold(task, language)
        examples = gold.examples if isinstance(gold, Gold) else 0
        return _Value(points[metric], examples, languages=frozenset({language}))

    def mean(self, column: Column) -> _Value:
        """Mean over the languages of a task, and of those means over the tasks of a column."""
        return _mean([self._task(task, column.metric) for task in column.tasks])

    def _task(self, task: Task, metric: str) -> _Value:
        every = task.languages_of(self._golds.split(task))
        here = [code for code in every if isinstance(self._golds.gold(task, code), Gold)]
        mean = _mean([self.language(task, language, metric) for language in here or every])
        return replace(mean, left_out=len(every) - len(here))

    def _score(self, task: Task, language: str) -> Mapping[str, float] | str:
        gold = self._golds.gold(task, language)
        if isinstance(gold, str):
            return gold
        path = self._golds.file(self._folder, task, language)
        try:
            return _points(task, gold.tally(path, self._golds.read(path)))
        except FileNotFoundError:
            return self._golds.missing(path)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(path)
    return read_document(path)


def _points(task: Task, sums: Sums) -> Mapping[str, float]:
    """The metrics of a task in points, its one number among them as ``score``."""
    metrics = form_of(task).points(np.array(sums))
    return {
        **{name: float(value) for name, value in metrics.items()},
        "score": float(task_score(metrics)),
    }


def _mean(values: Sequence[_Value]) -> _Value:
    reasons = list(dict.fromkeys(value.reason for value in values if value.reason is not None))
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        # A reason that is a mean's own may end in a count already.
        return _Value(0, 0, reasons[0].partition(" (and ")[0] + more)
    return _Value(
        fmean(value.value for value in values),
        sum(value.examples for value in values),
        languages=frozenset().union(*(value.languages for value in values)),
        left_out=sum(value.left_out for value in values),
    )


def _over_seeds(values: Sequence[_Value]) -> CellValue:
    for value in values:
        if value.reason is not None:
            return CellValue(None, (), 0, value.reason)
    points = tuple(value.value for value in values)
    first = values[0]
    return CellValue(
        median(points),
        points,
        first.examples,
        languages=tuple(sorted(first.languages)),
        left_out=first.left_out,
    )
