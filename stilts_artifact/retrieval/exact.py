"""Settle shortlists in float64: exact scores, a total order, and no doubt left by float32.

The cosine of two rows is ``round(x.y / (|x| |y|), 10)``, in float64. Rounding makes the order
independent of the last bits, which differ between libraries and blockings: what is equal on paper
is equal here, and equals are ordered by index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.retrieval.vectors import Float32, Float64, Rows, spans

Int64 = NDArray[np.int64]

DECIMALS = 10
SPARE = 8  # candidates kept beyond k, so that float64 can settle what float32 cannot
# Numbers of float64 held at a time: candidates (small, so that they stay in cache), and corpus of a
# full search.
_GATHERED = 1 << 18
_CORPUS = 1 << 20
_FULL_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One side of a search: rows [n, d] and their lengths [n]."""

    rows: Rows
    lengths: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """What a search in float32 leaves to be settled: for each row, its best scores, in no order.

    Attributes:
        scores: array [n, size]; -inf where nothing is held.
        indices: int32 array [n, size], whose score it is; -1 where nothing is held.
        bound: array [n]; no score that was let go is above it.
    """

    scores: Float32
    indices: NDArray[np.int32]
    bound: Float32


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The k best rows of the other side for each row, best first, equals by index.

    Attributes:
        scores: float64 array [n, k] of cosines.
        indices: int64 array [n, k], 0-based.
    """

    scores: Float64
    indices: Int64


def rounding_error(dimensions: int) -> float:
    """Largest error of a float32 cosine of normalised rows, whatever the order of summation.

    ``d`` roundings of sums and products (Higham, Accuracy and Stability of Numerical Algorithms,
    2002, section 3.1), and those of the normalised rows themselves.
    """
    return (dimensions + 16) * 2.0**-24


def settle(queries: Side, corpus: Side, shortlist: Shortlist, k: int) -> Neighbours:
    """The exact k nearest neighbours, given shortlists of float32 scores.

    A shortlist decides where the k-th best score is above :attr:`Shortlist.bound` by more than
    twice the rounding error: then nothing that was let go can be among the k best. Other rows are
    searched again in full.

    Args:
        k: at most the number of corpus rows.
    """
    scores, indices = np.empty((len(queries.rows), k)), np.empty((len(queries.rows), k), np.int64)
    # Twice: the k-th best may be too high by one rounding error, what was let go too low by one.
    doubt = 2 * rounding_error(queries.rows.shape[1])
    kth = np.partition(shortlist.scores, -k, axis=1)[:, -k].astype(np.float64)
    certain = shortlist.bound < kth - doubt
    rows = np.flatnonzero(certain)
    # The most candidates that a row has to settle bounds what is gathered at a time.
    widest = int((shortlist.scores >= (kth - doubt)[:, None]).sum(axis=1)[rows].max(initial=k))
    for part in spans(len(rows), max(1, _GATHERED // (widest * queries.rows.shape[1]))):
        chosen = rows[part]
        scores[chosen], indices[chosen] = _settle_part(
            queries, corpus, shortlist, chosen, (kth - doubt, k)
        )
    # Rare: only rows with more than SPARE near-ties at rank k, such as many copies of one sentence.
    rows = np.flatnonzero(~certain)
    for part in spans(len(rows), _FULL_ROWS):
        scores[rows[part]], indices[rows[part]] = _full_search(queries, corpus, rows[part], k)
    return Neighbours(scores, indices)


def _settle_part(
    queries: Side, corpus: Side, shortlist: Shortlist, chosen: Int64, limit: tuple[Float64, int]
) -> tuple[Float64, Int64]:
    floor, k = limit
    listed = shortlist.scores[chosen]
    # Below the floor nothing can be among the k best, whatever rounding did to it.
    width = int((listed >= floor[chosen, None]).sum(axis=1).max())
    order = np.argsort(-listed, axis=1)[:, :width]
    found = np.take_along_axis(shortlist.indices[chosen], order, axis=1).astype(np.int64)
    held = found >= 0  # index -1 reads the last row of the corpus, whose score is then masked
    left, right = queries.rows[chosen].astype(np.float64), corpus.rows[found].astype(np.float64)
    dots = np.einsum("nd,nkd->nk", left, right)
    exact = np.where(
        held, _cosines(dots, queries.lengths[chosen][:, None], corpus.lengths[found]), -np.inf
    )
    # The last key decides first: by score, then by index.
    best = np.lexsort((found, -exact), axis=1)[:, :k]
    return np.take_along_axis(exact, best, axis=1), np.take_along_axis(found, best, axis=1)


def _full_search(queries: Side, corpus: Side, chosen: Int64, k: int) -> tuple[Float64, Int64]:
    left, lengths = queries.rows[chosen].astype(np.float64), queries.lengths[chosen][:, None]
    scores, indices = np.full((len(chosen), k), -np.inf), np.full((len(chosen), k), -1, np.int64)
    for span in spans(len(corpus.rows), max(1, _CORPUS // left.shape[1])):
        dots = left @ corpus.rows[span].astype(np.float64).T
        scores = np.concatenate(
            [scores, _cosines(dots, lengths, corpus.lengths[None, span])], axis=1
        )
        here = np.broadcast_to(np.arange(span.start, span.stop), dots.shape)
        indices = np.concatenate([indices, here], axis=1)
        # What was found before has smaller indices and stands first, so position decides between
        # equals.
        best = best_positions(scores, k)
        scores, indices = (
            np.take_along_axis(scores, best, axis=1),
            np.take_along_axis(indices, best, axis=1),
        )
    return scores, indices


def _cosines(dots: Float64, left: Float64, right: Float64) -> Float64:
    return np.round(dots / (left * right), DECIMALS)


def best_positions(scores: Float64, k: int) -> Int64:
    """Positions [n, k] of each row's k best scores, best first, equals by position.

    Any number may be equal: a partition alone would keep some of them at random.

    Example:
        >>> best_positions(np.array([[1.0, 2.0, 1.0, 2.0]]), 3).tolist()
        [[1, 3, 0]]
    """
    kth = np.partition(scores, -k, axis=1)[:, -k, None]
    # On the flat array: several times faster than a two-dimensional nonzero.
    row, column = np.divmod(np.flatnonzero(scores > kth), scores.shape[1])
    tied_row, tied_column = np.divmod(np.flatnonzero(scores == kth), scores.shape[1])
    room = k - np.bincount(row, minlength=len(scores))
    first = np.searchsorted(tied_row, np.arange(len(scores)))
    fits = np.arange(len(tied_row)) - first[tied_row] < room[tied_row]
    row, column = np.concatenate([row, tied_row[fits]]), np.concatenate([column, tied_column[fits]])
    order = np.lexsort((column, -scores[row, column], row))
    return column[order].reshape(len(scores), k)
