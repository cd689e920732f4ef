"""From counts to points: every metric is a ratio of sums over examples.

Each task is counted first, one row of numbers for each example, and its metrics are functions of
the column sums. That one form gives the score, and by resampling rows its sampling error.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def accuracy_counts(predicted: Sequence[object], gold: Sequence[object]) -> Array:
    """For each example, whether it is right, and 1. Array [examples, 2].

    Example:
        >>> accuracy_counts(["neutral", "neutral"], ["neutral", "entailment"]).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    right = np.fromiter(
        (first == second for first, second in zip(predicted, gold, strict=True)), dtype=np.float64
    )
    return np.stack([right, np.ones_like(right)], axis=1)


def pair_counts(
    predicted: Collection[tuple[str, str]],
    gold: Collection[tuple[str, str]],
    others: Collection[tuple[str, str]] = (),
) -> Array:
    """For each pair of ids in either set, sorted: whether it is correct, predicted, and gold.

    A pair listed twice counts once (XTREME evaluate.py:87-98 at 838c13b compares sets).

    Args:
        others: further pairs that have a row, so that several runs' counts have the same rows.

    Returns:
        Array [pairs, 3].

    Example:
        >>> pair_counts([("de-1", "en-1"), ("de-2", "en-3")], [("de-1", "en-1")]).tolist()
        [[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]
    """
    first, second = set(predicted), set(gold)
    rows = [
        (pair in first and pair in second, pair in first, pair in second)
        for pair in sorted(first | second | set(others))
    ]
    # Without any pair, the array would be [0] instead of [0, 3].
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def accuracy(sums: Array) -> dict[str, Array]:
    """Accuracy in points from the sums (right, examples).

    Source: XTREME evaluate.py:81-84 at 838c13b.

    Example:
        >>> accuracy(np.array([3.0, 4.0]))["accuracy"].item()
        75.0
    """
    return {"accuracy": _percent(sums[..., 0], sums[..., 1])}


def precision_recall_f1(sums: Array) -> dict[str, Array]:
    """Micro F1, precision and recall in points from the sums (correct, predicted, gold).

    0 where undefined.

    Source: XTREME evaluate.py:74-78 (chunks, by seqeval) and 87-98 (pairs) at 838c13b.

    Example:
        >>> points = precision_recall_f1(np.array([3.0, 4.0, 6.0]))
        >>> {name: value.item() for name, value in points.items()}
        {'f1': 60.0, 'precision': 75.0, 'recall': 50.0}
    """
    # [3] -> numbers, or of the bootstrap [1 + resamples, 3] -> [1 + resamples]
    correct, predicted, gold = sums[..., 0], sums[..., 1], sums[..., 2]
    return {
        "f1": _percent(2 * correct, predicted + gold),
        "precision": _percent(correct, predicted),
        "recall": _percent(correct, gold),
    }


def exact_match_f1(sums: Array) -> dict[str, Array]:
    """Exact match and F1 in points from the sums (exact, F1, questions).

    Source: XTREME third_party/evaluate_squad.py:96-100 at 838c13b.

    Example:
        >>> points = exact_match_f1(np.array([1.0, 1.5, 2.0]))
        >>> {name: value.item() for name, value in points.items()}
        {'exact_match': 50.0, 'f1': 75.0}
    """
    return {
        "exact_match": _percent(sums[..., 0], sums[..., 2]),
        "f1": _percent(sums[..., 1], sums[..., 2]),
    }


def _percent(part: Array, whole: Array) -> Array:
    """100 part / whole, and 0 where whole is 0."""
    return 100 * np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
