"""A first pass in bfloat16: its error bound, when it serves, and that it changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stilts_artifact.errors import ResourceError
from stilts_artifact.retrieval import knn, products
from stilts_artifact.retrieval.backends import Blocks
from stilts_artifact.retrieval.exact import Side
from stilts_artifact.retrieval.knn import Search, nearest_both
from stilts_artifact.retrieval.products import Bfloat16Products, pass_for
from stilts_artifact.retrieval.vectors import norms

Matrix = NDArray[Any]
K = 3


def both_signs(rows: Matrix) -> Matrix:
    """With their negatives, so that the mean is zero."""
    return np.concatenate([rows, -rows])


def worst_case() -> tuple[Matrix, Matrix]:
    """Rows, and those along which what bfloat16 takes off them adds up.

    Components of the second are +-1/8, and so lose nothing themselves.
    """
    import torch

    draw = np.random.default_rng(0).standard_normal((40, 64))
    x = (draw / np.linalg.norm(draw, axis=1, keepdims=True)).astype(np.float32)
    lost = x - torch.from_numpy(x).bfloat16().float().numpy()
    return both_signs(x), both_signs(np.sign(lost).astype(np.float32) / 8)


def adversarial(kind: str) -> tuple[Matrix, Matrix]:
    """Two sides, between which some choice is hard."""
    draw = np.random.default_rng(3)
    x = draw.standard_normal((70, 48)).astype(np.float32)
    y = draw.standard_normal((90, 48)).astype(np.float32)
    match kind:
        case "copies":
            y[10:60] = y[3]
            x[20:30] = y[3]
        case "cluster":  # closer than bfloat16 tells apart, farther than float32
            x, y = 1 + 3e-3 * x, 1 + 3e-3 * y
        case "near ties":  # closer than float32 tells apart
            y[::2] = y[0] + 1e-7 * y[::2]
            x[:9] = y[0]
        case "signs":
            x, y = np.sign(x), np.sign(y)
        case "lengths":
            y *= 2.0 ** draw.integers(-60, 60, (90, 1))
            x = np.ldexp(x, 120)
        case "denormal":
            x, y = np.ldexp(x, -140), np.ldexp(y, -140)
        case "opposite":  # no cosine is above the mean's
            x[:] = x[0]
            y[:] = -x[0]
            y[5] = x[1]
        case "sparse":
            x[:, 2:], y[:, 2:] = 0, 0
        case "worst case":
            x, y = worst_case()
    return x, y.astype(np.float32)


KINDS = [
    "random", "copies", "cluster", "near ties", "signs", "lengths", "denormal", "opposite",
    "sparse", "worst case",
]  # fmt: skip


def cosines(x: Matrix, y: Matrix) -> Matrix:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return x @ y.T / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))


def scores_and_limits(x: Matrix, y: Matrix) -> tuple[Matrix, list[Matrix]]:
    """How far every score is from its cosine, and what may be at most, by rows and by columns."""
    made = Bfloat16Products((Side(x, norms(x, "x")), Side(y, norms(y, "y"))), Blocks(200, 200, 0))
    keys = made.multiply(made.rows(0, slice(0, len(x))), made.rows(1, slice(0, len(y)))).copy()
    scores = made.scores(keys).astype(np.float64)
    constant = np.dot(*(mean.astype(np.float64) for mean in made._means))
    limits = []
    for axis in (0, 1):
        errors = made.errors(axis)
        limit = np.expand_dims(errors.absolute, 1 - axis) + errors.relative * np.abs(scores)
        limits.append(limit)
    return np.abs(scores + constant - cosines(x, y)), limits


@pytest.mark.parametrize("kind", KINDS)
def test_no_score_is_farther_from_its_cosine_than_the_bound(kind: str) -> None:
    off, limits = scores_and_limits(*adversarial(kind))
    assert all((off <= limit).all() for limit in limits)


@pytest.mark.parametrize("swapped", [False, True])
def test_some_scores_are_off_by_most_of_the_bound(swapped: bool) -> None:
    x, y = worst_case()
    off, limits = scores_and_limits(*((y, x) if swapped else (x, y)))
    assert all((off / limit).max() > 0.6 for limit in limits)


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [None, (16, 16)])
@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_are_those_of_float64(kind: str, blocks: Any) -> None:
    x, y = adversarial(kind)
    found = nearest_both(x, y, K, Search("shared", blocks=blocks, first="bfloat16"))
    truth = np.round(cosines(x, y), 10)
    for side, matrix in zip(found, (truth, truth.T), strict=True):
        best = np.argsort(-matrix, axis=1, kind="stable")[:, :K]
        assert side.indices.tolist() == best.tolist()
        assert np.abs(side.scores - np.take_along_axis(matrix, best, axis=1)).max() <= 1e-10


def coarse(x: Matrix, y: Matrix) -> Bfloat16Products:
    return Bfloat16Products((Side(x, norms(x, "x")), Side(y, norms(y, "y"))), Blocks(64, 64, 0))


def many(spread: float) -> Matrix:
    draw = np.random.default_rng(0)
    return (1 + spread * draw.standard_normal((400, 32))).astype(np.float32)


def test_it_serves_where_it_decides_most_rows() -> None:
    # Not where all are the same to eight bits, even when the mean is taken out.
    assert knn._serves(coarse(many(1.0), many(1.0)[::-1]), K, (0, 1))
    same = np.repeat(many(1.0)[:4], 100, axis=0)
    assert not knn._serves(coarse(same, same), K, (0, 1))


def test_who_multiplies_wrongly_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Bfloat16Products.multiply
    monkeypatch.setattr(
        Bfloat16Products, "multiply", lambda self, *sides: right(self, *sides) + np.int16(8)
    )
    assert not knn._serves(coarse(many(1.0), many(1.0)[::-1]), K, (0, 1))


def test_bfloat16_is_taken_for_large_searches_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gains = iter([7.0, 1.5])
    monkeypatch.setattr(products, "bfloat16_gain", lambda: next(gains))
    large = (30_000, 30_000, 1024)
    assert [pass_for(large), pass_for(large)] == ["bfloat16", "float32"]
    assert pass_for((3000, 3000, 1024)) == "float32"  # nothing is measured for it: no gain is left


def test_a_budget_for_float32_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "pass_for", lambda _: "bfloat16")
    x, y = adversarial("random")
    # Lists for bfloat16 are longer: so many owners, and they do not fit.
    monkeypatch.setitem(knn.SPARE, "bfloat16", 1 << 22)
    search = Search("shared", memory=512 << 20)
    assert nearest_both(x, y, K, search)[0].indices.shape == (70, K)
    with pytest.raises(ResourceError, match="budget"):
        nearest_both(x, y, K, Search("shared", memory=512 << 20, first="bfloat16"))
