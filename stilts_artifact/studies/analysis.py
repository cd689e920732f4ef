"""From the published runs of a study to its findings: the same files give the same record.

What a hypothesis says is in the protocol; here is what its words mean:

- ``slope``: of an effect on a covariate, other covariates held equal, over languages nested in
  genera (:mod:`stilts_artifact.studies.regression`);
- ``interaction``: how much steeper that slope is in a group of languages than in the others;
- ``group``: mean of an effect over a group, whose languages are fixed: what is uncertain are runs
  and examples (:mod:`stilts_artifact.studies.groups`);
- ``contrast``: mean over a group's genera less that over the others'.

The rule that decides is in :mod:`stilts_artifact.studies.verdicts`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from stilts_artifact.domain.cells import Finding, Premise
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.randomisation import benjamini_hochberg, holm
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.calibration_tables import CalibrationTables
from stilts_artifact.studies.covariates import Covariates
from stilts_artifact.studies.effects import RESAMPLES, Effect, Effects, Measures, Runs
from stilts_artifact.studies.groups import GenusContrast, GroupMean, group_mean
from stilts_artifact.studies.protocol import EffectScale, HypothesisDefinition, Protocol
from stilts_artifact.studies.record import (
    COVARIATES,
    COVARIATES_HEADER,
    EFFECTS,
    EFFECTS_HEADER,
    SPECIFICATIONS,
    SPECIFICATIONS_HEADER,
    FitRecord,
    HypothesisRecord,
    PowerRecord,
    PremiseRecord,
    StudyRecord,
    number_text,
    table_bytes,
)
from stilts_artifact.studies.regression import (
    GenusTest,
    MetaRegression,
    WildBootstrap,
    leave_one_out,
    likelihood_profile,
    meta_regression,
    partial_spearman,
)
from stilts_artifact.studies.verdicts import (
    Chance,
    Hypothesis,
    Robustness,
    Ruling,
    bound_p,
    mean_power,
    premise,
    primary_p,
    rule,
    slope_power,
)

NOT_ASKED = "invented languages: only the pipeline is judged"
POWER_DRAWS = 399
"""Of the bootstrap of each simulated study."""
_SIMULATED = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
"""True effects that power is computed for, in smallest effects of interest."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and by what languages are explained.

    Args:
        sha256: of the protocol.
        altered: whether the protocol is not the one that ships.
        evidence: whether the runs say anything about real languages; else only the pipeline is
            judged.
    """

    protocol: Protocol
    sha256: str
    altered: bool
    covariates: Covariates
    evidence: bool


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came of it.

    Args:
        tables: name of a file beside the predictions -> its bytes.
    """

    record: StudyRecord
    tables: Mapping[str, bytes]


def analyse(question: Question, runs: Runs) -> Analysis:
    """The whole analysis of a study's runs.

    Raises:
        DataError: files that cannot be scored.
    """
    study = Study(question, runs)
    judged = study.judge()
    record = StudyRecord(
        study=question.protocol.study,
        protocol=question.sha256,
        altered=question.altered,
        finding=joint_finding(judged),
        premise=study.premise(),
        hypotheses=judged,
        excluded=dict(sorted(study.excluded.items())),
        notes=list(study.notes()),
    )
    return Analysis(record, study.tables())


def joint_finding(hypotheses: Sequence[HypothesisRecord]) -> Finding:
    """The finding of a study: of its primary hypotheses the most open one, or else the first."""
    findings = [one.finding for one in hypotheses if one.primary]
    for still_open in (Finding.NOT_RUN, Finding.INCONCLUSIVE):
        if still_open in findings:
            return still_open
    return findings[0]


@dataclass(frozen=True, slots=True)
class Specification:
    """One way to fit a slope: the protocol's own, or another that could have been chosen.

    Args:
        index: covariate of the slope.
        controls: covariates held equal.
        without: languages left out, and how those that are in are called.
    """

    index: str
    controls: tuple[str, ...]
    without: frozenset[str] = frozenset()
    languages: str = "all"


@dataclass(frozen=True, slots=True)
class Sample:
    """The languages of a fit: effects with their errors, and what explains them.

    Args:
        codes, genera, families: of the languages.
        effects: one a language.
        design: array [languages, columns]; ``column`` is the one that is tested.
    """

    codes: tuple[str, ...]
    genera: tuple[str, ...]
    families: tuple[str, ...]
    effects: tuple[Effect, ...]
    design: Array
    column: int

    @property
    def values(self) -> Array:
        """Array [languages]."""
        return np.array([effect.value for effect in self.effects])

    @property
    def variances(self) -> Array:
        """Squared standard errors, array [languages]."""
        return np.array([effect.standard_error**2 for effect in self.effects])

    @property
    def seeds(self) -> Array:
        """The effects at each seed, array [seeds, languages]."""
        return np.array([effect.seeds for effect in self.effects]).T

    def fit(self) -> MetaRegression:
        """The meta-regression.

        Raises:
            DataError: too few languages, or columns that depend on each other.
        """
        return meta_regression(self.values, self.variances, self.design, self.genera)


@dataclass(frozen=True, slots=True)
class Estimated:
    """A hypothesis's estimate in one scale of effect.

    Args:
        power: asks for that of the verdict rule, with the variances that were found.
        without: asks for the estimate without each family or genus.
        seeds: the estimate at each seed alone; none where the interval is over runs already.
        profile: asks for that of the likelihood, over what is left between languages.
    """

    record: FitRecord
    power: Callable[[], Sequence[PowerRecord]]
    without: Callable[[], Mapping[str, float]] = dict
    seeds: tuple[float, ...] = ()
    profile: Callable[[], Sequence[tuple[float, float]]] = tuple


class NotRunError(Exception):
    """What a hypothesis cannot be judged without, in words."""


class MissingError(NotRunError):
    """It could be had: rows, seeds or languages that were not run."""


@contextlib.contextmanager
def _statistics() -> Iterator[None]:
    """Where statistics have too few languages, genera or seeds, a hypothesis is not run."""
    try:
        yield
    except DataError as error:
        raise NotRunError(f"{error.what}: {error.got}, expected {error.expected}") from error


class Study:
    """One study's runs under its protocol.

    Args:
        resamples: draws of examples; fewer where only estimates are asked for.
    """

    def __init__(self, question: Question, runs: Runs, resamples: int = RESAMPLES) -> None:
        self._runs, self._protocol = runs, question.protocol
        self._covariates, self._evidence = question.covariates, question.evidence
        self._measures = Measures(runs, resamples)
        self._calibration = CalibrationTables(runs, self._protocol, self._measures)
        self._effects: dict[tuple[str, EffectScale], Effects] = {}
        self._chosen: list[tuple[str, ...]] = []
        self.excluded: dict[str, str] = {}

    def effects(self, name: str, scale: EffectScale) -> Effects:
        """An effect of the protocol over its languages; computed once."""
        if (name, scale) not in self._effects:
            definition = self._protocol.effects[name]
            self._effects[name, scale] = self._measures.effects(definition, scale)
        return self._effects[name, scale]

    def _required(self, name: str, scale: EffectScale) -> Effects:
        effects = self.effects(name, scale)
        least, seeds = self._protocol.seeds.least, len(self._runs.seeds)
        if effects.missing:
            raise MissingError(f"missing: {'; '.join(effects.missing)}")
        if seeds < least:
            raise MissingError(
                f"{seeds} of at least {least} seeds: a seed moves all languages at once, and "
                "nothing would tell that from an effect"
            )
        return effects

    def _group(self, name: str | None, languages: Iterable[str]) -> frozenset[str]:
        """Those of some languages that are in a group; all without a group."""
        if name is None:
            return frozenset(languages)
        return frozenset(self._protocol.group(name, self._runs.benchmark.name)) & set(languages)

    # Estimates

    def sample(
        self,
        hypothesis: HypothesisDefinition,
        scale: EffectScale,
        chosen: Specification | None = None,
    ) -> Sample:
        """The languages of a slope's fit.

        Args:
            chosen: in place of the protocol's own choice.

        Raises:
            NotRunError: what is missing, or a covariate that is the same in every language.
        """
        effects = self._required(hypothesis.effect, scale)
        own = chosen or Specification(str(hypothesis.covariate), hypothesis.controls)
        if not self._varies(own.index):
            raise NotRunError(f"the covariate {own.index} is the same in every language")
        names = (own.index, *filter(self._varies, own.controls))
        for code, why in effects.lacking.items():
            self.excluded.setdefault(code, why)
        group = self._group(hypothesis.languages, effects.languages())
        rows: dict[str, list[float]] = {}
        for code in effects.languages():
            values = [self._covariates.of(name, code) for name in names]
            lacking = [value.source for value in values if value.z is None]
            if lacking and chosen is None:
                self.excluded.setdefault(code, lacking[0])
            inside = code in group or hypothesis.kind == "interaction"
            if not lacking and inside and code not in own.without:
                rows[code] = [value.z for value in values if value.z is not None]
        if not rows:
            raise NotRunError("no language has both the effect and its covariates")
        columns = [np.ones(len(rows)), *np.array(list(rows.values())).T]
        if hypothesis.kind == "interaction":
            member = np.array([float(code in group) for code in rows])
            columns += [member, member * columns[1]]
        column = len(columns) - 1 if hypothesis.kind == "interaction" else 1
        kin = [self._covariates.languages[code] for code in rows]
        return Sample(
            tuple(rows),
            tuple(one.genus for one in kin),
            tuple(one.family for one in kin),
            tuple(effects.mean(code) for code in rows),
            np.column_stack(columns),
            column,
        )

    def _varies(self, covariate: str) -> bool:
        """Whether languages differ in a covariate; of invented ones some are not known at all."""
        return covariate in self._covariates.values and self._covariates.varies(covariate)

    def _slope(self, hypothesis: HypothesisDefinition, scale: EffectScale) -> Estimated:
        sample, protocol = self.sample(hypothesis, scale), self._protocol
        values, delta, column = sample.values, hypothesis.delta, sample.column
        fit = sample.fit()
        bootstrap = WildBootstrap(
            sample.design,
            column,
            sample.genera,
            draws=protocol.draws,
            seed=protocol.seed,
        )
        by_seed, _ = bootstrap.fit(sample.seeds)
        families = protocol.robustness.leave_out == "family"
        groups = sample.families if families else sample.genera
        without = partial(leave_one_out, values, sample.design, column, groups)
        chance = Chance(np.sqrt(sample.variances + fit.between_languages**2), fit.between_genera)
        power = partial(
            slope_power,
            WildBootstrap(sample.design, column, sample.genera, draws=POWER_DRAWS),
            chance,
            _claim(hypothesis),
            _simulated(delta),
        )
        record = self._tested(bootstrap, values, hypothesis, scale).model_copy(
            update={
                "rank_correlation": partial_spearman(values, sample.design, column),
                "between_languages": fit.between_languages,
                "between_genera": fit.between_genera,
            }
        )
        profile = partial(
            likelihood_profile, values, sample.variances, sample.design, sample.genera
        )
        return Estimated(record, power, without, tuple(map(float, by_seed)), profile)

    def _tested(
        self, test: GenusTest, values: Array, hypothesis: HypothesisDefinition, scale: EffectScale
    ) -> FitRecord:
        """What a test that takes genera for units makes of the effects of languages."""
        found, delta = test.test(values), hypothesis.delta
        low, high = test.interval(values)
        above, below = test.test(values, -delta).p_greater, test.test(values, delta).p_less
        return FitRecord(
            scale=scale,
            estimate=found.estimate,
            standard_error=found.standard_error,
            low=low,
            high=high,
            p=found.p,
            p_bound=_bound(hypothesis, scale, above, below),
            languages=found.languages,
            genera=found.genera,
            seeds=len(self._runs.seeds),
        )

    def _mean(self, name: str, languages: str | None, scale: EffectScale) -> tuple[GroupMean, int]:
        """Mean of an effect over a named group, and over how many languages."""
        effects = self._required(name, scale)
        groups = [sorted(self._group(languages, measure)) for measure in effects.measures]
        if not all(groups):
            raise MissingError(f"no language of group {languages} was measured")
        for code in self._group(languages, effects.lacking):
            if not any(code in measure for measure in effects.measures):
                self.excluded.setdefault(code, effects.lacking[code])
        found: list[Effect] = []
        weights: list[float] = []
        for measure, codes in zip(effects.measures, groups, strict=True):
            found += [measure[code] for code in codes]
            # The mean is over the languages of each measure, then over the measures.
            weights += [1 / len(codes)] * len(codes)
        terms = np.average([one.terms for one in found], axis=0, weights=weights)
        draws = np.average([one.draws for one in found], axis=0, weights=weights)
        return group_mean(terms, draws), len(set().union(*groups))

    def _group_mean(self, hypothesis: HypothesisDefinition, scale: EffectScale) -> Estimated:
        mean, languages = self._mean(hypothesis.effect, hypothesis.languages, scale)
        estimate, delta = mean.estimate, hypothesis.delta
        low, high = estimate.interval
        above, below = estimate.p_above(-delta), estimate.p_below(delta)
        record = FitRecord(
            scale=scale,
            estimate=estimate.value,
            standard_error=estimate.standard_error,
            low=low,
            high=high,
            p=estimate.p,
            p_bound=_bound(hypothesis, scale, above, below),
            languages=languages,
            seeds=len(self._runs.seeds),
        )
        power = partial(mean_power, estimate, _claim(hypothesis), _simulated(delta))
        return Estimated(record, power)

    def _contrast(self, hypothesis: HypothesisDefinition, scale: EffectScale) -> Estimated:
        effects = self._required(hypothesis.effect, scale)
        codes = [code for code in effects.languages() if code in self._covariates.languages]
        group = self._group(hypothesis.languages, codes)
        genera = [self._covariates.languages[code].genus for code in codes]
        member = np.array([code in group for code in codes])
        values = np.array([effects.mean(code).value for code in codes])
        permuted = GenusContrast(
            member, genera, draws=self._protocol.draws, seed=self._protocol.seed
        )
        by_seed, _ = permuted.fit(np.array([effects.mean(code).seeds for code in codes]).T)
        record = self._tested(permuted, values, hypothesis, scale)
        errors = np.array([effects.mean(code).standard_error for code in codes])
        spread = float(np.std(values, ddof=1))
        # What is left between languages beyond their errors is not modelled here: all of their
        # spread counts as chance.
        chance = Chance(np.maximum(errors, spread), 0.0)
        power = partial(
            slope_power, permuted, chance, _claim(hypothesis), _simulated(hypothesis.delta)
        )
        return Estimated(record, power, seeds=tuple(map(float, by_seed)))

    def estimate(self, hypothesis: HypothesisDefinition, scale: EffectScale) -> Estimated:
        """What a hypothesis is about, in one scale of effect.

        Raises:
            NotRunError: what it cannot be had without.
        """
        kinds = {
            "slope": self._slope,
            "interaction": self._slope,
            "group": self._group_mean,
            "contrast": self._contrast,
        }
        with _statistics():
            return kinds[hypothesis.kind](hypothesis, scale)

    # Findings

    def judge(self) -> list[HypothesisRecord]:
        """Every hypothesis, primary ones corrected for one another."""
        estimated: dict[str, list[Estimated]] = {}
        without: dict[str, Mapping[str, float]] = {}
        reasons: dict[str, NotRunError] = {}
        for one in self._protocol.hypotheses:
            try:
                every = [self.estimate(one, scale) for scale in one.scales]
                with _statistics():
                    without[one.id] = every[0].without()
                estimated[one.id] = every
            except NotRunError as why:
                reasons[one.id] = why
        corrected = self._corrected(estimated)
        return [
            self._not_run(one, reasons[one.id])
            if one.id in reasons
            else self._judged(one, estimated[one.id], corrected[one.id], without[one.id])
            for one in self._protocol.hypotheses
        ]

    def _corrected(
        self, estimated: Mapping[str, Sequence[Estimated]]
    ) -> dict[str, list[FitRecord]]:
        """Fits with their p-values corrected: of primary hypotheses by Holm, else by rate.

        Those that were not run count as well: what is missing must not make the others easier.
        """
        fits = {name: [one.record for one in every] for name, every in estimated.items()}
        most = max((len(every) for every in fits.values()), default=0)
        for primary, place in product((True, False), range(most)):
            asked = [one for one in self._protocol.hypotheses if one.primary is primary]
            known = [one for one in asked if len(fits.get(one.id, ())) > place]
            chances = [primary_p(one.direction, fits[one.id][place]) for one in known]
            padded = [*chances, *([1.0] * (len(asked) - len(known)))]
            corrected = holm(padded) if primary else benjamini_hochberg(padded)
            for one, p in zip(known, corrected, strict=False):
                fits[one.id][place] = fits[one.id][place].model_copy(update={"p_corrected": p})
        return fits

    def _not_run(self, hypothesis: HypothesisDefinition, why: NotRunError) -> HypothesisRecord:
        # What invented languages have none of is not missing: of them nothing is asked.
        unasked = not self._evidence and not isinstance(why, MissingError)
        return HypothesisRecord(
            id=hypothesis.id,
            statement=hypothesis.statement,
            delta=hypothesis.delta,
            primary=hypothesis.primary,
            finding=Finding.NOT_EVALUATED if unasked else Finding.NOT_RUN,
            reason=f"{NOT_ASKED} ({why})" if unasked else str(why),
        )

    def _judged(
        self,
        hypothesis: HypothesisDefinition,
        estimated: Sequence[Estimated],
        fits: list[FitRecord],
        without: Mapping[str, float],
    ) -> HypothesisRecord:
        first = estimated[0]
        specified = self._specify(hypothesis) if hypothesis.covariate else []
        same = [math.copysign(1, one) == math.copysign(1, fits[0].estimate) for one in specified]
        share = sum(same) / len(same) if same else None
        least = self._protocol.robustness.same_sign
        robustness = Robustness(without, first.seeds or None, share, least)
        ruling = rule(_claim(hypothesis), fits, robustness)
        if not self._evidence:
            ruling = Ruling(Finding.NOT_EVALUATED, NOT_ASKED)
        return HypothesisRecord(
            id=hypothesis.id,
            statement=hypothesis.statement,
            delta=hypothesis.delta,
            primary=hypothesis.primary,
            finding=ruling.finding,
            reason=ruling.reason,
            fits=fits,
            without=dict(without),
            seeds=list(first.seeds),
            same_sign=share,
            specifications=len(specified),
            power=list(first.power()),
            profile=list(first.profile()),
        )

    def _specify(self, hypothesis: HypothesisDefinition) -> list[float]:
        """What other choices would have estimated, kept for the table of specifications.

        A choice whose covariate is not known of enough languages is none; nor is one that leaves
        out only languages that have no part in it anyway.
        """
        estimates = []
        fitted: set[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = set()
        for chosen, scale in product(self._choices(), hypothesis.scales):
            try:
                sample = self.sample(hypothesis, scale, chosen)
                # Of its tests only the fit is asked for, which needs no draws.
                test = WildBootstrap(sample.design, sample.column, sample.genera, draws=1)
            except (NotRunError, DataError):
                continue
            key = (scale, chosen.index, chosen.controls, sample.codes)
            if key in fitted:
                continue
            fitted.add(key)
            (estimate,), (error,) = test.fit(sample.values[None])
            estimates.append(float(estimate))
            held = "+".join(chosen.controls) or "none"
            numbers = (number_text(estimate), number_text(error), str(len(sample.codes)))
            line = (hypothesis.id, chosen.index, held, chosen.languages, scale, *numbers)
            self._chosen.append(line)
        return estimates

    def _choices(self) -> list[Specification]:
        """Every other choice, once: covariates in which no language differs are none."""
        robustness = self._protocol.robustness
        subsets = [("all", frozenset[str]())]
        for name in robustness.subsets:
            left_out = frozenset(self._protocol.group(name, self._runs.benchmark.name))
            subsets += [(f"without {name}", left_out)] if left_out else []
        every = product(robustness.indices, robustness.controls, subsets)
        chosen = [
            Specification(index, tuple(filter(self._varies, controls)), left_out, languages)
            for index, controls, (languages, left_out) in every
            if index not in controls
        ]
        return list(dict.fromkeys(chosen))

    def premise(self) -> PremiseRecord:
        """Whether what the question takes for granted was found, of each of its effects."""
        asked = self._protocol.premise
        found: list[tuple[Premise, str, GroupMean]] = []
        for name in asked.effects:
            try:
                mean, _ = self._mean(name, asked.languages, asked.scale)
            except (NotRunError, DataError) as why:
                reason = str(why) if isinstance(why, NotRunError) else f"{why.what}: {why.got}"
                return PremiseRecord(
                    statement=asked.statement, finding=Premise.NOT_RUN, reason=f"{name}: {reason}"
                )
            met, reason = premise(mean.estimate.value, *mean.estimate.interval)
            found.append((met, f"{name}: {reason}", mean))
        order = (Premise.NOT_MET, Premise.UNCLEAR, Premise.MET)
        met, _, mean = min(found, key=lambda one: order.index(one[0]))
        low, high = mean.estimate.interval
        return PremiseRecord(
            statement=asked.statement,
            finding=met,
            reason="; ".join(reason for _, reason, _ in found),
            estimate=mean.estimate.value,
            low=low,
            high=high,
        )

    def notes(self) -> Iterator[str]:
        """What is to be said of all of it."""
        planned, seeds = self._protocol.seeds.planned, len(self._runs.seeds)
        if seeds < planned:
            yield f"{seeds} of {planned} planned seeds: a seed moves all languages at once"
        for (name, _), effects in self._first_scales():
            for term, averaged in zip(self._some(name), effects.averaged, strict=True):
                left = [row for row in term if row not in averaged]
                if left and not effects.missing:
                    yield f"{name} is of {', '.join(averaged)}, without {', '.join(left)}"

        # Of invented languages no number is said.
        for found in self._calibration.matched() if self._evidence else ():
            if found.matched is not None:
                yield (
                    f"{found.effect} of {found.languages}: {found.matched:+.2f} points where "
                    f"accuracy is equal, {found.raw:+.2f} as it is"
                )

    def _some(self, name: str) -> list[tuple[str, ...]]:
        """Rows of the terms of an effect that takes those that were run."""
        return [term.rows for term in self._protocol.effects[name].terms if term.any]

    def _first_scales(self) -> Iterator[tuple[tuple[str, EffectScale], Effects]]:
        """Every effect that was looked at, once."""
        seen = set()
        for key, effects in self._effects.items():
            if key[0] not in seen:
                seen.add(key[0])
                yield key, effects

    # Tables

    def tables(self) -> dict[str, bytes]:
        """The tables beside the predictions; call it after everything was judged."""
        return {
            EFFECTS: table_bytes(EFFECTS_HEADER, self._effect_lines()),
            COVARIATES: table_bytes(COVARIATES_HEADER, self._covariates.lines(self._languages())),
            SPECIFICATIONS: table_bytes(SPECIFICATIONS_HEADER, self._chosen),
            **self._calibration.tables(),
        }

    def _languages(self) -> list[str]:
        measured = {
            code
            for effects in self._effects.values()
            for measure in effects.measures
            for code in measure
        }
        return [code for code in self._covariates.languages if code in measured]

    def _effect_lines(self) -> Iterator[tuple[str, ...]]:
        for (name, scale), effects in self._effects.items():
            columns = self._protocol.effects[name].measures
            for measure, own in zip(effects.measures, columns, strict=False):
                for code, effect in sorted(measure.items()):
                    kin = self._covariates.languages.get(code)
                    called = name if len(columns) == 1 else f"{name} {own[0]}"
                    yield (
                        called,
                        scale,
                        code,
                        kin.family if kin else "",
                        kin.genus if kin else "",
                        number_text(effect.value),
                        number_text(effect.standard_error),
                        number_text(effect.item_error),
                        number_text(effect.seed_sd),
                        number_text(effect.baseline),
                        " ".join(map(number_text, effect.seeds)),
                    )


def _claim(hypothesis: HypothesisDefinition) -> Hypothesis:
    return Hypothesis(hypothesis.direction, hypothesis.delta)


def _bound(
    hypothesis: HypothesisDefinition, scale: EffectScale, above: float, below: float
) -> float | None:
    """P-value of an effect of ``delta`` or more, which is a number on the first scale only."""
    if scale != hypothesis.scales[0]:
        return None
    return bound_p(hypothesis.direction, above, below)


def _simulated(delta: float) -> list[float]:
    return [delta * times for times in _SIMULATED]
