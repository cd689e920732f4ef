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
