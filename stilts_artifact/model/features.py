"""From sentence pairs and choices to token ids: ``<s> A </s></s> B </s>``, segment ids all zero (XLM-R has one).

Source of the truncation rules: jiant tasks/utils.py (truncate_sequences) and tasks/lib/templates/
multiple_choice.py:53-75 at daa5a25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.domain.examples import ChoiceExample, PairExample
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.model.tokenizer import BOS, EOS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Ids = list[int]
PAIR_SPECIALS = 4
"""``<s>``, ``</s></s>`` and ``</s>``."""


class PairFeature(NamedTuple):
    """One encoded pair; ``label`` indexes the task's labels."""

    input_ids: Ids
    label: int


class ChoiceFeature(NamedTuple):
    """One example: the prompt encoded with each of its choices; ``label`` indexes them."""

    choices: tuple[Ids, ...]
    label: int


def pieces(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[Ids]:
    """Ids of the texts without special tokens and without a limit, in one call of the fast tokenizer.

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
    """Take tokens from the end of whichever is longer, of the first at a tie, until both fit together.

    Example:
        >>> truncate_pair([1, 2, 3, 4, 5], [6, 7, 8], 5)
        ([1, 2], [6, 7, 8])
    """
    kept = [len(first), len(second)]
    while sum(kept) > room:
        kept[kept[1] > kept[0]] -= 1
    return first[: kept[0]], second[: kept[1]]


def pair_features(
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[PairExample],
    labels: Sequence[str],
    max_length: int,
) -> list[PairFeature]:
    """One feature for each pair, in order.

    Args:
        labels: of the task; their order is the order of the head's outputs.
        max_length: most tokens, specials included.

    Raises:
        DataError: a label that is none of ``labels``.
        ConfigError: no room for any text.
    """
    room = _room(max_length, PAIR_SPECIALS + 2)
    index = {label: at for at, label in enumerate(labels)}
    firsts = pieces(tokenizer, [example.first for example in examples])
    seconds = pieces(tokenizer, [example.second for example in examples])
    features = []
    for example, first, second in zip(examples, firsts, seconds, strict=True):
        if example.label not in index:
            raise DataError(
                "label outside its set",
                where=example.id,
                got=example.label,
                expected=", ".join(labels),
            )
        features.append(
            PairFeature(join(*truncate_pair(first, second, room)), index[example.label])
        )
    return features


def choice_features(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[ChoiceExample], max_length: int
) -> list[ChoiceFeature]:
    """One feature for each example, in order; a long prompt loses its beginning, so that the choice survives.

    Only a choice that alone exceeds the limit loses its end.

    Raises:
        ConfigError: no room for any text.
    """
    room = _room(max_length, PAIR_SPECIALS + 2)
    prompts = pieces(tokenizer, [example.prompt for example in examples])
    choices = iter(
        pieces(tokenizer, [choice for example in examples for choice in example.choices])
    )
    features = []
    for example, prompt in zip(examples, prompts, strict=True):
        encoded = []
        for _ in example.choices:
            choice = next(choices)[:room]
            encoded.append(join(prompt[max(0, len(prompt) + len(choice) - room) :], choice))
        features.append(ChoiceFeature(tuple(encoded), example.label))
    return features


def _room(max_length: int, least: int) -> int:
    """Tokens of text in an input of at most ``max_length``."""
    if max_length < least:
        raise ConfigError(
            "maximum length leaves no room for text", got=str(max_length), expected=f">= {least}"
        )
    return max_length - PAIR_SPECIALS
