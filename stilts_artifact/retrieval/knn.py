"""Exact k nearest neighbours by cosine, in one direction or both, within a memory budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.retrieval.engines import BlockSearch, Engine, EngineName, choose_engine
from stilts_artifact.retrieval.exact import Neighbours, Side, settle
from stilts_artifact.retrieval.memory import SPARE, Blocks, plan_blocks
from stilts_artifact.retrieval.rows import Float32, Rows, norms, spans, unit_rows
from stilts_artifact.retrieval.shortlist import Axis, Shortlist

Progress = Callable[[float], None]
"""Called with the part of the search just done; the parts add up to 1."""


@dataclass(frozen=True, slots=True)
class Search:
    """How to search; none of it changes what is found.

    Args:
        engine: see :mod:`stilts_artifact.retrieval.engines`.
        memory: bytes that may be taken beside the embeddings themselves.
        progress: told how far the search is.
        blocks: rows and columns of a block, instead of the largest that fit; for tests.
    """

    engine: EngineName = "auto"
    memory: int = 4 << 30
    progress: Progress | None = None
    blocks: tuple[int, int] | None = None


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
    """Nearest targets of each source row, and nearest sources of each target row; see :func:`nearest`."""
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
    lists = {axis: Shortlist(shape[axis], k + SPARE) for axis in axes}
    _fill(lists, sides, engine, blocks, search.progress)
    return [
        settle(sides[axis], sides[1 - axis], lists.pop(axis), min(k, shape[1 - axis]))
        for axis in axes
    ]


def _fill(
    lists: dict[Axis, Shortlist],
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
    """Normalised rows of either side, and where they start. The arrays are overwritten by the next pair."""
    dimensions = sides[0].rows.shape[1]
    left_room = np.empty((blocks.rows, dimensions), np.float32)
    right_room = np.empty((blocks.columns, dimensions), np.float32)
    for rows in spans(len(sides[0].rows), blocks.rows):
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


_Offer = Callable[[dict[Axis, Shortlist], Float32, Float32, tuple[int, int]], None]


def _offer_products(blocks: Blocks) -> _Offer:
    """One multiplication for all directions."""
    room = np.empty(blocks.rows * blocks.columns, np.float32)
    mask = np.empty(blocks.rows * blocks.columns, np.bool_)

    def offer(
        lists: dict[Axis, Shortlist], left: Float32, right: Float32, corner: tuple[int, int]
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
        lists: dict[Axis, Shortlist], left: Float32, right: Float32, corner: tuple[int, int]
    ) -> None:
        for axis, shortlist in lists.items():
            queries, corpus = (left, right) if axis == 0 else (right, left)
            k = min(shortlist.scores.shape[1], len(corpus))
            scores, indices = find(queries, corpus, k)
            shortlist.offer_best(scores, indices + corner[1 - axis], corner[axis])

    return offer
