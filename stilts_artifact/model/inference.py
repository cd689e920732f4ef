"""Outputs of encoder and head for prepared data: batches of like length, a fixed number of tokens each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.model.batching import pad, token_batches
from stilts_artifact.model.tokenizer import PAD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import XLMRobertaModel

    from stilts_artifact.model.heads import TaskHead
    from stilts_artifact.model.prepared import Prepared

TOKENS: Mapping[str, int] = MappingProxyType({"cpu": 2048, "cuda": 16_384})
"""Padded tokens of a batch: on a CPU its activations stay in the cache, which is twice as fast as sixteen thousand."""


def outputs(
    encoder: XLMRobertaModel,
    head: TaskHead,
    prepared: Prepared,
    *,
    tokens: int | None = None,
    dtype: Literal["bfloat16", "float32"] = "float32",
) -> list[NDArray[np.generic]]:
    """What the head makes of each row of the features, in order.

    Pairs: float32 [labels]. Choices: float32 [choices]. Spans: float32 [2, length or more]. Tags:
    the best label of each token, int64 [length or more]; the scores of a thousand supertags for
    every token would fill the memory.

    Args:
        tokens: most padded tokens of a batch, by default what suits the device.
        dtype: of the arithmetic on a GPU.
    """
    import torch

    examples = _inputs(prepared)
    budget = TOKENS[encoder.device.type] if tokens is None else tokens
    found: list[Any] = [None] * len(examples)
    with torch.inference_mode(), _precision(encoder.device.type, dtype):
        for batch in token_batches([max(map(len, rows)) * len(rows) for rows in examples], budget):
            ids = pad([row for index in batch for row in examples[index]], PAD).to(encoder.device)
            scores = head(encoder(input_ids=ids, attention_mask=(ids != PAD).long()))
            made = scores.argmax(-1) if prepared.kind is TaskForm.TAGGING else scores.float()
            for index, row in zip(batch, made.cpu().numpy(), strict=True):
                found[index] = row
    return found


def _inputs(prepared: Prepared) -> list[list[list[int]]]:
    """Input rows of each example of the head: as many as it has choices, else one."""
    if prepared.kind is TaskForm.CHOICE:
        choices: list[list[list[int]]] = prepared.features.with_format(None)["choices"][:]
        return choices
    return [[row] for row in prepared.features["input_ids"][:]]


def _precision(device: str, dtype: str) -> AbstractContextManager[Any]:
    import torch

    return (
        torch.autocast(device, dtype=torch.bfloat16)
        if (device, dtype) == ("cuda", "bfloat16")
        else nullcontext()
    )
