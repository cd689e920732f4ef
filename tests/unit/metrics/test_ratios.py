"""Metrics against sums and sets spelled out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.metrics.ratios import (
    accuracy,
    accuracy_counts,
    exact_match_f1,
    pair_counts,
    precision_recall_f1,
)

unhurried = settings(deadline=None)  # tests share the machine with others

ids = st.sampled_from(["x-1", "x-2", "x-3", "ü-4"])
pairs = st.lists(st.tuples(ids, ids), max_size=8)


@pytest.mark.slow
@unhurried
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_accuracy_is_the_share_of_equal_labels(rows: list[tuple[str, str]]) -> None:
    counts = accuracy_counts([first for first, _ in rows], [second for _, second in rows])
    right = len([1 for first, second in rows if first == second])
    assert float(accuracy(counts.sum(axis=0))["accuracy"]) == pytest.approx(100 * right / len(rows))


@pytest.mark.slow
@unhurried
@given(pairs, pairs)
def test_pair_f1_is_that_of_sets(
    predicted: list[tuple[str, str]], gold: list[tuple[str, str]]
) -> None:
    points = precision_recall_f1(pair_counts(predicted, gold).sum(axis=0))
    correct = len(set(predicted) & set(gold))
    precision = correct / len(set(predicted)) if correct else 0.0
    recall = correct / len(set(gold)) if correct else 0.0
    f1 = 2 * precision * recall / (precision + recall) if correct else 0.0
    expected = {"f1": 100 * f1, "precision": 100 * precision, "recall": 100 * recall}
    assert {name: float(value) for name, value in points.items()} == pytest.approx(expected)


def test_undefined_ratios_are_zero() -> None:
    assert {float(value) for value in precision_recall_f1(np.zeros(3)).values()} == {0.0}


def test_points_are_computed_for_every_row_at_once() -> None:
    sums = np.array([[1.0, 1.5, 2.0], [2.0, 2.0, 2.0]])
    points = exact_match_f1(sums)
    assert points["exact_match"].tolist() == [50.0, 100.0]
    assert points["f1"].tolist() == [75.0, 100.0]
