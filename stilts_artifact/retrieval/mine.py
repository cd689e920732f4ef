"""Bitext mining: from neighbours in both directions to pairs of translations, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.retrieval.exact import DECIMALS, Int64, Neighbours
from stilts_artifact.retrieval.knn import Search, nearest, nearest_both
from stilts_artifact.retrieval.vectors import Float32, Float64, Rows, norms, unit_rows

Retrieval = Literal["forward", "backward", "intersect", "max"]
RETRIEVALS: tuple[Retrieval, ...] = get_args(Retrieval)
Margin = Literal["ratio", "distance", "absolute"]
MARGINS: tuple[Margin, ...] = get_args(Margin)
Duplicates = Literal["drop", "product"]
DUPLICATES: tuple[Duplicates, ...] = get_args(Duplicates)


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
    """All that mining does after the search.

    Args:
        forward: neighbours of the sources, among targets.
        backward: neighbours of the targets, among sources.
    """
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
            # Each other's best.
            return ahead.take(source[target] == ahead.source).ordered()
        case "max":
            return _greedy(ahead, back)


def _best(found: Neighbours, scores: Float64) -> tuple[Int64, Float64]:
    """The best candidate of each row and its score; equals by index."""
    # Not the nearest: a margin may prefer a lower cosine in an emptier neighbourhood. The last key
    # of lexsort is the first to decide.
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


def margin(cosines: Float64, means: Float64, kind: Margin) -> Float64:
    """Score pairs by their cosine and the mean cosine of both sentences' neighbours.

    ``ratio`` cosine / mean (0 where the mean is 0); ``distance`` cosine - mean; ``absolute``
    cosine. Rounded as cosines are, so that pairs with equal neighbourhoods tie. Source: Artetxe and
    Schwenk, ACL 2019, arXiv 1811.01136, section 3.1; XTREME utils_retrieve.py:131-229 at 838c13b.

    Example:
        >>> [margin(np.array([0.9]), np.array([0.6]), kind).item() for kind in MARGINS]
        [1.5, 0.3, 0.9]
    """
    if kind == "absolute":
        return cosines
    if kind == "distance":
        return np.round(cosines - means, DECIMALS)
    ratio: Float64 = np.divide(cosines, means, out=np.zeros_like(cosines), where=means != 0)
    return np.round(ratio, DECIMALS)


def margin_scores(found: Neighbours, other: Neighbours, kind: Margin) -> Float64:
    """Margins of the candidates in ``found``; ``other`` holds neighbours in the opposite direction.

    The mean of a pair is half the mean cosine of its source's neighbours plus half that of its
    target's.

    Returns:
        Array [n, k], in the order of ``found``.
    """
    # Candidates come from k nearest neighbours, and their means are over the same k (a hub, near to
    # everything, has a high mean and so a low margin).
    own, theirs = found.scores.mean(axis=1)[:, None], other.scores.mean(axis=1)[found.indices]
    return margin(found.scores, np.round((own + theirs) / 2, DECIMALS), kind)


def centred_neighbours(
    source: Rows, target: Rows, k: int, search: Search | None = None
) -> tuple[Neighbours, Neighbours]:
    """Nearest neighbours in both directions, without what the two languages differ in on average.

    Rows are normalised; the queries of either direction are then moved by the difference of the two
    means, and scored by their inner product with the other side, as they are (XTREME
    utils_retrieve.py at 838c13b, ``shift_embeddings`` and ``mine_bitext`` under
    ``--use_shift_embeds``). Both sides are held in memory twice.

    Raises:
        DataError, ConfigError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`;
            also where a sentence is exactly the difference of the means.
    """
    one, other = _unit(source, "first embeddings"), _unit(target, "second embeddings")
    # In float64: a float32 mean over 100,000 rows loses the digits that this is about.
    difference = one.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)
    forward = _products((one - difference).astype(np.float32), other, k, search)
    return forward, _products((other + difference).astype(np.float32), one, k, search)


def _unit(rows: Rows, name: str) -> Float32:
    return unit_rows(rows, norms(rows, name), np.empty(rows.shape, np.float32))


def _products(queries: Float32, corpus: Float32, k: int, search: Search | None) -> Neighbours:
    """Nearest by inner product: the order is that by cosine, as corpus rows have length one."""
    found = nearest(queries, corpus, k, search)
    return replace(found, scores=found.scores * norms(queries, "centred embeddings")[:, None])


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct texts of a corpus.

    Where embeddings come with the texts and copies of one text have different ones, the last copy's
    stands for all, as in LASER's mine_bitexts.py, XTREME's utils_retrieve.py and the paper's
    library, whose ``unique_embeddings`` let later copies overwrite earlier ones.

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
        # One combination means that neither text is repeated.
        if len(combinations) == 1 or policy == "product":
            scores += [score] * len(combinations)
            sources += [one for one, _ in combinations]
            targets += [other for _, other in combinations]
    indices = (np.array(places, dtype=np.int64) for places in (sources, targets))
    return Pairs(np.array(scores, dtype=np.float64), *indices).ordered()
