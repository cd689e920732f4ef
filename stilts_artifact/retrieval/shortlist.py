"""Running shortlists: the best scores of every row, while blocks of the similarity matrix pass by once.

Sorting each block costs more than computing it. So a row keeps a bound, and only what is above it
is looked at: after a few blocks that is about one score in a thousand, found by one comparison of
the whole block.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.retrieval.rows import Float32, spans

Axis = Literal[0, 1]

# Above this many newcomers a row, the block's own best scores first raise the bound.
_CROWDED = 16
# Newcomers, and numbers of a merge, handled at a time: bounds the memory, whatever the order of the
# data.
_NEWCOMERS = 1 << 18
_MERGED = 1 << 20


class Shortlist:
    """For each owner (a row or a column of the similarity matrix), its best scores so far.

    Attributes:
        scores: array [owners, size], in no order; -inf where nothing is held yet.
        indices: array [owners, size], whose score it is; -1 where nothing is held yet.
        bound: array [owners]; no score that was let go is above it.
    """

    def __init__(self, owners: int, size: int) -> None:
        self.scores: Float32 = np.full((owners, size), -np.inf, np.float32)
        self.indices = np.full((owners, size), -1, np.int32)
        self.bound: Float32 = np.full(owners, -np.inf, np.float32)

    def offer_block(
        self, block: Float32, corner: tuple[int, int], axis: Axis, scratch: NDArray[np.bool_]
    ) -> None:
        """Take in a block of the similarity matrix.

        Args:
            block: array [rows, columns].
            corner: row and column of ``block[0, 0]`` in the whole matrix.
            axis: 0 if rows own this list, 1 if columns do.
            scratch: array [rows, columns], overwritten.
        """
        bound = self.bound[corner[axis] : corner[axis] + block.shape[axis]]
        above = np.greater(block, np.expand_dims(bound, 1 - axis), out=scratch)
        found = int(np.count_nonzero(above))
        if found > _CROWDED * len(bound):
            np.maximum(bound, _reached(block, axis, self.scores.shape[1]), out=bound)
            above = np.greater(block, np.expand_dims(bound, 1 - axis), out=scratch)
            found = int(np.count_nonzero(above))
        for strip in spans(len(block), max(1, len(block) * _NEWCOMERS // max(found, _NEWCOMERS))):
            # On the flat array: several times faster than a two-dimensional nonzero.
            row, column = np.divmod(np.flatnonzero(above[strip]), block.shape[1])
            row += strip.start
            owner, other = (row, column) if axis == 0 else (column, row)
            order = slice(None) if axis == 0 else np.argsort(owner, kind="stable")
            scores = block[row, column][order]
            self._merge(owner[order] + corner[axis], other[order] + corner[1 - axis], scores)

    def offer_best(self, scores: Float32, indices: NDArray[np.int64], first: int) -> None:
        """Take in each owner's best scores within a block, as a search library returns them.

        What the library let go is no better than what it returned, so the bound stays true if it
        returned as many as the list holds, or all there are.

        Args:
            scores, indices: arrays [owners, size or the whole block]; index -1 where there is
                nothing.
            first: the first of these owners.
        """
        bound = self.bound[first : first + len(scores)]
        owner, place = np.nonzero((scores > bound[:, None]) & (indices >= 0))
        self._merge(owner + first, indices[owner, place], scores[owner, place])

    def _merge(self, owner: NDArray[np.int64], other: NDArray[np.int64], scores: Float32) -> None:
        """Take in single scores; ``owner`` ascends."""
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        counts = np.diff(starts, append=owner.size)
        if not starts.size:
            return
        width = self.scores.shape[1] + int(counts.max())
        for part in spans(len(starts), max(1, _MERGED // width)):
            news = slice(starts[part.start], starts[part.stop - 1] + counts[part.stop - 1])
            self._merge_part(owner[starts[part]], counts[part], other[news], scores[news])

    def _merge_part(
        self, owners: NDArray[Any], counts: NDArray[Any], other: NDArray[Any], scores: Float32
    ) -> None:
        size = self.scores.shape[1]
        line = np.repeat(np.arange(len(owners)), counts)
        place = size + np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
        wide_scores = np.full((len(owners), size + int(counts.max())), -np.inf, np.float32)
        wide_indices = np.full(wide_scores.shape, -1, np.int32)
        wide_scores[:, :size], wide_indices[:, :size] = self.scores[owners], self.indices[owners]
        wide_scores[line, place], wide_indices[line, place] = scores, other
        best = np.argpartition(wide_scores, -size, axis=1)[:, -size:]
        kept = np.take_along_axis(wide_scores, best, axis=1)
        self.scores[owners] = kept
        self.indices[owners] = np.take_along_axis(wide_indices, best, axis=1)
        self.bound[owners] = np.maximum(self.bound[owners], kept.min(axis=1))


def _reached(block: Float32, axis: Axis, size: int) -> Float32:
    """A score that at least ``size`` scores of each owner reach: the ``size``-th best of maxima over groups."""
    length = block.shape[1 - axis]
    if length <= size:
        return np.full(block.shape[axis], -np.inf, np.float32)
    group = max(1, length // (4 * size))
    maxima = np.maximum.reduceat(block, np.arange(0, length - group + 1, group), axis=1 - axis)
    ranked: Float32 = np.partition(maxima, -size, axis=1 - axis)
    return ranked[:, -size] if axis == 0 else ranked[-size]
