"""Texts as token ids, alone and in pairs: ``<s> A </s></s> B </s>``.

Segment ids are all zero: XLM-R has one. Source of the truncation: jiant tasks/utils.py
(truncate_sequences) at daa5a25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stilts_artifact.errors import ConfigError
from stilts_artifact.model.tokenizer import BOS, EOS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Ids = list[int]
PAIR_SPECIALS = 4
"""``<s>``, ``</s></s>`` and ``</s>``."""


def pieces(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[Ids]:
    """Ids of the texts without special tokens or limit, in one call of the fast tokenizer.

    No limit means no truncation: the tokenizer's warning about its own maximum does not apply, and
    is not printed.
    """
    if not texts:
        return []
    encoded = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
    )
    ids: list[Ids] = encoded["input_ids"]
    return ids


def join(first: Ids, second: Ids) -> Ids:
    """``<s> first </s></s> second </s>``.

    Example:
        >>> join([10, 11], [20])
        [0, 10, 11, 2, 2, 20, 2]
    """
    return [BOS, *first, EOS, EOS, *second, EOS]


def truncate_pair(first: Ids, second: Ids, room: int) -> tuple[Ids, Ids]:
    """Take tokens from the end of the longer, of the first at a tie, until both fit together.

    Example:
        >>> truncate_pair([1, 2, 3, 4, 5], [6, 7, 8], 5)
        ([1, 2], [6, 7, 8])
    """
    kept = [len(first), len(second)]
    while sum(kept) > room:
        # The comparison is the index: 1, the second text, only where that is strictly longer.
        kept[kept[1] > kept[0]] -= 1
    return first[: kept[0]], second[: kept[1]]


def pair_room(max_length: int) -> int:
    """Tokens of text in an input of two texts and at most ``max_length`` tokens.

    Raises:
        ConfigError: no room for a token of each.
    """
    least = PAIR_SPECIALS + 2
    if max_length < least:
        raise ConfigError(
            "maximum length leaves no room for text", got=str(max_length), expected=f">= {least}"
        )
    return max_length - PAIR_SPECIALS
