"""Zero-shot evaluation: predictions of a fine-tuned model in every language."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stilts_artifact.documents import dump_json
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.files import write_file
from stilts_artifact.forms import form_of
from stilts_artifact.pipeline.tasks.export import REPORT


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

    And ``out/report.json``, whose ``signature`` says how they were computed.

    Args:
        model: folder that :func:`stilts_artifact.pipeline.tasks.target.target` made.
        data: folder that :func:`stilts_artifact.pipeline.tasks.prepare.prepare` made.

    Raises:
        IntegrityError: either folder is damaged, or a published score is not what another scorer
            makes of the same predictions.
        ResourceError: out of memory.
    """
    import torch

    from stilts_artifact.model.inference import computed_dtype, outputs
    from stilts_artifact.model.prepared import load_prepared
    from stilts_artifact.pipeline.tasks.target import load_target

    encoder, head = load_target(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder.model.to(device)  # type: ignore[arg-type]  # torch's stubs know no strings here
    head.to(device)
    lengths = set()
    for folder in sorted(data.iterdir()):
        prepared = load_prepared(folder)
        form = prepared.trained_form
        predictions = form.decode(prepared, outputs(encoder.model, head, prepared, dtype=dtype))
        file = form_of(task).write_predictions(out, task, folder.name, split, predictions)
        form.confirm(task, prepared, predictions, file)
        lengths.add(prepared.max_length)
    (max_length,) = lengths  # one step prepared all languages
    signature = {"max_length": max_length, "dtype": computed_dtype(device, dtype)}
    write_file(out / REPORT, dump_json({"signature": signature}))
