"""Two rows of one table, column by column: how far apart, and whether chance would do as much.

Both rows answer the same examples, so they are compared example by example: resampled together
(:mod:`stilts_artifact.metrics.bootstrap`) for an interval, and swapped
(:mod:`stilts_artifact.metrics.randomisation`) for a p-value. Of one seed there is a run of either
row; these two stay together, and what is compared is the mean over the seeds. An example is drawn
or swapped in all seeds at once, so more seeds are not taken for more examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from stilts_artifact.benchmark.experiments import headings
from stilts_artifact.benchmark.titles import Called, column_title, find_name, find_pattern
from stilts_artifact.checking.labels import load_labels
from stilts_artifact.checking.recompute import VerifiedFiles, verify_scores
from stilts_artifact.checking.results import (
    Results,
    as_defined,
    of_one_publication,
    parse_results,
    read_signature,
)
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.signature import require_comparable
from stilts_artifact.domain.tasks import Task
from stilts_artifact.errors import ConfigError, MissingDataError
from stilts_artifact.forms import form_of
from stilts_artifact.metrics.averages import over_languages, task_score
from stilts_artifact.metrics.bootstrap import RESAMPLES, Estimate, Sample, estimate, resample_task
from stilts_artifact.metrics.randomisation import SWAPS, holm, p_value, swap_task
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.metrics.tables import CellValue, Column, table_columns

Points = Mapping[str, Mapping[str, Array]]
"""Language -> metric -> points [1 + draws, 2 rows, seeds] of one task."""
Place = tuple[Column, str | None]
"""A column, and the language of a cell of it."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What the second row has more than the first in one column.

    Args:
        language: ``None`` of a mean over languages or tasks.
        first, second: points of either row, the mean over its seeds.
        difference: second minus first, with standard error and 95 % interval over examples.
        seeds: the difference at each seed.
        p: two-sided, by approximate randomisation.
        corrected: the same after Holm, for all gains of the comparison.
        partial: whether languages are missing from the mean.
    """

    column: str
    language: str | None
    first: float
    second: float
    difference: Estimate
    seeds: tuple[float, ...]
    p: float
    corrected: float
    partial: bool


@dataclass(frozen=True, slots=True)
class RowComparison:
    """Two rows of a results file.

    Args:
        first, second: names of the rows.
        results: that they stand in.
        gains: by column, a column's mean before its languages.
        absent: what was not compared, and why.
        notes: what is to be said of the numbers.
    """

    first: str
    second: str
    results: Results
    gains: tuple[Gain, ...]
    absent: Mapping[str, str]
    notes: tuple[str, ...]

    def method(self) -> tuple[str, ...]:
        """How the numbers were had and what they do not say, in sentences."""
        seeds = len(self.results.seeds)
        over = "the one seed" if seeds == 1 else f"{seeds} seeds, where tables have medians"
        training = (
            "one seed: nothing here says how much another seed would change"
            if seeds == 1
            else "examples are drawn and the runs stay: what other seeds would change is not in "
            "interval and p; 'by seed' has the lowest and the highest difference of a seed"
        )
        return (
            f"points are means over {over}; the difference is {self.second} minus {self.first}",
            f"95 % interval: paired bootstrap, {RESAMPLES:,} draws of examples, the same ones for "
            "both rows, in all seeds and translations",
            f"p: approximate randomisation, two-sided, the rows swapped {SWAPS:,} times in half of "
            "the examples, each in all seeds and translations",
            f"Holm: p corrected for the {len(self.gains)} differences shown here, and no others",
            training,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values, in points; what is missing or must be said of the numbers among them."""
        return {
            "experiment": self.results.experiment,
            "scale": self.results.scale,
            "stamp": self.results.stamp,
            "rows": [self.first, self.second],
            "seeds": self.results.seeds,
            "resamples": RESAMPLES,
            "swaps": SWAPS,
            "gains": [
                {
                    "column": gain.column,
                    "language": gain.language,
                    "values": [gain.first, gain.second],
                    "difference": gain.difference.value,
                    "standard_error": gain.difference.standard_error,
                    "interval": [gain.difference.low, gain.difference.high],
                    "by_seed": list(gain.seeds),
                    "p": gain.p,
                    "p_holm": gain.corrected,
                    "partial": gain.partial,
                }
                for gain in self.gains
            ],
            "not_compared": dict(self.absent),
            "notes": [*self.method(), *self.notes],
        }


def compare_rows(
    path: Path, rows: tuple[str, str], columns: Sequence[str] = (), languages: Sequence[str] = ()
) -> RowComparison:
    """Compare two rows of a results file, from the predictions that it rests on.

    Args:
        rows: by name or title; the difference is the second's points minus the first's.
        columns: names, titles or patterns such as ``xquad*``; none for all.
        languages: codes, names or patterns, each of which is compared in every column, beside the
            mean.

    Raises:
        ConfigError: a row, column or language that the table does not have, or one row twice;
            cells that were computed otherwise than the other row's, or than their place says.
        IntegrityError: a file that is missing, altered or surplus, labels that are not the
            benchmark's, or a cell that its predictions do not give.
        MissingDataError: there is no column that both rows have.
        DataError: a file that cannot be read or scored.
    """
    return of_one_publication(
        path, lambda data, folder: _compare(path, data, folder, rows, (columns, languages))
    )


def _compare(
    path: Path,
    data: bytes,
    folder: Path,
    rows: tuple[str, str],
    patterns: tuple[Sequence[str], Sequence[str]],
) -> RowComparison:
    stored, _ = as_defined(parse_results(data, path))
    benchmark, experiment = stored.benchmark, stored.defined
    rows = _found_rows(stored, rows, path)
    every = {column.name: column for column in table_columns(benchmark, experiment)}
    titles = {name: column_title(name, benchmark).words for name in every}
    columns = [every[name] for name in _matching("column", patterns[0] or ["*"], titles)]
    spoken = sorted({code for column in columns for code in column.languages(experiment)})
    languages = {code: (benchmark.languages[code].name,) for code in spoken}
    codes = _matching("language", patterns[1], languages)
    of_both = stored.model_copy(
        update={
            "rows": [row for row in stored.rows if row.row in rows],
            "cells": [cell for cell in stored.cells if cell.row in rows],
        }
    )
    found = verify_scores(of_both, path, folder, benchmark, load_labels(stored.run_scale))
    pair = _Pair(of_both, rows, found.values, folder)
    absent = {column.name: why for column in columns if (why := pair.obstacle(column)) is not None}
    places = list(pair.places([one for one in columns if one.name not in absent], codes))
    if not places:
        name, why = next(iter(absent.items()))
        raise MissingDataError(
            "nothing to compare: no column has a value of both rows",
            where=str(path),
            got=f"{name}: {why}",
            fix=f"stilts-artifact {experiment.command} --results {path.parent}",
        )
    for column, language in places:
        pair.require_comparable(column, language)
    return RowComparison(*rows, stored, pair.gains(places), absent, pair.notes(places))


def _found_rows(results: Results, texts: tuple[str, str], path: Path) -> tuple[str, str]:
    """The rows that are meant; refuses what the table does not have, or what was not run."""
    headed = headings(results.defined, results.benchmark).items()
    known = {row: (heading.title,) for row, heading in headed}
    rows = (find_name("row", texts[0], known), find_name("row", texts[1], known))
    if rows[0] == rows[1]:
        raise ConfigError("a row compared with itself", got=rows[0], expected="two rows")
    present = {row.row for row in results.rows}
    for row in rows:
        if row not in present:
            raise MissingDataError(
                f"row {row} was not run",
                where=str(path),
                got=", ".join(sorted(present)),
                fix=f"stilts-artifact {results.defined.command} --results {path.parent}",
            )
    return rows


def _matching(kind: str, patterns: Sequence[str], known: Called) -> list[str]:
    """The known names that any pattern or title names, in their order."""
    found = [find_pattern(kind, pattern, known) for pattern in patterns]
    return [name for name in known if any(fnmatchcase(name, one) for one in found)]


class _Pair:
    """Two rows of verified results, and the files that they rest on.

    Args:
        values: every cell of both, as the files give it.
        folder: of predictions and labels.
    """

    def __init__(
        self,
        results: Results,
        rows: tuple[str, str],
        values: Mapping[CellKey, CellValue],
        folder: Path,
    ) -> None:
        self._results, self._rows, self._values, self._folder = results, rows, values, folder
        self._cells = {cell.key: cell for cell in results.cells}
        self._files = VerifiedFiles(folder, results.run_name, results.files)

    def obstacle(self, column: Column) -> str | None:
        """Why the rows have nothing to compare in a column, or ``None``."""
        for row in self._rows:
            key = CellKey(row, column.name)
            if key not in self._cells:
                return f"the results have no cell {key}"
            if (reason := self._values[key].reason) is not None:
                return f"{row} has no value: {reason}"
        return None

    def places(self, columns: Sequence[Column], codes: Sequence[str]) -> Iterator[Place]:
        """Each column, then those of the languages that stand behind it."""
        for column in columns:
            yield column, None
            if not column.is_average:
                behind = self._values[CellKey(self._rows[0], column.name)].languages
                yield from ((column, code) for code in codes if code in behind)

    def require_comparable(self, column: Column, language: str | None) -> None:
        """Refuse two cells of which one was computed otherwise.

        Raises:
            ConfigError: as :func:`stilts_artifact.domain.signature.require_comparable`.
        """
        cells = [self._cells[CellKey(row, column.name, language)] for row in self._rows]
        read = [read_signature(cell, f"{self._results.run_name}.json") for cell in cells]
        # XLM-R as it is has no seed on tasks without training; its other numbers are the run's.
        untrained = any(column.is_untrained(row) for row in self._rows)
        require_comparable([one for one in read if one], varying=("seeds",) if untrained else ())

    def gains(self, places: Sequence[Place]) -> tuple[Gain, ...]:
        """The differences, their intervals, and their p-values corrected for one another."""
        resampled: dict[str, Points] = {}
        swapped: dict[str, Points] = {}
        for task in {task.name: task for column, _ in places for task in column.tasks}.values():
            samples = self._count(task)
            resampled[task.name] = self._points(task, resample_task(samples, task=task.name))
            swapped[task.name] = self._points(task, swap_task(samples, task=task.name))
        chances = [p_value(_differences(_at(swapped, *place)).mean(axis=1)) for place in places]
        return tuple(
            self._gain(place, _at(resampled, *place), p, corrected)
            for place, p, corrected in zip(places, chances, holm(chances), strict=True)
        )

    def _gain(self, place: Place, points: Array, p: float, corrected: float) -> Gain:
        column, language = place
        first, second = points[0].mean(axis=1)
        by_seed = _differences(points)
        partial = self._values[CellKey(self._rows[0], column.name, language)].left_out > 0
        return Gain(
            column.name,
            language,
            float(first),
            float(second),
            estimate(by_seed.mean(axis=1)),
            tuple(map(float, by_seed[0])),
            p,
            corrected,
            partial,
        )

    def _count(self, task: Task) -> dict[str, Sample]:
        """Language -> counts [examples, 2 rows x seeds x columns], from verified bytes."""
        form, split = form_of(task), self._results.defined.scored_split(task)
        samples = {}
        for language in self._values[CellKey(self._rows[0], task.name)].languages:
            gold = form.file(self._folder / "labels", task, language, split)
            runs = [
                form.file(
                    self._folder / "predictions" / row / f"seed-{seed}", task, language, split
                )
                for row in self._rows
                for seed in self._results.seeds
            ]
            samples[language] = form.count_together(task, language, runs, gold)
            # After counting, which opens them: what was counted is what was verified before.
            for path in (gold, *runs):
                self._files.read(path)
        return samples

    def _points(self, task: Task, sums: Mapping[str, Array]) -> Points:
        """Every metric of a task in every language, and ``score``, its one number."""
        form, seeds = form_of(task), len(self._results.seeds)
        points = {}
        for language, drawn in sums.items():
            metrics = form.points(drawn.reshape(len(drawn), 2, seeds, -1))
            points[language] = {**metrics, "score": task_score(metrics)}
        return points

    def notes(self, places: Sequence[Place]) -> tuple[str, ...]:
        """What is to be said of the numbers: runs that collapsed, means without some languages."""
        said = []
        for column, language in places:
            for row in self._rows:
                key = CellKey(row, column.name, language)
                flag = self._values[key].flag(self._cells[key].flag)
                if flag is not None:
                    said.append(f"{key}: {flag.meaning}")
        return tuple(said)


def _at(tasks: Mapping[str, Points], column: Column, language: str | None) -> Array:
    """Points of a column, or of one language of it: [1 + draws, 2 rows, seeds]."""
    if language is not None:
        return tasks[column.tasks[0].name][language][column.metric]
    means = [over_languages(tasks[task.name])[column.metric] for task in column.tasks]
    mean: Array = np.mean(means, axis=0)
    return mean


def _differences(points: Array) -> Array:
    """Second row minus first: [1 + draws, seeds]."""
    return points[:, 1] - points[:, 0]
