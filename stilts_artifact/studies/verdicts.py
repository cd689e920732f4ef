"""What a study says of a hypothesis, by a rule that was written before there were data.

A hypothesis names a direction and a smallest effect of interest, ``delta``; 0 alone is never the
question, for with data enough any effect differs from 0. In this order:

1. An effect of ``delta`` or more is excluded, one-sided at 5 %: NOT SUPPORTED.
2. The effect has the hypothesis's direction and differs from 0 at 5 % (Holm) in each scale, over
   the seeds, without any one family of languages, and in nine of ten specifications: SUPPORTED.
3. The interval lies wholly on the other side of 0: NOT SUPPORTED.
4. Else INCONCLUSIVE, and the reason names the first condition that failed.

``equivalent`` turns this around: SUPPORTED where an effect of ``delta`` or more is excluded on both
sides (two one-sided tests: Schuirmann, J. Pharmacokinet. Biopharm. 15:657-680, 1987), and without
any one family too; NOT SUPPORTED where the interval lies wholly beyond ``delta``.

How often the rule says what, with a study's own variances, belongs to its result:
:func:`slope_power` and :func:`mean_power`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stilts_artifact.domain.cells import Finding, Premise
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.groups import Estimate, seed_estimate
from stilts_artifact.studies.record import FitRecord, PowerRecord
from stilts_artifact.studies.regression import LEVEL, SEED, GenusTest

Direction = Literal["less", "greater", "different", "equivalent"]
REPETITIONS = 300
"""Simulated studies for each true effect."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What is claimed of an effect.

    Attributes:
        direction: ``less``: it is negative; ``greater``: positive; ``different``: either;
            ``equivalent``: smaller than ``delta`` on both sides.
        delta: smallest effect of interest, above 0, in units of the first scale.
    """

    direction: Direction
    delta: float


@dataclass(frozen=True, slots=True)
class Robustness:
    """What else must agree before a hypothesis is supported.

    Attributes:
        without: the estimate without each family (or genus) of languages.
        seeds: the estimate at each seed alone; ``None`` where the fit's own interval is over runs.
        same_sign: share of the specifications whose estimate has the sign of the first fit's;
            ``None`` where the hypothesis has no other specification.
        least: the share that is asked for.
    """

    without: Mapping[str, float] = field(default_factory=dict)
    seeds: Sequence[float] | None = None
    same_sign: float | None = None
    least: float = 0.9


@dataclass(frozen=True, slots=True)
class Ruling:
    """A finding, and the condition that decided it, in words."""

    finding: Finding
    reason: str


def bound_p(direction: Direction, above: float, below: float) -> float:
    """P-value of an effect of ``delta`` or more, which is small where that is excluded.

    Args:
        above: one-sided p-value of an effect above ``-delta`` (small: it is above).
        below: of one below ``delta``.
    """
    return {"less": above, "greater": below}.get(direction, max(above, below))


def primary_p(direction: Direction, fit: FitRecord) -> float:
    """The p-value that supports a hypothesis, to be corrected for the number of hypotheses.

    Raises:
        ValueError: equivalence of a fit without ``p_bound``.
    """
    return _bound(fit) if direction == "equivalent" else fit.p


def rule(hypothesis: Hypothesis, fits: Sequence[FitRecord], robustness: Robustness) -> Ruling:
    """The finding on a hypothesis.

    Args:
        fits: one for each scale of effect. The first decides on ``delta``, and has ``p_bound``
            (:func:`bound_p`). Each has ``p_corrected``, of :func:`primary_p`; the p-value itself
            counts where a hypothesis is the only one.
    """
    direction, delta = hypothesis.direction, hypothesis.delta
    first = fits[0]
    if direction == "equivalent":
        return _equivalent(delta, first, robustness)
    sign = _sign(direction, first.estimate)
    size = f"an effect of {_size(direction, delta)}"
    if _bound(first) < LEVEL:
        excluded = f"{size} is excluded (p = {_bound(first):.3g}){_aside(sign, first)}"
        return Ruling(Finding.NOT_SUPPORTED, excluded)
    failed = next(_failures(sign, fits, robustness), None)
    if failed is None:
        return Ruling(Finding.SUPPORTED, f"the effect differs from 0 (p = {_corrected(first):.3g})")
    if _opposite(sign, first):
        return Ruling(Finding.NOT_SUPPORTED, "the effect is the opposite, wholly beyond 0")
    return Ruling(Finding.INCONCLUSIVE, f"{size} is not excluded, but {failed}")


def _equivalent(delta: float, fit: FitRecord, robustness: Robustness) -> Ruling:
    corrected = _bound(fit) if fit.p_corrected is None else fit.p_corrected
    outside = [name for name, value in robustness.without.items() if abs(value) >= delta]
    if corrected < LEVEL and not outside:
        excluded = f"an effect of {delta:g} or more on either side is excluded"
        return Ruling(Finding.SUPPORTED, f"{excluded} (p = {corrected:.3g})")
    if fit.low >= delta or fit.high <= -delta:
        return Ruling(Finding.NOT_SUPPORTED, f"the whole interval is beyond {delta:g}")
    if corrected >= LEVEL:
        failed = f"an effect of {delta:g} or more is not excluded (p = {corrected:.3g})"
    else:
        failed = f"the effect is {delta:g} or more without {outside[0]}"
    return Ruling(Finding.INCONCLUSIVE, failed)


def _failures(sign: int, fits: Sequence[FitRecord], robustness: Robustness) -> Iterator[str]:
    """Conditions of SUPPORTED that do not hold, in words."""
    for fit in fits:
        if sign * fit.estimate <= 0:
            yield f"in {fit.scale} it has the other sign ({fit.estimate:+.3g})"
        elif _corrected(fit) >= LEVEL:
            yield f"in {fit.scale} it does not differ from 0 (p = {_corrected(fit):.3g})"
    if robustness.seeds is not None:
        if len(robustness.seeds) < 2:
            yield "there is one seed, and a seed moves all languages at once"
        elif not _beyond(sign, seed_estimate(robustness.seeds)):
            yield f"over {len(robustness.seeds)} seeds its sign is uncertain"
    for name, value in robustness.without.items():
        if sign * value <= 0:
            yield f"without {name} it has the other sign ({value:+.3g})"
    if robustness.same_sign is not None and robustness.same_sign < robustness.least:
        yield (
            f"only {robustness.same_sign:.0%} of the specifications have its sign, "
            f"not {robustness.least:.0%}"
        )


def _beyond(sign: int, estimate: Estimate) -> bool:
    """Whether an interval lies on one side of 0."""
    low, high = estimate.interval
    return min(sign * low, sign * high) > 0


def _sign(direction: Direction, estimate: float) -> int:
    """Of the effect that is claimed."""
    return {"less": -1, "greater": 1}.get(direction, -1 if estimate < 0 else 1)


def _size(direction: Direction, delta: float) -> str:
    """The smallest effect of interest and beyond, in words."""
    return {"less": f"-{delta:g} or less", "greater": f"{delta:g} or more"}.get(
        direction, f"{delta:g} or more on either side"
    )


def _bound(fit: FitRecord) -> float:
    if fit.p_bound is None:
        raise ValueError("the first fit decides on delta, and has no p-value of it")
    return fit.p_bound


def _corrected(fit: FitRecord) -> float:
    return fit.p if fit.p_corrected is None else fit.p_corrected


def _opposite(sign: int, fit: FitRecord) -> bool:
    """Whether the interval lies wholly on the side that the hypothesis does not mean."""
    return max(sign * fit.low, sign * fit.high) < 0


def _aside(sign: int, fit: FitRecord) -> str:
    """What else is to be said of an effect that is too small."""
    if _opposite(sign, fit):
        return "; what there is, is the opposite"
    if _corrected(fit) < LEVEL and sign * fit.estimate > 0:
        return "; there is an effect, but smaller than what matters"
    return ""


def premise(estimate: float, low: float, high: float) -> tuple[Premise, str]:
    """Whether a mean effect, which a question takes to be positive, is.

    Args:
        low, high: its 95 % interval.

    Returns:
        The finding and its reason, in words.
    """
    shown = f"{estimate:+.2f} [{low:+.2f}, {high:+.2f}]"
    if low > 0:
        return Premise.MET, f"the mean is above 0: {shown}"
    if high < 0:
        return Premise.NOT_MET, f"the mean is below 0: {shown}"
    return Premise.UNCLEAR, f"the mean may be on either side of 0: {shown}"


@dataclass(frozen=True, slots=True)
class Chance:
    """What moves effects beside the covariate.

    Attributes:
        languages: array [languages], standard deviation of each effect: its standard error and what
            remains between languages (tau), together.
        genera: standard deviation of what a genus shares.
    """

    languages: Array
    genera: float


def slope_power(
    test: GenusTest,
    chance: Chance,
    hypothesis: Hypothesis,
    true: Sequence[float],
    *,
    repetitions: int = REPETITIONS,
    seed: int = SEED,
) -> list[PowerRecord]:
    """How often the rule's first two steps say what of a slope, or of a contrast of genera.

    A hypothesis counts as the only one, in one scale of effect, and as robust: real findings are
    no more often SUPPORTED than this says.

    Args:
        test: such as a :class:`WildBootstrap` of the study's own design, with some hundred draws.
        true: simulated effects, in units of the hypothesis.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    shared = generator.normal(0, chance.genera, (repetitions, test.genera))[:, test.clusters]
    noise = shared + generator.normal(0, 1, shared.shape) * chance.languages
    records = []
    for value in true:
        effects = noise + value * test.covariate
        estimates, _ = test.fit(effects)
        p_values = {null: test.p_values(effects, null) for null in _nulls(hypothesis)}
        records.append(_shares(hypothesis, value, estimates, p_values))
    return records


def mean_power(
    estimate: Estimate,
    hypothesis: Hypothesis,
    true: Sequence[float],
    *,
    repetitions: int = 100 * REPETITIONS,
    seed: int = SEED,
) -> list[PowerRecord]:
    """The same of a mean over a named group, with the standard error that it had."""
    from scipy.special import stdtr

    generator = np.random.Generator(np.random.PCG64(seed))
    noise = generator.normal(0, estimate.standard_error, repetitions)
    errors = np.full(repetitions, estimate.standard_error)
    if np.isfinite(estimate.df):
        errors *= np.sqrt(generator.chisquare(estimate.df, repetitions) / estimate.df)
    records = []
    for value in true:
        p_values = {}
        for null in _nulls(hypothesis):
            less = stdtr(estimate.degrees, (value + noise - null) / errors)
            p_values[null] = np.array([2 * np.minimum(less, 1 - less), less, 1 - less])
        records.append(_shares(hypothesis, value, value + noise, p_values))
    return records


def _nulls(hypothesis: Hypothesis) -> tuple[float, ...]:
    """Hypothetical values that the rule tests."""
    return (-hypothesis.delta, 0.0, hypothesis.delta)


def _shares(
    hypothesis: Hypothesis, true: float, estimates: Array, p_values: Mapping[float, Array]
) -> PowerRecord:
    """The rule's first two steps on many simulated studies at once.

    Args:
        estimates: array [repetitions].
        p_values: hypothetical value -> array [3, repetitions].
    """
    delta, direction = hypothesis.delta, hypothesis.direction
    beyond, none, within = p_values[-delta], p_values[0.0], p_values[delta]
    bounds = {"less": beyond[2], "greater": within[1]}
    excluded = bounds.get(direction, np.maximum(beyond[2], within[1])) < LEVEL
    if direction == "equivalent":
        supported = excluded
        outside = ((beyond[0] < LEVEL) & (estimates < -delta)) | (
            (within[0] < LEVEL) & (estimates > delta)
        )
        against = outside & ~supported
    else:
        signs = {"less": estimates < 0, "greater": estimates > 0}
        against = excluded
        supported = ~excluded & (none[0] < LEVEL) & signs.get(direction, estimates != 0)
    return PowerRecord(
        true=true,
        supported=float(np.mean(supported)),
        not_supported=float(np.mean(against)),
        inconclusive=float(np.mean(~supported & ~against)),
    )
