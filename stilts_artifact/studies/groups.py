"""Claims about a group of languages that was named beforehand, and about two groups.

A named group is not a sample of languages: its mean is a fact about these languages, and what is
uncertain is the runs (other seeds would give other scores) and the items (another test set would).
Flipping signs of whole genera, the way to speak of languages beyond the group, cannot reach small
p-values here: 6 genera have 64 sign patterns, so none is below .031, and 5 none below .063.
Generalisation rests on a slope (:mod:`stilts_artifact.studies.regression`) or on
:class:`GenusContrast`.

Sources, as bibliographic references: B. L. Welch, The generalization of "Student's" problem when
several different population variances are involved (Biometrika 34:28-35, 1947), and
F. E. Satterthwaite, An approximate distribution of estimates of variance components (Biometrics
Bulletin 2:110-114, 1946), for degrees of freedom; D. J. Schuirmann (J. Pharmacokinet. Biopharm.
15:657-680, 1987), for two one-sided tests of equivalence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import DataError
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.regression import (
    DRAWS,
    LEVEL,
    SEED,
    GenusTest,
    inverted,
    require_chance,
    tails,
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate whose error follows Student's t.

    Attributes:
        value: in the unit of the effect.
        standard_error: of the value.
        df: degrees of freedom of the standard error; infinite where it counts as known.
    """

    value: float
    standard_error: float
    df: float

    @property
    def degrees(self) -> float:
        """The degrees of freedom, or so many that t is the normal."""
        return min(self.df, 1e9)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        from scipy.special import stdtrit

        half = float(stdtrit(self.degrees, 1 - LEVEL / 2)) * self.standard_error
        return self.value - half, self.value + half

    def p_above(self, bound: float = 0.0) -> float:
        """One-sided: small where the truth lies above ``bound``."""
        from scipy.special import stdtr

        if self.standard_error == 0:
            return float(self.value <= bound)
        t = (bound - self.value) / self.standard_error
        return float(stdtr(self.degrees, t))

    def p_below(self, bound: float = 0.0) -> float:
        """One-sided: small where the truth lies below ``bound``."""
        return Estimate(-self.value, self.standard_error, self.df).p_above(-bound)

    @property
    def p(self) -> float:
        """Two-sided, of a true value of 0."""
        return min(1.0, 2 * min(self.p_above(), self.p_below()))

    def p_within(self, delta: float) -> float:
        """Small where the truth lies between ``-delta`` and ``delta``: two one-sided tests."""
        return max(self.p_above(-delta), self.p_below(delta))


@dataclass(frozen=True, slots=True)
class GroupMean:
    """The mean effect on a named group.

    Attributes:
        estimate: from runs and items together.
        run_error, item_error: standard errors from either alone.
    """

    estimate: Estimate
    run_error: float
    item_error: float


def group_mean(terms: Array, resampled: Array) -> GroupMean:
    """The mean over a group of an effect that is a sum of terms, such as a row less another.

    A run moves all languages at once, so a run counts as one observation: its mean over the group.
    Each term's spread over seeds is estimated from its own runs (Welch); the items' error counts as
    known, as it comes from thousands of them. What items and runs do together is in both parts,
    which errs on the safe side.

    Args:
        terms: array [terms, seeds], what a term adds to the effect at each seed, sign and mean over
            the group's languages included.
        resampled: array [draws], the effect on resampled items; where languages share their items,
            one draw resamples all of them alike.

    Raises:
        DataError: one seed, whose spread nothing tells.
    """
    seeds = _seeds(terms.shape[1])
    parts = terms.var(axis=1, ddof=1) / seeds
    items = float(resampled.var(ddof=1))
    total, spent = float(parts.sum()) + items, float((parts**2).sum()) / (seeds - 1)
    return GroupMean(
        Estimate(
            float(terms.mean(axis=1).sum()),
            math.sqrt(total),
            total**2 / spent if spent else math.inf,
        ),
        run_error=math.sqrt(parts.sum()),
        item_error=math.sqrt(items),
    )


def seed_estimate(values: Sequence[float]) -> Estimate:
    """The mean of an estimate, such as a slope, that was made from each seed alone.

    Raises:
        DataError: one seed.
    """
    seeds = _seeds(len(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(seeds)
    return Estimate(float(np.mean(values)), error, seeds - 1)


def _seeds(number: int) -> int:
    if number < 2:
        raise DataError(
            "one seed moves all languages at once, and nothing tells by how much",
            got=f"{number} seed",
            expected="2 seeds or more",
        )
    return number


class GenusContrast(GenusTest):
    """How much more an effect is in one group of genera than in the others, by permuting genera.

    A side's mean is the mean over its genera of the mean over a genus's languages. Nothing is held
    equal: where the group has less pre-training text too, that is in the difference. The standard
    error is the standard deviation of permuted differences.

    Args:
        member: array [languages], whether it belongs to the group.
        genus: of each language.

    Raises:
        DataError: a genus on both sides, or too few genera for a p-value below 0.05.
    """

    def __init__(
        self,
        member: NDArray[np.bool_],
        genus: Sequence[str],
        *,
        draws: int = DRAWS,
        seed: int = SEED,
    ) -> None:
        names, number = np.unique(genus, return_inverse=True)
        sizes, members = np.bincount(number), np.bincount(number[member], minlength=len(names))
        inside = members == sizes
        split = [str(name) for name in names[(members > 0) & ~inside]]
        if split:
            raise DataError(
                "a genus on both sides of a contrast between genera",
                got=", ".join(split),
                expected="genera whose languages are all in the group, or none of them",
            )
        count, size = int(inside.sum()), len(inside)
        ways = math.comb(size, count)
        if ways * LEVEL < 2:
            raise DataError(
                "too few genera for a contrast of them",
                got=f"{count} in the group and {size - count} others: {ways} ways to choose it",
                expected=f"{math.ceil(2 / LEVEL)} ways or more",
            )
        self.covariate, self.clusters, self.genera = member.astype(np.float64), number, size
        generator = np.random.Generator(np.random.PCG64(seed))
        chosen = np.argsort(generator.random((draws, size)), axis=1)[:, :count]
        # Contrasts, the true one first: of genera [1 + draws, genera], then of languages.
        chosen = np.concatenate([np.flatnonzero(inside)[None], chosen])
        contrasts = np.full((1 + draws, size), -1 / (size - count))
        np.put_along_axis(contrasts, chosen, 1 / count, axis=1)
        self._contrasts = (contrasts / sizes)[:, number]
        # A group that has more by x moves each permuted difference by x times this.
        self._moves = self._contrasts @ member

    def fit(self, effects: Array) -> tuple[Array, Array]:
        differences = effects @ self._contrasts.T
        return differences[:, 0], differences[:, 1:].std(axis=1)

    def p_values(self, effects: Array, null: float = 0.0) -> Array:
        return self._shares(self._differences(effects), null)

    def _differences(self, effects: Array) -> Array:
        """Array [repetitions, 1 + draws], the true ones first."""
        differences: Array = effects @ self._contrasts.T
        require_chance(differences - differences.mean(axis=1, keepdims=True), effects)
        return differences

    def _shares(self, differences: Array, null: float) -> Array:
        """P-values from differences [repetitions, 1 + draws]."""
        left = differences - null * self._moves
        return (1 + tails(left[:, 1:], left[:, :1])) / len(self._moves)

    def interval(self, effects: Array) -> tuple[float, float]:
        differences = self._differences(effects[None])
        (estimate,), (error,) = self.fit(effects[None])
        return inverted(
            lambda null: float(self._shares(differences, null)[0, 0]), float(estimate), float(error)
        )
