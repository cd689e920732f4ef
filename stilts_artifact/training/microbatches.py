"""The examples of one optimiser step, cut into batches that fit the memory, without a change of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stilts_artifact.model.batching import MULTIPLE, padded
from stilts_artifact.model.heads import IGNORED
from stilts_artifact.model.masking import mask_tokens
from stilts_artifact.model.tokenizer import PAD, SPECIALS
from stilts_artifact.training.rows import Integers, Ragged, Rows

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """What one forward and backward pass reads.

    Args:
        input_ids: int64 [rows, length].
        targets: as the head's ``loss`` takes them.
        chosen: bool [rows, length], where text is masked; ``None`` for other tasks.
        weight: its share of the step: the weighted sum of the batches' mean losses is the mean loss
            of the step.
    """

    input_ids: torch.Tensor
    targets: torch.Tensor
    chosen: torch.Tensor | None
    weight: float


@dataclass(frozen=True, slots=True)
class Masking:
    """How text is masked: share of tokens, and the id of ``<mask>``."""

    rate: float
    mask_id: int


class Fit(NamedTuple):
    """What a device takes at a time.

    Args:
        tokens: most padded tokens of a batch; an example longer than this is a batch of its own.
        overhead: what a batch costs beside its tokens, as a number of tokens.
        multiple: lengths are padded to a multiple of this.
    """

    tokens: int
    overhead: int
    multiple: int = MULTIPLE


FITS = {"cpu": Fit(4096, overhead=130, multiple=1), "cuda": Fit(16384, overhead=4000)}
"""By device. CPU: the mini encoder takes 8 ms for a batch and 0.06 ms for a token, and padding to a multiple gains
nothing there. GPU: launching XLM-R large's kernels takes as long as some thousand tokens."""


def cut(lengths: Sequence[int], fit: Fit) -> list[list[int]]:
    """The cheapest batches, from short to long: cutting saves padding, and costs overhead.

    Args:
        lengths: tokens of each example.

    Returns:
        Indices of each batch; every index occurs exactly once.

    Example:
        >>> cut([3, 40, 5, 41], Fit(1000, overhead=10, multiple=1)), cut([3, 40, 5, 41], Fit(1000, 100))
        ([[0, 2], [1, 3]], [[0, 2, 1, 3]])
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    costs, starts = [0], [0]
    for end, index in enumerate(order, start=1):
        width = padded(lengths[index], fit.multiple)
        first = min(end - 1, max(0, end - fit.tokens // width))
        # The batch order[start:end] is as wide as its last example.
        cost, start = min(
            (costs[start] + (end - start) * width + fit.overhead, start)
            for start in range(first, end)
        )
        costs.append(cost)
        starts.append(start)
    batches = []
    end = len(order)
    while end:
        batches.append(order[starts[end] : end])
        end = starts[end]
    return batches[::-1]


def micro_batches(rows: Rows, examples: Integers, fit: Fit) -> list[MicroBatch]:
    """Labelled examples, from short to long.

    The loss of a step is the mean over its examples; for tags, over its labelled tokens.
    """
    made = []
    lengths = rows.lengths[examples].tolist()
    tokens, overhead = max(1, fit.tokens // rows.choices), fit.overhead // rows.choices
    groups = [
        examples[group] for group in cut(lengths, fit._replace(tokens=tokens, overhead=overhead))
    ]
    targets = [_targets(rows, group, fit.multiple) for group in groups]
    # Tags: the labelled tokens count; all others: the examples.
    counts = [
        int((target != IGNORED).sum()) if isinstance(rows.labels, Ragged) else len(target)
        for target in targets
    ]
    for group, target, count in zip(groups, targets, counts, strict=True):
        if count:  # a mean over nothing is no number
            at = (group[:, None] * rows.choices + np.arange(rows.choices)).ravel()
            inputs = rows.inputs.block(at, PAD, fit.multiple)
            made.append(MicroBatch(_tensor(inputs), _tensor(target), None, count / sum(counts)))
    return made


def masked_batches(
    rows: Rows, examples: Integers, fit: Fit, masking: Masking, generator: torch.Generator
) -> list[MicroBatch]:
    """Text, masked as a whole before it is cut, so that the cut does not change what is hidden.

    The loss of a step is the mean over its hidden tokens.
    """
    masked = mask_tokens(
        _tensor(rows.inputs.block(examples, PAD, fit.multiple)),
        rate=masking.rate,
        specials=SPECIALS,
        mask_id=masking.mask_id,
        generator=generator,
    )
    lengths = rows.lengths[examples].tolist()
    original = _restore(masked.input_ids, masked.chosen, masked.targets)
    total = len(masked.targets)
    made = []
    for group in cut(lengths, fit):
        width = padded(max(lengths[index] for index in group), fit.multiple)
        chosen = masked.chosen[group, :width]
        if count := int(chosen.sum()):
            targets = original[group, :width][chosen]
            made.append(MicroBatch(masked.input_ids[group, :width], targets, chosen, count / total))
    return made


def _restore(seen: torch.Tensor, chosen: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    original = seen.clone()
    original[chosen] = targets
    return original


def _targets(rows: Rows, examples: Integers, multiple: int) -> Integers:
    if isinstance(rows.labels, Ragged):
        return rows.labels.block(examples, IGNORED, multiple)
    if rows.labels is None:
        raise TypeError("text has no labels")
    found: Integers = rows.labels[examples]
    return found


def _tensor(array: Integers) -> torch.Tensor:
    import torch

    return torch.from_numpy(array)
