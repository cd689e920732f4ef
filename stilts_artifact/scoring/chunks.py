"""Chunk F1 for tagging, by the rule of seqeval 0.0.12, vectorised.

XTREME scores POS and NER alike by seqeval's entity F1 without pinning seqeval; what it expects of its POS mock data
(70.21746) is what 0.0.12 gives, while 1.2.2 gives 70.39806. On tags of the form ``B-LOC`` the two versions agree, so
this one rule serves both tasks. On bare POS tags it has effects worth knowing: a run of one tag is one chunk
(NOUN NOUN counts once), tags that begin with S (SCONJ, SYM) are chunks of one token each, and INTJ behaves like a
tag that begins with ``I-``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Tag = tuple[str, str]
"""A tag taken apart: its first character, and its type (what follows the last hyphen, or all of it)."""

_OUTSIDE = ("O", "O")
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


def chunks(sentences: Sequence[Sequence[str]]) -> list[tuple[str, int, int]]:
    """Every chunk as (type, first token, last token); tokens are numbered throughout, one gap after each sentence.

    Example:
        >>> chunks([["B-PER", "I-PER", "O", "B-LOC"], ["NOUN", "NOUN", "SYM", "SYM"]])
        [('PER', 0, 1), ('LOC', 3, 3), ('NOUN', 5, 6), ('SYM', 7, 7), ('SYM', 8, 8)]
    """
    tags = _inventory(sentences)
    starts, types = _by_end(sentences, tags)
    names = sorted({type_ for _, type_ in tags})
    return [(names[types[end]], int(starts[end]), int(end)) for end in np.flatnonzero(starts >= 0)]


def chunk_counts(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Number of chunks in each sentence that are correct, predicted and gold.

    A predicted chunk is correct if a gold chunk has its type, start and end. Micro precision, recall and F1 follow
    from the sums over sentences (:func:`~stilts_artifact.scoring.metrics.precision_recall_f1`).

    Args:
        predicted, gold: tags of the same sentences; lengths must agree, and no tag may be empty.

    Returns:
        Array [sentences, 3].

    Example:
        >>> chunk_counts([["B-PER", "I-PER", "O"], ["B-LOC"]], [["B-PER", "O", "O"], ["B-LOC"]]).tolist()
        [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    tags = _inventory(chain(predicted, gold))
    predicted_starts, predicted_types = _by_end(predicted, tags)
    gold_starts, gold_types = _by_end(gold, tags)
    is_predicted, is_gold = predicted_starts >= 0, gold_starts >= 0
    is_correct = is_predicted & (predicted_starts == gold_starts) & (predicted_types == gold_types)
    sentence = np.repeat(np.arange(len(gold)), [len(tags) + 1 for tags in gold])
    counted = (np.bincount(sentence[which], minlength=len(gold)) for which in (is_correct, is_predicted, is_gold))
    return np.stack(list(counted), axis=1).astype(np.float64)


def _inventory(sentences: Iterable[Sequence[str]]) -> list[Tag]:
    """The distinct tags in a fixed order, with the ``O`` that seqeval supplies itself."""
    found = set(map(parse_tag, set(chain.from_iterable(sentences))))
    return sorted(found | {_OUTSIDE})


def _by_end(sentences: Sequence[Sequence[str]], tags: list[Tag]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and type of the chunk that ends at each position, -1 where none does.

    Both transition rules are tabulated over the few distinct tags, so that each position costs one lookup.
    """
    code = {tag: index for index, tag in enumerate(tags)}
    codes = _codes(sentences, code)
    before, after = codes[:-1], codes[1:]
    is_start, is_end = _table(starts_chunk, tags)[before, after], _table(ends_chunk, tags)[before, after]
    last_start = np.maximum.accumulate(np.where(is_start, np.arange(len(after)), 0))
    names = {name: index for index, name in enumerate(sorted({type_ for _, type_ in tags}))}
    types = np.array([names[type_] for _, type_ in tags])
    ended = np.flatnonzero(is_end) - 1
    starts_by_end, types_by_end = np.full(len(after), -1), np.full(len(after), -1)
    starts_by_end[ended], types_by_end[ended] = last_start[ended], types[before[ended + 1]]
    return starts_by_end, types_by_end


def _codes(sentences: Sequence[Sequence[str]], code: dict[Tag, int]) -> NDArray[np.int64]:
    """Codes of all tags in one row, an ``O`` first and after every sentence, as seqeval joins them."""
    by_text = {text: code[parse_tag(text)] for text in set(chain.from_iterable(sentences))}
    outside = (code[_OUTSIDE],)
    row = chain.from_iterable(chain(map(by_text.__getitem__, sentence), outside) for sentence in sentences)
    return np.fromiter(chain(outside, row), dtype=np.int64)


def _table(rule: Callable[[Tag, Tag], bool], tags: list[Tag]) -> NDArray[np.bool_]:
    return np.array([[rule(before, after) for after in tags] for before in tags])
