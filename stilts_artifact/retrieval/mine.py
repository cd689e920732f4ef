"""Bitext mining: from neighbours in both directions to pairs of translations, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.retrieval.center import centred_neighbours
from stilts_artifact.retrieval.exact import Int64, Neighbours
from stilts_artifact.retrieval.knn import Search, nearest_both
from stilts_artifact.retrieval.margin import Margin, margin_scores
from stilts_artifact.retrieval.rows import Float64, Rows

Retrieval = Literal["forward", "backward", "intersect", "max"]
RETRIEVALS: tuple[Retrieval, ...] = get_args(Retrieval)


@dataclass(frozen=True, slots=True)
class Mining:
    """What mining means; the defaults are those of the paper's library and of XTREME.

    Args:
        neighbours: k, in both directions.
        margin: score of a pair.
        retrieval: ``forward`` the best target of each source; ``backward`` the best source of each
            target; ``intersect`` pairs that are both; ``max`` both kinds, best first, each sentence
            used once.
        center: whether the difference of the two languages' means is taken out first (XTREME's
            option, off there too).
    """

    neighbours: int = 4
    margin: Margin = "ratio"
    retrieval: Retrieval = "max"
    center: bool = False

    @property
    def name(self) -> str:
        """Everything but k, as a signature names it.

        Example:
            >>> Mining().name, Mining(margin="distance", center=True).name
            ('ratio-max', 'distance-max-centred')
        """
        return f"{self.margin}-{self.retrieval}" + ("-centred" if self.center else "")


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs, best first; equal scores by source, then by target.

    Attributes:
        scores: float64 array [pairs].
        source, target: int64 arrays [pairs], 0-based rows.
    """

    scores: Float64
    source: Int64
    target: Int64

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Pairs:
        """Some of the pairs, in the order given."""
        return Pairs(self.scores[chosen], self.source[chosen], self.target[chosen])

    def ordered(self) -> Pairs:
        """The same pairs in the total order."""
        return self.take(np.lexsort((self.target, self.source, -self.scores)))


def mine(
    source: Rows, target: Rows, mining: Mining | None = None, search: Search | None = None
) -> Pairs:
    """Mine translations from two corpora of embeddings.

    Source: XTREME utils_retrieve.py:131-229 at 838c13b, which the paper's library copies; unlike
    it, ties have an order and no pair is left out for a score of 0 or less.

    Args:
        source, target: arrays [n, d] and [m, d]; rows need not be normalised.

    Raises:
        DataError, ConfigError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.

    Example:
        >>> pairs = mine(np.eye(3), np.eye(3)[[2, 0, 1]], Mining(neighbours=1))
        >>> list(zip(pairs.source.tolist(), pairs.target.tolist()))
        [(0, 1), (1, 2), (2, 0)]
    """
    mining = mining or Mining()
    find = centred_neighbours if mining.center else nearest_both
    forward, backward = find(source, target, mining.neighbours, search)
    return select_pairs(forward, backward, mining)


def select_pairs(forward: Neighbours, backward: Neighbours, mining: Mining) -> Pairs:
    """All that mining does after the search; ``forward`` holds neighbours of sources, ``backward`` of targets."""
    target, forward_scores = _best(forward, margin_scores(forward, backward, mining.margin))
    source, backward_scores = _best(backward, margin_scores(backward, forward, mining.margin))
    ahead = Pairs(forward_scores, np.arange(len(target)), target)
    back = Pairs(backward_scores, source, np.arange(len(source)))
    match mining.retrieval:
        case "forward":
            return ahead.ordered()
        case "backward":
            return back.ordered()
        case "intersect":
            return ahead.take(source[target] == ahead.source).ordered()
        case "max":
            return _greedy(ahead, back)


def _best(found: Neighbours, scores: Float64) -> tuple[Int64, Float64]:
    """The best candidate of each row and its score; equals by index."""
    first = np.lexsort((found.indices, -scores), axis=1)[:, :1]
    return np.take_along_axis(found.indices, first, axis=1)[:, 0], np.take_along_axis(
        scores, first, axis=1
    )[:, 0]


def _greedy(ahead: Pairs, back: Pairs) -> Pairs:
    """Best pairs first, each sentence at most once."""
    both = Pairs(
        np.concatenate([ahead.scores, back.scores]),
        np.concatenate([ahead.source, back.source]),
        np.concatenate([ahead.target, back.target]),
    ).ordered()
    used_source, used_target = bytearray(len(ahead)), bytearray(len(back))
    chosen = []
    # What is accepted depends on all that came before; on plain lists this takes a quarter of a
    # second per million.
    for place, (source, target) in enumerate(
        zip(both.source.tolist(), both.target.tolist(), strict=True)
    ):
        if not (used_source[source] or used_target[target]):
            used_source[source] = used_target[target] = 1
            chosen.append(place)
    return both.take(np.array(chosen, dtype=np.int64))
