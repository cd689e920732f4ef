"""Search and mining equal a plain float64 reference: every pair, every score to 1e-6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stilts_artifact.retrieval.backends import gpu_answers
from stilts_artifact.retrieval.knn import Search, nearest, nearest_both
from stilts_artifact.retrieval.mine import MARGINS, RETRIEVALS, Mining, mine

pytestmark = pytest.mark.slow

Matrix = NDArray[Any]
Problem = tuple[Matrix, Matrix, int, tuple[int, int] | None]

SHARED, COARSE, FAISS = Search("shared"), Search("shared", first="bfloat16"), Search("faiss")
SEARCHES = [
    pytest.param(SHARED, id="shared"),
    pytest.param(COARSE, id="bfloat16"),
    pytest.param(FAISS, id="faiss"),
    pytest.param(
        Search("faiss-gpu"),
        id="faiss-gpu",
        marks=pytest.mark.skipif(not gpu_answers().works, reason=gpu_answers().reason),
    ),
]
PROBLEMS, BATCH = 320, 40


def draw(seed: int) -> Problem:
    """A small random problem, one of five kinds, with blocks that cut it anywhere."""
    r = np.random.default_rng(seed)
    n, m = (int(size) for size in r.choice([1, 2, 7, 20, 33], 2))
    d = int(r.choice([1, 2, 5, 40]))
    x, y = r.standard_normal((n, d)), r.standard_normal((m, d))
    match seed % 5:
        case 1:  # cosines from a small set: many ties
            x, y = np.sign(x), np.sign(y)
        case 2:  # duplicates
            x, y = x[r.integers(0, n, n)], y[r.integers(0, m, m)]
        case 3:  # too close for float32 to tell
            x, y = 1 + 1e-4 * x, 1 + 1e-4 * y
        case 4:  # duplicates in direction, of very different length
            y = y[r.integers(0, m, m)] * 2.0 ** r.integers(-40, 40, (m, 1))
    k = int(r.choice([1, 2, 4, m, m + 3]))
    blocks = None if r.random() < 0.3 else (int(r.integers(4, 40)), int(r.integers(4, 40)))
    return x.astype(r.choice(["f4", "f8"])), y.astype("f4"), k, blocks


def problems(batch: int) -> Iterator[Problem]:
    return (draw(seed) for seed in range(batch, PROBLEMS, PROBLEMS // BATCH))


def cosines(x: Matrix, y: Matrix) -> Matrix:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.round(x @ y.T / (np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)), 10)


def reference_neighbours(similarity: Matrix, k: int) -> list[list[int]]:
    """Best first, equals by index."""
    return [sorted(range(len(row)), key=lambda j: (-row[j], j))[:k] for row in similarity.tolist()]


def reference_pairs(
    x: Matrix, y: Matrix, k: int, margin: str, retrieval: str
) -> list[tuple[float, int, int]]:
    """Mining as XTREME does it (utils_retrieve.py:131-229 at 838c13b), one pair at a time."""
    similarity = cosines(x, y)
    ahead, back = reference_neighbours(similarity, k), reference_neighbours(similarity.T, k)
    mean_x = [np.mean([similarity[i, j] for j in found]) for i, found in enumerate(ahead)]
    mean_y = [np.mean([similarity[i, j] for i in found]) for j, found in enumerate(back)]

    def score(i: int, j: int) -> float:
        mean = round((mean_x[i] + mean_y[j]) / 2, 10)
        cosine = similarity[i, j]
        ratio = 0.0 if mean == 0 else cosine / mean
        return round(
            float({"ratio": ratio, "distance": cosine - mean, "absolute": cosine}[margin]), 10
        )

    def ranked(pairs: list[tuple[int, int]]) -> list[tuple[float, int, int]]:
        return sorted(
            ((score(i, j), i, j) for i, j in pairs), key=lambda pair: (-pair[0], pair[1:])
        )

    forward = [(i, min(found, key=lambda j: (-score(i, j), j))) for i, found in enumerate(ahead)]
    backward = [(min(found, key=lambda i: (-score(i, j), i)), j) for j, found in enumerate(back)]
    if retrieval == "max":
        used: set[tuple[str, int]] = set()
        greedy = []
        for value, i, j in ranked(forward + backward):
            if not used & {("x", i), ("y", j)}:
                used |= {("x", i), ("y", j)}
                greedy.append((value, i, j))
        return greedy
    chosen = {
        "forward": forward,
        "backward": backward,
        "intersect": [pair for pair in forward if pair in backward],
    }
    return ranked(chosen[retrieval])


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("batch", range(PROBLEMS // BATCH))
def test_neighbours_equal_the_reference(search: Search, batch: int) -> None:
    for x, y, k, blocks in problems(batch):
        similarity = cosines(x, y)
        search = replace(search, blocks=blocks)
        both = nearest_both(x, y, k, search)
        for found, truth in (
            (both[0], similarity),
            (both[1], similarity.T),
            (nearest(x, y, k, search), similarity),
        ):
            expected = reference_neighbours(truth, k)
            assert found.indices.tolist() == expected
            assert (
                np.abs(found.scores - np.take_along_axis(truth, np.array(expected), axis=1)).max()
                < 1e-6
            )


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("retrieval", RETRIEVALS)
@pytest.mark.parametrize("margin", MARGINS)
def test_mining_equals_the_reference(search: Search, retrieval: Any, margin: Any) -> None:
    for x, y, k, blocks in problems(MARGINS.index(margin)):
        pairs = mine(x, y, Mining(k, margin, retrieval), replace(search, blocks=blocks))
        expected = reference_pairs(x, y, k, margin, retrieval)
        assert list(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)) == [
            pair[1:] for pair in expected
        ]
        for ours, (theirs, _, _) in zip(pairs.scores.tolist(), expected, strict=True):
            assert abs(ours - theirs) <= 1e-6 * max(1.0, abs(theirs))


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    "order", ["random", "rising", "falling", "near-ties", "copies"]
)  # rising: each block beats all before it
def test_a_larger_search_equals_the_reference_in_any_order(search: Search, order: str) -> None:
    r = np.random.default_rng(7)
    x, y = (
        r.standard_normal((300, 24)).astype(np.float32),
        r.standard_normal((1500, 24)).astype(np.float32),
    )
    if order in {"rising", "falling"}:
        y = y[np.argsort(y @ x[0])]
        x[:] = x[0] + 0.01 * x
        y = y if order == "rising" else y[::-1]
    elif order == "near-ties":
        y[::2] = y[0] + 1e-6 * y[::2]
        x[:150] = y[0] + 1e-6 * x[:150]
    elif order == "copies":
        y[100:700] = y[3]
    similarity = cosines(x, y)
    forward, backward = nearest_both(x, y, 4, replace(search, blocks=(128, 512)))
    assert forward.indices.tolist() == reference_neighbours(similarity, 4)
    assert backward.indices.tolist() == reference_neighbours(similarity.T, 4)
