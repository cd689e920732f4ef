"""What a results file says of a study: premise, hypotheses, fits, power; all of it recomputable.

Beside the record, the results folder has three tables, whose headers stand here:

    {results}/study-000.paper/effects.csv         one line an effect, language and scale of effect
    {results}/study-000.paper/covariates.csv      one line a language: what the fits explain it by
    {results}/study-000.paper/specifications.csv  one line a specification of a hypothesis's fit

A study of probabilities has further ones (:mod:`stilts_artifact.studies.calibration_tables`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from stilts_artifact.domain.cells import Finding, Premise
from stilts_artifact.texts import visible

VisibleText = Annotated[str, AfterValidator(visible)]
"""In a document: a text that people are shown, whoever wrote it."""

EFFECTS = "effects.csv"
EFFECTS_HEADER = (
    "effect",
    "scale",
    "language",
    "family",
    "genus",
    "value",
    "standard_error",
    "item_error",
    "seed_sd",
    "baseline",
    "seeds",
)
"""``effect``: name in the protocol, such as ``gain``; ``scale``: of the effect, ``points`` or
``log-ratio`` or ``log-odds``; ``standard_error``: of the value, from items and seeds together;
``item_error``: from resampled items alone; ``seed_sd``: between runs; ``baseline``: points of the
row without the intervention, mean over seeds; ``seeds``: the value of each seed, in order, with
spaces between."""

COVARIATES = "covariates.csv"
COVARIATES_HEADER = ("language", "name", "family", "genus", "covariate", "value", "z", "source")
"""One line a language and covariate; ``value`` is empty where it is unknown or invalid, and
``source`` then says why."""

SPECIFICATIONS = "specifications.csv"
SPECIFICATIONS_HEADER = (
    "hypothesis",
    "index",
    "data",
    "languages",
    "scale",
    "coefficient",
    "standard_error",
    "n",
)
"""``index``: complexity measure; ``data``: how the amount of pre-training text is adjusted for;
``languages``: which are in; ``coefficient``: effect per standard deviation of the index."""


class Record(BaseModel):
    """A part of a results file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FitRecord(Record):
    """One estimate of what a hypothesis is about.

    Attributes:
        scale: of the effect: ``points``, ``log-ratio``, ``log-odds``.
        estimate: a slope per standard deviation of the covariate, or a mean or contrast.
        low, high: 95 % interval.
        p: two-sided, of no effect; ``p_corrected`` is it after Holm over the study's primary
            hypotheses, or after Benjamini and Hochberg over its exploratory ones.
        p_bound: one-sided, of an effect of at least the smallest one of interest, which is known
            on the first scale alone.
        rank_correlation: Spearman's, other covariates held equal; it is shown and decides nothing.
        languages, genera, seeds: how many are behind it.
        between_languages, between_genera: standard deviations left in languages and genera, where
            a model has them.
    """

    scale: VisibleText
    estimate: float
    standard_error: float
    low: float
    high: float
    p: float
    p_corrected: float | None = None
    p_bound: float | None = None
    rank_correlation: float | None = None
    languages: int
    genera: int | None = None
    seeds: int
    between_languages: float | None = None
    between_genera: float | None = None


class PowerRecord(Record):
    """How often the verdict rule would say what, with this study's own variances.

    Attributes:
        true: the effect that is simulated, in units of the hypothesis.
    """

    true: float
    supported: float
    not_supported: float
    inconclusive: float


class HypothesisRecord(Record):
    """The finding on one hypothesis, and everything it rests on.

    Attributes:
        statement: in words, with the smallest effect of interest.
        delta: that effect, in units of the estimate.
        primary: whether it counts for the study's finding; else it is exploratory.
        reason: which condition decided.
        fits: the first one in points decides; the others must agree.
        without: the estimate without each family (or group) of languages.
        seeds: the estimate at each seed alone.
        same_sign: share of the specifications whose estimate has the sign of the first fit's.
        specifications: how many there are.
        profile: how well the effects tell what is left between languages: pairs of that standard
            deviation and the restricted log-likelihood, less its maximum.
    """

    id: VisibleText
    statement: VisibleText
    delta: float
    primary: bool
    finding: Finding
    reason: VisibleText
    fits: list[FitRecord] = []
    without: dict[VisibleText, float] = {}
    seeds: list[float] = []
    same_sign: float | None = None
    specifications: int = 0
    profile: list[tuple[float, float]] = []
    power: list[PowerRecord] = []


class PremiseRecord(Record):
    """Whether what the question takes for granted was found, with the mean and its interval."""

    statement: VisibleText
    finding: Premise
    reason: VisibleText
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


class ValidationRecord(Record):
    """A known effect, planted in real predictions, and what the study made of it.

    Attributes:
        name: which hypothesis, in which scale, and what was planted.
        planted: the true effect; ``recovered``: mean of the estimates over ``repetitions``.
        spread: standard deviation of the estimates.
        allowed: how far the two may lie apart.
        passed: they lie no farther apart, and what was planted cannot be taken for nothing.
    """

    name: VisibleText
    planted: float
    recovered: float
    spread: float
    allowed: float
    repetitions: int
    passed: bool


class StudyRecord(Record):
    """The whole analysis of one study.

    Attributes:
        study: its number, such as ``000``.
        protocol: sha256 of the protocol that was followed.
        altered: whether that protocol is not the one that ships.
        excluded: languages that have no part in the fits, and why.
        notes: what is to be said of all of it, such as that a single seed moves all languages.
    """

    study: VisibleText
    protocol: VisibleText
    altered: bool
    finding: Finding
    premise: PremiseRecord
    hypotheses: list[HypothesisRecord]
    validations: list[ValidationRecord] = []
    excluded: dict[VisibleText, VisibleText] = {}
    notes: list[VisibleText] = []


def number_text(number: float) -> str:
    """A number in a table: ten digits."""
    return f"{number:.10g}"


def table_bytes(header: Sequence[str], lines: Iterable[Sequence[str]]) -> bytes:
    """A table as the bytes of its file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return out.getvalue().encode()
