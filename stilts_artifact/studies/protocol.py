"""The protocol of a study: what is asked, of which rows and languages, and every threshold.

A protocol is data (``expected_results/studies/000.yaml``), fixed before any result. What its words
mean is code: effects in :mod:`stilts_artifact.studies.effects`, kinds of hypotheses in
:mod:`stilts_artifact.studies.analysis`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from stilts_artifact.documents import parse_yaml
from stilts_artifact.errors import ConfigError
from stilts_artifact.studies.confidence import CONFIDENCE_METRICS, ConfidenceMetric
from stilts_artifact.studies.covariates import CONTROLS, INDICES
from stilts_artifact.texts import visible

Text = Annotated[str, AfterValidator(visible)]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
EffectScale = Literal["points", "log-ratio", "log-odds"]
"""Differences of points, of their logarithms, or of the log-odds of accuracies."""
FormMetric = Literal[
    "score", "accuracy", "f1", "precision", "recall", "exact_match", "centred", "reduced"
]
"""Of predictions; ``score`` is the one number of whatever task it is."""
Metric = Literal[FormMetric, ConfidenceMetric]
Direction = Literal["less", "greater", "different", "equivalent"]
Kind = Literal["slope", "interaction", "group", "contrast"]
Level = Literal["family", "genus"]


class Part(BaseModel):
    """A part of a protocol: strict types, nothing unknown, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Term(Part):
    """Some rows of an effect, averaged.

    Attributes:
        weight: of their mean in the effect.
        any: whether those that were run will do; which they were is said with the finding.
    """

    rows: Names
    weight: Literal[1, -1] = 1
    any: bool = False


class EffectDefinition(Part):
    """A weighted sum of rows, in each language.

    Attributes:
        measures: each a list of columns over whose languages it is one measure; with more than one,
            what is said of a group of languages is the mean over the measures.
        metric: of the columns' tasks.
        terms: rows, averaged, with their weights.
    """

    measures: Annotated[tuple[Names, ...], Field(strict=False, min_length=1)]
    metric: Metric = "score"
    terms: Annotated[tuple[Term, ...], Field(strict=False, min_length=1)]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in order."""
        return tuple(column for measure in self.measures for column in measure)

    @property
    def rows(self) -> tuple[str, ...]:
        """All rows, in order."""
        return tuple(dict.fromkeys(row for term in self.terms for row in term.rows))


class PremiseDefinition(Part):
    """What the question takes for granted: that the mean of an effect is above 0.

    Attributes:
        statement: in words.
        effects: of each of which it must be true, such as raw and centred scores.
        scale: of the effects.
        languages: name of a group; ``None`` for all but the source language.
    """

    statement: Text
    effects: Names
    scale: EffectScale
    languages: str | None = None


class HypothesisDefinition(Part):
    """A hypothesis.

    Attributes:
        statement: in words.
        kind: a slope on a covariate; the difference of that slope between a group and the rest
            (interaction); the mean over a named group, whose languages are fixed; or the difference
            of the means of a group's genera and the others' (contrast).
        languages: name of a group; ``None`` for all but the source language.
        direction: of what is claimed, against ``delta``.
        delta: smallest effect of interest, in the effect's first scale (per standard deviation of
            the covariate, if there is one).
        scales: of the effect; the first one decides, the others must agree.
        covariate: of a slope.
        controls: covariates that are held equal.
        primary: whether it is one of those that the finding rests on, and Holm corrects for.
    """

    id: str
    statement: Text
    kind: Kind
    effect: str
    languages: str | None = None
    direction: Direction
    delta: Annotated[float, Field(gt=0)]
    scales: Annotated[tuple[EffectScale, ...], Field(strict=False, min_length=1)]
    covariate: str | None = None
    controls: Annotated[tuple[str, ...], Field(strict=False)] = ()
    primary: bool = True

    @model_validator(mode="after")
    def _covariate_where_needed(self) -> HypothesisDefinition:
        if (self.covariate is None) == (self.kind in ("slope", "interaction")):
            raise ValueError("a slope has a covariate, a mean has none")
        if self.kind in ("interaction", "contrast") and self.languages is None:
            raise ValueError("a group that others are held against has a name")
        return self


class Robustness(Part):
    """When an estimate is not an accident of one choice.

    Attributes:
        leave_out: each of these groups is left out once, and the sign must stay.
        same_sign: smallest share of the specifications with the estimate's sign.
        indices: measures of complexity that a specification takes.
        controls: sets of covariates that a specification holds equal.
        subsets: names of groups that a specification leaves out.
    """

    leave_out: Level
    same_sign: Annotated[float, Field(gt=0.5, le=1)]
    indices: Names
    controls: Annotated[
        tuple[Annotated[tuple[str, ...], Field(strict=False)], ...], Field(strict=False)
    ]
    subsets: Annotated[tuple[str, ...], Field(strict=False)] = ()


class Seeds(Part):
    """How many training runs of a row: planned, and at least."""

    planned: Annotated[int, Field(ge=1)]
    least: Annotated[int, Field(ge=1)]


class Protocol(Part):
    """A whole protocol.

    Attributes:
        study: its number.
        groups: name -> benchmark -> codes of languages.
        effects: name -> what it is.
        draws: of the wild cluster bootstrap.
        seed: of everything that is drawn.
    """

    study: str
    title: Text
    question: Text
    premise: PremiseDefinition
    groups: Mapping[str, Mapping[str, Annotated[tuple[str, ...], Field(strict=False)]]] = {}
    effects: Mapping[str, EffectDefinition]
    hypotheses: Annotated[tuple[HypothesisDefinition, ...], Field(strict=False, min_length=1)]
    robustness: Robustness
    seeds: Seeds
    draws: Annotated[int, Field(ge=99)]
    seed: int

    @model_validator(mode="after")
    def _names_are_known(self) -> Protocol:
        effects = [*self.premise.effects, *(one.effect for one in self.hypotheses)]
        groups = [self.premise.languages, *(one.languages for one in self.hypotheses)]
        for name in effects:
            if name not in self.effects:
                raise ValueError(f"no effect {name!r}")
        asked = [name for one in self.hypotheses for name in (one.covariate, *one.controls)]
        own = self.robustness
        for covariate in (*asked, *own.indices, *(name for held in own.controls for name in held)):
            if covariate is not None and covariate not in (*INDICES, *CONTROLS):
                raise ValueError(f"no covariate {covariate!r}")
        for group in (*groups, *self.robustness.subsets):
            if group is not None and group not in self.groups:
                raise ValueError(f"no group {group!r}")
        scaled = [(name, self.premise.scale) for name in self.premise.effects]
        scaled += [(one.effect, scale) for one in self.hypotheses for scale in one.scales]
        for name, scale in scaled:
            metric = self.effects[name].metric
            if metric in CONFIDENCE_METRICS and scale != "points":
                raise ValueError(f"{metric} may be below 0: it has no {scale}")
        if sum(one.primary for one in self.hypotheses) > 3:
            raise ValueError("more than three primary hypotheses")
        return self

    def group(self, name: str, benchmark: str) -> tuple[str, ...]:
        """Codes of a group's languages in a benchmark; none where it has none there."""
        return self.groups[name].get(benchmark, ())


def parse_protocol(data: bytes, where: str) -> Protocol:
    """A protocol from the bytes of its file.

    Raises:
        DataError: not strict YAML.
        ConfigError: an unknown or missing key, or a value of the wrong type or out of its range.
    """
    content = parse_yaml(data, where)
    try:
        return Protocol.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            "not the protocol of a study", where=f"{where}: {place}", got=first["msg"]
        ) from error
