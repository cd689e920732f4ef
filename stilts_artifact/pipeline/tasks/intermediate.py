"""Phase (ii): train an encoder on intermediate tasks, masked language modelling, or both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.documents import dump_json
from stilts_artifact.files import write_file
from stilts_artifact.model.loading import load_encoder, load_language_head
from stilts_artifact.pipeline.tasks.export import ENCODER, REPORT, export_encoder
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData, TextData, labelled_task, text_task
from stilts_artifact.training.loop import Progress, train


def intermediate(
    *,
    encoder: Path,
    tasks: Mapping[str, TaskData | TextData],
    config: TrainingConfig,
    checkpoints: Checkpointing,
    out: Path,
    progress: Progress | None = None,
) -> Path:
    """Train an encoder, and write it as a checkpoint folder of the same form.

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
    loaded = load_encoder(encoder)
    has_text = any(isinstance(data, TextData) for data in tasks.values())
    language_head = load_language_head(encoder, loaded.model) if has_text else None
    made = []
    for name, data in sorted(tasks.items()):
        if isinstance(data, TaskData):
            made.append(labelled_task(loaded.model, name, data, config))
        elif language_head is not None:
            made.append(text_task(language_head, name, data))
    report = train(
        loaded.model,
        made,
        config,
        checkpoints=checkpoints,
        origin=loaded.revision,
        progress=progress,
    )
    export_encoder(encoder, out / ENCODER, loaded.model, language_head)
    write_file(out / REPORT, dump_json({"encoder": loaded.revision, **report.as_dict()}))
    return out
