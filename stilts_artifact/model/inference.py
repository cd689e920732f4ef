"""Outputs of encoder and head for prepared data, in batches of like length and many tokens."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from stilts_artifact.config.schema import Dtype
from stilts_artifact.model.batching import pad, padded, token_batches
from stilts_artifact.model.memory import Fitting

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from stilts_artifact.model.heads import Encoded, Pooler, TaskHead
    from stilts_artifact.model.loading import EncoderModel
    from stilts_artifact.model.prepared import Prepared

TOKENS: Mapping[str, int] = MappingProxyType({"cpu": 2048, "cuda": 16_384})
"""Padded tokens of a batch, where memory holds them.

On a CPU its activations stay in the cache, which is twice as fast as sixteen thousand.
"""


def computed_dtype(device: str, dtype: Dtype) -> Dtype:
    """The arithmetic that a device really computes in: a CPU in float32 whatever is asked for."""
    return dtype if device == "cuda" else "float32"


def encode(encoder: EncoderModel, ids: torch.Tensor, second: torch.Tensor | None = None) -> Encoded:
    """States of a batch, whatever the class of the encoder.

    Args:
        ids: int64 [rows, length], padded.
        second: int64 [rows], where the second text of each row begins, if the encoder is told.
    """
    import torch

    from stilts_artifact.model.heads import Encoded

    read = ids != encoder.config.pad_token_id
    inputs = {"input_ids": ids, "attention_mask": read.long()}
    if second is not None:
        # [length] >= [rows, 1] -> [rows, length]
        behind = torch.arange(ids.shape[1], device=ids.device) >= second[:, None]
        inputs["token_type_ids"] = (behind & read).long()
    made = encoder(**inputs)
    pooled = getattr(made, "pooler_output", None)
    if pooled is None:
        pooled = cast("Pooler", encoder.pooler)(made.last_hidden_state)
    return Encoded(made.last_hidden_state, pooled)


def outputs(
    encoder: EncoderModel,
    head: TaskHead,
    prepared: Prepared,
    *,
    tokens: int | None = None,
    dtype: Dtype = "float32",
) -> list[NDArray[np.generic]]:
    """What the head makes of each row of the features, in order.

    Pairs: float32 [labels]. Choices: float32 [choices]. Spans: float32 [2, length or more]. Tags:
    the best label of each token, int64 [length or more].

    Args:
        tokens: most padded tokens of a batch, by default what suits the device.
        dtype: of the arithmetic on a GPU; see :func:`computed_dtype`.

    Raises:
        ResourceError: memory does not hold one example. Batches that it does not hold are halved.
    """
    import torch

    form = prepared.trained_form
    examples, second = form.inputs(prepared), form.second_from(prepared)
    padding = encoder.config.pad_token_id
    device = encoder.device.type
    fitting = Fitting.of(f"predictions of form {prepared.form}", encoder.device, encoder.config)
    budget = fitting.within(TOKENS[device] if tokens is None else tokens)
    found: list[Any] = [None] * len(examples)

    def size(batch: list[int]) -> int:
        longest = max(len(row) for index in batch for row in examples[index])
        return sum(len(examples[index]) for index in batch) * padded(longest)

    def compute(batch: list[int]) -> bool:
        # [rows, length], where rows are examples x choices
        ids = pad([row for index in batch for row in examples[index]], padding)
        begins = None
        if second is not None:
            begins = torch.tensor([at for index in batch for at in second[index]])
            begins = begins.to(encoder.device)
        scores = head(encode(encoder, ids.to(encoder.device), begins))
        for index, row in zip(batch, form.kept(scores).cpu().numpy(), strict=True):
            found[index] = row
        return True

    # All choices of an example stay in one batch: its length is that of all its rows.
    lengths = [max(map(len, rows)) * len(rows) for rows in examples]
    with torch.inference_mode(), precision(device, dtype):
        fitting.each(token_batches(lengths, budget), size, compute)
    return found


def precision(device: str, dtype: Dtype) -> AbstractContextManager[Any]:
    """Compute products as :func:`computed_dtype` says; weights and their updates stay float32."""
    import torch

    if computed_dtype(device, dtype) == "float32":
        return nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16)
