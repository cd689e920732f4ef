"""Sentences that occur more than once: mined as one, then dropped or spelled out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np

from stilts_artifact.retrieval.mine import Pairs

Duplicates = Literal["drop", "product"]
DUPLICATES: tuple[Duplicates, ...] = get_args(Duplicates)


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct texts of a corpus.

    Args:
        texts: each once, in order of first occurrence.
        places: for each, where it stands in the corpus, ascending.
    """

    texts: tuple[str, ...]
    places: tuple[tuple[int, ...], ...]

    @property
    def repeated(self) -> int:
        """Number of sentences whose text another sentence has too."""
        return sum(len(places) for places in self.places if len(places) > 1)


def distinct(texts: Sequence[str]) -> Distinct:
    """Group equal texts.

    Example:
        >>> distinct(["a", "b", "a"])
        Distinct(texts=('a', 'b'), places=((0, 2), (1,)))
    """
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, []).append(place)
    return Distinct(tuple(places), tuple(map(tuple, places.values())))


def expand(pairs: Pairs, source: Distinct, target: Distinct, policy: Duplicates) -> Pairs:
    """From pairs of distinct texts to pairs of sentences.

    ``drop`` leaves out pairs with a repeated text (XTREME utils_retrieve.py:266-280 at 838c13b,
    ``read_sent2id``); ``product`` gives every combination of its sentences (the paper's library,
    jiant evaluate/core.py:953-985 at daa5a25).
    """
    scores, sources, targets = [], [], []
    for score, left, right in zip(
        pairs.scores.tolist(), pairs.source.tolist(), pairs.target.tolist(), strict=True
    ):
        combinations = list(product(source.places[left], target.places[right]))
        if len(combinations) == 1 or policy == "product":
            scores += [score] * len(combinations)
            sources += [one for one, _ in combinations]
            targets += [other for _, other in combinations]
    indices = (np.array(places, dtype=np.int64) for places in (sources, targets))
    return Pairs(np.array(scores, dtype=np.float64), *indices).ordered()
