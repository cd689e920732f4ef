"""Where to cut a ranked list of pairs: a policy that is part of every F1's name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import ConfigError
from stilts_artifact.metrics.ratios import precision_recall_f1
from stilts_artifact.retrieval.rows import Float64


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where the threshold comes from.

    Args:
        policy: ``dev`` tuned on development gold and applied elsewhere; ``oracle`` tuned on the
            very gold it is scored on, an upper bound (the paper's library on development data);
            ``fixed`` given.
        value: of a fixed threshold.
    """

    policy: Literal["dev", "oracle", "fixed"]
    value: float | None = None

    def __post_init__(self) -> None:
        if (self.policy == "fixed") != (self.value is not None):
            raise ConfigError("a threshold has a value if and only if it is fixed", got=repr(self))

    def __str__(self) -> str:
        return f"fixed-{self.value!r}" if self.value is not None else self.policy


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut through a ranked list, and what it accepts.

    Args:
        threshold: pairs with this score or a higher one are accepted; infinity accepts none.
        correct, accepted, gold: numbers of pairs.
    """

    threshold: float
    correct: int
    accepted: int
    gold: int

    @property
    def metrics(self) -> dict[str, float]:
        """F1, precision and recall in points; 0 where undefined (XTREME evaluate.py:87-98 at 838c13b)."""
        sums = np.array([self.correct, self.accepted, self.gold], dtype=np.float64)
        return {name: value.item() for name, value in precision_recall_f1(sums).items()}


def cut_at(scores: Float64, correct: NDArray[np.bool_], gold: int, threshold: float) -> Cut:
    """The cut that accepts every pair with at least this score."""
    accepted = scores >= threshold
    return Cut(
        threshold, int(np.count_nonzero(correct & accepted)), int(np.count_nonzero(accepted)), gold
    )


def best_cut(scores: Float64, correct: NDArray[np.bool_], gold: int) -> Cut:
    """The cut with the highest F1; of equal ones, that with the fewest pairs.

    Pairs of equal score are accepted or rejected together. The threshold lies half-way to the next
    lower score, as in XTREME utils_retrieve.py (``bucc_optimize``) at 838c13b, which cannot cut
    after the last pair and may cut between equals. No gold, no pairs or no correct pair: nothing is
    accepted, F1 is 0.

    Args:
        scores: array [pairs], in any order.
        correct: array [pairs], whether a pair is gold.
        gold: number of gold pairs.

    Example:
        >>> best_cut(np.array([0.9, 0.8, 0.4]), np.array([True, True, False]), gold=2)
        Cut(threshold=0.6000000000000001, correct=2, accepted=2, gold=2)
    """
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(correct[order])
    last_of_equals = np.flatnonzero(np.diff(ranked, append=-np.inf))
    f1 = 2 * right[last_of_equals] / (last_of_equals + 1 + gold)
    if not f1.size or f1.max() == 0:
        return Cut(math.inf, 0, 0, gold)
    last = int(last_of_equals[np.argmax(f1)])
    return Cut(_between(ranked, last), int(right[last]), last + 1, gold)


def _between(ranked: Float64, last: int) -> float:
    """A threshold that accepts ``ranked[: last + 1]`` and no more."""
    score = float(ranked[last])
    if last + 1 == len(ranked):
        return score
    middle = (score + float(ranked[last + 1])) / 2
    # Between neighbouring floats there is nothing half-way.
    return middle if middle > ranked[last + 1] else score
