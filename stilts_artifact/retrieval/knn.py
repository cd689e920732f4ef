"""Exact k nearest neighbours by cosine, in one direction or both, within a memory budget.

Blocks of the similarity matrix pass by once, and running shortlists keep the best scores of every
row. Sorting each block would cost more than computing it. So a row keeps a bound, and only what is
above it is looked at: after a few blocks that is about one score in a thousand, found by one
comparison of the whole block. :mod:`stilts_artifact.retrieval.exact` then settles the shortlists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.retrieval.backends import (
    Blocks,
    BlockSearch,
    Engine,
    EngineName,
    backend_of,
    choose_engine,
    plan_blocks,
)
from stilts_artifact.retrieval.exact import SPARE, Neighbours, Shortlist, Side, settle
from stilts_artifact.retrieval.vectors import Float32, Rows, norms, spans, unit_rows

Progress = Callable[[float], None]
"""Called with the part of the search just done; the parts add up to 1."""

Axis = Literal[0, 1]
"""Whether the rows of the similarity matrix search, or its columns."""

# Above this many newcomers an owner, the block's own best scores first raise the bound: merging
# costs more than a second comparison. So it is in the first blocks, and where scores keep rising.
_CROWDED = 16
# Newcomers, and numbers of a merge, handled at a time: bounds the memory, whatever the order of the
# data.
_NEWCOMERS = 1 << 18
_MERGED = 1 << 20


@dataclass(frozen=True, slots=True)
class Search:
    """How to search; none of it changes what is found.

    Args:
        engine: see :mod:`stilts_artifact.retrieval.backends`.
        memory: bytes that may be taken beside the embeddings themselves.
        progress: told how far the search is.
        blocks: rows and columns of a block, instead of the largest that fit; for tests.
    """

    engine: EngineName = "auto"
    memory: int = 4 << 30
    progress: Progress | None = None
    blocks: tuple[int, int] | None = None

    def chosen(self, *, both: bool) -> Search:
        """The same with the library that serves in place of ``auto``.

        Args:
            both: whether one search answers both directions.

        Raises:
            ResourceError: the library was asked for by name and is not there.
        """
        return replace(self, engine=choose_engine(self.engine, both=both))

    @property
    def backend(self) -> str:
        """Name of the library, as a signature has it.

        Raises:
            ConfigError: none is :meth:`chosen` yet.
        """
        if self.engine == "auto":
            raise ConfigError("which library searches is not decided yet", got=self.engine)
        return backend_of(self.engine)


def nearest(queries: Rows, corpus: Rows, k: int, search: Search | None = None) -> Neighbours:
    """The k rows of ``corpus`` nearest to each row of ``queries`` by cosine.

    Neither side need be normalised. Ties go to the smaller index. If k is larger than the corpus,
    all is returned.

    Args:
        queries: array [n, d].
        corpus: array [m, d].

    Returns:
        Arrays [n, min(k, m)].

    Raises:
        DataError: a row that is zero, NaN or infinite; no rows; sides of unequal dimension.
        ConfigError: k < 1.
        ResourceError: the memory budget is too small, or the engine is not there.

    Example:
        >>> found = nearest(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 4.0]]), k=2)
        >>> found.indices.tolist(), found.scores.tolist()
        ([[1, 0]], [[0.6, 0.0]])
    """
    return _nearest(queries, corpus, k, search or Search(), (0,))[0]


def nearest_both(
    source: Rows, target: Rows, k: int, search: Search | None = None
) -> tuple[Neighbours, Neighbours]:
    """Nearest targets of each source row, and sources of each target row; see :func:`nearest`."""
    forward, backward = _nearest(source, target, k, search or Search(), (0, 1))
    return forward, backward


def _nearest(
    source: Rows, target: Rows, k: int, search: Search, axes: tuple[Axis, ...]
) -> list[Neighbours]:
    if k < 1:
        raise ConfigError("number of neighbours below 1", got=str(k), expected="1 or more")
    sides = (
        Side(source, norms(source, "first embeddings")),
        Side(target, norms(target, "second embeddings")),
    )
    if source.shape[1] != target.shape[1]:
        got = f"{source.shape[1]} and {target.shape[1]}"
        raise DataError(
            "embeddings of unequal dimension", got=got, expected="both from one encoder"
        )
    engine = choose_engine(search.engine, both=len(axes) == 2)
    shape = (len(source), len(target), source.shape[1])
    blocks = plan_blocks(shape, k, search.memory, both=len(axes) == 2)
    if search.blocks is not None:
        blocks = Blocks(*search.blocks, blocks.bytes)
    lists = {axis: RunningShortlist.empty(shape[axis], k + SPARE) for axis in axes}
    _fill(lists, sides, engine, blocks, search.progress)
    # Popped, so that the shortlists of one direction are gone before the other is settled.
    return [
        settle(sides[axis], sides[1 - axis], lists.pop(axis), min(k, shape[1 - axis]))
        for axis in axes
    ]


def _fill(
    lists: dict[Axis, RunningShortlist],
    sides: tuple[Side, Side],
    engine: Engine,
    blocks: Blocks,
    progress: Progress | None,
) -> None:
    """Offer every block of the similarity matrix to the shortlists."""
    offer = _offer_products(blocks) if engine == "shared" else _offer_searches(engine)
    total = len(sides[0].rows) * len(sides[1].rows)
    for left, right, corner in _pairs_of_blocks(sides, blocks):
        offer(lists, left, right, corner)
        if progress is not None:
            progress(len(left) * len(right) / total)


def _pairs_of_blocks(
    sides: tuple[Side, Side], blocks: Blocks
) -> Iterator[tuple[Float32, Float32, tuple[int, int]]]:
    """Normalised rows of either side, and where they start; the next pair overwrites them."""
    dimensions = sides[0].rows.shape[1]
    left_room = np.empty((blocks.rows, dimensions), np.float32)
    right_room = np.empty((blocks.columns, dimensions), np.float32)
    for rows in spans(len(sides[0].rows), blocks.rows):
        # The row side is normalised once for a band of blocks, the column side again for each.
        left = unit_rows(
            sides[0].rows[rows], sides[0].lengths[rows], left_room[: rows.stop - rows.start]
        )
        for columns in spans(len(sides[1].rows), blocks.columns):
            room = right_room[: columns.stop - columns.start]
            yield (
                left,
                unit_rows(sides[1].rows[columns], sides[1].lengths[columns], room),
                (rows.start, columns.start),
            )


class RunningShortlist(Shortlist):
    """A shortlist of each owner (a row or a column of the similarity matrix), while blocks pass by.

    Its arrays are changed in place. ``bound`` only rises, and what is above it is always taken in:
    so no score that was let go is ever above it, which is all that settling relies on.
    """

    @classmethod
    def empty(cls, owners: int, size: int) -> RunningShortlist:
        """Nothing held yet."""
        return cls(
            scores=np.full((owners, size), -np.inf, np.float32),
            indices=np.full((owners, size), -1, np.int32),
            bound=np.full(owners, -np.inf, np.float32),
        )

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
            # Newcomers come row by row, and merging wants its owners ascending.
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
        starts = np.flatnonzero(np.diff(owner, prepend=-1))  # where another owner begins
        counts = np.diff(starts, append=owner.size)
        if not starts.size:
            return
        width = self.scores.shape[1] + int(counts.max())
        # One owner with many newcomers makes the table wide for all: fewer owners at a time then.
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
        # Which of equals is dropped does not matter: the bound then equals them, and settling
        # knows.
        best = np.argpartition(wide_scores, -size, axis=1)[:, -size:]
        kept = np.take_along_axis(wide_scores, best, axis=1)
        self.scores[owners] = kept
        self.indices[owners] = np.take_along_axis(wide_indices, best, axis=1)
        self.bound[owners] = np.maximum(self.bound[owners], kept.min(axis=1))


def _reached(block: Float32, axis: Axis, size: int) -> Float32:
    """A score that at least ``size`` scores of each owner reach.

    The ``size``-th best of the maxima over groups: each group has a score as high as its maximum,
    so at least ``size`` scores are as high as that. Cheaper than ranking the block, and a little
    too low, which costs time and never a neighbour.
    """
    length = block.shape[1 - axis]
    if length <= size:
        return np.full(block.shape[axis], -np.inf, np.float32)
    group = max(1, length // (4 * size))
    maxima = np.maximum.reduceat(block, np.arange(0, length - group + 1, group), axis=1 - axis)
    ranked: Float32 = np.partition(maxima, -size, axis=1 - axis)
    return ranked[:, -size] if axis == 0 else ranked[-size]


_Offer = Callable[[dict[Axis, RunningShortlist], Float32, Float32, tuple[int, int]], None]


def _offer_products(blocks: Blocks) -> _Offer:
    """One multiplication for all directions: the matrix is the same, read by rows or by columns."""
    # Taken once: every block, whatever its shape, fits into it.
    room = np.empty(blocks.rows * blocks.columns, np.float32)
    mask = np.empty(blocks.rows * blocks.columns, np.bool_)

    def offer(
        lists: dict[Axis, RunningShortlist], left: Float32, right: Float32, corner: tuple[int, int]
    ) -> None:
        shape = (len(left), len(right))
        size = len(left) * len(right)
        block = np.matmul(left, right.T, out=room[:size].reshape(shape))
        for axis, shortlist in lists.items():
            shortlist.offer_block(block, corner, axis, mask[:size].reshape(shape))

    return offer


def _offer_searches(engine: Literal["faiss", "faiss-gpu"]) -> _Offer:
    """One search for each direction."""
    find = BlockSearch(engine)

    def offer(
        lists: dict[Axis, RunningShortlist], left: Float32, right: Float32, corner: tuple[int, int]
    ) -> None:
        for axis, shortlist in lists.items():
            queries, corpus = (left, right) if axis == 0 else (right, left)
            k = min(shortlist.scores.shape[1], len(corpus))
            scores, indices = find(queries, corpus, k)
            shortlist.offer_best(scores, indices + corner[1 - axis], corner[axis])

    return offer
