"""The steps behind the experiments: what is trained on what, what it predicts, from which bytes.

Pure data: building it reads no file. Two rows that need the same thing name the same step, so it is
done once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stilts_artifact.benchmark.experiments import (
    Experiment,
    Row,
    Size,
    selection_task,
    training_task,
)
from stilts_artifact.config.schema import Scale, TaskTraining
from stilts_artifact.domain.tasks import Benchmark, Part, Split, Task, TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.session import Session
from stilts_artifact.forms import form_of
from stilts_artifact.forms.labels import evaluated_rows
from stilts_artifact.forms.provenance import evaluation_parts, label_parts, training_parts
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.pipeline.step import Step
from stilts_artifact.pipeline.tasks.params import (
    AlignParams,
    EncoderParams,
    IntermediateParams,
    LabelsParams,
    PredictParams,
    PrepareParams,
    ProbabilitiesParams,
    RetrievalOptions,
    RetrieveParams,
    Schedule,
    TargetParams,
    TaskSchedule,
    TextParams,
    TextSchedule,
)


@dataclass(frozen=True, slots=True)
class StepBuilder:
    """All steps of one scale.

    Args:
        phase_one: the encoder of phase (i).
        smaller: the one of rows that start from a smaller encoder; ``None`` where there is none,
            and such rows have no steps.
        pins: source name -> sha256 of its bytes. Where a source is absent, the steps that read it
            cannot be built: see :meth:`parts`.
    """

    benchmark: Benchmark
    scale: Scale
    phase_one: PhaseOne
    pins: Mapping[str, str]
    smaller: PhaseOne | None = None

    @classmethod
    def of(cls, session: Session) -> StepBuilder:
        """From what is on this machine; the encoder of phase (i) need not be."""
        pins = session.library.pins()
        return cls(session.benchmark, session.scale, session.encoder, pins, session.smaller)

    def origin(self, size: Size = "own") -> PhaseOne | None:
        """The encoder that rows of a size start from, if there is one."""
        return self.phase_one if size == "own" else self.smaller

    def encoder(self, size: Size = "own") -> Step:
        """Phase (i).

        Raises:
            ConfigError: there is no encoder of this size.
        """
        encoder = self.origin(size)
        if encoder is None:
            raise ConfigError(f"scale {self.scale.name} has no {size} encoder")
        return EncoderParams(
            name=encoder.name,
            revision=encoder.revision,
            files=dict(encoder.files),
            layers=encoder.layers,
        ).step()

    def intermediate(self, row: Row, seed: int) -> Step:
        """Phase (ii): the encoder of a row; that of phase (i) for the row without a task."""
        if not row.is_trained:
            return self.encoder(row.encoder)
        inputs = {"encoder": self.encoder(row.encoder)}
        source_language = self.benchmark.source_language
        for task in row.tasks:
            train = self._prepared(task, Split.TRAIN, (row.language,), row.encoder)
            inputs[f"train:{task}"] = train
            if (Split.DEV, source_language) in self.benchmark.tasks[task].parts:
                dev = self._prepared(task, Split.DEV, (source_language,), row.encoder)
                inputs[f"dev:{task}"] = dev
        if row.text is not None:
            inputs["text"] = self._text(row.text, row.encoder)
        if row.matched is not None:
            train = self._prepared(row.matched, Split.TRAIN, (source_language,), row.encoder)
            inputs["matched"] = train
        return self._intermediate_params(row, seed).step(inputs)

    def target(self, row: Row, seed: int, task: Task) -> Step:
        """Phase (iii), training: a row's encoder fine-tuned on a target, in the source language."""
        name = training_task(task, self.benchmark) or task.name
        source_language = (self.benchmark.source_language,)
        inputs = {
            "encoder": self.intermediate(row, seed),
            "train": self._prepared(name, Split.TRAIN, source_language, row.encoder),
        }
        selection = selection_task(task, self.benchmark)
        if selection is not None:
            inputs["dev"] = self._prepared(selection, Split.DEV, source_language, row.encoder)
        tuning = self.tuning(name)
        params = TargetParams(
            task=name,
            seed=seed,
            schedule=Schedule(epochs=tuning.epochs * row.target_epochs, batch=tuning.batch),
            training=self.scale.seedless_training(tuning.learning_rate),
        )
        return params.step(inputs)

    def predictions(
        self, row: Row, seed: int, task: Task, experiment: Experiment, languages: Sequence[str]
    ) -> Step:
        """A row's predictions for a target, in some of its languages."""
        split = experiment.scored_split(task)
        if not form_of(task).is_trained:
            return self._retrieval(row, seed, task, experiment, languages)
        data = self._prepared(task.name, split, languages, row.encoder)
        inputs = {"model": self.target(row, seed, task), "data": data}
        if experiment.gives_probabilities(task):
            if development := experiment.development(task):
                inputs["dev"] = self._prepared(task.name, Split.DEV, development, row.encoder)
            return ProbabilitiesParams(
                threads=self.scale.threads,
                benchmark=self.benchmark.name,
                task=task.name,
                split=split,
            ).step(inputs)
        params = PredictParams(
            threads=self.scale.threads,
            benchmark=self.benchmark.name,
            task=task.name,
            split=split,
            dtype=self.scale.dtype,
        )
        return params.step(inputs)

    def labels(self, task: Task, experiment: Experiment, languages: Sequence[str]) -> Step:
        """The gold that a target's predictions are scored against."""
        data = self._data(task.name, experiment.scored_split(task), languages)
        return LabelsParams(**data).step()

    def development_labels(self, task: Task, experiment: Experiment) -> Step | None:
        """The gold of development data that are predicted beside what is scored, if any are."""
        languages = experiment.development(task)
        if not languages:
            return None
        return LabelsParams(**self._data(task.name, Split.DEV, languages)).step()

    def parts(
        self, row: Row, task: Task, experiment: Experiment, languages: Sequence[str]
    ) -> list[Part]:
        """Everything upstream that a row's cells of a target rest on."""
        evaluated = [
            part for language in languages for part in evaluation_parts(task, experiment, language)
        ]
        return [*evaluated, *training_parts(row, task, self.benchmark)]

    def _retrieval(
        self, row: Row, seed: int, task: Task, experiment: Experiment, languages: Sequence[str]
    ) -> Step:
        data = self._data(task.name, experiment.scored_split(task), languages)
        # A threshold that is tuned on development data makes their bytes part of the result.
        data |= self._read(
            part for language in languages for part in evaluation_parts(task, experiment, language)
        )
        params = AlignParams if task.form is TaskForm.ALIGNMENT else RetrieveParams
        own = {
            **self.scale.retrieval.model_dump(),
            "dtype": self.scale.dtype,
            "prefix": self.scale.encoder.prefix,
            "threads": self.scale.threads,
        }
        options = RetrievalOptions.model_validate(own | dict(experiment.retrieval))
        return params(**data, options=options).step({"encoder": self.intermediate(row, seed)})

    def _prepared(self, name: str, split: Split, languages: Sequence[str], size: Size) -> Step:
        data = self._data(name, split, languages)
        params = PrepareParams(**data, max_length=self.tuning(name).max_length)
        return params.step({"encoder": self.encoder(size)})

    def _text(self, name: str, size: Size) -> Step:
        text = self.benchmark.texts[name]
        task = None if text.task is None else self.benchmark.tasks[text.task]
        params = TextParams(
            benchmark=self.benchmark.name,
            text=name,
            languages=tuple(text.parts),
            rows=self.scale.mlm.rows if task is None else self._rows(task, Split.TRAIN),
            max_length=self.scale.mlm.max_length,
            **self._read(text.of(text.parts)),
        )
        return params.step({"encoder": self.encoder(size)})

    def _data(self, name: str, split: Split, languages: Sequence[str]) -> dict[str, Any]:
        """What names some data: task, split, languages, how much of it, and the bytes it is in."""
        task = self.benchmark.tasks[name]
        parts = [part for language in languages for part in task.parts[split, language]]
        return {
            "benchmark": self.benchmark.name,
            "task": name,
            "split": split,
            "languages": tuple(languages),
            "rows": self._rows(task, split),
            **self._read([*parts, *label_parts(task, self.benchmark)]),
        }

    def _rows(self, task: Task, split: Split) -> int | None:
        if split is Split.TRAIN and form_of(task).is_trained:
            return self.tuning(task.name).train_rows
        return evaluated_rows(task, self.scale)

    def tuning(self, name: str) -> TaskTraining:
        """How a task is trained; a target that another one is trained for, as that one."""
        return self.scale.tuning(self._numbers(name))

    def _numbers(self, name: str) -> str:
        """Under which name a scale has a task's training numbers."""
        return self.benchmark.tasks[name].tuning or name

    def _intermediate_params(self, row: Row, seed: int) -> IntermediateParams:
        scale = self.scale
        cap, mlm = scale.cap(row.tasks, row.mlm), scale.mlm
        text = TextSchedule(
            epochs=mlm.epochs,
            batch=mlm.batch,
            cap=cap,
            probability=mlm.probability,
            matched=None if row.matched is None else self._schedule(row.matched),
        )
        numbers = tuple(map(self._numbers, row.tasks))
        return IntermediateParams(
            tasks={name: self._task_schedule(name, cap) for name in row.tasks},
            mlm=text if row.mlm else None,
            language=row.language,
            seed=seed,
            training=scale.seedless_training(scale.learning_rate(numbers, row.mlm)),
        )

    def _schedule(self, name: str) -> Schedule:
        tuning = self.tuning(name)
        return Schedule(epochs=tuning.epochs, batch=tuning.batch)

    def _task_schedule(self, name: str, cap: int | None) -> TaskSchedule:
        tuning = self.tuning(name)
        return TaskSchedule(epochs=tuning.epochs, batch=tuning.batch, cap=cap)

    def _read(self, parts: Iterable[Part]) -> dict[str, Any]:
        """What names the bytes of some parts.

        Of own files only theirs: others come and go, and leave the step as it is.
        """
        names = sorted({part.source for part in parts})
        known = self.benchmark.sources
        single = (name for name in names if self.scale.single_files and known[name].members)
        return {
            "sources": {name: self.pins[name] for name in names},
            "own_data": tuple(name for name in names if name in self.scale.own_data),
            "single_files": tuple(single),
        }
