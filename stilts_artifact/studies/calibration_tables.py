"""How well a study's runs are calibrated, as tables beside its predictions.

    {results}/study-004.paper/calibration.csv  one line a row, seed and language, twice
    {results}/study-004.paper/reliability.csv  one line a point of a reliability diagram
    {results}/study-004.paper/matched.csv      one line an effect: overconfidence at equal accuracy

Everything stands there as published and once more *tempered*: with one temperature for each run,
fitted on its development data in the source language. A temperature changes no prediction, and so
no accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.forms import form_of
from stilts_artifact.forms.probabilities import PROBABILITIES, log_probabilities_file
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.calibration import (
    Calibration,
    Confidences,
    Floats,
    Integers,
    confidences,
    matched_effect,
    measure_calibration,
    scaled,
    smooth_reliability,
)
from stilts_artifact.studies.confidence import ProbabilityFiles
from stilts_artifact.studies.effects import Measures, Runs
from stilts_artifact.studies.protocol import EffectDefinition, Protocol, Term
from stilts_artifact.studies.record import number_text, table_bytes

CALIBRATION = "calibration.csv"
CALIBRATION_HEADER = (
    "column",
    "row",
    "seed",
    "language",
    "probabilities",
    "temperature",
    "examples",
    "accuracy",
    "overconfidence",
    "brier",
    "nll",
    "ece_debiased",
    "ece_smooth",
    "ece_mass",
    "ece_width",
    "reliability",
    "resolution",
    "uncertainty",
    "within",
)
"""``probabilities``: ``published`` or ``tempered``; ``temperature``: that they were divided by, 1
as published. Points, but ``nll``, which is in nats. From ``ece_debiased`` on, cells are empty below
2,000 examples, of which chance makes most of such a number; the last four are Murphy's
decomposition of the Brier score of confidences, of which ``reliability - resolution + uncertainty +
within`` is that score."""

RELIABILITY = "reliability.csv"
RELIABILITY_HEADER = ("effect", "rows", "probabilities", "confidence", "accuracy", "density")
"""Of each term of a primary hypothesis about a group: all its rows, seeds and languages together;
``rows``: of the term that were run, with spaces between; ``accuracy``: at that confidence, in
points, empty where there are next to no examples; ``density``: of confidences, mean 1."""

MATCHED = "matched.csv"
MATCHED_HEADER = ("effect", "languages", "cells", "raw", "matched", "seeds")
"""``languages``: group, or ``all``; ``cells``: languages times rows times seeds; ``raw``: the mean
effect; ``matched``: within bins of accuracy
(:func:`stilts_artifact.studies.calibration.matched_effect`), empty where no bin has cells of both
kinds; ``seeds``: the same of each seed's cells alone, in order, with spaces between."""

Version = Literal["published", "tempered"]
VERSIONS: tuple[Version, ...] = get_args(Version)


@dataclass(frozen=True, slots=True)
class MatchedEffect:
    """An effect on overconfidence, raw and where accuracy is equal.

    Args:
        languages: name of a group, or ``all``.
        cells: languages times rows times seeds.
        raw, matched: points; ``None`` where no bin of accuracy has cells of both kinds.
        seeds: the matched effect at each seed.
    """

    effect: str
    languages: str
    cells: int
    raw: float
    matched: float | None
    seeds: tuple[float | None, ...]


class CalibrationTables:
    """The tables of a study of probabilities; none of any other.

    Args:
        measures: of the same runs.
    """

    def __init__(self, runs: Runs, protocol: Protocol, measures: Measures) -> None:
        self._runs, self._protocol, self._measures = runs, protocol, measures
        self._targets = [
            _Target(runs, task, measures.probabilities[task.name])
            for task in runs.experiment.targets(runs.benchmark)
            if task.name in measures.probabilities
        ]

    def tables(self) -> dict[str, bytes]:
        """Name of a file -> its bytes.

        Raises:
            DataError: files that cannot be scored.
        """
        if not self._targets:
            return {}
        return {
            CALIBRATION: table_bytes(CALIBRATION_HEADER, self._calibration()),
            RELIABILITY: table_bytes(RELIABILITY_HEADER, self._reliability()),
            MATCHED: table_bytes(MATCHED_HEADER, map(_matched_line, self.matched())),
        }

    def _calibration(self) -> Iterator[Sequence[str]]:
        runs = self._runs
        for target in self._targets:
            places = product(runs.rows, runs.seeds, target.languages, VERSIONS)
            for row, seed, language, version in places:
                told = target.told(row, seed, language, version)
                if told is not None:
                    place = (target.task.name, row, str(seed), language, version)
                    found = measure_calibration(told.log_probabilities, told.gold)
                    yield (*place, number_text(told.temperature), *_cells(found))

    def _reliability(self) -> Iterator[Sequence[str]]:
        for hypothesis in self._protocol.hypotheses:
            if hypothesis.primary and hypothesis.kind == "group":
                definition = self._protocol.effects[hypothesis.effect]
                for term, version in product(definition.terms, VERSIONS):
                    rows = [row for row in term.rows if row in self._runs.rows]
                    places = list(product(rows, self._runs.seeds))
                    pooled = [
                        confidences(told.log_probabilities, told.gold)
                        for target in self._targets
                        if target.task.name in definition.columns
                        for language in self._languages(hypothesis.languages, target.languages)
                        for row, seed in places
                        if (told := target.told(row, seed, language, version)) is not None
                    ]
                    for line in _diagram(pooled):
                        yield (hypothesis.effect, " ".join(rows), version, *line)

    def _languages(self, group: str | None, every: Iterable[str]) -> list[str]:
        """Those of some languages that are in a group; without one, all but the source language."""
        benchmark = self._runs.benchmark
        own = None if group is None else self._protocol.group(group, benchmark.name)
        return sorted(
            code
            for code in every
            if (code != benchmark.source_language if own is None else code in own)
        )

    def matched(self) -> Iterator[MatchedEffect]:
        """Every effect on overconfidence that is asked about, in the same languages."""
        premise = self._protocol.premise
        asked = [(name, premise.languages) for name in premise.effects]
        asked += [(one.effect, one.languages) for one in self._protocol.hypotheses]
        for name, group in dict.fromkeys(asked):
            definition = self._protocol.effects[name]
            if definition.metric == "overconfidence" and (pairs := _pairs(definition)):
                terms = self._cells(definition, group)
                if terms:
                    yield _matched(name, group or "all", pairs, terms)

    def _cells(self, definition: EffectDefinition, group: str | None) -> list[Array]:
        """Of each term (accuracy, overconfidence) of every cell at every seed: [2, cells, seeds].

        Without languages that lack one of its rows; none where all do.
        """
        found: list[list[Array]] = []
        for column in definition.columns:
            right = self._measures.points(column, "accuracy")
            sure = self._measures.points(column, "overconfidence")
            for language in self._languages(group, right.keys() & sure.keys()):
                known = sure[language].rows
                rows = [[row for row in term.rows if row in known] for term in definition.terms]
                if all(
                    own and (term.any or len(own) == len(term.rows))
                    for own, term in zip(rows, definition.terms, strict=True)
                ):
                    both = (right[language], sure[language])
                    found.append([np.stack([one.of(own) for one in both]) for own in rows])
        return [np.concatenate(cells, axis=1) for cells in zip(*found, strict=True)]


@dataclass(frozen=True, slots=True)
class _Told:
    """What a run says of the examples of one language.

    Args:
        temperature: that its log-odds were divided by.
        log_probabilities: array [examples, labels].
        gold: numbers of the right labels [examples].
    """

    temperature: float
    log_probabilities: Floats
    gold: Integers


class _Target:
    """The published probabilities of one column."""

    def __init__(self, runs: Runs, task: Task, files: ProbabilityFiles) -> None:
        self._runs, self.task, self._files = runs, task, files
        self._split = runs.experiment.scored_split(task)
        self.languages = task.languages_of(self._split)

    def told(self, row: str, seed: int, language: str, version: Version) -> _Told | None:
        """What one run says of one language; ``None`` where files are not there."""
        scored = self._files_of(row, seed, self._split, language)
        if scored is None:
            return None
        told, gold = self._files.read(*scored), self._files.gold(scored[1])
        if version == "published":
            return _Told(1.0, told, gold)
        development = self._files_of(row, seed, Split.DEV, self.task.source_language)
        if development is None:
            return None
        temperature = self._files.temperature(*development)
        return _Told(temperature, scaled(told, temperature), gold)

    def _files_of(
        self, row: str, seed: int, split: Split, language: str
    ) -> tuple[Path, Path] | None:
        """Probabilities and labels."""
        run = self._runs.folder / PROBABILITIES / row / f"seed-{seed}"
        path = log_probabilities_file(run, self.task.name, language, split)
        gold = form_of(self.task).file(self._runs.folder / "labels", self.task, language, split)
        return (path, gold) if path.is_file() and gold.is_file() else None


def _pairs(definition: EffectDefinition) -> list[tuple[Term, Term]]:
    """Terms that are held against each other, such as rows of one encoder against its baseline.

    None where the terms do not come in such pairs.
    """
    terms = definition.terms
    if len(terms) % 2:
        return []
    pairs = list(zip(terms[::2], terms[1::2], strict=True))
    return pairs if all(one.weight == -other.weight for one, other in pairs) else []


def _matched(
    name: str, languages: str, pairs: Sequence[tuple[Term, Term]], terms: Sequence[Array]
) -> MatchedEffect:
    """An effect from the cells [2, cells, seeds] of each of its terms."""

    def at(seeds: Sequence[int]) -> float | None:
        flat = [cells[..., list(seeds)].reshape(2, -1) for cells in terms]
        found = 0.0
        for (first, _), treated, untreated in zip(pairs, flat[::2], flat[1::2], strict=True):
            part = matched_effect((treated[0], treated[1]), (untreated[0], untreated[1]))
            if part is None:
                return None
            found += first.weight * part
        return found

    weights = [term.weight for pair in pairs for term in pair]
    seeds = range(terms[0].shape[-1])
    return MatchedEffect(
        effect=name,
        languages=languages,
        cells=sum(cells[0].size for cells in terms),
        raw=sum(
            weight * float(cells[1].mean()) for weight, cells in zip(weights, terms, strict=True)
        ),
        matched=at(seeds),
        seeds=tuple(at([seed]) for seed in seeds),
    )


def _cells(found: Calibration) -> Iterator[str]:
    yield str(found.n)
    for value in (found.accuracy, found.overconfidence, found.brier, found.nll):
        yield number_text(value)
    own = found.murphy
    errors = (found.ece_debiased, found.ece_smooth, found.ece_mass, found.ece_width)
    parts = [None if own is None else getattr(own, one) for one in CALIBRATION_HEADER[-4:]]
    yield from map(_shown, (*errors, *parts))


def _shown(value: float | None) -> str:
    return "" if value is None else number_text(value)


def _diagram(pooled: Sequence[Confidences]) -> Iterator[Sequence[str]]:
    if not pooled:
        return
    together = Confidences(
        np.concatenate([one.confidence for one in pooled]),
        np.concatenate([one.correct for one in pooled]),
    )
    for confidence, accuracy, density in zip(*smooth_reliability(together), strict=True):
        known = "" if np.isnan(accuracy) else number_text(accuracy)
        yield number_text(confidence), known, number_text(density)


def _matched_line(found: MatchedEffect) -> Sequence[str]:
    numbers = (number_text(found.raw), _shown(found.matched))
    seeds = " ".join(_shown(seed) or "-" for seed in found.seeds)
    return (found.effect, found.languages, str(found.cells), *numbers, seeds)
