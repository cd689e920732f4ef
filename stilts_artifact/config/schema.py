"""The fields of a scale file."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from stilts_artifact.benchmark.encoders import encoder_label
from stilts_artifact.benchmark.experiments import (
    CALIBRATION,
    EXPERIMENTS,
    STUDY_SEEDS,
    Experiment,
    Size,
    experiment_named,
)
from stilts_artifact.benchmark.tasks import ROWS
from stilts_artifact.config.load import known_scale
from stilts_artifact.domain.tasks import Role
from stilts_artifact.errors import unknown_name

SCALE_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
ScaleName = Annotated[str, StringConstraints(pattern=SCALE_NAME)]
"""Name of a scale: a part of file names and signatures."""

ShippedScale = Annotated[str, AfterValidator(known_scale)]
"""Name of a scale that ships."""

Positive = Annotated[int, Field(gt=0)]
Cap = Positive | None
"""Most rows; ``None`` for all there are."""
Rate = Annotated[float, Field(gt=0, lt=1)]
Dtype = Literal["bfloat16", "float32"]


_Named = TypeVar("_Named", int, str)


def _distinct(values: tuple[_Named, ...]) -> tuple[_Named, ...]:
    if len(set(values)) < len(values):
        raise ValueError("a value occurs twice")
    return values


def _calibrating(name: str) -> str:
    known = [one.name for one in EXPERIMENTS.values() if one.command == CALIBRATION]
    if name not in known:
        raise ValueError(f"unknown calibration {name!r}, expected {' or '.join(known)}")
    return name


Calibration = Annotated[str, AfterValidator(_calibrating)]
"""Name of an experiment that an encoder is calibrated on."""

Names = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_distinct)]
"""Distinct names, in their order."""


class Section(BaseModel):
    """What is written in full or refused: strict types, nothing unknown, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EncoderChoice(Section):
    """What phase (i) hands over.

    Attributes:
        name: of a repository on the Hugging Face hub; ``mini``, the encoder that ships with this
            package; or what a folder of somebody's own is called.
        revision: commit of the repository; ``None`` for the shipped one, which the package's
            version fixes; of a folder the sha256 of its weights.
        prefix: that the encoder was trained to have before every sentence that is embedded, such as
            ``"query: "``; only retrieval uses it.
        layers: how many of its layers, the first ones; ``None`` for all.
    """

    name: str
    revision: str | None
    prefix: str = ""
    layers: Positive | None = None

    @property
    def label(self) -> str:
        """How signatures call it."""
        return encoder_label(self.name, self.layers)


class Retrieval(Section):
    """How sentences are embedded and mined.

    Attributes:
        layer: index into ``hidden_states``, 0 being the embeddings.
        neighbours: k of the margin.
        engine: which library searches; ``auto`` takes what is fastest where it runs. Named where
            recorded values must not depend on that.
    """

    layer: Annotated[int, Field(ge=0)]
    pooling: Literal["mean", "cls"]
    max_length: Positive
    neighbours: Positive
    margin: Literal["ratio", "distance", "absolute"]
    engine: Literal["auto", "shared", "faiss", "faiss-gpu"]


class TaskTraining(Section):
    """How one task is trained.

    Attributes:
        batch: examples of an optimiser step, whatever the hardware.
        learning_rate: its peak.
        max_length: most tokens of an input.
        train_rows: most training examples.
    """

    epochs: Positive
    batch: Positive
    learning_rate: Rate
    max_length: Positive
    train_rows: Cap


class SharedTraining(Section):
    """What all training runs of a scale share: its section ``training``.

    Attributes:
        warmup: share of the steps over which the learning rate rises to its peak, from which it
            falls to zero at the end; both linearly.
        weight_decay: of matrices; biases and layer norms have none.
        epsilon: AdamW's.
        clip: most norm of a step's gradient.
        evaluate_every: optimiser steps; one more evaluation comes at the end.
        development_rows: the first ones of the English development set.
        patience: evaluations without a new best after which a run stops.
        dropout: of encoder and heads while they are trained; ``None`` for the encoder's own.
        length_pool: batches whose examples are sorted by length together; 1 is plain random order.
    """

    warmup: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    epsilon: Annotated[float, Field(gt=0)]
    clip: Annotated[float, Field(gt=0)]
    evaluate_every: Positive
    development_rows: Positive
    patience: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)] | None
    length_pool: Positive


class SeedlessTraining(SharedTraining):
    """Everything but tasks, encoder and seed that decides the result of one training run.

    It is part of the key of the run's step, where the seed is a parameter of its own.

    Attributes:
        learning_rate: its peak.
        dtype: of the arithmetic on a GPU; a CPU computes in float32.
        threads: of a CPU. Sums over another number of threads differ in their last bits.
    """

    learning_rate: Rate
    dtype: Dtype
    threads: Positive = 1

    def seeded(self, seed: int) -> TrainingConfig:
        """The same for one seed."""
        return TrainingConfig(seed=seed, **self.model_dump())


class TrainingConfig(SeedlessTraining):
    """The same with a seed, as it is handed to the training loop.

    Attributes:
        seed: of heads, order, dropout and masks.
    """

    seed: int


class Mixture(Section):
    """What several tasks trained together share.

    Attributes:
        cap: most examples of a task that count for its probability and its steps.
        cap_with_mlm: the same where masked language modelling goes on beside them.
        learning_rate: of all of them.
    """

    cap: Positive
    cap_with_mlm: Positive
    learning_rate: Rate


class MaskedLanguage(Section):
    """Masked language modelling that goes on in phase (ii).

    Attributes:
        probability: share of tokens to predict.
        learning_rate: of every run that it is part of.
        rows: most texts of each language.
    """

    probability: Rate
    learning_rate: Rate
    epochs: Positive
    batch: Positive
    max_length: Positive
    rows: Cap


def training_names(role: Role) -> tuple[str, ...]:
    """Names of the training numbers that the paper's tasks ask for, in their order.

    Tasks that only studies have are trained with the numbers of one of these.

    Example:
        >>> training_names(Role.TARGET)
        ('xnli', 'pawsx', 'udpos', 'panx', 'xquad', 'tydiqa')
    """
    names = (
        row.tuning
        for row in ROWS
        if (row.group is None) == (role is Role.INTERMEDIATE) and not row.study
    )
    return tuple(dict.fromkeys(name for name in names if name is not None))


TASK_SECTIONS = {"intermediate": Role.INTERMEDIATE, "targets": Role.TARGET}
"""Sections of a scale whose keys are the benchmark's."""


def _complete(role: Role) -> AfterValidator:
    """Refuses a section without the numbers of a task; unknown ones are refused in ``load``."""

    def check(section: dict[str, TaskTraining]) -> dict[str, TaskTraining]:
        missing = [name for name in training_names(role) if name not in section]
        if missing:
            raise ValueError(f"no numbers for {', '.join(missing)}")
        return section

    return AfterValidator(check)


class Scale(Section):
    """How large a run is, and what its result means.

    Attributes:
        name: the scale's name, part of every signature.
        benchmark: which benchmark it reads.
        expected: the folders of ``expected_results`` that it is compared with: of each experiment
            the first that has its values. None at a scale of somebody's own, of which nothing was
            published or recorded.
        evidence: whether a result says anything about the paper.
        meaning: that in words, printed beside every result.
        device: what trains: the processor's cores, a GPU, or a GPU where one answers.
        seeds: every trained cell is the median over them.
        dtype: of training and inference on a GPU; a CPU computes in float32.
        evaluation_rows: most examples of each language that are predicted and scored.
        intermediate, targets: how each task is trained, by the name that its row in the benchmark
            gives (MLQA is evaluated with XQuAD's model).
        checkpoint_every: optimiser steps between the checkpoints of a training run; no influence on
            any result, and therefore in no step's key.
        calibration: which experiment ``--calibration`` means: published scores of the encoder as it
            is, or of the encoder trained on English; a scale that extends another has none of its.
        extends: the scale that ships of which this one is a variation.
        study_seeds: how many of its planned seeds a study takes, if nobody asks for another number.
        threads: of a CPU that every step computes on: as many as there are cores where steps are
            few, so that none of them waits for one.
        languages: the only ones that are evaluated; ``None`` for all that the benchmark has.
        own_data: names of somebody's own files that stand in for the benchmark's.
        smaller: a smaller encoder, for the rows of studies that ask what size does; ``None`` where
            the scale has none.
        single_files: whether splits of which some files are known one by one are of these alone.
        keep_models: which trained models stay in the store once nothing needs them, if nobody asks
            for others; no influence on any result.
    """

    name: ScaleName
    benchmark: Literal["mini", "xtreme", "family"]
    expected: Names
    evidence: bool
    meaning: str
    encoder: EncoderChoice
    device: Literal["cpu", "any", "gpu"]
    # YAML has lists only, and strict pydantic refuses a list for a tuple.
    seeds: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=0, lt=2**32)], ...],
        Field(strict=False, min_length=1),
        AfterValidator(_distinct),
    ]
    dtype: Dtype
    evaluation_rows: Cap
    retrieval: Retrieval
    checkpoint_every: Positive
    training: SharedTraining
    mixture: Mixture
    mlm: MaskedLanguage
    intermediate: Annotated[dict[str, TaskTraining], _complete(Role.INTERMEDIATE)]
    targets: Annotated[dict[str, TaskTraining], _complete(Role.TARGET)]
    calibration: Calibration = "calibration"
    extends: ShippedScale | None = None
    study_seeds: Positive = len(STUDY_SEEDS)
    threads: Positive = 1
    languages: Annotated[Names, Field(min_length=1)] | None = None
    own_data: Names = ()
    single_files: bool = False
    smaller: EncoderChoice | None = None
    keep_models: Literal["all", "encoders", "none"] = "none"

    @property
    def stamp(self) -> str:
        """The line that captions every table of this scale."""
        return f"{self.name}: {self.meaning}"

    def encoder_of(self, size: Size) -> EncoderChoice | None:
        """What phase (i) hands over to the rows that start from an encoder of this size."""
        return self.encoder if size == "own" else self.smaller

    def meant(self, experiment: Experiment) -> Experiment:
        """What was asked for at this scale: a calibration is the scale's own."""
        if experiment.command == CALIBRATION:
            return experiment_named(self.calibration)
        return experiment

    def within(self, experiment: Experiment) -> Scale:
        """The scale as an experiment takes it: without caps where it is of all data."""
        if not experiment.whole:
            return self
        targets = {
            name: numbers.model_copy(update={"train_rows": None})
            for name, numbers in self.targets.items()
        }
        return self.model_copy(update={"evaluation_rows": None, "targets": targets})

    def tuning(self, name: str) -> TaskTraining:
        """How the tasks are trained that name these numbers.

        Raises:
            ConfigError: there are none of this name.
        """
        known = {**self.intermediate, **self.targets}
        if name not in known:
            raise unknown_name("trained task", name, known)
        return known[name]

    def training_config(self, seed: int, learning_rate: float) -> TrainingConfig:
        """The settings of one training run."""
        return self.seedless_training(learning_rate).seeded(seed)

    def seedless_training(self, learning_rate: float) -> SeedlessTraining:
        """The settings that the runs of all seeds share."""
        shared = self.training.model_dump()
        return SeedlessTraining(
            learning_rate=learning_rate, dtype=self.dtype, threads=self.threads, **shared
        )

    def learning_rate(self, tasks: tuple[str, ...], mlm: bool) -> float:
        """Peak learning rate of an intermediate run on these tasks.

        Args:
            mlm: masked language modelling is among them.
        """
        if mlm:
            return self.mlm.learning_rate
        return (
            self.tuning(tasks[0]).learning_rate if len(tasks) == 1 else self.mixture.learning_rate
        )

    def cap(self, tasks: tuple[str, ...], mlm: bool) -> int | None:
        """Size cap of an intermediate run on these tasks; a run on one task alone has none."""
        if len(tasks) + mlm < 2:
            return None
        return self.mixture.cap_with_mlm if mlm else self.mixture.cap
