"""Phase (iii): fine-tune any encoder on one target task.

Only encoder and pooler carry over from phase (ii); the head starts afresh (jiant loads the encoder
alone: jiant/scripts/benchmarks/xtreme/xtreme_runconfig_writer.py and modeling/model_setup.py at
daa5a25).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.files import write_file
from stilts_artifact.model.loading import Encoder, load_encoder
from stilts_artifact.model.manifest import WEIGHTS, verify_folder
from stilts_artifact.model.weights import fill, read_tensors
from stilts_artifact.pipeline.tasks.export import ENCODER, REPORT, export_encoder, write_weights
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData, labelled_task
from stilts_artifact.training.loop import Progress, train

if TYPE_CHECKING:
    from stilts_artifact.model.heads import TaskHead
    from stilts_artifact.training.state import Head

HEAD = "head"
TASK = "target"
"""Name of the task in the report: the step's own parameters say which it is."""
_HEAD_FORM = "head.json"


def target(
    *,
    encoder: Path,
    data: TaskData,
    config: TrainingConfig,
    checkpoints: Checkpointing,
    out: Path,
    progress: Progress | None = None,
) -> Path:
    """Fine-tune an encoder with a fresh head, and write both.

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
    loaded = load_encoder(encoder)
    task = labelled_task(loaded.model, TASK, data, config)
    report = train(
        loaded.model,
        [task],
        config,
        checkpoints=checkpoints,
        origin=loaded.revision,
        progress=progress,
    )
    export_encoder(encoder, out / ENCODER, loaded.model)
    _export_head(out / HEAD, task.head)
    write_file(out / REPORT, dump_json({"encoder": loaded.revision, **report.as_dict()}))
    return out


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


def _export_head(out: Path, head: Head) -> None:
    """What is needed to build it again, and its weights."""
    from stilts_artifact.model.forms import describe_head

    form, labels = describe_head(head)
    write_file(out / _HEAD_FORM, dump_json({"kind": form.value, "labels": labels}))
    write_weights(out, {name: tensor.contiguous() for name, tensor in head.state_dict().items()})
