"""Zero-shot evaluation: predictions of a fine-tuned model in every language, in the submission layout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.forms import form_of


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
        form_of(task).write_predictions(out, task, folder.name, split, predictions)
