"""Texts as token ids, alone and in pairs, in the frame of special tokens that the encoder knows.

XLM-R reads ``<s> A </s></s> B </s>``, BERT ``[CLS] A [SEP] B [SEP]`` and for each token whether it
is of the second text. Source of the truncation: jiant tasks/utils.py (truncate_sequences) at
daa5a25.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.model.tokenizer import tells_types

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Ids = list[int]
_PROBE = "a"  # any text that leaves a token


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens around one text, and those around and between two.

    Args:
        alone: in front of and behind one text.
        pair: in front of the first of two texts, between them, and behind the second.
        of_first: how many of those between them count to the first text; ``None`` if the encoder is
            not told which text a token belongs to.

    Example:
        >>> frame = Frame(([0], [2]), ([0], [2, 2], [2]), None)
        >>> frame.single([10, 11]), frame.joined([10, 11], [20])
        ([0, 10, 11, 2], [0, 10, 11, 2, 2, 20, 2])
    """

    alone: tuple[Ids, Ids]
    pair: tuple[Ids, Ids, Ids]
    of_first: int | None

    def single(self, ids: Ids) -> Ids:
        """An input of one text."""
        start, end = self.alone
        return [*start, *ids, *end]

    def joined(self, first: Ids, second: Ids) -> Ids:
        """An input of two texts."""
        start, between, end = self.pair
        return [*start, *first, *between, *second, *end]

    def second_from(self, first: Ids) -> int | None:
        """Position from which on the tokens of :meth:`joined` are the second text's.

        ``None`` if the encoder is not told.
        """
        return None if self.of_first is None else len(self.pair[0]) + len(first) + self.of_first

    def second_start(self, first: Ids) -> int:
        """Position of the first token of the second text itself."""
        return len(self.pair[0]) + len(first) + len(self.pair[1])

    @property
    def single_specials(self) -> int:
        """Special tokens around one text."""
        return sum(map(len, self.alone))

    @property
    def pair_specials(self) -> int:
        """Special tokens around and between two texts."""
        return sum(map(len, self.pair))

    def single_room(self, max_length: int) -> int:
        """Tokens of text in an input of one text and at most ``max_length`` tokens.

        Raises:
            ConfigError: no room for a token.
        """
        return _room(max_length, self.single_specials, 1)

    def pair_room(self, max_length: int) -> int:
        """Tokens of text in an input of two texts and at most ``max_length`` tokens.

        Raises:
            ConfigError: no room for a token of each.
        """
        return _room(max_length, self.pair_specials, 2)


def frame_of(tokenizer: PreTrainedTokenizerFast) -> Frame:
    """The frame that a tokenizer puts around texts, found by having it do so.

    Raises:
        IntegrityError: nothing in front of a text (heads read the whole input there), texts that
            are not in order, or types other than 0 for the first text and 1 for the second.
    """
    one, two = tokenizer(_PROBE, verbose=False), tokenizer(_PROBE, _PROBE, verbose=False)
    ids: Ids = one["input_ids"]
    ((start, end),) = _stretches(one.sequence_ids(0), 1)
    alone = ids[:start], ids[end:]
    ids = two["input_ids"]
    (start, until), (again, end) = _stretches(two.sequence_ids(0), 2)
    pair = ids[:start], ids[until:again], ids[end:]
    if not alone[0] or not pair[0]:
        raise IntegrityError(
            "a tokenizer that puts no special token in front of a text",
            got=str(ids),
            expected="one that stands for the whole input",
        )
    types: Ids = two["token_type_ids"] if tells_types(tokenizer) else []
    if not any(types):
        return Frame(alone, pair, None)
    second = types.index(max(types))
    if not until <= second <= again or types != [int(at >= second) for at in range(len(types))]:
        raise IntegrityError(
            "a tokenizer with other types of tokens than BERT's",
            got=str(types),
            expected="0 for the first text and 1 for the second",
        )
    return Frame(alone, pair, second - until)


def _stretches(texts: Sequence[int | None], count: int) -> list[tuple[int, int]]:
    """Where each text begins and ends among tokens that say whose they are.

    Example:
        >>> _stretches([None, 0, 0, None, None, 1, None], 2)
        [(1, 3), (5, 6)]
    """
    found: list[tuple[int, int]] = []
    for text in range(count):
        at = [place for place, own in enumerate(texts) if own == text]
        behind = found[-1][1] if found else 0
        if not at or at[0] < behind or at[-1] + 1 - at[0] != len(at):
            raise IntegrityError(
                "a tokenizer that does not put texts one behind the other",
                got=str(texts),
                expected=f"{count} texts, each in one piece",
            )
        found.append((at[0], at[-1] + 1))
    return found


def _room(max_length: int, specials: int, texts: int) -> int:
    least = specials + texts
    if max_length < least:
        raise ConfigError(
            "maximum length leaves no room for text", got=str(max_length), expected=f">= {least}"
        )
    return max_length - specials


def require_length(tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
    """No input may be longer than the encoder reads.

    Raises:
        ConfigError: it may.
    """
    if max_length > tokenizer.model_max_length:
        raise ConfigError(
            "inputs longer than the encoder reads",
            got=f"max_length {max_length}",
            expected=f"at most {tokenizer.model_max_length}",
            fix="lower max_length in the scale, or take an encoder with more positions",
        )


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
