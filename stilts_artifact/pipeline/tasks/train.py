"""The phases that train: (ii) on intermediate tasks and text, (iii) on one target task.

Both start from a checkpoint folder and leave one of the same form, so that any of them may follow
any other. Only encoder and pooler carry over from phase (ii) to phase (iii), where the head starts
afresh (jiant loads the encoder alone: jiant/scripts/benchmarks/xtreme/xtreme_runconfig_writer.py
and modeling/model_setup.py at daa5a25).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.benchmark.experiments import MLM
from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import DataError, IntegrityError, ResourceError
from stilts_artifact.files import write_file
from stilts_artifact.model.loading import (
    Encoder,
    export_state,
    load_encoder,
    load_language_head,
)
from stilts_artifact.model.manifest import (
    CONFIG,
    OPTIONAL,
    TOKENIZER,
    WEIGHTS,
    verify_folder,
    write_manifest,
)
from stilts_artifact.model.masking import Vocabulary
from stilts_artifact.model.weights import State, fill, read_tensors
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.tasks import ENCODER, REPORT
from stilts_artifact.pipeline.tasks.params import IntermediateParams, TargetParams
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import (
    TaskData,
    TextData,
    labelled_task,
    text_losses,
    text_task,
)
from stilts_artifact.training.determinism import derived_seed
from stilts_artifact.training.loop import Progress, train

if TYPE_CHECKING:
    from stilts_artifact.model.heads import MaskedLanguageHead, TaskHead
    from stilts_artifact.training.loop import Report
    from stilts_artifact.training.state import Head

HEAD = "head"
"""Folder of phase (iii)'s head, beside that of its encoder."""
TASK = "target"
"""Name of the task in the report: the step's own parameters say which it is."""
_HEAD_FORM = "head.json"
_COPIED = (CONFIG, TOKENIZER, *OPTIONAL)
"""Training changes neither architecture nor vocabulary; not all are in every checkpoint."""


def intermediate(
    *,
    encoder: Path,
    tasks: Mapping[str, TaskData | TextData],
    config: TrainingConfig,
    checkpoints: Checkpointing,
    out: Path,
    progress: Progress | None = None,
) -> Path:
    """Phase (ii): train an encoder, and write it as a checkpoint folder of the same form.

    Args:
        encoder: checkpoint folder; with a language head if there is text.
        tasks: by name; text, for masked language modelling, is a task like any other, and may be
            the only one. Translated data is data like any other.
        out: folder to be filled with ``encoder/`` (with the language head, if there was text) and
            ``report.json``.

    Raises:
        IntegrityError: the encoder's folder, or a prepared one, is damaged.
        DataError: nothing to train on.
        ConfigError: no task, or training diverged.
        ResourceError: out of memory or disk.
    """
    loaded = load_encoder(encoder, pooler_seed=_pooler_seed(config))
    texts = {name: data for name, data in tasks.items() if isinstance(data, TextData)}
    language_head = load_language_head(encoder, loaded.model) if texts else None

    def losses() -> dict[str, dict[str, float | None]]:
        if language_head is None:
            return {}
        vocabulary = Vocabulary.of(loaded.tokenizer)
        return {
            name: text_losses(loaded.model, language_head, vocabulary, data, config)
            for name, data in sorted(texts.items())
        }

    before = losses()
    made = []
    # A step's key does not depend on the order of its tasks, so the training must not either.
    for name, data in sorted(tasks.items()):
        if isinstance(data, TaskData):
            made.append(labelled_task(loaded.model, name, data, config))
        elif language_head is not None:
            vocabulary = Vocabulary.of(loaded.tokenizer)
            made.append(text_task(language_head, vocabulary, name, data))
    report = train(
        loaded.model,
        made,
        config,
        checkpoints=checkpoints,
        origin=loaded.revision,
        progress=progress,
    )
    export_encoder(encoder, out / ENCODER, loaded, language_head)
    _write_report(out, loaded, report, {"before": before, "after": losses()} if texts else None)
    return out


def intermediate_step(job: Job) -> None:
    """Phase (ii): training on the data of one language, judged on those of the source language."""
    job.require_device()
    params = IntermediateParams.of(job.params)
    tasks: dict[str, TaskData | TextData] = {
        name: TaskData(
            job.inputs[f"train:{name}"] / params.language,
            _development(job, f"dev:{name}"),
            own.epochs,
            own.batch,
            own.cap,
        )
        for name, own in params.tasks.items()
    }
    if params.mlm is not None:
        own = params.mlm
        matched = None
        if own.matched is not None:
            other = _only(job.inputs["matched"])
            matched = TaskData(other, None, own.matched.epochs, own.matched.batch)
        folders = sorted(path for path in job.inputs["text"].iterdir() if path.is_dir())
        tasks[MLM] = TextData(folders, own.probability, own.epochs, own.batch, own.cap, matched)
    intermediate(
        encoder=job.inputs[ENCODER] / ENCODER,
        tasks=tasks,
        config=params.training.seeded(params.seed),
        checkpoints=_checkpointing(job),
        out=job.out,
    )


def target(
    *,
    encoder: Path,
    data: TaskData,
    config: TrainingConfig,
    checkpoints: Checkpointing,
    out: Path,
    progress: Progress | None = None,
) -> Path:
    """Phase (iii): fine-tune an encoder with a fresh head, and write both.

    Args:
        encoder: checkpoint folder.
        data: of the task; without development data the last weights are kept.
        out: folder to be filled with ``encoder/``, ``head/`` and ``report.json``.

    Raises:
        IntegrityError: the encoder's folder, or a prepared one, is damaged.
        DataError: nothing to train on.
        ConfigError: training diverged.
        ResourceError: out of memory or disk.
    """
    loaded = load_encoder(encoder, pooler_seed=_pooler_seed(config))
    task = labelled_task(loaded.model, TASK, data, config)
    report = train(
        loaded.model,
        [task],
        config,
        checkpoints=checkpoints,
        origin=loaded.revision,
        progress=progress,
    )
    export_encoder(encoder, out / ENCODER, loaded)
    _export_head(out / HEAD, task.head)
    _write_report(out, loaded, report)
    return out


def target_step(job: Job) -> None:
    """Phase (iii): fine-tuning."""
    job.require_device()
    params = TargetParams.of(job.params)
    schedule = params.schedule
    target(
        encoder=job.inputs[ENCODER] / ENCODER,
        data=TaskData(
            _only(job.inputs["train"]), _development(job, "dev"), schedule.epochs, schedule.batch
        ),
        config=params.training.seeded(params.seed),
        checkpoints=_checkpointing(job),
        out=job.out,
    )


def load_target(folder: Path) -> tuple[Encoder, TaskHead]:
    """Encoder and head that :func:`target` wrote, in evaluation mode.

    Raises:
        MissingDataError: no such folder.
        IntegrityError: anything in it that is not as it was written.
    """
    from stilts_artifact.model.forms import task_head

    encoder = load_encoder(folder / ENCODER)
    verify_folder(folder / HEAD)
    path = folder / HEAD / _HEAD_FORM
    try:
        form = parse_json(read_document(path), str(path))
        head = task_head(TaskForm(form["kind"]), encoder.model.config, form["labels"])
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError("not the form of a head", where=str(path), got=str(error)) from error
    fill(head, read_tensors(folder / HEAD / WEIGHTS), str(folder / HEAD / WEIGHTS))
    return encoder, head.train(False)


def export_encoder(
    source: Path, out: Path, encoder: Encoder, head: MaskedLanguageHead | None = None
) -> Path:
    """Write a folder that :func:`load_encoder` accepts.

    Args:
        source: the verified folder whose encoder was trained.
        encoder: as it is now; where it comes from is written beside it.
        head: its language head, if that was trained too.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in _COPIED:
            if (source / name).exists():
                shutil.copyfile(source / name, out / name)
    except OSError as error:
        fix = "free some space, or name a folder this user can write"
        raise ResourceError(
            "cannot write the encoder", where=str(out), got=str(error), fix=fix
        ) from error
    encoder.origin.write(out)
    write_weights(out, export_state(encoder.model, head))
    return out


def write_weights(folder: Path, state: State) -> None:
    """Write the weights of a folder whose other files are there, and its manifest.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / WEIGHTS).chmod(0o644)  # the writer makes private files
    except (OSError, SafetensorError) as error:
        size = sum(tensor.nbytes for tensor in state.values())
        raise ResourceError(
            "cannot write weights",
            where=str(folder),
            got=str(error),
            fix=f"free {size:,} bytes there",
        ) from error
    write_manifest(folder)


def _pooler_seed(config: TrainingConfig) -> int:
    """Of a pooler that the encoder of phase (i) lacks: the run's, whatever else it draws."""
    return derived_seed(config.seed, "pooler")


def _write_report(
    out: Path, encoder: Encoder, report: Report, text_losses: Mapping[str, Any] | None = None
) -> None:
    """What happened, and from which weights: those that were initialised are named.

    Args:
        text_losses: ``before`` and ``after``: task -> language -> mean loss of hidden tokens.
    """
    described = {
        "encoder": encoder.revision,
        "initialised": list(encoder.weights.initialised),
        **report.as_dict(),
        "text_losses": text_losses,
    }
    write_file(out / REPORT, dump_json(described))


def _export_head(out: Path, head: Head) -> None:
    """What is needed to build it again, and its weights."""
    from stilts_artifact.model.forms import describe_head

    form, labels = describe_head(head)
    write_file(out / _HEAD_FORM, dump_json({"kind": form.value, "labels": labels}))
    # safetensors refuses tensors that are not contiguous.
    write_weights(out, {name: tensor.contiguous() for name, tensor in head.state_dict().items()})


def _checkpointing(job: Job) -> Checkpointing:
    return Checkpointing(job.work, job.context.checkpoint_every)


def _development(job: Job, name: str) -> Path | None:
    """Prepared development data; a task that has none keeps its last weights."""
    return _only(job.inputs[name]) if name in job.inputs else None


def _only(folder: Path) -> Path:
    """The one language of prepared training or development data."""
    (found,) = folder.iterdir()
    return found
