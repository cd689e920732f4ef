"""Exact k nearest neighbours by cosine, in one direction or both, within a memory budget.

Blocks of the similarity matrix pass by once, and running shortlists keep the best scores of every
row. Sorting each block would cost more than computing it. So a row keeps a bound, and only what is
above it is looked at: after a few blocks that is about one score in a thousand, found by one
comparison of the whole block. :mod:`stilts_artifact.retrieval.exact` then settles the shortlists.

Where the processor is made for bfloat16, blocks are multiplied in that, which leaves more of each
row open. Rows of which too much is open are searched again in float32. What is found is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Lock
from typing import Any, Literal

import numpy as np

from stilts_artifact.errors import ConfigError, DataError, ResourceError
from stilts_artifact.retrieval.backends import (
    SPARE,
    Blocks,
    BlockSearch,
    Engine,
    EngineName,
    Pass,
    backend_of,
    choose_engine,
    plan_blocks,
)
from stilts_artifact.retrieval.exact import (
    Int64,
    Neighbours,
    Shortlist,
    Side,
    full_search,
    settle,
)
from stilts_artifact.retrieval.products import (
    Bfloat16Products,
    Float32Products,
    Keys,
    Products,
    pass_for,
)
from stilts_artifact.retrieval.vectors import (
    Float32,
    Rows,
    in_threads,
    norms,
    spans,
    thread_count,
)

Progress = Callable[[float], None]
"""Called with the part of the search just done; the parts add up to 1."""

Axis = Literal[0, 1]
"""Whether the rows of the similarity matrix search, or its columns."""

Lists = dict[Axis, "RunningShortlist"]

# Above this many newcomers an owner, the block's own best scores first raise the bound: merging
# costs more than a second comparison. So it is in the first blocks, and where scores keep rising.
_CROWDED = 16
# Rows of a block in which newcomers are counted for that.
_SAMPLED = 64
# Scores of a band of blocks that one thread gets through as soon as several would.
_SMALL = 1 << 18
# Scores compared, newcomers, and numbers of a merge, at a time in all threads: bounds the memory,
# whatever the order of the data.
_NEWCOMERS = 1 << 19
_MERGED = 1 << 21
# Rows of either side that are searched first, to see how much bfloat16 leaves open, and the share
# of them that may need float32.
_TRIED = 64
_UNDECIDED = 0.1


@dataclass(frozen=True, slots=True)
class Search:
    """How to search; none of it changes what is found.

    Args:
        engine: see :mod:`stilts_artifact.retrieval.backends`.
        memory: bytes that may be taken beside the embeddings themselves.
        progress: told how far the search is.
        blocks: rows and columns of a block, instead of the largest that fit; for tests.
        first: what is multiplied in, where NumPy or torch multiplies; otherwise what is faster.
    """

    engine: EngineName = "auto"
    memory: int = 4 << 30
    progress: Progress | None = None
    blocks: tuple[int, int] | None = None
    first: Pass | None = None

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
    first = search.first or (pass_for(shape) if engine == "shared" else "float32")
    if first == "bfloat16" and (coarse := _coarse(sides, k, search, axes)) is not None:
        return _search(coarse, k, axes, engine, search.progress)
    return _search(Float32Products(sides, blocks), k, axes, engine, search.progress)


def _search(
    products: Products, k: int, axes: tuple[Axis, ...], engine: Engine, progress: Progress | None
) -> list[Neighbours]:
    """One pass over all blocks, and what it leaves open."""
    sides = products.sides
    lists = _pass(products, k, axes, engine, progress)

    def again(queries: Side, corpus: Side, k: int) -> Neighbours:
        if isinstance(products, Float32Products):
            return full_search(queries, corpus, k)
        fine = Float32Products((queries, corpus), products.blocks)
        return _search(fine, k, (0,), "shared", None)[0]

    # Popped, so that the shortlists of one direction are gone before the other is settled.
    return [
        settle(
            sides[axis],
            sides[1 - axis],
            lists.pop(axis).ended(),
            min(k, len(sides[1 - axis].rows)),
            again,
        )
        for axis in axes
    ]


def _coarse(
    sides: tuple[Side, Side], k: int, search: Search, axes: tuple[Axis, ...]
) -> Bfloat16Products | None:
    """What multiplies in bfloat16, if it was asked for, or its longer shortlists fit and it serves.

    Raises:
        ResourceError: it was asked for, and they do not fit.
    """
    shape = (len(sides[0].rows), len(sides[1].rows), sides[0].rows.shape[1])
    try:
        blocks = plan_blocks(shape, k, search.memory, both=len(axes) == 2, first="bfloat16")
    except ResourceError:
        if search.first is not None:
            raise
        return None
    if search.blocks is not None:
        blocks = Blocks(*search.blocks, blocks.bytes)
    coarse = Bfloat16Products(sides, blocks)
    return coarse if search.first is not None or _serves(coarse, k, axes) else None


def _serves(coarse: Bfloat16Products, k: int, axes: tuple[Axis, ...]) -> bool:
    """Whether bfloat16 decides enough of these rows, as a search with a few of either side tells.

    And whether its errors are within their bound: who multiplies wrongly is not asked again.
    """
    for axis in axes:
        queries, corpus = coarse.sides[axis], coarse.sides[1 - axis]
        places = np.linspace(0, len(queries.rows) - 1, _TRIED).astype(np.int64)
        few = coarse.sample(axis, places)
        found = _pass(few, k, (axis,), "shared", None)[axis].ended()
        if not few.within_errors(axis, found):
            return False
        if np.mean(~found.decided(min(k, len(corpus.rows)))) > _UNDECIDED:
            return False
    return True


def _pass(
    products: Products,
    k: int,
    axes: tuple[Axis, ...],
    engine: Engine,
    progress: Progress | None,
) -> Lists:
    """Shortlists of the rows, the columns or both, to which every block was offered."""
    size = k + SPARE[products.name]
    lists = {axis: RunningShortlist(products, axis, k, size) for axis in axes}
    height, width = (len(side.rows) for side in products.sides)
    offer = _offer_products if engine == "shared" else _offer_searches(engine)
    # FAISS has threads of its own, and small blocks are not worth any.
    large = products.blocks.rows * width > _SMALL
    threads = thread_count() if engine == "shared" and large else 1
    # As many blocks of a band for each thread: none waits for the others at its end.
    rounds = -(-width // (products.blocks.columns * threads))
    wide = -(-width // (rounds * threads))
    free: SimpleQueue[Products] = SimpleQueue()
    for number in range(threads):
        free.put(products.beside() if number else products)
    for rows in spans(height, products.blocks.rows):
        # The row side is normalised once for a band of blocks, the column side again for each.
        left = products.rows(0, rows, threads)

        def offer_block(columns: slice, first: int = rows.start, left: Any = left) -> float:
            mine = free.get()
            try:
                right = mine.rows(1, columns)
                offer(lists, mine, left, right, (first, columns.start))
            finally:
                free.put(mine)
            return len(left) * len(right) / (height * width)

        for done in in_threads(offer_block, spans(width, wide), threads):
            if progress is not None:
                progress(done)
    return lists


class RunningShortlist:
    """A shortlist of each owner (a row or a column of the similarity matrix), while blocks pass by.

    ``bound`` only rises, and what is above it is always taken in: so no score that was let go is
    ever above it, which is all that settling relies on. It rises to what cannot be among the k best
    any more, or else to the worst that is held.

    Args:
        products: whose scores are held, as keys.
        axis: 0 if rows own this list, 1 if columns do.
        k: how many are sought.
        size: how many are held for each.
    """

    def __init__(self, products: Products, axis: Axis, k: int, size: int) -> None:
        owners = len(products.sides[axis].rows)
        self._products, self._axis, self._k, self.size = products, axis, k, size
        self._errors = products.errors(axis)
        self._keys = np.full((owners, size), products.nothing, products.dtype)
        self._indices = np.full((owners, size), -1, np.int32)
        self._bound = np.full(owners, products.lowest, products.dtype)
        self._lock = Lock()

    def ended(self) -> Shortlist:
        """What is held when all blocks have passed."""
        scores = self._products.scores(self._keys)
        scores[self._indices < 0] = -np.inf
        bound = self._products.scores(self._bound)
        return Shortlist(scores, self._indices, bound, self._errors)

    def offer_block(self, block: Keys, corner: tuple[int, int]) -> None:
        """Take in a block of the similarity matrix.

        Several threads may do so at the same time.

        Args:
            block: array [rows, columns].
            corner: row and column of ``block[0, 0]`` in the whole matrix.
        """
        axis = self._axis
        first, start = corner[axis], corner[1 - axis]
        bound = self._bound[first : first + block.shape[axis]]
        if block.shape[1 - axis] >= self._k and self._crowded(block, bound):
            reached = self._floor(_reached(block, axis, self._k), first)
            with self._lock:
                np.maximum(bound, reached, out=bound)
        room = _NEWCOMERS // thread_count()
        owners, others, keys, held = [], [], [], 0
        for strip in spans(len(block), max(1, room // block.shape[1])):
            part = block[strip]
            # Another thread may raise the bound meanwhile; what is let go is below it all the same.
            above = part > (bound[strip, None] if axis == 0 else bound)
            # On the flat array: several times faster than a two-dimensional nonzero.
            row, column = np.divmod(np.flatnonzero(above), block.shape[1])
            keys.append(part[row, column])
            row += strip.start
            owners.append(row if axis == 0 else column)
            others.append(column if axis == 0 else row)
            held += row.size
            if held > room or strip.stop == len(block):
                owner, other = np.concatenate(owners), np.concatenate(others)
                # Newcomers come row by row, and merging wants its owners ascending. Of the
                # smallest type: two bytes are sorted several times faster than eight.
                small = owner.astype(np.min_scalar_type(len(bound)))
                order = slice(None) if axis == 0 else np.argsort(small, kind="stable")
                self._merge(owner[order] + first, other[order] + start, np.concatenate(keys)[order])
                owners, others, keys, held = [], [], [], 0

    def _crowded(self, block: Keys, bound: Keys) -> bool:
        """Whether many are above the bounds, as some of the rows tell."""
        step = -(-len(block) // _SAMPLED)
        above = block[::step] > (bound[::step, None] if self._axis == 0 else bound)
        return bool(np.count_nonzero(above) * step > _CROWDED * len(bound))

    def offer_best(self, scores: Float32, indices: Int64, first: int) -> None:
        """Take in each owner's best scores within a block, as a search library returns them.

        What the library let go is no better than what it returned, so the bound stays true if it
        returned as many as the list holds, or all there are.

        Args:
            scores, indices: arrays [owners, size or the whole block]; index -1 where there is
                nothing.
            first: the first of these owners.
        """
        bound = self._bound[first : first + len(scores)]
        owner, place = np.nonzero((scores > bound[:, None]) & (indices >= 0))
        self._merge(owner + first, indices[owner, place], scores[owner, place])

    def _merge(self, owner: Int64, other: Int64, keys: Keys) -> None:
        """Take in single scores; ``owner`` ascends."""
        starts = np.flatnonzero(np.diff(owner, prepend=-1))  # where another owner begins
        counts = np.diff(starts, append=owner.size)
        if not starts.size:
            return
        width = self.size + int(counts.max())
        # One owner with many newcomers makes the table wide for all: fewer owners at a time then.
        for part in spans(len(starts), max(1, _MERGED // thread_count() // width)):
            news = slice(starts[part.start], starts[part.stop - 1] + counts[part.stop - 1])
            with self._lock:
                self._merge_part(owner[starts[part]], counts[part], other[news], keys[news])

    def _merge_part(self, owners: Int64, counts: Int64, other: Int64, keys: Keys) -> None:
        size = self.size
        line = np.repeat(np.arange(len(owners)), counts)
        place = size + np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (len(owners), size + int(counts.max()))
        wide_keys = np.full(shape, self._products.nothing, self._products.dtype)
        wide_indices = np.full(shape, -1, np.int32)
        wide_keys[:, :size], wide_indices[:, :size] = self._keys[owners], self._indices[owners]
        wide_keys[line, place], wide_indices[line, place] = keys, other
        # Which of equals is dropped does not matter: the bound then equals them, and settling
        # knows.
        best = np.argpartition(wide_keys, (-size, -self._k), axis=1)[:, -size:]
        kept = np.take_along_axis(wide_keys, best, axis=1)
        self._keys[owners] = kept
        self._indices[owners] = np.take_along_axis(wide_indices, best, axis=1)
        floor = self._floor(kept[:, -self._k], owners)
        self._bound[owners] = np.maximum(self._bound[owners], np.maximum(floor, kept[:, 0]))

    def _floor(self, kth: Keys, owners: int | Int64) -> Keys:
        """What is not among the k best, if as many scores reach this.

        Args:
            kth: array [owners].
            owners: which they are, or the first of them.
        """
        part = slice(owners, owners + len(kth)) if isinstance(owners, int) else owners
        scores = self._products.scores(kth).astype(np.float64)
        return self._products.keys_below(scores - self._errors.doubt(scores, part))


def _reached(block: Keys, axis: Axis, count: int) -> Keys:
    """A score that at least ``count`` scores of each owner reach.

    The ``count``-th best of the maxima over groups: each group has a score as high as its maximum,
    so at least ``count`` scores are as high as that. Cheaper than ranking the block, and a little
    too low, which costs time and never a neighbour.
    """
    length = block.shape[1 - axis]
    groups = min(length, 8 * count)
    # Every group-th score is of one group: the longest runs that are compared at once.
    group = length // groups
    if axis == 0:
        maxima = block[:, : group * groups].reshape(-1, group, groups).max(axis=1)
    else:
        maxima = block[: group * groups].reshape(group, groups, -1).max(axis=0).T
    reached: Keys = np.partition(maxima, -count, axis=1)[:, -count]
    return reached


_Offer = Callable[[Lists, Products, Any, Any, tuple[int, int]], None]


def _offer_products(
    lists: Lists, products: Products, left: Any, right: Any, corner: tuple[int, int]
) -> None:
    """One multiplication for all directions: the matrix is the same, read by rows or by columns."""
    block = products.multiply(left, right)
    for shortlist in lists.values():
        shortlist.offer_block(block, corner)


def _offer_searches(engine: Literal["faiss", "faiss-gpu"]) -> _Offer:
    """One search for each direction."""
    find = BlockSearch(engine)

    def offer(
        lists: Lists, _: Products, left: Float32, right: Float32, corner: tuple[int, int]
    ) -> None:
        for axis, shortlist in lists.items():
            queries, corpus = (left, right) if axis == 0 else (right, left)
            scores, indices = find(queries, corpus, min(shortlist.size, len(corpus)))
            shortlist.offer_best(scores, indices + corner[1 - axis], corner[axis])

    return offer
