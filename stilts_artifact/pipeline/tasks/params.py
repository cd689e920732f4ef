"""What each kind of step is told: its parameters, typed, defined here and nowhere else.

Whoever plans a step builds one of these, and the worker that makes it builds the same one again
from the plain JSON that travelled. All of it decides the result, so all of it is in the step's key;
what cannot change a result (where data lie, how often checkpoints are written) is not here but in
the :class:`~stilts_artifact.pipeline.job.Context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from stilts_artifact.config.schema import (
    Cap,
    Dtype,
    Positive,
    Rate,
    Retrieval,
    Section,
    SeedlessTraining,
)
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.pipeline.step import Step, canonical

_FAULTS = {
    "extra_forbidden": "unknown parameter of a step",
    "missing": "missing parameter of a step",
}


class Params(Section):
    """Parameters of one kind of step."""

    kind: ClassVar[str]

    def step(self, inputs: Mapping[str, Step] | None = None) -> Step:
        """The step with these parameters, reading these inputs."""
        return Step(self.kind, self.model_dump(mode="json"), inputs or {})

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """The parameters of a step of this kind, from the plain JSON that it was keyed by.

        Raises:
            ConfigError: a parameter is unknown, missing, or not what this version of the package
                takes: the step was planned by another one.
        """
        try:
            # Through its text: only of JSON does a strict model know that a list may be a tuple.
            return cls.model_validate_json(canonical(params))
        except ValidationError as error:
            # An unknown name comes first: the right one is missing too, and that is lesser news.
            first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
            place = ".".join(map(str, first["loc"]))
            raise ConfigError(
                _FAULTS.get(first["type"], "wrong parameter of a step"),
                where=f"step {cls.kind!r}, params.{place}",
                got=first["msg"],
                expected=f"parameters {', '.join(cls.model_fields)}",
                fix="let planner and workers run the same version of this package",
            ) from error


class EncoderParams(Params):
    """Phase (i): the encoder that is downloaded or ships.

    Attributes:
        revision: commit of the repository, or the sha256 of the weights that ship.
        files: name -> sha256 of every file that decides what it computes, as far as they are known
            beforehand: a name and a commit alone would let any folder stand for the encoder.
        layers: that are kept of it, the first ones; ``None`` for all.
    """

    kind = "encoder"
    name: str
    revision: str
    files: dict[str, str]
    layers: Positive | None


class BenchmarkParams(Params):
    """What every step is told that reads the benchmark's tables."""

    benchmark: str


class TaskParams(BenchmarkParams):
    """The same for one split of a task."""

    task: str
    split: Split


class SourceParams(BenchmarkParams):
    """What every step is told that reads upstream files.

    Attributes:
        rows: most examples of each language; ``None`` for all there are.
        sources: source name -> sha256 of the bytes that the step was planned with.
        own_data: those of the sources that are somebody's own, in the benchmark's place.
        single_files: those of the sources whose splits in many files are of those alone that are
            known one by one.
    """

    languages: tuple[str, ...]
    rows: Cap
    sources: dict[str, str]
    own_data: tuple[str, ...]
    single_files: tuple[str, ...]


class SplitParams(SourceParams, TaskParams):
    """The same for those of one split of a task."""


class PrepareParams(SplitParams):
    """Features of one split of a task.

    Attributes:
        max_length: most tokens of an input.
    """

    kind = "prepare"
    max_length: Positive


class TextParams(SourceParams):
    """Inputs for masked language modelling.

    Attributes:
        text: name of the collection.
        max_length: most tokens of an input.
    """

    kind = "text"
    text: str
    max_length: Positive


class LabelsParams(SplitParams):
    """Gold labels of one split of a target."""

    kind = "labels"


class Schedule(Section):
    """How long a task is trained.

    Attributes:
        batch: examples of an optimiser step, whatever the hardware.
    """

    epochs: Positive
    batch: Positive


class TaskSchedule(Schedule):
    """The same for one task of phase (ii).

    Attributes:
        cap: most examples that count for its probability and its steps in a mixture.
    """

    cap: Cap


class TextSchedule(TaskSchedule):
    """The same for masked language modelling.

    Attributes:
        probability: share of tokens to predict.
        matched: how the task is trained whose optimiser steps and tokens are taken in place of the
            epochs; ``None`` without one.
    """

    probability: Rate
    matched: Schedule | None


class IntermediateParams(Params):
    """Phase (ii).

    Attributes:
        tasks: task name -> how it is trained; their order changes nothing.
        mlm: ``None`` without masked language modelling.
        language: of the training data.
        seed: not within ``training``, so that a step's label shows it.
    """

    kind = "intermediate"
    tasks: dict[str, TaskSchedule]
    mlm: TextSchedule | None
    language: str
    seed: int
    training: SeedlessTraining


class TargetParams(Params):
    """Phase (iii): fine-tuning.

    Attributes:
        seed: not within ``training``, so that a step's label shows it.
    """

    kind = "target"
    task: str
    seed: int
    schedule: Schedule
    training: SeedlessTraining


class PredictParams(TaskParams):
    """Phase (iii): predictions in every language that was prepared.

    Attributes:
        dtype: of the arithmetic on a GPU; a CPU computes in float32.
        threads: of a CPU.
    """

    kind = "predict"
    dtype: Dtype
    threads: Positive


class ProbabilitiesParams(TaskParams):
    """Phase (iii): the probability of every label, and predictions that follow from it.

    Always in float32: in bfloat16 a logit has two or three digits.

    Attributes:
        threads: of a CPU.
    """

    kind = "probabilities"
    threads: Positive


class RetrievalOptions(Retrieval):
    """What a retrieval score means: a scale's section, and what a run adds to it.

    Attributes:
        dtype: of the arithmetic on a GPU; a CPU computes in float32.
        center: whether the languages' means are aligned before mining.
        prefix: text before every sentence.
        threads: of a CPU.
    """

    dtype: Dtype
    center: bool = False
    prefix: str = ""
    threads: Positive = 1


class RetrieveParams(SplitParams):
    """Retrieval with an encoder as it is."""

    kind = "retrieve"
    options: RetrievalOptions


class AlignParams(SplitParams):
    """Alignment of languages in an encoder as it is: of its options, pooling, margin and layer."""

    kind = "align"
    options: RetrievalOptions
