"""Where the truth is known: effects are planted in published predictions, and looked for.

Of invented languages nothing is asked but whether the pipeline would find an effect, and no more
than that. The predictions of the row without intervention are copied to every row, and some
examples are spoiled (:mod:`stilts_artifact.studies.spoiling`). The files lie in a folder like any
study's, and its whole analysis goes over them: counting, resampling, effects, covariates, fits.

Three things are planted:

- ``effect``: it follows the covariates, or is larger in a group of languages;
- ``constant``: the same effect in every language on the scale that is tested, which is no slope.
  Equal shares would not do: a language with F1 of 95 loses more points by them than one of 50, and
  that is a slope;
- ``alike``: both sides of every difference lose the same shares, which is no effect at all.

Which examples are spoiled is drawn anew in each repetition. The mean of the estimates must be the
truth, within what their own spread allows by Student's t; and what was planted must be larger than
that, or finding it would say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.documents import read_document
from stilts_artifact.domain.cells import Finding
from stilts_artifact.metrics.averages import task_score
from stilts_artifact.metrics.bootstrap import named_generator
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.analysis import Analysis, NotRunError, Question, Study
from stilts_artifact.studies.confidence import Count
from stilts_artifact.studies.covariates import Covariates, Value
from stilts_artifact.studies.effects import Measures, Runs, in_scale
from stilts_artifact.studies.protocol import (
    EffectDefinition,
    EffectScale,
    HypothesisDefinition,
    Metric,
    Term,
)
from stilts_artifact.studies.record import ValidationRecord
from stilts_artifact.studies.spoiling import Spoilable, spoilable

Kind = Literal["effect", "constant", "alike"]

REPETITIONS = 20
ERROR_RATE = 0.001
"""Sound pipelines that are called invalid, for all checks of a study together."""
RESAMPLES, DRAWS = 50, 99
"""Of examples, and of the wild bootstrap: estimates do not depend on them."""
REACH = 0.5
"""Largest share of the examples that is spoiled, mean over seeds."""
SEEDS_APART = 0.2
"""Effects of seeds differ from their mean by up to this share of it."""

RunKey = tuple[str, str, str, int]
"""Row, column, language, seed."""
Shares = Mapping[RunKey, float]
"""How much is spoiled of each run; of others nothing."""
Found = dict[str, float]
"""Language -> its effect."""


@dataclass(frozen=True, slots=True)
class Check:
    """One estimate that is looked for."""

    hypothesis: HypothesisDefinition
    scale: EffectScale


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planted in one folder, and what is looked for there.

    Args:
        scale: on which effects have the size that they have.
    """

    kind: Kind
    scale: EffectScale
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Validations:
    """What became of planted effects.

    Args:
        unfit: hypothesis that these languages are too few for -> why.
    """

    records: list[ValidationRecord]
    unfit: Mapping[str, str]
    notes: Sequence[str]


def validated(analysis: Analysis, question: Question, runs: Runs) -> Analysis:
    """The analysis of runs that are no evidence, with what became of planted effects.

    Raises:
        DataError: files that cannot be scored.
    """
    record = analysis.record
    missing = {one.id for one in record.hypotheses if one.finding is Finding.NOT_RUN}
    found = validate(
        question, runs, [one for one in question.protocol.hypotheses if one.id not in missing]
    )
    # What is fitted to a study's own runs is to be fitted to any.
    stuck = any(one.fits for one in record.hypotheses if one.id in found.unfit)
    if stuck or not all(one.passed for one in found.records):
        finding = Finding.PIPELINE_INVALID
    elif not found.records or any(one.primary and one.id in missing for one in record.hypotheses):
        finding = Finding.NOT_RUN
    else:
        finding = Finding.PIPELINE_VALID
    notes = [*record.notes, *found.notes]
    update = {"finding": finding, "validations": found.records, "notes": notes}
    return replace(analysis, record=record.model_copy(update=update))


def validate(
    question: Question,
    runs: Runs,
    hypotheses: Sequence[HypothesisDefinition],
    repetitions: int = REPETITIONS,
) -> Validations:
    """Plant effects, and look for them.

    Args:
        hypotheses: those of the protocol whose rows were run.

    Raises:
        DataError: files that cannot be scored.
    """
    covariates, notes = stand_ins(question.covariates, hypotheses)
    protocol = question.protocol.model_copy(update={"draws": DRAWS})
    known = replace(question, protocol=protocol, covariates=covariates)
    looked: list[tuple[Plan, Check, float, list[float]]] = []
    unfit: dict[str, str] = {}
    with TemporaryDirectory(prefix="stilts-planted-") as folder:
        planted = PlantedRuns(known, runs, hypotheses, Path(folder))
        for plan in plans(hypotheses):
            shares = planted.shares(plan)
            estimates = planted.estimates(plan, shares, repetitions, unfit)
            for check, found in estimates.items():
                looked.append((plan, check, planted.truth(check, shares), found))
    places = [one.id for one in hypotheses]
    looked.sort(key=lambda one: places.index(one[1].hypothesis.id))
    records = [_judged(*one, checks=len(looked)) for one in looked]
    said = [f"nothing was planted for {name}: {why}" for name, why in unfit.items()]
    return Validations(records, unfit, [*notes, *said])


def plans(hypotheses: Sequence[HypothesisDefinition]) -> Iterator[Plan]:
    """What is planted for some hypotheses.

    Slopes are planted on each of their scales by itself, for what is none on one is one on the
    other.
    """
    slopes = [one for one in hypotheses if one.covariate is not None]
    others = tuple(
        Check(one, scale) for one in hypotheses if one.covariate is None for scale in one.scales
    )
    scales = tuple(dict.fromkeys(scale for one in slopes for scale in one.scales))
    checks = {
        scale: tuple(Check(one, scale) for one in slopes if scale in one.scales) for scale in scales
    }
    for number, scale in enumerate(scales or ("points",)):
        together = others if number == 0 else ()
        yield Plan("effect", scale, (*checks.get(scale, ()), *together))
    for scale in scales:
        yield Plan("constant", scale, checks[scale])
    if others:
        yield Plan("alike", others[0].scale, others)


_NAMES = {
    "slope": "a slope",
    "interaction": "a difference of slopes",
    "group": "a mean",
    "contrast": "a difference of groups",
}


def _judged(
    plan: Plan, check: Check, truth: float, found: Sequence[float], *, checks: int
) -> ValidationRecord:
    from scipy.special import stdtrit

    spread, recovered = float(np.std(found, ddof=1)), float(np.mean(found))
    quantile = float(stdtrit(len(found) - 1, 1 - ERROR_RATE / (2 * checks)))
    allowed = quantile * spread / math.sqrt(len(found))
    is_told = abs(truth) > allowed if plan.kind == "effect" else truth == 0
    what = {
        "effect": _NAMES[check.hypothesis.kind],
        "constant": "the same in every language",
        "alike": "both sides alike",
    }
    return ValidationRecord(
        name=f"{check.hypothesis.id}, {check.scale}, {what[plan.kind]}",
        planted=truth,
        recovered=recovered,
        spread=spread,
        allowed=allowed,
        repetitions=len(found),
        passed=is_told and abs(recovered - truth) <= allowed,
    )


def stand_ins(
    covariates: Covariates, hypotheses: Iterable[HypothesisDefinition]
) -> tuple[Covariates, list[str]]:
    """The covariates, with values made up of those in which no language differs.

    They are drawn by name and go along with the one that varies, so that a control which is left
    out shows. Controls of named groups have none: mini groups are too small for one more column.

    Returns:
        The covariates, and what is to be said of them.
    """
    asked = [one.covariate for one in hypotheses if one.covariate is not None]
    asked += [name for one in hypotheses if one.languages is None for name in one.controls]
    every = list(dict.fromkeys(asked))
    varying = [name for name in every if name in covariates.values and covariates.varies(name)]
    absent = [name for name in every if name not in varying]
    values, codes = dict(covariates.values), covariates.reference
    for name in absent:
        raw = named_generator(name).normal(size=len(codes))
        for other in varying[:1]:
            raw += np.array([covariates.of(other, code).z or 0.0 for code in codes])
        z = (raw - raw.mean()) / raw.std()
        values[name] = {
            code: Value(one, one, "made up") for code, one in zip(codes, z.tolist(), strict=True)
        }
    note = (
        f"these languages do not differ in {' and '.join(absent)}: to plant effects, it is made up"
    )
    return replace(covariates, values=values), [note] if absent else []


@dataclass(frozen=True, slots=True)
class _Run:
    """What was published of the row without intervention, in one language and at one seed.

    Attributes:
        count: how it is counted.
        text: of the file that is scored.
        others: what else is read of a run, which stays as it is: path in a run's folder -> bytes.
        sums: of each metric's counts, array [2, columns]: everything kept, everything spoiled.
    """

    count: Count
    text: Spoilable
    others: dict[str, bytes] = field(default_factory=dict)
    sums: dict[Metric, Array] = field(default_factory=dict)


class PlantedRuns:
    """A folder laid out like a study's, in which effects are planted.

    Args:
        published: runs, of which the row without intervention is taken.
        folder: where it is made.
    """

    def __init__(
        self,
        question: Question,
        published: Runs,
        hypotheses: Sequence[HypothesisDefinition],
        folder: Path,
    ) -> None:
        self._question, self._published, self._hypotheses = question, published, hypotheses
        self._effects = {
            one.effect: _few(question.protocol.effects[one.effect], published.rows)
            for one in hypotheses
        }
        self._made = replace(published, folder=folder / "study", read=read_document)
        self._ends = folder / "ends"
        self._measures = Measures(self._made, RESAMPLES)
        self._tasks = {
            task.name: task for task in published.experiment.targets(published.benchmark)
        }
        self._runs: dict[tuple[str, str, int], _Run] = {}
        for definition in self._effects.values():
            for column in filter(self._tasks.__contains__, definition.columns):
                for language in self._asked(column):
                    self._take(column, definition.metric, language)

    def _asked(self, column: str) -> Iterator[str]:
        task, source = self._tasks[column], self._published.benchmark.source_language
        split = self._published.experiment.scored_split(task)
        return (code for code in task.languages_of(split) if code != source)

    # What is published

    def _take(self, column: str, metric: Metric, language: str) -> None:
        """Read what was published of a column in one language; count it whole and spoiled."""
        count, root = self._measures.count_of(column, metric), self._published.folder
        labels = count.labels(root / "labels", language)
        folders = {
            seed: root / count.made / NONE / f"seed-{seed}" for seed in self._published.seeds
        }
        files = {seed: count.files(folder, language) for seed, folder in folders.items()}
        if not all(path.is_file() for own in (labels, *files.values()) for path in own):
            return
        truth = [self._published.read(path) for path in labels]
        copied = count.labels(self._made.folder / "labels", language)
        for path, data in zip(copied, truth, strict=True):
            _write(path, data)
        for seed, (scored, *others) in files.items():
            made = self._published.read(scored).decode()
            text = spoilable(self._tasks[column], metric, made, truth[0].decode())
            run = self._runs.setdefault((column, language, seed), _Run(count, text))
            for other in others:
                name = str(other.relative_to(folders[seed]))
                run.others[name] = self._published.read(other)
            ends = [self._ends / str(number) / f"seed-{seed}" for number in range(2)]
            for number, end in enumerate(ends):
                self._write(run, end, language, run.text.whole(spoiled=bool(number)))
            counts = count.count(language, [count.files(end, language) for end in ends], copied)
            run.sums[metric] = counts.counts.sum(axis=0).reshape(len(ends), -1)

    def _write(self, run: _Run, folder: Path, language: str, text: str) -> None:
        """The files of a run."""
        _write(run.count.files(folder, language)[0], text.encode())
        for name, data in run.others.items():
            _write(folder / name, data)

    def points(self, column: str, language: str, seed: int, metric: Metric, share: float) -> float:
        """What is expected with a share of the examples spoiled."""
        sums = np.array([1 - share, share]) @ self._runs[column, language, seed].sums[metric]
        metrics = self._measures.count_of(column, metric).points(sums)
        return float(task_score(metrics) if metric == "score" else metrics[metric])

    # What is planted

    def shares(self, plan: Plan) -> dict[RunKey, float]:
        """How much is spoiled of each run."""
        names = list(dict.fromkeys(check.hypothesis.effect for check in plan.checks))
        shares: dict[RunKey, float] = {}
        for number, name in enumerate(names):
            # Later ones are smaller: they may share rows with the first, and must not undo it.
            definition, weight = self._effects[name], 0.1 * (1 + number) if number else 1.0
            free = [
                term
                for term in definition.terms
                if NONE not in term.rows and not _taken(term, definition, shares)
            ]
            if plan.kind == "alike":
                shape = self._shape(names[0])
                shares |= self._drawn(definition, definition.rows, shape, 1.0)
            elif free and any(one.covariate is not None for one in self._of(name)):
                shape = self._shape(name) if plan.kind == "effect" else {}
                shares |= self._solved(definition, free[0], shape, plan.scale)
            elif free:
                shares |= self._drawn(definition, free[0].rows, self._shape(name), weight)
        return shares

    def _of(self, effect: str) -> list[HypothesisDefinition]:
        return [one for one in self._hypotheses if one.effect == effect]

    def _shape(self, effect: str) -> Found:
        """Language -> how much of the largest effect it gets, from 0.1 to 0.9.

        It is linear in the covariates of the effect's hypotheses, and steeper in an interaction's
        group; without covariates, larger in the groups.
        """
        hypotheses, codes = self._of(effect), sorted({code for _, code, _ in self._runs})
        weights = {name: 0.5 for one in hypotheses for name in one.controls}
        weights |= {one.covariate: 1.0 for one in hypotheses if one.covariate is not None}
        raw = np.zeros(len(codes))
        for name, weight in weights.items():
            raw += weight * np.array([self._z(name, code) or 0.0 for code in codes])
        for one in hypotheses:
            inside = np.array([float(self._is_inside(one, code)) for code in codes])
            if one.kind == "interaction":
                raw += inside * (1 + raw)
            elif not weights:
                raw += inside
        if not weights:
            # Of one group, too, languages differ: it matters which are in it.
            raw += np.linspace(0, 0.5, len(codes))
        scaled = (raw - raw.min()) / max(float(np.ptp(raw)), 1e-9)
        return dict(zip(codes, (0.1 + 0.8 * scaled).tolist(), strict=True))

    def _drawn(
        self, definition: EffectDefinition, rows: Iterable[str], shape: Found, weight: float
    ) -> dict[RunKey, float]:
        """Shares of some rows that follow a shape."""
        return {
            (row, column, code, seed): REACH * weight * shape[code] * self._times(seed)
            for row in sorted(rows)
            for column, code, seed in self._runs
            if column in definition.columns
        }

    def _times(self, seed: int) -> float:
        """How much larger an effect is at a seed than on average."""
        seeds = self._published.seeds
        if len(seeds) == 1:
            return 1.0
        return 1 + SEEDS_APART * (2 * seeds.index(seed) / (len(seeds) - 1) - 1)

    def _solved(
        self, definition: EffectDefinition, term: Term, shape: Found, scale: EffectScale
    ) -> dict[RunKey, float]:
        """Shares of one term's rows that give effects of a shape, of which all others have none.

        Args:
            shape: empty for the same effect in every language.
        """
        keys = [key for key in self._runs if key[0] in definition.columns]

        def lost(key: tuple[str, str, int], share: float) -> float:
            examples = len(self._runs[key].text.kept)
            ends = [self.points(*key, definition.metric, one) for one in (0.0, share)]
            before, after = in_scale(np.array(ends), scale, examples)
            return float(abs(after - before))

        most = min(lost(key, REACH) / (1 + SEEDS_APART) for key in keys)
        shares: dict[RunKey, float] = {}
        for column, code, seed in keys:
            wanted = most * shape.get(code, 0.5) * self._times(seed)
            low, high = 0.0, 1.0
            for _ in range(50):
                middle = (low + high) / 2
                if lost((column, code, seed), middle) < wanted:
                    low = middle
                else:
                    high = middle
            shares |= {(row, column, code, seed): low for row in term.rows}
        return shares

    # What is true

    def _expected(self, effect: str, scale: EffectScale, shares: Shares) -> list[Found]:
        """Of each measure, the effect in every language."""
        definition = self._effects[effect]

        def scaled(row: str, key: tuple[str, str, int]) -> float:
            points = self.points(*key, definition.metric, shares.get((row, *key), 0.0))
            return float(in_scale(np.array(points), scale, len(self._runs[key].text.kept)))

        measures = []
        for columns in definition.measures:
            seeds: dict[str, list[float]] = {}
            for key in self._runs:
                if key[0] in columns:
                    terms = [
                        term.weight * fmean(scaled(row, key) for row in term.rows)
                        for term in definition.terms
                    ]
                    seeds.setdefault(key[1], []).append(sum(terms))
            measures.append({code: fmean(values) for code, values in seeds.items()})
        return measures

    def truth(self, check: Check, shares: Shares) -> float:
        """What an estimate is of, where effects are exactly as expected."""
        one = check.hypothesis
        measures = self._expected(one.effect, check.scale, shares)
        if one.kind == "group":
            inside = [
                [value for code, value in found.items() if self._is_inside(one, code)]
                for found in measures
            ]
            return _exact(fmean(map(fmean, inside)))
        common = set(measures[0]).intersection(*measures[1:])
        effects = {code: fmean(found[code] for found in measures) for code in sorted(common)}
        if one.kind == "contrast":
            within, without = (self._over_genera(effects, one, side) for side in (True, False))
            return _exact(within - without)
        return _exact(self._slope(effects, one))

    def _is_inside(self, hypothesis: HypothesisDefinition, code: str) -> bool:
        return hypothesis.languages is None or code in self._group(hypothesis.languages)

    def _group(self, name: str) -> tuple[str, ...]:
        return self._question.protocol.group(name, self._published.benchmark.name)

    def _z(self, covariate: str, code: str) -> float | None:
        known = self._question.covariates
        return known.of(covariate, code).z if covariate in known.values else None

    def _over_genera(self, effects: Found, one: HypothesisDefinition, is_inside: bool) -> float:
        kin = self._question.covariates.languages
        genera: dict[str, list[float]] = {}
        for code, value in effects.items():
            if self._is_inside(one, code) is is_inside:
                genera.setdefault(kin[code].genus, []).append(value)
        return fmean(fmean(values) for values in genera.values())

    def _slope(self, effects: Found, one: HypothesisDefinition) -> float:
        """By least squares on what the hypothesis names, and languages differ in."""
        known = self._question.covariates
        held = [name for name in one.controls if name in known.values and known.varies(name)]
        names = [str(one.covariate), *held]
        lines, values = [], []
        for code, value in effects.items():
            z = [self._z(name, code) for name in names]
            given = [x for x in z if x is not None]
            inside = self._is_inside(one, code)
            if len(given) == len(names) and (inside or one.kind == "interaction"):
                own = [inside * given[0], float(inside)] if one.kind == "interaction" else []
                lines.append([*own, *given, 1.0])
                values.append(value)
        return float(np.linalg.lstsq(np.array(lines), np.array(values), rcond=None)[0][0])

    # What is found

    def estimates(
        self, plan: Plan, shares: Shares, repetitions: int, unfit: dict[str, str]
    ) -> dict[Check, list[float]]:
        """What the whole analysis of the folder estimates, each time with other examples spoiled.

        Args:
            unfit: takes hypotheses that cannot be estimated of these languages, and why.
        """
        names = {check.hypothesis.effect for check in plan.checks}
        rows = dict.fromkeys(row for name in sorted(names) for row in self._effects[name].rows)
        made = replace(self._made, rows=tuple(rows))
        found: dict[Check, list[float]] = {check: [] for check in plan.checks}
        for number in range(repetitions):
            self._plant(rows, shares, f"{plan.kind}/{plan.scale}", number)
            study = Study(self._question, made, RESAMPLES)
            for check in list(found):
                try:
                    estimated = study.estimate(check.hypothesis, check.scale)
                except NotRunError as why:
                    unfit[check.hypothesis.id] = str(why)
                    del found[check]
                else:
                    found[check].append(estimated.record.estimate)
        return found

    def _plant(self, rows: Iterable[str], shares: Shares, name: str, number: int) -> None:
        """Write the predictions of all rows, with examples spoiled; what stays, once."""
        chance = named_generator(f"{name}/{number}", self._question.protocol.seed)
        for (column, code, seed), run in self._runs.items():
            for row in rows:
                share = shares.get((row, column, code, seed), 0.0)
                folder = self._made.folder / run.count.made / row / f"seed-{seed}"
                if share or number == 0:
                    self._write(run, folder, code, run.text.drawn(share, chance))


def _taken(term: Term, definition: EffectDefinition, shares: Shares) -> bool:
    """Whether some run of a term is spoiled already."""
    return any(row in term.rows and column in definition.columns for row, column, *_ in shares)


def _exact(truth: float) -> float:
    """What is nothing but for rounding is nothing."""
    return 0.0 if abs(truth) < 1e-9 else truth


def _few(definition: EffectDefinition, rows: Sequence[str]) -> EffectDefinition:
    """The effect with two rows of each term that takes those that were run: a mean of many is no
    other than that of two."""
    terms = []
    for term in definition.terms:
        present = tuple(row for row in term.rows if row in rows)
        terms.append(Term(rows=present[:2] if term.any else term.rows, weight=term.weight))
    return EffectDefinition(
        measures=definition.measures, metric=definition.metric, terms=tuple(terms)
    )


def _write(path: Path, data: bytes) -> None:
    """Without the care that what is published gets: nobody reads a file that is half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
