"""Margins and pairs on cases small enough to do by hand, and under changes that must not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stilts_artifact.retrieval.exact import Neighbours
from stilts_artifact.retrieval.mine import (
    RETRIEVALS,
    Mining,
    Pairs,
    distinct,
    expand,
    margin,
    margin_scores,
    mine,
    select_pairs,
)
from tests.unit.retrieval.conftest import HashEncoder


def textbook_shifted(x: Any, y: Any, k: int) -> set[tuple[int, int]]:
    """XTREME's mining under --use_shift_embeds (utils_retrieve.py, mine_bitext): ratio, max."""
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    delta = x.mean(axis=0) - y.mean(axis=0)
    products = {"forward": (x - delta) @ y.T, "backward": (y + delta) @ x.T}
    best = {
        way: np.argsort(-scores, axis=1, kind="stable")[:, :k] for way, scores in products.items()
    }
    means = {
        way: np.take_along_axis(products[way], best[way], axis=1).mean(axis=1) for way in products
    }
    found = []
    for way, other in (("forward", "backward"), ("backward", "forward")):
        for row, candidates in enumerate(best[way]):
            scores = [
                products[way][row, c] / ((means[way][row] + means[other][c]) / 2)
                for c in candidates
            ]
            pair = (row, int(candidates[int(np.argmax(scores))]))
            found.append((max(scores), pair if way == "forward" else pair[::-1]))
    used: tuple[set[int], set[int]] = (set(), set())
    pairs = set()
    for _, (left, right) in sorted(found, key=lambda one: -one[0]):
        if left not in used[0] and right not in used[1]:
            used[0].add(left)
            used[1].add(right)
            pairs.add((left, right))
    return pairs


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True))


def planted(n: int = 60, d: int = 24) -> tuple[Any, Any]:
    r = np.random.default_rng(0)
    x = r.standard_normal((n, d))
    return x, x + 0.7 * r.standard_normal((n, d))


def neighbours(scores: list[list[float]], indices: list[list[int]]) -> Neighbours:
    return Neighbours(np.array(scores), np.array(indices))


def test_a_ratio_without_a_mean_is_zero() -> None:
    assert margin(np.array([0.5, 0.5]), np.array([0.0, 0.25]), "ratio").tolist() == [0.0, 2.0]


def test_a_margin_halves_the_means_of_both_sides() -> None:
    forward = neighbours([[0.9, 0.1], [0.8, 0.4]], [[0, 1], [1, 0]])
    backward = neighbours([[0.9, 0.4], [0.8, 0.1]], [[0, 1], [1, 0]])
    assert margin_scores(forward, backward, "distance")[0].tolist() == pytest.approx(
        [0.9 - 0.575, 0.1 - 0.475]
    )


# Sources 0 and 1 both like target 0 best; targets 0 and 1 both like source 1 best.
FORWARD = neighbours([[0.8, 0.2], [0.9, 0.7]], [[0, 1], [0, 1]])
BACKWARD = neighbours([[0.9, 0.8], [0.7, 0.2]], [[1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("retrieval", "expected"),
    [
        ("forward", [(1, 0), (0, 0)]),
        ("backward", [(1, 0), (1, 1)]),
        ("intersect", [(1, 0)]),
        ("max", [(1, 0)]),
    ],
)
def test_each_retrieval_by_hand(retrieval: Any, expected: list[tuple[int, int]]) -> None:
    pairs = select_pairs(FORWARD, BACKWARD, Mining(2, "absolute", retrieval))
    assert list(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)) == expected


def test_max_takes_a_second_choice_once_the_first_is_used() -> None:
    forward = neighbours([[0.9], [0.8]], [[0], [0]])
    backward = neighbours([[0.9], [0.5]], [[0], [1]])
    pairs = select_pairs(forward, backward, Mining(1, "absolute", "max"))
    assert list(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)) == [(0, 0), (1, 1)]


@pytest.mark.parametrize("retrieval", RETRIEVALS)
def test_permuting_a_side_permutes_the_pairs(retrieval: Any) -> None:
    x, y = planted()
    order = np.random.default_rng(1).permutation(len(x))
    plain, permuted = (
        mine(x, y, Mining(retrieval=retrieval)),
        mine(x[order], y, Mining(retrieval=retrieval)),
    )
    assert {(int(order[i]), j) for i, j in as_set(permuted)} == as_set(plain)
    assert np.array_equal(np.sort(permuted.scores), np.sort(plain.scores))


@pytest.mark.parametrize("retrieval", RETRIEVALS)
def test_scaling_rows_changes_nothing(retrieval: Any) -> None:
    x, y = planted()
    scale = np.random.default_rng(2).uniform(0.1, 50, (len(x), 1))
    plain, scaled = (
        mine(x, y, Mining(retrieval=retrieval)),
        mine(x * scale, y, Mining(retrieval=retrieval)),
    )
    assert as_set(plain) == as_set(scaled)
    assert np.abs(plain.scores - scaled.scores).max() < 1e-6


@pytest.mark.parametrize("retrieval", RETRIEVALS)
def test_identical_sides_pair_each_row_with_itself(retrieval: Any) -> None:
    x, _ = planted()
    assert as_set(mine(x, x, Mining(retrieval=retrieval))) == {(i, i) for i in range(len(x))}


def test_pairs_come_best_first_and_each_sentence_once() -> None:
    pairs = mine(*planted())
    assert (np.diff(pairs.scores) <= 0).all()
    assert len(set(pairs.source.tolist())) == len(set(pairs.target.tolist())) == len(pairs)


def test_one_sentence_on_each_side() -> None:
    pairs = mine(np.ones((1, 1)), np.ones((1, 1)))
    assert (pairs.scores.tolist(), pairs.source.tolist(), pairs.target.tolist()) == (
        [1.0],
        [0],
        [0],
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_centring_is_xtremes_shift(seed: int) -> None:
    r = np.random.default_rng(seed)
    x = r.standard_normal((40, 12))
    y = x[r.permutation(40)[:30]] + 0.6 * r.standard_normal((30, 12))
    assert as_set(mine(x, y + 1.5, Mining(center=True))) == textbook_shifted(x, y + 1.5, 4)


def test_centring_takes_out_what_a_language_adds_to_all_its_sentences() -> None:
    x, y = planted()
    right = {(i, i) for i in range(len(x))}
    off = y + 4.0
    found = {
        center: len(right & as_set(mine(x, off, Mining(center=center)))) for center in (False, True)
    }
    assert found[True] > found[False]
    assert found[True] > 50


def test_expanding_keeps_scores_and_order() -> None:
    source, target = distinct(["a", "b", "a"]), distinct(["A", "B", "B"])
    vectors = HashEncoder()
    pairs = mine(vectors(source.texts), vectors(["a", "b"]), Mining(1))
    spelled = expand(pairs, source, target, "product")
    assert list(zip(spelled.source.tolist(), spelled.target.tolist(), strict=True)) == [
        (0, 0),
        (1, 1),
        (1, 2),
        (2, 0),
    ]
    assert len(expand(pairs, source, target, "drop")) == 0
