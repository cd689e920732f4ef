"""The kinds of steps: which function makes each, and the version of its code.

A version is raised whenever the same parameters would give another result; then, and only then, old
results are no longer taken. The functions translate a job into one call of a phase, and hold no
logic of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import MLM
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Benchmark, Split
from stilts_artifact.errors import IntegrityError
from stilts_artifact.pipeline.job import Context, Device, Job
from stilts_artifact.pipeline.step import Kinds, KindSpec

if TYPE_CHECKING:
    from stilts_artifact.config.schema import TrainingConfig
    from stilts_artifact.pipeline.tasks.prepare import Preparation
    from stilts_artifact.training.checkpoints import Checkpointing
    from stilts_artifact.training.data import TaskData, TextData

ENCODER = "encoder"
"""Folder of the checkpoint within the results of phases (i), (ii) and (iii)."""
DATA = "data"
"""Folders of a context whose names begin so hold data that was brought by hand."""


def _kind(function: str, version: int = 1, *, gpu: bool = False) -> KindSpec:
    return KindSpec(version, f"{__name__}:{function}", needs_gpu=gpu)


KINDS: Kinds = MappingProxyType(
    {
        "encoder": _kind("encoder"),
        "prepare": _kind("prepare", 2),
        "text": _kind("text", 2),
        "labels": _kind("labels"),
        "intermediate": _kind("intermediate", gpu=True),
        "target": _kind("target", gpu=True),
        "predict": _kind("predict", 2, gpu=True),
        "retrieve": _kind("retrieve", 2, gpu=True),
    }
)


def make_context(
    store: Path, data: list[Path], encoder: Path, *, device: Device, checkpoint_every: int
) -> Context:
    """Where workers find what is not a step's result.

    Args:
        data: folders with files brought by hand.
        encoder: checkpoint folder of phase (i).
        checkpoint_every: optimiser steps between the checkpoints of a training run.
    """
    folders = {f"{DATA}-{number:03}": folder for number, folder in enumerate(data)}
    return Context(store, {**folders, ENCODER: encoder}, device, checkpoint_every)


def encoder(job: Job) -> None:
    """Phase (i): the verified encoder, in the store."""
    from stilts_artifact.model.manifest import verify_folder

    source = job.context.folders[ENCODER]
    verify_folder(source)
    shutil.copytree(source, job.out / ENCODER, copy_function=shutil.copyfile)


def prepare(job: Job) -> None:
    """Features of one split of a task."""
    from stilts_artifact.pipeline.tasks import prepare as phase

    how = _preparation(job)
    phase.prepare(how.benchmark.tasks[job.params["task"]], Split(job.params["split"]), how)
    _require_sources(job, how.library)


def text(job: Job) -> None:
    """Inputs for masked language modelling."""
    from stilts_artifact.pipeline.tasks.prepare import prepare_text

    how = _preparation(job)
    prepare_text(how)
    _require_sources(job, how.library)


def labels(job: Job) -> None:
    """Gold labels of one split of a target."""
    from stilts_artifact.pipeline.tasks import labels as phase

    benchmark, library = _data(job)
    phase.labels(
        task=benchmark.tasks[job.params["task"]],
        split=Split(job.params["split"]),
        languages=job.params["languages"],
        rows=job.params["rows"],
        library=library,
        out=job.out,
    )
    _require_sources(job, library)


def intermediate(job: Job) -> None:
    """Phase (ii)."""
    from stilts_artifact.pipeline.tasks import intermediate as phase

    tasks = {name: _task_data(job, name, job.params["language"]) for name in job.params["tasks"]}
    text = {MLM: _text_data(job)} if job.params["mlm"] else {}
    phase.intermediate(
        encoder=job.inputs[ENCODER] / ENCODER,
        tasks={**tasks, **text},
        config=_training_config(job),
        checkpoints=_checkpointing(job),
        out=job.out,
    )


def target(job: Job) -> None:
    """Phase (iii): fine-tuning."""
    from stilts_artifact.pipeline.tasks import target as phase
    from stilts_artifact.training.data import TaskData

    recipe = job.params["recipe"]
    development = _only(job.inputs["dev"]) if "dev" in job.inputs else None
    phase.target(
        encoder=job.inputs[ENCODER] / ENCODER,
        data=TaskData(_only(job.inputs["train"]), development, recipe["epochs"], recipe["batch"]),
        config=_training_config(job),
        checkpoints=_checkpointing(job),
        out=job.out,
    )


def predict(job: Job) -> None:
    """Phase (iii): predictions in every language."""
    from stilts_artifact.pipeline.tasks import predict as phase

    benchmark = load_benchmark(job.params["benchmark"])
    phase.predict(
        task=benchmark.tasks[job.params["task"]],
        split=Split(job.params["split"]),
        model=job.inputs["model"],
        data=job.inputs["data"],
        dtype=job.params["dtype"],
        out=job.out,
    )


def retrieve(job: Job) -> None:
    """BUCC or Tatoeba."""
    from stilts_artifact.pipeline.tasks import retrieve as phase

    benchmark, library = _data(job)
    phase.retrieve(
        task=benchmark.tasks[job.params["task"]],
        split=Split(job.params["split"]),
        languages=job.params["languages"],
        encoder=job.inputs[ENCODER] / ENCODER,
        options=phase.Retrieving(**job.params["options"]),
        library=library,
        work=job.work,
        out=job.out,
    )
    _require_sources(job, library)


def _preparation(job: Job) -> Preparation:
    from stilts_artifact.pipeline.tasks.prepare import Preparation

    benchmark, library = _data(job)
    return Preparation(
        benchmark,
        library,
        languages=job.params["languages"],
        rows=job.params["rows"],
        max_length=job.params["max_length"],
        encoder=job.inputs[ENCODER] / ENCODER,
        out=job.out,
    )


def _data(job: Job) -> tuple[Benchmark, Library]:
    benchmark = load_benchmark(job.params["benchmark"])
    folders = [path for name, path in sorted(job.context.folders.items()) if name.startswith(DATA)]
    return benchmark, Library(benchmark.sources, FileStore(job.context.root), folders)


def _require_sources(job: Job, library: Library) -> None:
    """What was read must be what the step's key names.

    Files without a public pin may have been exchanged since the step was planned.

    Raises:
        IntegrityError: naming the file.
    """
    named: Mapping[str, str] = job.params["sources"]
    for used in library.used():
        source, _, member = used.source.partition("!")
        if not member and named.get(source) != used.sha256:
            raise IntegrityError(
                "another file than when this run was planned",
                where=source,
                got=used.sha256,
                expected=named.get(source),
                fix="run the same command again",
            )


def _training_config(job: Job) -> TrainingConfig:
    from stilts_artifact.config.schema import TrainingConfig

    return TrainingConfig(seed=job.params["seed"], **job.params["recipe"]["training"])


def _checkpointing(job: Job) -> Checkpointing:
    from stilts_artifact.training.checkpoints import Checkpointing

    return Checkpointing(job.work, job.context.checkpoint_every)


def _task_data(job: Job, name: str, language: str) -> TaskData:
    from stilts_artifact.training.data import TaskData

    own: Mapping[str, Any] = job.params["recipe"]["tasks"][name]
    train = job.inputs[f"train:{name}"] / language
    return TaskData(
        train, _only(job.inputs[f"dev:{name}"]), own["epochs"], own["batch"], own["cap"]
    )


def _text_data(job: Job) -> TextData:
    from stilts_artifact.training.data import TextData

    folder, own = job.inputs["text"], job.params["recipe"]["mlm"]
    return TextData(
        sorted(folder.iterdir()), own["probability"], own["epochs"], own["batch"], own["cap"]
    )


def _only(folder: Path) -> Path:
    """The one language of prepared training or development data."""
    (found,) = folder.iterdir()
    return found
