"""Sampling errors of a table's cells, and of their gains over its first row, by the bootstrap.

All rows and seeds of a task are resampled together: an example that is drawn is drawn for every one
of them, and with its translations (:mod:`stilts_artifact.metrics.bootstrap`). So the interval of a
gain is a paired one: what both rows find easy or hard does not widen it. The number that is
resampled is the table's own, the median over seeds; what other seeds would change is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stilts_artifact.benchmark.experiments import NONE, Experiment
from stilts_artifact.checking.recompute import VerifiedFiles
from stilts_artifact.checking.results import Results
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.tasks import Benchmark, Task
from stilts_artifact.forms import form_of
from stilts_artifact.metrics.averages import over_languages, task_score
from stilts_artifact.metrics.bootstrap import RESAMPLES, Estimate, Sample, estimate, resample_task
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.metrics.tables import table_columns

_Points = Mapping[str, Array]
"""Row -> points [1 + resamples, seeds]: those of the examples as they are, then each resample's."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of every cell whose predictions are there.

    Args:
        scores: the cell's own.
        gains: of its points over those of the row without an intermediate task, paired.
    """

    scores: Mapping[CellKey, Estimate] = field(default_factory=dict)
    gains: Mapping[CellKey, Estimate] = field(default_factory=dict)


def bootstrap_cells(results: Results, folder: Path) -> Intervals:
    """Resample the test examples behind a table's cells: the same results, the same intervals.

    Args:
        results: as their predictions give them.
        folder: of predictions and labels.

    Raises:
        IntegrityError: a file is not the one that the results rest on.
        DataError: predictions that cannot be scored.
    """
    if results.defined.is_counted or not results.seeds:
        return Intervals()
    verified = VerifiedFiles(folder, results.run_name, results.files)
    files = _Files(results.defined, folder, results.seeds, verified.read)
    scores: dict[CellKey, Estimate] = {}
    gains: dict[CellKey, Estimate] = {}
    for column, language, points in _all_points(results, files):
        base = points.get(NONE)
        for row, own in points.items():
            key = CellKey(row, column, language)
            scores[key] = estimate(np.median(own, axis=1))
            if base is not None and row != NONE:
                gains[key] = estimate(np.median(own, axis=1) - np.median(base, axis=1))
    return Intervals(scores, gains)


def _all_points(results: Results, files: _Files) -> Iterator[tuple[str, str | None, _Points]]:
    """Column, language (or the mean over them) and the points of its rows; averages at the end."""
    columns = table_columns(results.benchmark, results.defined)
    means: dict[str, _Points] = {}
    for task in results.defined.targets(results.benchmark):
        rows, languages = _measured(results, task)
        if not languages:
            continue
        found = _task_points(files, task, rows, languages)
        mean = over_languages(found)
        means[task.name] = _by_row(mean["score"], rows)
        for column in columns:
            if not column.is_average and column.tasks[0] == task:
                yield column.name, None, _by_row(mean[column.metric], rows)
                for language in languages:
                    yield column.name, language, _by_row(found[language][column.metric], rows)
    for column in columns:
        if column.is_average and all(task.name in means for task in column.tasks):
            parts = [means[task.name] for task in column.tasks]
            both = [row for row in parts[0] if all(row in part for part in parts)]
            yield (
                column.name,
                None,
                {row: np.mean([part[row] for part in parts], axis=0) for row in both},
            )


def _by_row(points: Array, rows: Sequence[str]) -> _Points:
    """Points [1 + resamples, rows, seeds] by row."""
    return {row: points[:, number] for number, row in enumerate(rows)}


def _measured(results: Results, task: Task) -> tuple[list[str], list[str]]:
    """Rows with a value of a task, and the languages behind it: those of the first such row.

    A row that was measured in other languages is another mean, and has no interval here.
    """
    spoken: dict[str, set[str]] = {}
    for cell in results.cells:
        if cell.column == task.name and cell.value is not None:
            own = spoken.setdefault(cell.row, set())
            own |= {cell.language} if cell.language else set()
    rows = [row.row for row in results.rows if row.row in spoken]
    first = spoken[rows[0]] if rows else set()
    every = task.languages_of(results.defined.scored_split(task))
    return [row for row in rows if spoken[row] == first], [code for code in every if code in first]


def _task_points(
    run: _Files, task: Task, rows: Sequence[str], languages: Sequence[str]
) -> dict[str, dict[str, Array]]:
    """Language -> metric, ``score`` among them -> points [1 + resamples, rows, seeds]."""
    form = form_of(task)
    samples: dict[str, Sample] = {}
    for language in languages:
        gold = run.labels(task, language)
        files = [run.predictions(row, seed, task, language) for row in rows for seed in run.seeds]
        samples[language] = form.count_together(task, language, files, gold)
        # After counting, which opens them: what was counted is what was verified before.
        if run.read is not None:
            for path in (gold, *files):
                run.read(path)
    points = {}
    for language, sums in resample_task(samples, task=task.name).items():
        metrics = form.points(sums.reshape(1 + RESAMPLES, len(rows), len(run.seeds), -1))
        points[language] = {**metrics, "score": task_score(metrics)}
    return points


@dataclass(frozen=True, slots=True)
class _Files:
    """The prediction and label files of a run.

    Args:
        read: verifies a file.
    """

    experiment: Experiment
    folder: Path
    seeds: Sequence[int]
    read: Callable[[Path], bytes] | None

    def labels(self, task: Task, language: str) -> Path:
        split = self.experiment.scored_split(task)
        return form_of(task).file(self.folder / "labels", task, language, split)

    def predictions(self, row: str, seed: int, task: Task, language: str) -> Path:
        folder = self.folder / "predictions" / row / f"seed-{seed}"
        return form_of(task).file(folder, task, language, self.experiment.scored_split(task))


class SampledErrors:
    """Sampling errors of a run's F1 and exact-match scores: what judging takes for chance in them.

    Of a share of right answers the binomial formula is exact and needs no predictions; of F1 it is
    a bound at best (:func:`stilts_artifact.checking.statistics.binomial_error`). A row's errors on
    a task are computed when one is first asked for: judging asks for few.

    Args:
        seeds: of the run.
        folder: of its predictions and labels.
        read: verifies a file, where a caller has its hash.
    """

    def __init__(
        self,
        experiment: Experiment,
        benchmark: Benchmark,
        seeds: Sequence[int],
        folder: Path,
        read: Callable[[Path], bytes] | None = None,
    ) -> None:
        self._files = _Files(experiment, folder, seeds, read)
        self._columns = {
            column.name: column
            for column in table_columns(benchmark, experiment)
            if not column.is_average and form_of(column.tasks[0]).score_label != "accuracy"
        }
        self._known: dict[tuple[str, str], Mapping[CellKey, float]] = {}

    def __call__(self, key: CellKey) -> float | None:
        """Standard error in points; ``None`` of an accuracy or an average, or without predictions.

        Raises:
            DataError: predictions that cannot be scored.
            IntegrityError: a file is not the one that it should be.
        """
        if key.column not in self._columns:
            return None
        place = key.row, self._columns[key.column].tasks[0].name
        if place not in self._known:
            self._known[place] = self._errors(key.row, self._columns[key.column].tasks[0])
        return self._known[place].get(key)

    def _errors(self, row: str, task: Task) -> Mapping[CellKey, float]:
        files = self._files
        every = task.languages_of(files.experiment.scored_split(task))
        # As a mean is taken: over the languages that have labels.
        languages = [code for code in every if files.labels(task, code).is_file()]
        needed = [
            files.predictions(row, seed, task, code) for seed in files.seeds for code in languages
        ]
        if not needed or not all(path.is_file() for path in needed):
            return {}
        points = _task_points(files, task, [row], languages)
        values: dict[str | None, Mapping[str, Array]] = {None: over_languages(points)}
        for code, own in points.items():
            values[code] = own
        return {
            CellKey(row, column.name, code): estimate(
                np.median(values[code][column.metric][:, 0], axis=1)
            ).standard_error
            for column in self._columns.values()
            if column.tasks[0] == task
            for code in values
        }
