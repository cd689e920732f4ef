"""The verdict rule: what each condition decides, and every finding for every direction."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.study_statistics import real_languages
from stilts_artifact.domain.cells import Finding, Premise
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.groups import Estimate
from stilts_artifact.studies.record import FitRecord
from stilts_artifact.studies.regression import GenusTest, WildBootstrap, leave_one_out
from stilts_artifact.studies.verdicts import (
    Chance,
    Direction,
    Hypothesis,
    Robustness,
    Ruling,
    bound_p,
    mean_power,
    premise,
    primary_p,
    rule,
    slope_power,
)

REAL = real_languages()
WILD = WildBootstrap(REAL.design, 1, REAL.genus, draws=999)
LESS = Hypothesis("less", 1.0)


def fitted(
    test: GenusTest, effects: Array, hypothesis: Hypothesis, scale: str = "points"
) -> FitRecord:
    """A study's fit of one scale."""
    found, (low, high) = test.test(effects), test.interval(effects)
    above = test.test(effects, -hypothesis.delta).p_greater
    below = test.test(effects, hypothesis.delta).p_less
    return FitRecord(
        scale=scale,
        estimate=found.estimate,
        standard_error=found.standard_error,
        low=low,
        high=high,
        p=found.p,
        p_bound=bound_p(hypothesis.direction, above, below),
        languages=found.languages,
        genera=found.genera,
        seeds=5,
    )


def judged(effects: Array, hypothesis: Hypothesis) -> Ruling:
    """A study with one hypothesis and one scale, judged."""
    without = leave_one_out(effects, REAL.design, 1, REAL.family)
    return rule(hypothesis, [fitted(WILD, effects, hypothesis)], Robustness(without))


@pytest.mark.parametrize(
    ("direction", "slope", "noise", "finding"),
    [
        ("less", -2.0, 0.5, Finding.SUPPORTED),
        ("less", 0.0, 0.5, Finding.NOT_SUPPORTED),
        ("less", 2.0, 0.5, Finding.NOT_SUPPORTED),
        ("less", -0.8, 6.0, Finding.INCONCLUSIVE),
        ("greater", 2.0, 0.5, Finding.SUPPORTED),
        ("greater", 0.0, 0.5, Finding.NOT_SUPPORTED),
        ("greater", -2.0, 0.5, Finding.NOT_SUPPORTED),
        ("greater", 0.8, 6.0, Finding.INCONCLUSIVE),
        ("different", 2.0, 0.5, Finding.SUPPORTED),
        ("different", -2.0, 0.5, Finding.SUPPORTED),
        ("different", 0.0, 0.5, Finding.NOT_SUPPORTED),
        ("different", 0.8, 6.0, Finding.INCONCLUSIVE),
        ("equivalent", 0.0, 0.5, Finding.SUPPORTED),
        ("equivalent", 2.0, 0.5, Finding.NOT_SUPPORTED),
        ("equivalent", -2.0, 0.5, Finding.NOT_SUPPORTED),
        ("equivalent", 0.8, 6.0, Finding.INCONCLUSIVE),
    ],
)
def test_every_direction_has_every_finding(
    direction: Direction, slope: float, noise: float, finding: Finding
) -> None:
    effects = REAL.gains((0.6 * noise, noise), seed=3, slope=slope)[0]
    assert judged(effects, Hypothesis(direction, 1.0)).finding is finding


def fit(
    estimate: float = -1.4,
    *,
    scale: str = "points",
    interval: tuple[float, float] = (-2.0, -0.8),
    p: float = 0.002,
    p_bound: float | None = 0.9,
    p_corrected: float | None = None,
) -> FitRecord:
    """A fit that supports "-1 or less", unless told otherwise."""
    return FitRecord(
        scale=scale,
        estimate=estimate,
        standard_error=0.3,
        low=interval[0],
        high=interval[1],
        p=p,
        p_corrected=p_corrected,
        p_bound=p_bound,
        languages=33,
        genera=18,
        seeds=5,
    )


RATIO = fit(-0.03, scale="log-ratio", interval=(-0.05, -0.01), p_bound=None)
ROBUST = Robustness({"Uralic": -1.2, "Dravidian": -1.5}, [-1.2, -1.5, -1.3, -1.6, -1.4], 0.95)


def test_all_conditions_together_support() -> None:
    assert rule(LESS, [fit(), RATIO], ROBUST) == Ruling(
        Finding.SUPPORTED, "the effect differs from 0 (p = 0.002)"
    )


@pytest.mark.parametrize(
    ("fits", "robustness", "failed"),
    [
        ([fit(p=0.06), RATIO], ROBUST, "in points it does not differ from 0 (p = 0.06)"),
        ([fit(p_corrected=0.07), RATIO], ROBUST, "in points it does not differ from 0 (p = 0.07)"),
        (
            [fit(), RATIO.model_copy(update={"p_corrected": 0.3})],
            ROBUST,
            "in log-ratio it does not differ from 0 (p = 0.3)",
        ),
        (
            [fit(), RATIO.model_copy(update={"estimate": 0.02})],
            ROBUST,
            "in log-ratio it has the other sign (+0.02)",
        ),
        (
            [fit(), RATIO],
            Robustness({"Uralic": 0.1}, ROBUST.seeds, 0.95),
            "without Uralic it has the other sign (+0.1)",
        ),
        (
            [fit(), RATIO],
            Robustness(ROBUST.without, [-3.0, 0.4, -2.5, 0.6], 0.95),
            "over 4 seeds its sign is uncertain",
        ),
        (
            [fit(), RATIO],
            Robustness(ROBUST.without, [-1.4], 0.95),
            "there is one seed, and a seed moves all languages at once",
        ),
        (
            [fit(), RATIO],
            Robustness(ROBUST.without, ROBUST.seeds, 0.89),
            "only 89% of the specifications have its sign, not 90%",
        ),
    ],
)
def test_each_condition_that_fails_is_named(
    fits: list[FitRecord], robustness: Robustness, failed: str
) -> None:
    assert rule(LESS, fits, robustness) == Ruling(
        Finding.INCONCLUSIVE, f"an effect of -1 or less is not excluded, but {failed}"
    )


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (
            fit(-0.1, interval=(-0.6, 0.4), p=0.7, p_bound=0.003),
            "an effect of -1 or less is excluded (p = 0.003)",
        ),
        (
            fit(-0.4, interval=(-0.7, -0.1), p=0.01, p_bound=0.001),
            "an effect of -1 or less is excluded (p = 0.001)"
            "; there is an effect, but smaller than what matters",
        ),
        (
            fit(0.7, interval=(0.3, 1.1), p=0.002, p_bound=0.001),
            "an effect of -1 or less is excluded (p = 0.001); what there is, is the opposite",
        ),
        # Only a test that is not the interval's own says so: step 1 has nearly always fired.
        (
            fit(0.7, interval=(0.1, 1.3), p=0.03, p_bound=0.06),
            "the effect is the opposite, wholly beyond 0",
        ),
    ],
)
def test_what_is_excluded_or_opposite_is_not_supported(first: FitRecord, reason: str) -> None:
    assert rule(LESS, [first, RATIO], ROBUST) == Ruling(Finding.NOT_SUPPORTED, reason)


def test_the_other_direction_is_the_mirror() -> None:
    mirrored = fit(1.4, interval=(0.8, 2.0))
    ratio = RATIO.model_copy(update={"estimate": 0.03})
    robust = Robustness({"Uralic": 1.2}, [1.2, 1.5, 1.3], 0.95)
    greater = Hypothesis("greater", 1.0)
    assert rule(greater, [mirrored, ratio], robust).finding is Finding.SUPPORTED
    assert rule(greater, [fit(p_bound=0.001), RATIO], ROBUST) == Ruling(
        Finding.NOT_SUPPORTED,
        "an effect of 1 or more is excluded (p = 0.001); what there is, is the opposite",
    )


def test_equivalence_must_hold_without_every_family() -> None:
    near = fit(0.2, interval=(-0.3, 0.7), p=0.4, p_bound=0.001, p_corrected=0.003)
    hypothesis = Hypothesis("equivalent", 1.0)
    assert rule(hypothesis, [near], Robustness({"Uralic": 0.3})) == Ruling(
        Finding.SUPPORTED, "an effect of 1 or more on either side is excluded (p = 0.003)"
    )
    assert rule(hypothesis, [near], Robustness({"Uralic": 1.3})) == Ruling(
        Finding.INCONCLUSIVE, "the effect is 1 or more without Uralic"
    )
    assert primary_p("equivalent", near) == 0.001
    assert primary_p("less", near) == 0.4


def test_a_bound_is_on_the_side_that_is_claimed() -> None:
    assert bound_p("less", above=0.01, below=0.6) == 0.01
    assert bound_p("greater", above=0.01, below=0.6) == 0.6
    assert bound_p("different", above=0.01, below=0.6) == 0.6
    assert bound_p("equivalent", above=0.7, below=0.6) == 0.7


def test_a_uniform_proportional_loss_is_no_slope() -> None:
    """F1 lies between 30 and 90; a loss of a tenth of it everywhere is a slope in points, and only
    because complex languages have less to lose. The log ratio says so, and the rule asks it."""
    generator = np.random.default_rng(4)
    baseline = 62 - 12 * REAL.design[:, 1] + generator.normal(0, 4, 33)
    loss = 0.1 + generator.normal(0, 0.01, 33)
    points, ratios = -loss * baseline, np.log(1 - loss)
    hypothesis = Hypothesis("greater", 1.0)
    fits = [
        fitted(WILD, points, hypothesis),
        fitted(WILD, ratios, hypothesis, scale="log-ratio"),
    ]
    assert fits[0].estimate > 1
    assert fits[0].p <= 0.001
    assert rule(hypothesis, fits[:1], Robustness()).finding is Finding.SUPPORTED
    ruling = rule(hypothesis, fits, Robustness())
    assert ruling.finding is Finding.INCONCLUSIVE
    assert "but in log-ratio it" in ruling.reason


@pytest.mark.parametrize(
    ("interval", "finding"),
    [
        ((0.1, 1.9), Premise.MET),
        ((-1.6, -0.2), Premise.NOT_MET),
        ((-0.3, 0.9), Premise.UNCLEAR),
        ((0.0, 1.0), Premise.UNCLEAR),
    ],
)
def test_a_premise_is_met_where_the_whole_interval_is_above_0(
    interval: tuple[float, float], finding: Premise
) -> None:
    found, reason = premise(sum(interval) / 2, *interval)
    assert found is finding
    assert f"[{interval[0]:+.2f}, {interval[1]:+.2f}]" in reason


def test_power_of_a_mean_is_the_normal_theory_where_its_error_is_known() -> None:
    """Error 0.5: 1 is 2 errors. SUPPORTED beyond 1.96 of them, unless -1 is excluded."""
    (none, large) = mean_power(Estimate(0.0, 0.5, math.inf), Hypothesis("greater", 1.0), [0, 2])
    # Excluded below 1 - 1.645 * 0.5; not, and above 1.96 * 0.5, supported.
    assert none.not_supported == pytest.approx(0.639, abs=0.01)
    assert none.supported == pytest.approx(0.025, abs=0.004)
    assert large.supported == pytest.approx(0.979, abs=0.004)
    assert none.supported + none.not_supported + none.inconclusive == pytest.approx(1)


@pytest.mark.slow
def test_power_of_equivalence_is_its_own() -> None:
    hypothesis = Hypothesis("equivalent", 1.0)
    (same, edge, far) = mean_power(Estimate(0.0, 0.3, math.inf), hypothesis, [0, 1, 2])
    assert same.supported == pytest.approx(0.908, abs=0.01)
    assert edge.supported == pytest.approx(0.05, abs=0.01)
    assert far.not_supported == pytest.approx(0.915, abs=0.01)
    chance = Chance(np.full(33, 0.5), 0.3)
    (near, beyond) = slope_power(WILD, chance, hypothesis, [0, 2], repetitions=200)
    assert near.supported > 0.95
    assert beyond.not_supported > 0.95
