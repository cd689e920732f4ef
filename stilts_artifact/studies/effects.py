"""Effects of a study in each language, with what items and seeds leave uncertain.

An effect is a weighted sum of rows, such as the gain: the mean of some rows less the untrained one.
Examples are resampled together for all rows, seeds and translations
(:mod:`stilts_artifact.metrics.bootstrap`), so what rows share is not counted as error; the spread
between training runs is added to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stilts_artifact.benchmark.experiments import Experiment
from stilts_artifact.documents import read_document
from stilts_artifact.domain.tasks import Benchmark, Task
from stilts_artifact.errors import unknown_name
from stilts_artifact.forms import form_of
from stilts_artifact.forms.probabilities import PROBABILITIES
from stilts_artifact.metrics.averages import task_score
from stilts_artifact.metrics.bootstrap import Sample, resample_task
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.confidence import (
    CONFIDENCE_METRICS,
    ConfidenceCount,
    Count,
    Files,
    FormCount,
    ProbabilityFiles,
)
from stilts_artifact.studies.protocol import EffectDefinition, EffectScale, Metric, Term

RESAMPLES = 2000
"""Draws of examples."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The published runs of a study.

    Args:
        folder: of labels and predictions.
        rows: that were run, by name.
        seeds: of each row.
        read: how a file's bytes are had, where a caller verifies them.
    """

    folder: Path
    benchmark: Benchmark
    experiment: Experiment
    rows: tuple[str, ...]
    seeds: tuple[int, ...]
    read: Callable[[Path], bytes] = read_document


@dataclass(frozen=True, slots=True)
class Points:
    """One measure of one task in one language.

    Args:
        rows: names, in the order of the array.
        values: points [1 + draws, rows, seeds]; the first are those of the examples as they are.
        examples: how many they are.
    """

    rows: tuple[str, ...]
    values: Array
    examples: int

    def of(self, rows: Sequence[str]) -> Array:
        """Points of some rows, of the examples as they are [rows, seeds]."""
        found: Array = self.values[0, [self.rows.index(row) for row in rows]]
        return found


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect in one language and one scale of effect.

    Args:
        terms: what each term adds to it at each seed [terms, seeds].
        draws: the value with resampled examples [draws].
        baseline: points of the last term's rows, mean over rows and seeds.
    """

    terms: Array
    draws: Array
    baseline: float

    @property
    def seeds(self) -> Array:
        """Its value at each seed; the value is their mean."""
        total: Array = self.terms.sum(axis=0)
        return total

    @property
    def value(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.seeds))

    @property
    def item_error(self) -> float:
        """Standard error from the examples alone."""
        return float(np.std(self.draws, ddof=1))

    @property
    def seed_sd(self) -> float:
        """Standard deviation between seeds; 0 where there is one, which says nothing."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else 0.0

    @property
    def standard_error(self) -> float:
        """Of the value, from examples and seeds together."""
        return math.hypot(self.item_error, self.seed_sd / math.sqrt(len(self.seeds)))


@dataclass(frozen=True, slots=True)
class Effects:
    """One effect over languages, in one scale of effect.

    Args:
        measures: of each measure, language -> effect there.
        averaged: of each term that takes the rows that were run, which they are.
        missing: what it cannot be had without, in words; empty where it could be had.
        lacking: language -> why it has no effect.
    """

    measures: tuple[Mapping[str, Effect], ...]
    averaged: tuple[tuple[str, ...], ...] = ()
    missing: tuple[str, ...] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)

    def languages(self) -> tuple[str, ...]:
        """Languages that all measures have, sorted."""
        common = set(self.measures[0]).intersection(*self.measures[1:]) if self.measures else set()
        return tuple(sorted(common))

    def mean(self, language: str) -> Effect:
        """The mean over the measures, in a language that all have."""
        found = [measure[language] for measure in self.measures]
        return Effect(
            np.mean([one.terms for one in found], axis=0),
            np.mean([one.draws for one in found], axis=0),
            float(np.mean([one.baseline for one in found])),
        )


class Measures:
    """Points of every column, language and run; each column is counted once.

    Args:
        resamples: draws of examples; fewer where a known effect is only looked for.

    Attributes:
        probabilities: of the columns that publish them.
    """

    def __init__(self, runs: Runs, resamples: int = RESAMPLES) -> None:
        self._runs, self._resamples = runs, resamples
        self._tasks = {task.name: task for task in runs.experiment.targets(runs.benchmark)}
        self.probabilities = {
            name: ProbabilityFiles(task, runs.read)
            for name, task in self._tasks.items()
            if runs.experiment.gives_probabilities(task)
        }
        self._counts = {name: self._counts_of(task) for name, task in self._tasks.items()}
        self._found: dict[Count, dict[str, tuple[tuple[str, ...], Array, int]]] = {}
        self._lacking: dict[Count, dict[str, str]] = {}

    def _counts_of(self, task: Task) -> dict[str | None, Count]:
        """How each metric of a task is counted; ``None``: those of its form."""
        split = self._runs.experiment.scored_split(task)
        counts: dict[str | None, Count] = {None: FormCount(task, split)}
        if (files := self.probabilities.get(task.name)) is not None:
            for metric in CONFIDENCE_METRICS:
                counts[metric] = ConfidenceCount(task, split, metric, files)
        return counts

    def points(self, column: str, metric: Metric) -> dict[str, Points]:
        """Language -> points of all rows that were run there.

        Raises:
            ConfigError: the column has no such metric.
            DataError: files that cannot be scored.
        """
        if column not in self._tasks:
            return {}
        count = self._count(column, metric)
        points = {}
        for language, (rows, sums, examples) in self._found[count].items():
            metrics = count.points(sums)
            if metric != "score" and metric not in metrics:
                known = ["score", *metrics, *filter(None, self._counts[column])]
                raise unknown_name(f"metric of {column}", metric, known)
            values = task_score(metrics) if metric == "score" else metrics[metric]
            points[language] = Points(rows, np.asarray(values), examples)
        return points

    def lacking(self, column: str, metric: Metric) -> Mapping[str, str]:
        """Language -> why nothing of a column is known there."""
        return self._lacking[self._count(column, metric)] if column in self._tasks else {}

    def count_of(self, column: str, metric: Metric) -> Count:
        """How a metric of a column is counted."""
        counts = self._counts[column]
        return counts.get(metric, counts[None])

    def _count(self, column: str, metric: Metric) -> Count:
        """How a metric is counted, which is done now if it was not."""
        count = self.count_of(column, metric)
        if count not in self._found:
            self._found[count], self._lacking[count] = self._counted(self._tasks[column], count)
        return count

    def _counted(
        self, task: Task, count: Count
    ) -> tuple[dict[str, tuple[tuple[str, ...], Array, int]], dict[str, str]]:
        """Language -> rows with all seeds, sums [1 + draws, rows, seeds, columns], examples.

        And language -> why it has none of these.
        """
        runs = self._runs
        samples: dict[str, Sample] = {}
        rows: dict[str, tuple[str, ...]] = {}
        examples: dict[str, int] = {}
        lacking: dict[str, str] = {}
        for language in task.languages_of(runs.experiment.scored_split(task)):
            labels = count.labels(runs.folder / "labels", language)
            absent = [path for path in labels if not path.is_file()]
            if absent:
                what = "its data" if absent[0] == labels[0] else "development data"
                lacking[language] = f"{what} were not on this machine"
                continue
            complete = {
                row: files
                for row in runs.rows
                if (files := self._complete(count, row, language)) is not None
            }
            if not complete:
                lacking[language] = f"no {count.made} there"
                continue
            each = [files for own in complete.values() for files in own]
            samples[language] = count.count(language, each, labels)
            # After counting, which opens them: what was counted is what was verified.
            for path in (*labels, *(path for files in each for path in files)):
                runs.read(path)
            rows[language] = tuple(complete)
            examples[language] = form_of(task).read_gold(task, language, labels[0]).examples
        drawn = resample_task(samples, task=task.name, resamples=self._resamples)
        found = {
            code: (
                rows[code],
                sums.reshape(len(sums), len(rows[code]), len(runs.seeds), -1),
                examples[code],
            )
            for code, sums in drawn.items()
        }
        return found, lacking

    def _complete(self, count: Count, row: str, language: str) -> list[Files] | None:
        """The files of a row at each seed; ``None`` where one is not there."""
        made = self._runs.folder / count.made / row
        files = [count.files(made / f"seed-{seed}", language) for seed in self._runs.seeds]
        return files if all(path.is_file() for own in files for path in own) else None

    def effects(self, definition: EffectDefinition, scale: EffectScale) -> Effects:
        """An effect in every language, the source language left out.

        Returns:
            What could be had, and what is missing of the rest.

        Raises:
            DataError: files that cannot be scored.
        """
        terms, missing = [], []
        # A row may have been asked for and not run: CCG's data are licensed. Without any row that
        # was, it is the data that are missing.
        run = self._predicted(definition) or frozenset(self._runs.rows)
        for term in definition.terms:
            known = run if term.any else self._runs.rows
            present = tuple(row for row in term.rows if row in known)
            absent = [row for row in term.rows if row not in known]
            if not present or (absent and not term.any):
                missing.append(f"row {', '.join(absent)}")
            terms.append(Term(rows=present or term.rows, weight=term.weight, any=term.any))
        averaged = tuple(term.rows for term in terms if term.any)
        if missing:
            return Effects((), averaged, tuple(missing))
        source = self._runs.benchmark.source_language
        made = PROBABILITIES if definition.metric in CONFIDENCE_METRICS else "predictions"
        measures: list[dict[str, Effect]] = []
        lacking: dict[str, str] = {}
        for columns in definition.measures:
            found: dict[str, Effect] = {}
            for column in columns:
                for language, points in self.points(column, definition.metric).items():
                    absent = sorted({row for term in terms for row in term.rows} - set(points.rows))
                    if absent:
                        lacking[language] = f"{column}: no {made} of {', '.join(absent)}"
                    elif language != source:
                        found[language] = effect_of(points, terms, scale)
                lacking |= self.lacking(column, definition.metric)
            if not found:
                why = next(iter(lacking.values()), "no language but the source language")
                missing.append(f"{' and '.join(columns)} in any language ({why})")
            measures.append(found)
        return Effects(tuple(measures), averaged, tuple(missing), lacking)

    def _predicted(self, definition: EffectDefinition) -> frozenset[str]:
        """Rows that were run, and not only asked for, in any language of an effect's columns."""
        return frozenset(
            row
            for column in definition.columns
            for points in self.points(column, definition.metric).values()
            for row in points.rows
        )


def effect_of(points: Points, terms: Sequence[Term], scale: EffectScale) -> Effect:
    """A weighted sum of rows in one language.

    Args:
        terms: rows that ``points`` has all of.
    """
    scaled = in_scale(points.values, scale, points.examples)
    places = {row: place for place, row in enumerate(points.rows)}
    # Terms, then draws, then seeds.
    parts = np.stack(
        [term.weight * scaled[:, [places[row] for row in term.rows]].mean(axis=1) for term in terms]
    )
    last = [places[row] for row in terms[-1].rows]
    baseline = float(points.values[0, last].mean())
    return Effect(parts[:, 0], parts[:, 1:].sum(axis=0).mean(axis=1), baseline)


def in_scale(points: Array, scale: EffectScale, examples: int) -> Array:
    """Points on the scale of an effect: as they are, their logarithm times 100, or log-odds.

    A loss that is proportional everywhere is a slope in points and none in logarithms. Scores of 0
    and 100 are taken half an example from the end, as a proportion's log-odds are (Haldane 1956;
    Anscombe 1956).

    Example:
        >>> in_scale(np.array([50.0, 100.0]), "log-odds", 100).round(2).tolist()
        [0.0, 5.29]
    """
    if scale == "points":
        return points
    half = 50 / examples
    if scale == "log-ratio":
        logarithm: Array = 100 * np.log(np.maximum(points, half))
        return logarithm
    share = np.clip(points, half, 100 - half) / 100
    odds: Array = np.log(share / (1 - share))
    return odds
