"""The best cut, against trying every cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError
from stilts_artifact.retrieval.threshold import Cut, Threshold, best_cut, cut_at

# Few distinct scores, so that ties are common.
RANKED = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.7, 1.0, 1.1]), st.booleans()), max_size=30
)


def f1(correct: int, accepted: int, gold: int) -> float:
    return 200 * correct / (accepted + gold) if correct else 0.0


@given(RANKED, st.integers(0, 10))
@example([(0.5, True), (0.4, True)], 0)
def test_no_cut_beats_the_best(ranked: list[tuple[float, bool]], missed: int) -> None:
    scores, correct = (
        np.array([score for score, _ in ranked]),
        np.array([right for _, right in ranked], dtype=bool),
    )
    gold = int(correct.sum()) + missed
    cut = best_cut(scores, correct, gold)
    tried = [
        cut_at(scores, correct, gold, threshold).metrics["f1"] for threshold in [math.inf, *scores]
    ]
    assert cut.metrics["f1"] == pytest.approx(max(tried))
    # Applied as a threshold it is the very same cut, so no equals are torn apart.
    assert cut_at(scores, correct, gold, cut.threshold) == cut
    # Of equally good cuts, the one with fewest pairs.
    equally = [
        cut_at(scores, correct, gold, t).accepted
        for t, value in zip([math.inf, *scores], tried, strict=True)
        if value == max(tried)
    ]
    assert cut.accepted == min(equally)


def test_the_best_cut_may_come_after_the_last_pair() -> None:
    cut = best_cut(np.array([0.9, 0.5]), np.array([True, True]), gold=2)
    assert (cut.accepted, cut.metrics["f1"], cut.threshold) == (2, 100.0, 0.5)


def test_the_threshold_lies_half_way() -> None:
    assert best_cut(
        np.array([0.8, 0.4]), np.array([True, False]), gold=1
    ).threshold == pytest.approx(0.6)


def test_between_neighbouring_floats_the_threshold_is_the_accepted_score() -> None:
    low = 1.0
    high = math.nextafter(low, 2)
    assert best_cut(np.array([low, high]), np.array([False, True]), gold=1).threshold == high


def test_equals_are_rejected_together() -> None:
    cut = best_cut(
        np.array([0.9, 0.5, 0.5, 0.5, 0.5]), np.array([True, True, False, False, False]), gold=2
    )
    assert cut.accepted == 1


@pytest.mark.parametrize(
    ("scores", "correct", "gold"),
    [([], [], 0), ([], [], 3), ([0.5, 0.4], [False, False], 0), ([0.5, 0.4], [False, False], 2)],
)
def test_without_gold_pairs_or_a_correct_pair_nothing_is_accepted(
    scores: list[float], correct: list[bool], gold: int
) -> None:
    cut = best_cut(np.array(scores), np.array(correct, dtype=bool), gold)
    assert cut == Cut(math.inf, 0, 0, gold)
    assert cut.metrics == {"f1": 0.0, "precision": 0.0, "recall": 0.0}


@pytest.mark.parametrize(
    ("threshold", "name"),
    [
        (Threshold("dev"), "dev"),
        (Threshold("oracle"), "oracle"),
        (Threshold("fixed", 1.06), "fixed-1.06"),
    ],
)
def test_a_policy_has_a_name_for_signatures(threshold: Threshold, name: str) -> None:
    assert str(threshold) == name


def test_a_fixed_threshold_needs_its_value_and_others_have_none() -> None:
    with pytest.raises(ConfigError):
        Threshold("fixed")
    with pytest.raises(ConfigError):
        Threshold("dev", 1.0)
