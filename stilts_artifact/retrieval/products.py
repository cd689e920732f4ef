"""Blocks of the similarity matrix: products of normalised rows, in float32 or in bfloat16.

A processor with units for bfloat16 (AMX, AVX512-BF16) multiplies several times faster in it, and
too coarsely to decide anything. So such a pass comes with a bound on the error of every score, and
what the bound leaves open goes on: :mod:`stilts_artifact.retrieval.exact` settles it. Two things
keep the bound small: both sides are centred first, as the error grows with the length of what is
multiplied, and the lengths that rounding took off are measured and not assumed.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.retrieval.backends import Blocks, Pass
from stilts_artifact.retrieval.exact import Errors, Int64, Shortlist, Side, rounding_error
from stilts_artifact.retrieval.vectors import (
    Float32,
    Float64,
    in_threads,
    run_in_threads,
    spans,
    unit_rows,
)

if TYPE_CHECKING:
    import torch

Keys = NDArray[Any]
"""Scores of a pass as numbers that compare as they do: float32, or the bits of bfloat16 as int16.

Bits of negative numbers compare the wrong way round. No shortlist of int16 takes one in.
"""

_ROUNDING = 2.0**-24  # of float32, half a unit in the last place of 1
_HALF_ROUNDING = 2.0**-8  # of bfloat16, which keeps 8 bits
_CONVERTED = 256  # rows that are normalised at a time: so few that they stay in cache
_BESIDE = 4  # columns beside the dimensions: what centring took off, in two parts for either side
# Fewer operations than this are over before torch is imported.
_WORTHWHILE = 1 << 40
# Measured, since no flag tells how fast a processor is. Twice: the rest of a search costs the same.
_FASTER = 2.0


class Float32Products:
    """Products in float32, by NumPy's BLAS."""

    name: Pass = "float32"
    dtype: type[Any] = np.float32
    nothing = lowest = -np.inf

    def __init__(self, sides: tuple[Side, Side], blocks: Blocks) -> None:
        self.sides, self.blocks = sides, blocks
        dimensions = sides[0].rows.shape[1]
        # Taken once: every block, whatever its shape, fits into it.
        self._rooms = [np.empty((size, dimensions), np.float32) for size in blocks[:2]]
        self._product = np.empty(blocks.rows * blocks.columns, np.float32)

    def beside(self) -> Float32Products:
        """The same for another thread: its columns and products overwrite no other's."""
        other = copy.copy(self)
        other._rooms = [self._rooms[0], np.empty_like(self._rooms[1])]
        other._product = np.empty_like(self._product)
        return other

    def rows(self, axis: int, span: slice, threads: int = 1) -> Float32:
        """Normalised rows of a side; the next call for that side overwrites them."""
        side, made = self.sides[axis], self._rooms[axis][: span.stop - span.start]

        def normalise(part: slice) -> None:
            of = _shifted(part, span.start)
            unit_rows(side.rows[of], side.lengths[of], made[part])

        run_in_threads(normalise, spans(len(made), _CONVERTED), threads)
        return made

    def multiply(self, left: Float32, right: Float32) -> Keys:
        """Array [left, right]; the next call overwrites it."""
        shape = (len(left), len(right))
        out = self._product[: shape[0] * shape[1]].reshape(shape)
        product: Keys = np.matmul(left, right.T, out=out)
        return product

    def errors(self, axis: int) -> Errors:
        """Of the rows (0) or the columns (1) of the similarity matrix."""
        count, dimensions = self.sides[axis].rows.shape
        return Errors(np.full(count, rounding_error(dimensions)), 0.0)

    def scores(self, keys: Keys) -> Float32:
        """What the keys stand for."""
        return keys

    def keys_below(self, scores: Float64) -> Keys:
        """The highest keys of lower scores, or some below them."""
        found: Keys = np.nextafter(scores.astype(np.float32), np.float32(-np.inf))
        return found


class Bfloat16Products:
    """Products in bfloat16, by torch, whose sums are in float32.

    With the means ``m`` and ``n`` of the two sides, and ``x = u - m``, ``y = v - n`` for rows ``u``
    and ``v`` of length one::

        u.v = x.y + x.n + m.y + m.n

    The last is a constant, and left out. The two before it are numbers of a row each: they stand in
    two more columns (high and low part), where the other side has ones.
    """

    name: Pass = "bfloat16"
    dtype: type[Any] = np.int16
    nothing = -(1 << 15)  # -0.0
    lowest = 0  # +0.0: what is negative is let go, which the bound of a shortlist says

    def __init__(self, sides: tuple[Side, Side], blocks: Blocks) -> None:
        import torch

        self._torch = torch
        # A number of half the size: twice as many rows in the same memory.
        blocks = blocks._replace(rows=min(2 * blocks.rows, len(sides[0].rows)))
        self.sides, self.blocks = sides, blocks
        dimensions = sides[0].rows.shape[1]
        # Whole tiles of 32 numbers; what is beyond the dimensions and those beside them stays 0.
        width = -(-(dimensions + _BESIDE) // 32) * 32
        self._rooms = [torch.zeros(size, width, dtype=torch.bfloat16) for size in blocks[:2]]
        self._product = torch.empty(blocks.rows * blocks.columns, dtype=torch.bfloat16)
        self._means = (self._mean(0), self._mean(1))
        self._lengths = (self._measure(0), self._measure(1))

    def rows(self, axis: int, span: slice, threads: int = 1) -> torch.Tensor:
        """Centred rows of a side, and their columns beside; the next call overwrites them."""
        made = self._rooms[axis][: span.stop - span.start]

        def convert(part: slice) -> None:
            self._convert(axis, _shifted(part, span.start), made[part])

        run_in_threads(convert, spans(len(made), _CONVERTED), threads)
        return made

    def multiply(self, left: torch.Tensor, right: torch.Tensor) -> Keys:
        """Array [left, right] of bits; the next call overwrites it."""
        shape = (len(left), len(right))
        product = self._product[: shape[0] * shape[1]].view(shape)
        self._torch.mm(left, right.T, out=product)
        keys: Keys = product.view(self._torch.int16).numpy()
        return keys

    def errors(self, axis: int) -> Errors:
        """Of the rows (0) or the columns (1) of the similarity matrix.

        By Cauchy and Schwarz, with ``x'`` and ``y'`` for what is multiplied in place of x and y::

            |x.y - x'.y'| <= |x - x'| |y| + |x'| |y - y'|

        On top come float32's roundings: of the rows, the means and the columns beside, each number
        below 2 in length, and of the sums (Higham 2002, section 3.1, in any order); and what two
        numbers of 8 bits leave of the columns beside. The result is rounded once more, to bfloat16.
        """
        own, other = self._lengths[axis], self._lengths[1 - axis]
        coarse = own.lost * (other.kept + other.lost).max() + own.kept * other.lost.max()
        beside = own.beside + other.beside.max()
        summed = own.kept * other.kept.max() + beside
        dimensions = self.sides[0].rows.shape[1]
        fine = (1.1 * dimensions + 64) * _ROUNDING * (4 + summed) + _HALF_ROUNDING**2 * beside
        return Errors(coarse + fine, _HALF_ROUNDING)

    def scores(self, keys: Keys) -> Float32:
        """What the keys stand for."""
        found: Float32 = (keys.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        return found

    def keys_below(self, scores: Float64) -> Keys:
        """The highest keys of lower scores, or some below them; none is below that of +0.0."""
        # Bits that are cut off make a positive number smaller; one less, and it is below for sure.
        bits = scores.clip(min=0).astype(np.float32).view(np.uint32) >> 16
        return np.maximum(bits.astype(np.int16) - 1, self.lowest).astype(np.int16)

    def beside(self) -> Bfloat16Products:
        """The same for another thread: its columns and products overwrite no other's."""
        other = copy.copy(self)
        other._rooms = [self._rooms[0], self._torch.zeros_like(self._rooms[1])]
        other._product = self._torch.empty_like(self._product)
        return other

    def sample(self, axis: int, places: Int64) -> Bfloat16Products:
        """The same with some rows of a side; its products overwrite these."""
        few = copy.copy(self)
        side, lengths = self.sides[axis], self._lengths[axis]
        some = Side(side.rows[places], side.lengths[places])
        few.sides = (some, self.sides[1]) if axis == 0 else (self.sides[0], some)
        measured = list(self._lengths)
        measured[axis] = _Lengths(*(part[places] for part in lengths))
        few._lengths = (measured[0], measured[1])
        return few

    def within_errors(self, axis: int, found: Shortlist) -> bool:
        """Whether the scores of some candidates are as near to cosines as :meth:`errors` says."""
        queries, corpus = self.sides[axis], self.sides[1 - axis]
        row, place = np.nonzero(found.indices >= 0)
        other, scores = found.indices[row, place], found.scores[row, place].astype(np.float64)
        left, right = queries.rows[row].astype(np.float64), corpus.rows[other].astype(np.float64)
        cosines = np.einsum("nd,nd->n", left, right) / (
            queries.lengths[row] * corpus.lengths[other]
        )
        constant = np.dot(*(mean.astype(np.float64) for mean in self._means))
        errors = found.errors
        limit = errors.absolute[row] + errors.relative * np.abs(scores)
        return bool(np.all(np.abs(scores + constant - cosines) <= limit))

    def _centred(self, axis: int, span: slice) -> Float32:
        unit = _unit(self.sides[axis], span)
        return np.subtract(unit, self._means[axis], out=unit)

    def _convert(self, axis: int, span: slice, out: torch.Tensor) -> tuple[Float32, Float32]:
        """Write centred rows and the columns beside; the float32 that both were made of."""
        centred = self._centred(axis, span)
        beside = centred @ self._means[1 - axis]
        dimensions = centred.shape[1]
        out[:, :dimensions] = self._torch.from_numpy(centred)
        high = self._torch.from_numpy(beside).bfloat16()
        out[:, dimensions + 2 * axis] = high
        out[:, dimensions + 2 * axis + 1] = self._torch.from_numpy(beside) - high
        out[:, dimensions + 2 * (1 - axis) : dimensions + 2 * (1 - axis) + 2] = 1
        return centred, beside

    def _mean(self, axis: int) -> Float32:
        side = self.sides[axis]
        total = np.zeros(side.rows.shape[1])
        for part in in_threads(
            lambda span: _unit(side, span).sum(axis=0), spans(len(side.rows), _CONVERTED)
        ):
            total += part
        mean: Float32 = (total / len(side.rows)).astype(np.float32)
        return mean

    def _measure(self, axis: int) -> _Lengths:
        """Lengths of a side's rows as they are multiplied, and of what rounding took off them."""
        count, dimensions = self.sides[axis].rows.shape
        lengths = _Lengths(*(np.empty(count) for _ in _Lengths._fields))
        width = self._rooms[axis].shape[1]

        def measure(span: slice) -> None:
            made = self._torch.zeros(span.stop - span.start, width, dtype=self._torch.bfloat16)
            centred, beside = self._convert(axis, span, made)
            kept = made[:, :dimensions].float().numpy()
            # Exact: a number less its own rounding. Each length is a sum of squares in float32.
            lost = np.subtract(centred, kept, out=centred)
            lengths.kept[span], lengths.lost[span] = _length(kept), _length(lost)
            lengths.beside[span] = np.abs(beside)

        run_in_threads(measure, spans(count, _CONVERTED))
        return lengths


class _Lengths(NamedTuple):
    """Of each row: of what is multiplied, of what that lacks, and of the column beside."""

    kept: Float64
    lost: Float64
    beside: Float64


def _unit(side: Side, span: slice) -> Float32:
    """Some rows of a side, normalised."""
    rows = side.rows[span]
    return unit_rows(rows, side.lengths[span], np.empty(rows.shape, np.float32))


def _shifted(part: slice, start: int) -> slice:
    return slice(start + part.start, start + part.stop)


def _length(rows: Float32) -> Float64:
    """Euclidean lengths, at least."""
    squares = np.einsum("nd,nd->n", rows, rows).astype(np.float64)
    # A sum of d squares is off by d + 1 roundings at most, and by what float32 holds for zero.
    found: Float64 = np.sqrt(squares * (1 + rounding_error(rows.shape[1])) + 1e-30)
    return found


Products = Float32Products | Bfloat16Products


def pass_for(shape: tuple[int, int, int]) -> Pass:
    """``bfloat16`` where that is worth its while on this machine.

    Args:
        shape: rows, columns and dimensions.
    """
    worthwhile = 2 * shape[0] * shape[1] * shape[2] >= _WORTHWHILE
    return "bfloat16" if worthwhile and bfloat16_gain() >= _FASTER else "float32"


@cache
def bfloat16_gain() -> float:
    """How many times faster than float32 this processor multiplies in bfloat16; 0 without torch."""
    try:
        import torch
    except ModuleNotFoundError:
        return 0.0
    left, right = torch.ones(512, 1024), torch.ones(512, 1024)
    coarse = left.bfloat16(), right.bfloat16()
    fine = _least_time(lambda: torch.mm(left, right.T))
    return fine / _least_time(lambda: torch.mm(coarse[0], coarse[1].T))


def _least_time(work: Callable[[], object]) -> float:
    """Of five: the others had something else run beside them."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
