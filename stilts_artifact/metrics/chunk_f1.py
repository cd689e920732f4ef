"""Chunk F1 for tagging, by the rule of seqeval 0.0.12, vectorised.

XTREME scores POS and NER alike by seqeval's entity F1 without pinning seqeval; what it expects of
its POS mock data (70.21746) is what 0.0.12 gives, while 1.2.2 gives 70.39806. On tags of the form
``B-LOC`` the two versions agree, so this one rule serves both tasks. On bare POS tags it has
effects worth knowing: a run of one tag is one chunk (NOUN NOUN counts once), tags that begin with S
(SCONJ, SYM) are chunks of one token each, and INTJ behaves like a tag that begins with ``I-``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Tag = tuple[str, str]
"""A tag taken apart: its first character, and its type (what follows the last hyphen, or all)."""

Codes = NDArray[np.int64]
"""A row of tags as numbers, see :class:`ChunkRule`."""

OUTSIDE = ""
"""Stands for the ``O`` that seqeval puts before the first tag and after every sentence."""
_ENDING_PAIRS = frozenset({"BB", "BS", "BO", "IB", "IS", "IO"})
_STARTING_PAIRS = frozenset({"EE", "EI", "SE", "SI", "OE", "OI"})


def parse_tag(tag: str) -> Tag:
    """Take a tag apart (seqeval 0.0.12 sequence_labeling.py, get_entities).

    Example:
        >>> parse_tag("B-LOC"), parse_tag("NOUN")
        (('B', 'LOC'), ('N', 'NOUN'))
    """
    return tag[0], tag.rpartition("-")[2]


def ends_chunk(before: Tag, after: Tag) -> bool:
    """Whether a chunk ends between two neighbouring tags (seqeval 0.0.12, end_of_chunk).

    Example:
        >>> ends_chunk(("I", "LOC"), ("I", "LOC")), ends_chunk(("I", "LOC"), ("B", "LOC"))
        (False, True)
    """
    by_prefix = before[0] in "ES" or before[0] + after[0] in _ENDING_PAIRS
    return by_prefix or (before[0] not in "O." and before[1] != after[1])


def starts_chunk(before: Tag, after: Tag) -> bool:
    """Whether a chunk starts between two neighbouring tags (seqeval 0.0.12, start_of_chunk).

    Example:
        >>> starts_chunk(("N", "NOUN"), ("N", "NOUN")), starts_chunk(("O", "O"), ("I", "LOC"))
        (False, True)
    """
    by_prefix = after[0] in "BS" or before[0] + after[0] in _STARTING_PAIRS
    return by_prefix or (after[0] not in "O." and before[1] != after[1])


class ChunkRule:
    """Both transition rules, tabulated over a few distinct tags: each position costs one lookup.

    Args:
        tags: every tag that will occur.

    Attributes:
        codes: tag -> its number, and that of :data:`OUTSIDE`.
        types: the types of chunks, sorted.
    """

    def __init__(self, tags: Iterable[str]) -> None:
        texts = {*tags, "O"}
        parsed = sorted(set(map(parse_tag, texts)))
        self.codes = {text: parsed.index(parse_tag(text)) for text in texts}
        self.codes[OUTSIDE] = self.codes["O"]
        self.types = sorted({type_ for _, type_ in parsed})
        self._type_of = np.array([self.types.index(type_) for _, type_ in parsed])
        self._starts, self._ends = _table(starts_chunk, parsed), _table(ends_chunk, parsed)

    def by_end(self, codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Start and type of the chunk that ends at each position, -1 where none does.

        Args:
            codes: array [tokens + 1], :data:`OUTSIDE` first and wherever a sentence ends.

        Returns:
            Two arrays [tokens].

        Example:
            >>> rule = ChunkRule(["B-LOC", "I-LOC"])
            >>> codes = np.array([rule.codes[tag] for tag in ("", "B-LOC", "I-LOC", "")])
            >>> starts, types = rule.by_end(codes)
            >>> starts.tolist(), rule.types[types[1]]
            ([-1, 0, -1], 'LOC')
        """
        before, after = codes[:-1], codes[1:]
        # Minus 1: position i of `after` is token i, and the chunk ends with the token before it.
        ended = np.flatnonzero(self._ends[before, after]) - 1
        # At each token, the start of the latest chunk so far.
        last_start = np.maximum.accumulate(
            np.where(self._starts[before, after], np.arange(len(after)), 0)
        )
        starts, types = np.full(len(after), -1), np.full(len(after), -1)
        # A chunk has the type of its last token, as seqeval 0.0.12's get_entities gives it.
        starts[ended], types[ended] = last_start[ended], self._type_of[after[ended]]
        return starts, types


def chunks(sentences: Sequence[Sequence[str]]) -> list[tuple[str, int, int]]:
    """Every chunk as (type, first token, last token).

    Tokens are numbered throughout, with one gap after each sentence.

    Example:
        >>> chunks([["B-PER", "I-PER", "O", "B-LOC"], ["NOUN", "NOUN", "SYM", "SYM"]])
        [('PER', 0, 1), ('LOC', 3, 3), ('NOUN', 5, 6), ('SYM', 7, 7), ('SYM', 8, 8)]
    """
    rule = ChunkRule(chain.from_iterable(sentences))
    starts, types = rule.by_end(_codes(sentences, rule))
    return [
        (rule.types[types[end]], int(starts[end]), int(end)) for end in np.flatnonzero(starts >= 0)
    ]


def chunk_counts(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Number of chunks in each sentence that are correct, predicted and gold.

    A predicted chunk is correct if a gold chunk has its type, start and end. Micro precision,
    recall and F1 follow from the sums over sentences
    (:func:`~stilts_artifact.metrics.ratios.precision_recall_f1`).

    Args:
        predicted, gold: tags of the same sentences; lengths must agree, and no tag may be empty.

    Returns:
        Array [sentences, 3].

    Example:
        >>> gold = [["B-PER", "O", "O"], ["B-LOC"]]
        >>> chunk_counts([["B-PER", "I-PER", "O"], ["B-LOC"]], gold).tolist()
        [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    rule = ChunkRule(chain.from_iterable(chain(predicted, gold)))
    predicted_starts, predicted_types = rule.by_end(_codes(predicted, rule))
    gold_starts, gold_types = rule.by_end(_codes(gold, rule))
    is_predicted, is_gold = predicted_starts >= 0, gold_starts >= 0
    is_correct = is_predicted & (predicted_starts == gold_starts) & (predicted_types == gold_types)
    # Plus 1 for the O after each sentence, which has a position too.
    sentence = np.repeat(np.arange(len(gold)), [len(tags) + 1 for tags in gold])
    counted = (
        np.bincount(sentence[which], minlength=len(gold))
        for which in (is_correct, is_predicted, is_gold)
    )
    return np.stack(list(counted), axis=1).astype(np.float64)


def _codes(sentences: Sequence[Sequence[str]], rule: ChunkRule) -> Codes:
    """Codes of all tags in one row, ``O`` first and after every sentence, as seqeval joins them."""
    outside = (rule.codes[OUTSIDE],)
    row = chain.from_iterable(
        chain(map(rule.codes.__getitem__, sentence), outside) for sentence in sentences
    )
    return np.fromiter(chain(outside, row), dtype=np.int64)


def _table(rule: Callable[[Tag, Tag], bool], tags: list[Tag]) -> NDArray[np.bool_]:
    return np.array([[rule(before, after) for after in tags] for before in tags])
