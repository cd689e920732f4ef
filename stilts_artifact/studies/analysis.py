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

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stilts_artifact.domain.cells import Finding, Premise
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.randomisation import holm
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.covariates import INDICES, Covariates
from stilts_artifact.studies.effects import Effect, Effects, Measures, Runs
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
    PremiseRecord,
    StudyRecord,
    ValidationRecord,
)
from stilts_artifact.studies.regression import WildBootstrap, meta_regression


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
    study = _Study(question, runs)
    judged = study.judged()
    premise = study.premise()
    validations: list[ValidationRecord] = []
    record = StudyRecord(
        study=question.protocol.study,
        protocol=question.sha256,
        altered=question.altered,
        finding=joint_finding(judged),
        premise=premise,
        hypotheses=judged,
        validations=validations,
        excluded=study.excluded,
        notes=list(study.notes()),
    )
    return Analysis(record, study.tables())


def joint_finding(hypotheses: Sequence[HypothesisRecord]) -> Finding:
    """The finding of a study: of the primary hypotheses the one that is most open, or the first."""
    findings = [one.finding for one in hypotheses if one.primary]
    for open_one in (Finding.NOT_RUN, Finding.INCONCLUSIVE):
        if open_one in findings:
            return open_one
    return findings[0]


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


class _NotRun(Exception):
    """What a hypothesis cannot be judged without, in words."""


class _Study:
    """One study's runs under its protocol."""

    def __init__(self, question: Question, runs: Runs, resamples: int) -> None:
        self._question, self._runs = question, runs
        self._protocol, self._covariates = question.protocol, question.covariates
        self._measures = Measures(runs, resamples)
        self._effects: dict[tuple[str, EffectScale], Effects] = {}
        self.excluded: dict[str, str] = {}

    def effects(self, name: str, scale: EffectScale) -> Effects:
        """An effect of the protocol over its languages; computed once."""
        if (name, scale) not in self._effects:
            definition = self._protocol.effects[name]
            self._effects[name, scale] = self._measures.effects(definition, scale)
        return self._effects[name, scale]

    def required(self, name: str, scale: EffectScale) -> Effects:
        """The same.

        Raises:
            _NotRun: rows, columns or seeds are missing.
        """
        effects = self.effects(name, scale)
        least, seeds = self._protocol.seeds.least, len(self._runs.seeds)
        if effects.missing:
            raise _NotRun(f"missing: {'; '.join(effects.missing)}")
        if seeds < least:
            raise _NotRun(
                f"{seeds} of at least {least} seeds: one seed moves all languages at once, and "
                "nothing here would tell that from an effect"
            )
        return effects

    def group(self, name: str) -> frozenset[str]:
        """Languages of a group."""
        return frozenset(self._protocol.group(name, self._runs.benchmark.name))

    def sample(
        self,
        hypothesis: HypothesisDefinition,
        scale: EffectScale,
        specification: Specification | None = None,
    ) -> Sample:
        """The languages of a slope's fit.

        Args:
            specification: in place of the protocol's own choices.

        Raises:
            _NotRun: what is missing, or a covariate that is the same in every language.
        """
        effects = self.required(hypothesis.effect, scale)
        chosen = specification or Specification(str(hypothesis.covariate), hypothesis.controls)
        if not self._covariates.varies(chosen.index):
            raise _NotRun(f"no {chosen.index}: {self._why_constant(chosen.index)}")
        controls = [name for name in chosen.controls if self._covariates.varies(name)]
        own = None if hypothesis.languages is None else self.group(hypothesis.languages)
        codes, rows = [], []
        for code in effects.languages():
            found = {name: self._covariates.of(name, code) for name in (chosen.index, *controls)}
            lacking = [value.source for value in found.values() if value.z is None]
            if lacking and specification is None:
                self.excluded.setdefault(code, lacking[0])
            inside = own is None or code in own or hypothesis.kind == "interaction"
            if not lacking and inside and code not in chosen.without:
                codes.append(code)
                rows.append([value.z for value in found.values()])
        if not codes:
            raise _NotRun("no language has both the effect and its covariates")
        values = np.array(rows, dtype=np.float64)
        design = np.column_stack([np.ones(len(codes)), values])
        column = 1
        if hypothesis.kind == "interaction":
            member = np.array([code in (own or ()) for code in codes], dtype=np.float64)
            design = np.column_stack([design, member, member * values[:, 0]])
            column = design.shape[1] - 1
        kin = [self._covariates.languages[code] for code in codes]
        return Sample(
            tuple(codes),
            tuple(one.genus for one in kin),
            tuple(one.family for one in kin),
            tuple(effects.mean(code) for code in codes),
            design,
            column,
        )

    def _why_constant(self, covariate: str) -> str:
        return next(
            (value.source for value in self._covariates.values[covariate].values()), "unknown"
        )

    def slope(self, hypothesis: HypothesisDefinition, scale: EffectScale) -> Estimated:
        """A slope, or an interaction, in one scale of effect.

        Raises:
            _NotRun: as :meth:`sample`, or too few genera.
        """
        sample, protocol = self.sample(hypothesis, scale), self._protocol
        values, delta = sample.values, hypothesis.delta
        with _told():
            bootstrap, fit = _bootstrap(sample, draws=protocol.draws, seed=protocol.seed)
            test = bootstrap.test(values)
            low, high = bootstrap.interval(values)
            above, below = bootstrap.test(values, -delta), bootstrap.test(values, delta)
            groups = sample.families if self._leaves_families else sample.genera
            without = leave_one_out(groups, lambda kept: _estimate(sample.only(kept)))
        by_seed, _ = bootstrap.fit(np.array([effect.seeds for effect in sample.effects]).T)
        record = FitRecord(
            scale=scale,
            estimate=test.estimate,
            standard_error=test.standard_error,
            low=low,
            high=high,
            p=test.p,
            p_bound=bound(hypothesis.direction, above=above.p_greater, below=below.p_less),
            languages=test.languages,
            genera=test.genera,
            seeds=len(self._runs.seeds),
            between_languages=fit.between_languages,
            between_genera=fit.between_genera,
        )
        return Estimated(record, tuple(map(float, by_seed)), without, sample)

    @property
    def _leaves_families(self) -> bool:
        return self._protocol.robustness.leave_out == "family"

    def group_mean(self, hypothesis: HypothesisDefinition, scale: EffectScale) -> Estimated:
        """The mean over a named group, whose languages are fixed.

        Raises:
            _NotRun: rows, seeds, or all of the group's languages are missing.
        """
        effects = self.required(hypothesis.effect, scale)
        chosen = [
            [measure[code] for code in sorted(measure) if self._is_in(code, hypothesis.languages)]
            for measure in effects.measures
        ]
        if not all(chosen):
            raise _NotRun(f"no language of {hypothesis.languages} in one of the columns")

        def mean(parts: Callable[[Effect], Array]) -> Array:
            """Over the languages of each measure, then over the measures."""
            found: Array = np.mean(
                [np.mean([parts(one) for one in own], axis=0) for own in chosen], axis=0
            )
            return found

        test = group_test(mean(lambda one: one.terms), mean(lambda one: one.draws))
        return Estimated()

    def _is_in(self, code: str, group: str | None) -> bool:
        return group is None or code in self.group(group)

    def specifications(
        self, hypothesis: HypothesisDefinition
    ) -> Iterator[tuple[Specification, EffectScale, float, float, int]]:
        """What every other choice would have estimated: specification, scale, estimate, error, n.

        A choice without a covariate that varies, or with too few languages, is none.
        """
        robustness = self._protocol.robustness
        subsets = [(frozenset[str](), "all")]
        subsets += [(self.group(name), f"without {name}") for name in robustness.subsets]
        own = hypothesis.covariate
        indices = [own] if own not in robustness.indices else robustness.indices
        for index in indices:
            for controls in robustness.controls:
                for without, languages in subsets:
                    chosen = Specification(str(index), controls, without, languages)
                    for scale in hypothesis.scales:
                        try:
                            sample = self.sample(hypothesis, scale, chosen)
                            estimate, error = _fitted(sample)
                        except (_NotRun, DataError):
                            continue
                        yield chosen, scale, estimate, error, len(sample.codes)
