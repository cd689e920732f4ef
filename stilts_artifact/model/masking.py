"""Masked language modelling: which tokens are hidden, and what the model sees in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch


class Masked(NamedTuple):
    """What the model reads, where it has to predict, and what stood there.

    ``input_ids`` is int64 [rows, length], ``chosen`` bool [rows, length], ``targets`` int64 [number
    chosen] in the order of ``input_ids[chosen]``.
    """

    input_ids: torch.Tensor
    chosen: torch.Tensor
    targets: torch.Tensor


def mask_tokens(
    input_ids: torch.Tensor, *, rate: float, specials: int, mask_id: int, generator: torch.Generator
) -> Masked:
    """Choose ``rate`` of the ordinary tokens: 80 % become ``<mask>``, 10 % a random one, 10 % stay.

    Source: BERT (Devlin et al. 2019, section 3.1), kept by RoBERTa and XLM-R.

    Args:
        input_ids: int64 [rows, length].
        specials: ids below this number and ``mask_id`` are never chosen and never drawn.
        mask_id: the last id of the vocabulary.
        generator: the only source of randomness.
    """
    import torch

    chance = torch.rand(input_ids.shape, generator=generator)
    chosen = (chance < rate) & (input_ids >= specials) & (input_ids != mask_id)
    fate = torch.rand(input_ids.shape, generator=generator)
    # The upper bound is exclusive, so <mask> itself is never drawn.
    drawn = torch.randint(specials, mask_id, input_ids.shape, generator=generator)
    seen = torch.where(chosen & (fate < 0.8), mask_id, input_ids)
    # From 0.8 to 0.9 the token stays as it is.
    seen = torch.where(chosen & (fate >= 0.9), drawn, seen)
    # Targets: [rows, length] -> [number chosen].
    return Masked(seen, chosen, input_ids[chosen])
