"""Zero-shot evaluation: predictions of a fine-tuned model in every language, in the submission layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stilts_artifact.domain.tasks import Split, Task, TaskForm
from stilts_artifact.metrics.submission import write_answers, write_lines, write_tags

if TYPE_CHECKING:
    from stilts_artifact.model.decoding import Predictions


def predict(
    *,
    task: Task,
    split: Split,
    model: Path,
    data: Path,
    dtype: Literal["bfloat16", "float32"],
    out: Path,
) -> None:
    """Write ``out/{task}/{split}-{language}.*`` for every language that was prepared.

    Args:
        model: folder that :func:`stilts_artifact.pipeline.tasks.target.target` made.
        data: folder that :func:`stilts_artifact.pipeline.tasks.prepare.prepare` made.

    Raises:
        IntegrityError: either folder is damaged.
        ResourceError: out of memory.
    """
    import torch

    from stilts_artifact.model.decoding import decode
    from stilts_artifact.model.inference import outputs
    from stilts_artifact.model.prepared import load_prepared
    from stilts_artifact.pipeline.tasks.target import load_target

    encoder, head = load_target(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder.model.to(device)  # type: ignore[arg-type]  # torch's stubs know no strings here
    head.to(device)
    for folder in sorted(data.iterdir()):
        prepared = load_prepared(folder)
        predictions = decode(prepared, outputs(encoder.model, head, prepared, dtype=dtype))
        _write(out, task, split, folder.name, predictions)


def _write(out: Path, task: Task, split: Split, language: str, predictions: Predictions) -> None:
    if task.form is TaskForm.SPAN:
        write_answers(out, task.name, language, predictions, split)  # type: ignore[arg-type]
    elif task.form is TaskForm.TAGGING:
        write_tags(out, task.name, language, predictions, split)  # type: ignore[arg-type]
    else:
        write_lines(out, task.name, language, predictions, split)  # type: ignore[arg-type]
