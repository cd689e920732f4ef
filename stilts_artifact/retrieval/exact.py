"""Settle shortlists in float64: exact scores, a total order, and no doubt left by coarser scores.

The cosine of two rows is ``round(x.y / (|x| |y|), 10)``, in float64. Rounding makes the order
independent of the last bits, which differ between libraries and blockings: what is equal on paper
is equal here, and equals are ordered by index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.retrieval.vectors import Float32, Float64, Rows, run_in_threads, spans

Int64 = NDArray[np.int64]

DECIMALS = 10
# Numbers of float64 held at a time: candidates (small, so that they stay in cache), and corpus of a
# full search.
_GATHERED = 1 << 18
_CORPUS = 1 << 20
_AGAIN = 256


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One side of a search: rows [n, d] and their lengths [n]."""

    rows: Rows
    lengths: Float64


class Errors(NamedTuple):
    """How far the scores of each row may be from cosines, or cosines less some constant.

    Args:
        absolute: array [n].
        relative: share of the score itself, on top.
    """

    absolute: Float64
    relative: float

    def doubt(self, scores: Float64, part: slice | Int64 = slice(None)) -> Float64:
        """How far below a row's k-th best score one has to be, not to be among the k best.

        With ``e`` for the absolute and ``r`` for the relative error, a score ``s`` stands for a
        cosine of ``s + r |s| + e`` at most, and the k-th best ``t`` for one of ``t - r |t| - e`` at
        least. These are equal at ``s = t - doubt`` or above it, as ``|s|`` is ``|t| + doubt`` at
        most.

        Args:
            scores: array [rows], the k-th best of each; -inf where there are fewer.
            part: which rows.
        """
        size = np.where(np.isfinite(scores), np.abs(scores), 0)
        found: Float64 = 2 * (self.absolute[part] + self.relative * size) / (1 - self.relative)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """What a coarse search leaves to be settled: for each row, its best scores, in no order.

    Attributes:
        scores: array [n, size]; -inf where nothing is held.
        indices: int32 array [n, size], whose score it is; -1 where nothing is held.
        bound: array [n]; no score that was let go is above it.
        errors: of the scores.
    """

    scores: Float32
    indices: NDArray[np.int32]
    bound: Float32
    errors: Errors

    def floors(self, k: int) -> Float64:
        """Of each row, what a score has to reach to be among the k best, whatever its error."""
        kth = np.partition(self.scores, -k, axis=1)[:, -k].astype(np.float64)
        found: Float64 = kth - self.errors.doubt(kth)
        return found

    def decided(self, k: int) -> NDArray[np.bool_]:
        """Whether nothing that was let go can be among a row's k best."""
        found: NDArray[np.bool_] = self.bound < self.floors(k)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The k best rows of the other side for each row, best first, equals by index.

    Attributes:
        scores: float64 array [n, k] of cosines.
        indices: int64 array [n, k], 0-based.
    """

    scores: Float64
    indices: Int64


Undecided = Callable[[Side, Side, int], Neighbours]
"""Searches the corpus for the k nearest neighbours of rows that a shortlist does not decide."""


def rounding_error(dimensions: int) -> float:
    """Largest error of a float32 cosine of normalised rows, whatever the order of summation.

    ``d`` roundings of sums and products (Higham, Accuracy and Stability of Numerical Algorithms,
    2002, section 3.1), and those of the normalised rows themselves.
    """
    return (dimensions + 16) * 2.0**-24


def settle(
    queries: Side, corpus: Side, shortlist: Shortlist, k: int, undecided: Undecided
) -> Neighbours:
    """The exact k nearest neighbours, given shortlists of coarse scores.

    Where a shortlist decides, its candidates are scored in float64. Other rows are searched again.

    Args:
        k: at most the number of corpus rows.
        undecided: that search.
    """
    scores, indices = np.empty((len(queries.rows), k)), np.empty((len(queries.rows), k), np.int64)
    floor, certain = shortlist.floors(k), shortlist.decided(k)

    def settle_part(chosen: Int64) -> None:
        scores[chosen], indices[chosen] = _settle_part(queries, corpus, shortlist, chosen, floor, k)

    run_in_threads(
        settle_part, _parts(shortlist, floor, np.flatnonzero(certain), queries.rows.shape[1])
    )
    # Rare: near-ties at rank k, more than a shortlist holds, such as many copies of one sentence.
    rows = np.flatnonzero(~certain)
    for part in spans(len(rows), _AGAIN):
        again = Side(queries.rows[rows[part]], queries.lengths[rows[part]])
        found = undecided(again, corpus, k)
        scores[rows[part]], indices[rows[part]] = found.scores, found.indices
    return Neighbours(scores, indices)


def _parts(shortlist: Shortlist, floor: Float64, rows: Int64, dimensions: int) -> list[Int64]:
    """Rows with about equally many candidates together, which are gathered at a time."""
    counts = (shortlist.scores[rows] >= floor[rows, None]).sum(axis=1)
    order = np.argsort(-counts, kind="stable")
    parts, start = [], 0
    while start < len(rows):
        size = max(1, _GATHERED // (int(counts[order[start]]) * dimensions))
        parts.append(rows[order[start : start + size]])
        start += size
    return parts


def _settle_part(
    queries: Side, corpus: Side, shortlist: Shortlist, chosen: Int64, floor: Float64, k: int
) -> tuple[Float64, Int64]:
    listed = shortlist.scores[chosen]
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


def full_search(queries: Side, corpus: Side, k: int) -> Neighbours:
    """The k nearest neighbours, all in float64."""
    left, lengths = queries.rows.astype(np.float64), queries.lengths[:, None]
    scores, indices = np.full((len(left), k), -np.inf), np.full((len(left), k), -1, np.int64)
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
    return Neighbours(scores, indices)


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
