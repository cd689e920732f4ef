"""Exact search: what it refuses, and what must not change what it finds."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from stilts_artifact.errors import ConfigError, DataError, ResourceError
from stilts_artifact.retrieval import knn
from stilts_artifact.retrieval.backends import Blocks, parse_memory, plan_blocks
from stilts_artifact.retrieval.exact import Errors, Side, rounding_error
from stilts_artifact.retrieval.knn import Search, nearest, nearest_both
from stilts_artifact.retrieval.products import Bfloat16Products, Float32Products
from stilts_artifact.retrieval.vectors import (
    in_threads,
    norms,
    thread_count,
    unit_rows,
)


def rows(n: int, d: int = 16, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@pytest.mark.parametrize(
    ("value", "got"), [(0.0, "all zeros"), (np.nan, "NaN"), (np.inf, "NaN"), (-np.inf, "NaN")]
)
@pytest.mark.parametrize("side", [0, 1])
def test_a_row_without_direction_is_named(value: float, got: str, side: int) -> None:
    sides = [rows(9), rows(7, seed=1)]
    sides[side][5] = value
    with pytest.raises(DataError) as caught:
        nearest_both(*sides, 2)
    assert "row 5" in str(caught.value)
    assert ("first", "second")[side] in str(caught.value)
    assert got in str(caught.value)


def test_one_nan_among_numbers_is_enough() -> None:
    broken = rows(9)
    broken[8, 3] = np.nan
    with pytest.raises(DataError, match="direction"):
        nearest(rows(3), broken, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones(3, np.float32),
        np.ones((2, 2), np.int64),
        np.ones((0, 4), np.float32),
        np.ones((3, 0)),
    ],
)
def test_what_is_no_matrix_of_embeddings_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="not a matrix"):
        nearest(wrong, rows(3), 1)


def test_sides_of_unequal_dimension_are_refused() -> None:
    with pytest.raises(DataError, match="unequal dimension"):
        nearest(rows(3, 4), rows(3, 5), 1)


def test_no_neighbours_are_refused() -> None:
    with pytest.raises(ConfigError):
        nearest(rows(3), rows(3), 0)


@pytest.mark.parametrize(
    "search", [Search("shared"), Search("shared", first="bfloat16"), Search("faiss")]
)
def test_k_beyond_the_corpus_returns_all_of_it(search: Search) -> None:
    found = nearest(rows(5), rows(3, seed=1), 10, search)
    assert found.scores.shape == (5, 3)
    assert [sorted(line) for line in found.indices.tolist()] == [[0, 1, 2]] * 5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scaling_rows_changes_nothing(dtype: Any) -> None:
    x, y = rows(40).astype(dtype), rows(50, seed=1).astype(dtype)
    scale = 2.0 ** np.random.default_rng(2).integers(-6, 6, (50, 1))
    plain, scaled = nearest(x, y, 4), nearest(x, (y * scale).astype(dtype), 4)
    assert np.array_equal(plain.indices, scaled.indices)
    assert np.array_equal(plain.scores, scaled.scores)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("power", [-140, 120])
def test_lengths_at_the_edges_of_float32_change_nothing(power: int) -> None:
    draw = np.random.default_rng(0)
    x, y = (draw.integers(-8, 9, (n, 16)).astype(np.float32) for n in (40, 50))
    plain, scaled = nearest_both(x, y, 4), nearest_both(x, np.ldexp(y, power), 4)
    assert np.array_equal(plain[0].indices, scaled[0].indices)
    assert np.array_equal(plain[1].scores, scaled[1].scores)


def test_permuting_a_side_permutes_what_is_found() -> None:
    x, y = rows(40), rows(50, seed=1)
    order = np.random.default_rng(3).permutation(50)
    plain, permuted = nearest_both(x, y, 4), nearest_both(x, y[order], 4)
    assert np.array_equal(order[permuted[0].indices], plain[0].indices)
    assert np.array_equal(permuted[1].indices, plain[1].indices[order])


@pytest.mark.slow
def test_blocks_engines_and_directions_change_nothing() -> None:
    x, y = rows(200), rows(300, seed=1)
    expected = nearest_both(x, y, 5, Search("shared"))
    searches = (Search("shared"), Search("shared", first="bfloat16"), Search("faiss"))
    for search in searches:
        for blocks in (None, (64, 32), (1, 300), (200, 1)):
            found = nearest_both(x, y, 5, replace(search, blocks=blocks))
            assert all(
                np.array_equal(a.indices, b.indices) for a, b in zip(found, expected, strict=True)
            )
            assert all(
                np.array_equal(a.scores, b.scores) for a, b in zip(found, expected, strict=True)
            )
    assert np.array_equal(nearest(y, x, 5).indices, expected[1].indices)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["float32", "bfloat16"])
@pytest.mark.parametrize("blocks", [None, (64, 32), (7, 300)])
def test_several_threads_find_what_one_finds(
    first: Any, blocks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rows(200), rows(300, seed=1)
    expected = nearest_both(x, y, 5, Search("shared", first="float32"))
    monkeypatch.setattr(knn, "_SMALL", 0)  # blocks of a test are looked through by one
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = nearest_both(x, y, 5, Search("shared", first=first, blocks=blocks))
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.indices, other.indices)
        assert np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_fails_in_a_thread_is_raised_when_what_had_begun_has_ended(threads: int) -> None:
    begun, ended = [], []

    def work(part: int) -> None:
        begun.append(part)
        if part == 2:
            raise DataError("the third")
        ended.append(part)

    with pytest.raises(DataError, match="the third"):
        list(in_threads(work, range(100), threads))
    assert {0, 1} <= set(ended) == set(begun) - {2}


@pytest.mark.parametrize("made", [Float32Products, Bfloat16Products])
def test_products_of_another_thread_overwrite_nothing(made: Any) -> None:
    sides = tuple(Side(side, norms(side, "x")) for side in (rows(20), rows(30, seed=1)))
    products = made(sides, Blocks(20, 15, 0))
    other = products.beside()
    left = products.rows(0, slice(0, 20))
    right, theirs = products.rows(1, slice(0, 15)), other.rows(1, slice(15, 30))
    block, beside = products.multiply(left, right), other.multiply(left, theirs)
    again = made(sides, Blocks(20, 30, 0))
    whole = again.multiply(again.rows(0, slice(0, 20)), again.rows(1, slice(0, 30)))
    assert np.allclose(products.scores(np.hstack([block, beside])), products.scores(whole), 1e-2)


def test_a_product_takes_one_thread_beside_others_and_then_as_many_as_before() -> None:
    def threads(_: object = None) -> set[int]:
        # Those of NumPy. FAISS has a BLAS of its own, and is not searched with in threads.
        pools = [pool for pool in threadpool_info() if pool.get("threading_layer") == "pthreads"]
        return {torch.get_num_threads()} | {pool["num_threads"] for pool in pools}

    torch.set_num_threads(2)
    with threadpool_limits(2):
        assert list(in_threads(threads, range(2), 2)) == [{1}, {1}]
        # What torch gives a new thread is no matter of this one.
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(threads).result() == {2}


@pytest.mark.parametrize(
    ("asked", "threads"), [("3", 3), ("", None), ("0", None), ("-2", None), ("2,1", None)]
)
def test_threads_are_those_that_were_asked_for_or_one_a_processor(
    asked: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    processors = thread_count()
    assert processors >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert thread_count() == (threads or processors)


@pytest.mark.parametrize("relative", [0.0, 2.0**-8])
def test_doubt_is_what_two_errors_leave_open_and_no_more(relative: float) -> None:
    kth = np.linspace(-2, 2, 401)
    errors = Errors(np.full(len(kth), 1e-3), relative)
    score = kth - errors.doubt(kth)
    highest = score + relative * np.abs(score) + errors.absolute
    lowest = kth - relative * np.abs(kth) - errors.absolute
    assert (highest <= lowest + 1e-12).all()
    far = kth > 0.1
    assert (lowest - highest <= 0.02 * (kth - score) + 1e-12)[far].all(), "more than is left open"
    assert np.isneginf(-np.inf - errors.doubt(np.full(len(kth), -np.inf))).all()


@pytest.mark.parametrize("made", [Float32Products, Bfloat16Products])
def test_keys_below_scores_stand_for_lower_ones(made: Any) -> None:
    x = rows(4)
    side = Side(x, norms(x, "x"))
    products = made((side, side), Blocks(4, 4, 0))
    # What either type holds, and what it does not.
    scores = np.concatenate([2.0 ** np.arange(-20, 2), np.random.default_rng(0).random(500) + 1e-3])
    below = products.scores(products.keys_below(scores)).astype(np.float64)
    assert (below < scores).all()
    assert (below > scores * (1 - 2.0**-6)).all()


def test_ties_go_to_the_smaller_index_whatever_their_number() -> None:
    y = np.tile(rows(1, seed=1), (500, 1))
    y[::100] = rows(5, seed=2)
    found = nearest(y[1:2], y, 4, Search("shared", blocks=(64, 64)))
    assert found.indices.tolist() == [[1, 2, 3, 4]]


def test_memory_mapped_rows_are_searched_in_place(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", rows(50))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert np.array_equal(nearest(mapped, mapped, 1).indices[:, 0], np.arange(50))


def test_progress_adds_up_to_one() -> None:
    seen: list[float] = []
    nearest_both(rows(100), rows(70), 2, Search("shared", progress=seen.append, blocks=(30, 30)))
    assert len(seen) == 12
    assert sum(seen) == pytest.approx(1)


def test_too_small_a_budget_is_refused_before_work_and_says_what_would_do() -> None:
    seen: list[float] = []
    with pytest.raises(ResourceError) as caught:
        nearest_both(rows(100), rows(100), 4, Search(memory=1 << 20, progress=seen.append))
    assert not seen
    assert caught.value.fix is not None
    enough = parse_memory(caught.value.fix.split()[1])
    nearest_both(rows(100), rows(100), 4, Search(memory=enough))


@pytest.mark.slow
@pytest.mark.parametrize("first", ["float32", "bfloat16"])
@pytest.mark.parametrize("order", ["random", "rising"])
def test_a_search_takes_no_more_than_planned(order: str, first: Any) -> None:
    x, y = rows(4096, 32), rows(6000, 32, seed=1)
    if order == "rising":  # every block beats all before it: the worst case for shortlists
        x[:] = x[0] + 0.01 * x
        y = y[np.argsort(y @ x[0])]
    plan = plan_blocks((4096, 6000, 32), 4, 4 << 30, both=True, first=first)
    tracemalloc.start()
    nearest_both(x, y, 4, Search("shared", first=first))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= plan.bytes


@pytest.mark.parametrize("d", [1, 3, 64, 1024])
def test_float32_cosines_stay_within_the_rounding_error(d: int) -> None:
    x = rows(200, d) * np.float32(3.7)
    lengths = norms(x, "x")
    unit = unit_rows(x, lengths, np.empty_like(x))
    exact = x.astype(np.float64) @ x.T.astype(np.float64) / np.outer(lengths, lengths)
    assert np.abs(unit @ unit.T - exact).max() <= rounding_error(d)


@pytest.mark.slow
def test_importing_the_engine_loads_neither_torch_nor_faiss() -> None:
    program = (
        "import sys, pkgutil, importlib, stilts_artifact.retrieval as package\n"
        "for module in pkgutil.iter_modules(package.__path__):\n"
        "    importlib.import_module(f'stilts_artifact.retrieval.{module.name}')\n"
        "print(*({'torch', 'faiss', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == ""
