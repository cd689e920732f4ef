"""Embedding matrices: what is refused, their norms, and their rows at length one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stilts_artifact.errors import DataError

Rows = NDArray[Any]
"""Array [sentences, dimensions] of float16, float32 or float64, in memory or memory-mapped."""
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

Part = TypeVar("Part")
Result = TypeVar("Result")

_CHUNK = 1 << 20  # numbers that a thread converts to float64 at a time: 8 MiB


def norms(rows: Rows, where: str) -> Float64:
    """Euclidean length of each row, after checking that every row has a direction.

    Args:
        where: what the matrix is, for the error.

    Raises:
        DataError: not a matrix of floats, no rows at all, or a row (0-based) that is zero, NaN or
            infinite.
    """
    if rows.ndim != 2 or rows.dtype.kind != "f" or 0 in rows.shape:
        got = f"{rows.dtype} of shape {rows.shape}"
        raise DataError(
            "not a matrix of embeddings",
            where=where,
            got=got,
            expected="floats [sentences, dimensions]",
        )
    lengths = np.empty(len(rows))

    def measure(span: slice) -> None:
        part = rows[span].astype(np.float64)
        # In float64: squares of float16 or float32 numbers overflow long before the numbers do.
        lengths[span] = np.sqrt(np.einsum("nd,nd->n", part, part))

    run_in_threads(measure, spans(len(rows), max(1, _CHUNK // rows.shape[1])))
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if bad.size:
        row = int(bad[0])
        raise DataError(
            "an embedding without a direction",
            where=f"{where}, row {row} (0-based)",
            got="all zeros" if lengths[row] == 0 else "NaN or infinity",
            expected="finite numbers, not all zero",
            fix=f"embed that sentence again ({bad.size} of {len(rows)} rows are affected)",
        )
    return lengths


def unit_rows(rows: Rows, lengths: Float64, out: Float32) -> Float32:
    """Write ``rows / lengths`` to ``out`` and return it; no number is off by over 3 roundings."""
    inverse = 1 / lengths
    # Where 1/length is an ordinary float32, multiplying in float32 is several times faster than
    # through float64.
    if rows.dtype == np.float32 and inverse.min() > 1e-30 and inverse.max() < 1e30:
        return np.multiply(rows, inverse.astype(np.float32)[:, None], out=out)
    return np.multiply(rows, inverse[:, None], out=out, dtype=np.float64, casting="same_kind")


def spans(total: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most ``size`` that cover ``range(total)``.

    Example:
        >>> list(spans(5, 2))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def thread_count() -> int:
    """Threads to work in: as many as NumPy's matrix products take, or 1 for each processor."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(asked) if asked.isdecimal() and int(asked) else available or 1


def in_threads(
    work: Callable[[Part], Result], parts: Iterable[Part], threads: int | None = None
) -> Iterator[Result]:
    """Do the work on each part, some at the same time: NumPy's long operations run side by side.

    Yields:
        The results, in the order of the parts. Nothing is done before the first is asked for.

    Raises:
        Exception: what the work raised first, when all that had begun has ended.
    """
    parts = list(parts)
    threads = threads or thread_count()
    if threads == 1 or len(parts) == 1:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(threads) as pool, _products_of_one_thread():
        yield from pool.map(work, parts)


def run_in_threads(
    work: Callable[[Part], object], parts: Iterable[Part], threads: int | None = None
) -> None:
    """As :func:`in_threads`, of work without a result."""
    for _ in in_threads(work, parts, threads):
        pass


@contextmanager
def _products_of_one_thread() -> Iterator[None]:
    """Meanwhile a matrix product takes no thread but the one that asks for it.

    Threads of BLAS that wait for their next product spin, and would take the processors from those
    that work on the last.
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
