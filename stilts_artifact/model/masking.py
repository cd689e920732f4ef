"""Masked language modelling: which tokens are hidden, and what the model sees in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which token ids are words, and which are not.

    Args:
        size: number of ids.
        specials: ids that are never hidden and never drawn.
        mask: id of ``<mask>``, one of them.
    """

    size: int
    specials: tuple[int, ...]
    mask: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
        """A tokenizer's.

        Raises:
            ConfigError: it has nothing to hide words with.
        """
        mask: int | None = tokenizer.mask_token_id
        if mask is None:
            raise ConfigError(
                "continued masked language modelling needs a mask_token",
                where=type(tokenizer).__name__,
                fix="leave out the rows with continued masked language modelling (--only)",
            )
        return cls(len(tokenizer), tuple(sorted(tokenizer.all_special_ids)), mask)


class Masked(NamedTuple):
    """What the model reads, where it has to predict, and what stood there.

    ``input_ids`` is int64 [rows, length], ``chosen`` bool [rows, length], ``targets`` int64 [number
    chosen] in the order of ``input_ids[chosen]``.
    """

    input_ids: torch.Tensor
    chosen: torch.Tensor
    targets: torch.Tensor


def mask_tokens(
    input_ids: torch.Tensor, *, rate: float, vocabulary: Vocabulary, generator: torch.Generator
) -> Masked:
    """Choose ``rate`` of the ordinary tokens: 80 % become ``<mask>``, 10 % a random one, 10 % stay.

    Source: BERT (Devlin et al. 2019, section 3.1), kept by RoBERTa and XLM-R.

    Args:
        input_ids: int64 [rows, length].
        generator: the only source of randomness.
    """
    import torch

    is_word = torch.ones(vocabulary.size, dtype=torch.bool)
    is_word[list(vocabulary.specials)] = False
    words = is_word.nonzero().squeeze(1)
    chance = torch.rand(input_ids.shape, generator=generator)
    chosen = (chance < rate) & is_word[input_ids]
    fate = torch.rand(input_ids.shape, generator=generator)
    drawn = words[torch.randint(len(words), input_ids.shape, generator=generator)]
    seen = torch.where(chosen & (fate < 0.8), vocabulary.mask, input_ids)
    # From 0.8 to 0.9 the token stays as it is.
    seen = torch.where(chosen & (fate >= 0.9), drawn, seen)
    # Targets: [rows, length] -> [number chosen].
    return Masked(seen, chosen, input_ids[chosen])
