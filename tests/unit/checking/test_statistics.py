"""The statistics keep what they promise: every rate is computed or simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stilts_artifact.checking.statistics import (
    ERROR,
    FALSE_ALARMS,
    MARGIN,
    Noise,
    Spread,
    binomial_error,
    cell_level,
    decide,
    difference_noise,
    mean_error,
    median_error,
    pooled_spread,
    probabilities,
)
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import ConfigError

RUNS = 100_000  # a simulated rate of 5 % is then within 0.25 % with 99.97 % probability
WITHIN = 0.005
SEEDS = (1, 3, 5, 10)
Array = NDArray[np.float64]


def medians(n: int, size: int | tuple[int, ...], seed: int) -> Array:
    """Medians of ``n`` standard normals."""
    shape = (size,) if isinstance(size, int) else size
    return np.median(np.random.default_rng(seed).standard_normal((*shape, n)), axis=-1)


def rates(differences: Array, tolerance: float, noise: Noise, cells: int) -> dict[Verdict, float]:
    """How often each verdict falls on simulated differences."""
    decision = decide(0.0, tolerance, 0.05, noise, cells)
    passed = float(np.mean(np.abs(differences) <= decision.proven))
    failed = float(np.mean(np.abs(differences) > decision.limit))
    return {
        Verdict.REPRODUCED: passed,
        Verdict.NOT_REPRODUCED: failed,
        Verdict.INCONCLUSIVE: 1 - passed - failed,
    }


def test_the_error_of_a_median_has_its_known_values() -> None:
    assert median_error(1) == 1
    assert median_error(2) == pytest.approx(math.sqrt(1 / 2), abs=1e-12)
    assert median_error(3) == pytest.approx(
        math.sqrt(1 - math.sqrt(3) / math.pi), abs=1e-9
    )  # in closed form
    assert median_error(5) == pytest.approx(
        math.sqrt(0.2868336616), abs=1e-8
    )  # Teichroew (1956), order statistics
    assert median_error(1000) == pytest.approx(
        math.sqrt(math.pi / 2000), rel=2e-3
    )  # the asymptotic value


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 10, 11])
def test_the_error_of_a_median_is_what_simulation_gives(n: int) -> None:
    assert median_error(n) == pytest.approx(float(np.std(medians(n, 200_000, n))), rel=0.008)


@pytest.mark.parametrize("n", [0, -3, 1001])
def test_a_number_of_seeds_out_of_range_is_refused(n: int) -> None:
    with pytest.raises(ConfigError, match="seeds"):
        median_error(n)


def test_a_pooled_spread_uses_the_means_of_its_samples() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(rng.uniform(0, 100, (4000, 1)), 2.5, (4000, 3))
    spread = pooled_spread(samples.tolist())
    assert spread is not None
    assert (spread.sd, spread.df) == (pytest.approx(2.5, rel=0.03), 8000)
    assert pooled_spread([[1.0], [2.0]]) is None  # one seed never says how seeds differ


def test_a_binomial_error_is_what_simulation_gives() -> None:
    drawn = np.random.default_rng(2).binomial(2490, 0.8, RUNS) / 24.90
    assert binomial_error(80.0, 2490) == pytest.approx(float(np.std(drawn)), rel=0.01)
    assert binomial_error(101.0, 10) == 0  # F1 and averages may be rounded past the end
    with pytest.raises(ConfigError):
        binomial_error(50.0, 0)


def test_the_error_of_a_mean_of_languages_is_what_simulation_gives() -> None:
    errors = [1.0, 2.0, 4.0]
    drawn = np.random.default_rng(3).normal(0, errors, (RUNS, 3)).mean(axis=1)
    assert mean_error(errors) == pytest.approx(float(np.std(drawn)), rel=0.01)


def test_the_sampling_error_counts_once_on_a_shared_test_set() -> None:
    """Two scores whose errors on the same examples have a correlation of 1/2."""
    rng = np.random.default_rng(4)
    shared, own = rng.normal(0, math.sqrt(0.5), RUNS), rng.normal(0, math.sqrt(0.5), (2, RUNS))
    assert difference_noise(Spread(0.0), 1, 1, 1.0).error == pytest.approx(
        float(np.std((shared + own[0]) - (shared + own[1]))), rel=0.01
    )


def test_an_unknown_number_of_reported_seeds_is_taken_as_one() -> None:
    assert difference_noise(Spread(1.0), 3, None) == difference_noise(Spread(1.0), 3, 1)
    assert difference_noise(Spread(1.0), 3, 3).error < difference_noise(Spread(1.0), 3, 1).error


def test_the_error_of_both_parts_adds_up_as_squares() -> None:
    noise = difference_noise(Spread(1.0, 10), 3, 3, 0.4)
    assert (noise.df, noise.sampling) == (10, 0.4)
    assert noise.error == pytest.approx(math.sqrt(2 * median_error(3) ** 2 + 0.16))


@pytest.mark.slow
@pytest.mark.parametrize("reported", SEEDS)
@pytest.mark.parametrize("measured", SEEDS)
def test_false_alarms_without_a_band_are_at_their_level(measured: int, reported: int) -> None:
    """Type-I error of NOT_REPRODUCED: a perfect repetition, declared spread, one cell: 5 %."""
    noise = difference_noise(Spread(1.0), measured, reported)
    differences = medians(measured, RUNS, 10) - medians(reported, RUNS, 11)
    decision = decide(0.0, 0.0, 0.0, noise, 1)
    assert abs(float(np.mean(np.abs(differences) > decision.limit)) - FALSE_ALARMS) < WITHIN


@pytest.mark.slow
@pytest.mark.parametrize("reported", SEEDS)
@pytest.mark.parametrize("measured", SEEDS)
def test_a_difference_that_matters_is_passed_at_its_level(measured: int, reported: int) -> None:
    """Type-I error of REPRODUCED: a true difference of MARGIN bands: 5 %."""
    noise = difference_noise(Spread(1.0), measured, reported)
    tolerance = (
        3 * noise.error
    )  # from 3.6 on the limit is the narrower of the two, and the rate below its level
    differences = (
        MARGIN * tolerance - 0.05 + medians(measured, RUNS, 12) - medians(reported, RUNS, 13)
    )
    assert abs(rates(differences, tolerance, noise, 1)[Verdict.REPRODUCED] - ERROR) < WITHIN


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("n", SEEDS)
def test_power_is_what_is_promised(n: int, share: float) -> None:
    """The probability of every verdict, at true differences of so many bands."""
    noise = difference_noise(Spread(1.0), n, n, 0.3)
    tolerance = 3 * noise.error
    rng = np.random.default_rng(14)
    differences = (
        share * tolerance + medians(n, RUNS, 15) - medians(n, RUNS, 16) + rng.normal(0, 0.3, RUNS)
    )
    promised = probabilities(share * tolerance, tolerance, 0.05, noise, 5)
    assert sum(promised.values()) == pytest.approx(1)
    for verdict, rate in rates(differences, tolerance, noise, 5).items():
        assert abs(rate - promised[verdict]) < WITHIN, verdict


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_spread_estimated_from_our_own_seeds_keeps_the_levels(n: int) -> None:
    """Pooled over a column of 12 rows, Student's t instead of the normal: both errors of a cell."""
    runs, rows = 40_000, 12
    rng = np.random.default_rng(17)
    seeds = rng.standard_normal((runs, rows, n))
    df = rows * (n - 1)
    errors = (
        np.sqrt(seeds.var(axis=2, ddof=1).mean(axis=1)) * difference_noise(Spread(1.0), n, n).error
    )
    differences = np.median(seeds[:, 0], axis=1) - np.median(rng.standard_normal((runs, n)), axis=1)
    # Both limits are linear in the error.
    unit = decide(0.0, 0.0, 0.0, Noise(1.0, df, medians=(n, n)), 1)
    false_alarms = float(np.mean(np.abs(differences) > unit.limit * errors))
    passed = float(np.mean(np.abs(6 + differences) <= 6 + unit.proven * errors))
    assert abs(false_alarms - FALSE_ALARMS) < WITHIN
    assert abs(passed - ERROR) < WITHIN


@pytest.mark.slow
@pytest.mark.parametrize("n", SEEDS)
def test_a_perfect_reproduction_of_120_cells_passes(n: int) -> None:
    """Every one of 120 cells REPRODUCED in at least 95 % of tables.

    Bands of 95 % each would fail 99.8 % of them.
    """
    tables = 4000
    noise = difference_noise(Spread(1.0), n, 3)
    tolerance = 2.65 * noise.error  # the least that a declared tolerance should be: see the module
    differences = medians(n, (tables, 120), 18) - medians(3, (tables, 120), 19)
    decision = decide(0.0, tolerance, 0.05, noise, 120)
    assert np.mean(np.all(np.abs(differences) <= decision.proven, axis=1)) >= 1 - FALSE_ALARMS
    naive = np.all(np.abs(differences) <= 1.96 * noise.error, axis=1)
    assert np.mean(naive) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("n", SEEDS)
def test_false_alarms_over_a_table_are_held_even_at_the_edge_of_the_tolerance(n: int) -> None:
    tables = 4000
    noise = difference_noise(Spread(1.0), n, n)
    differences = 3.0 + medians(n, (tables, 120), 20) - medians(n, (tables, 120), 21)
    decision = decide(0.0, 3.0, 0.0, noise, 120)
    assert np.mean(np.any(np.abs(differences) > decision.limit, axis=1)) <= FALSE_ALARMS + WITHIN


def test_the_level_of_a_cell_gives_back_that_of_the_table() -> None:
    for cells in (1, 9, 120, 2000):
        assert cell_level(cells) * cells == pytest.approx(FALSE_ALARMS)
    assert cell_level(0) == cell_level(1)


def test_without_noise_the_limit_is_the_tolerance() -> None:
    for difference, verdict in [(1.05, Verdict.REPRODUCED), (1.0500001, Verdict.NOT_REPRODUCED)]:
        assert decide(difference, 1.0, 0.05, Noise(0.0), 120).verdict is verdict
        assert decide(-difference, 1.0, 0.05, Noise(0.0), 120).verdict is verdict
    assert (
        decide(1.1 - 1.0, 0.1, 0.0, Noise(0.0), 1).verdict is Verdict.REPRODUCED
    )  # 0.10000000000000009
    assert decide(0, 0.0, 0.0, Noise(0.0), 1).verdict is Verdict.REPRODUCED
    assert decide(1, 0.0, 0.0, Noise(0.0), 1).verdict is Verdict.NOT_REPRODUCED
    assert decide(math.nan, 1.0, 0.0, Noise(0.0), 1).verdict is Verdict.NOT_REPRODUCED


def test_noise_that_hides_what_matters_proves_nothing() -> None:
    hidden = decide(0.0, 1.0, 0.05, Noise(2.0), 1)
    assert hidden.verdict is Verdict.INCONCLUSIVE
    assert hidden.proven < 0


STEP = 0.05  # of the grids below: the integrands are smooth, so this is far more than enough
GRID = np.arange(-9, 9 + STEP / 2, STEP)


def median_below(n: int, points: Array) -> Array:
    """Probability that the median of ``n`` standard normals is below each point, exactly."""
    from scipy.special import betainc, ndtr

    if n % 2:
        below: Array = betainc((n + 1) // 2, (n + 1) // 2, ndtr(points))
        return below
    if n == 2:
        mean: Array = ndtr(points * math.sqrt(2))
        return mean
    # Desu and Rodine (1969): 2 / B(k, k) times an integral over the lower of the two middle ones,
    # here over how far below the point it lies.
    from scipy.special import beta

    k = n // 2
    nodes, weights = np.polynomial.legendre.leggauss(80)
    gap = 6 * (nodes + 1)
    low, high = points[..., None] - gap, points[..., None] + gap
    inner = ndtr(low) ** (k - 1) * (ndtr(-low) ** k - ndtr(-high) ** k)
    density = np.exp(-(low**2) / 2) / math.sqrt(2 * math.pi)
    even: Array = 2 / beta(k, k) * (inner * density) @ (6 * weights)
    return even


def median_weights(n: int) -> Array:
    """Density of the median of an odd number of seeds on the grid, times its step."""
    from scipy.special import beta, ndtr

    k = (n - 1) // 2
    normal = np.exp(-(GRID**2) / 2) / math.sqrt(2 * math.pi)
    weights: Array = (ndtr(GRID) * ndtr(-GRID)) ** k * normal / beta(k + 1, k + 1) * STEP
    return weights


def exceeds(measured: int, reported: int, sd: float, sampling: float, bound: float) -> float:
    """Probability that chance exceeds a bound on one side: of the model, no draw in it."""
    other, reach = median_weights(reported), 9.0
    if sampling:
        ratio = sampling / sd
        reach = round(9 * (1 + ratio) / STEP) * STEP
        drawn = np.arange(-(reach - 9), reach - 9 + STEP / 2, STEP)
        normal = np.exp(-((drawn / ratio) ** 2) / 2) / math.sqrt(2 * math.pi) / ratio
        other = np.convolve(other, normal * STEP)
    points = np.linspace(-reach, reach, len(other))
    return float(median_below(measured, -bound / sd - points) @ other)


def true_rates(
    measured: int, reported: int | None, sd: float, sampling: float, tolerance: float, cells: int
) -> tuple[float, float]:
    """The two stated rates where rounding does its worst.

    A false alarm at the edge of the tolerance, times the cells (no dependence helps more than
    that); and the passing of ``MARGIN`` tolerances.
    """
    noise = difference_noise(Spread(sd), measured, reported, sampling)
    rounding = 0.05
    decision = decide(0.0, tolerance, rounding, noise, cells)
    out = [
        exceeds(measured, reported or 1, sd, sampling, decision.limit - tolerance - rounding),
        exceeds(measured, reported or 1, sd, sampling, decision.limit + tolerance + rounding),
    ]
    within = exceeds(
        measured, reported or 1, sd, sampling, MARGIN * tolerance - rounding - decision.proven
    )
    return sum(out) * cells, within


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("reported", [None, 3, 5])
@pytest.mark.parametrize("measured", [1, 2, 3, 4, 5, 6, 11, 51])
def test_stated_error_rates_are_true_with_rounding_included(
    measured: int, reported: int | None, sampling: float
) -> None:
    for sd, tolerance in ((0.1, 0.1), (0.5, 0.5), (1.0, 4.0)):
        for cells in (1, 120, 2000):
            alarms, passed = true_rates(measured, reported, sd, sampling, tolerance, cells)
            assert alarms <= FALSE_ALARMS * (1 + 1e-6), (sd, tolerance, cells)
            assert passed <= ERROR * (1 + 1e-6), (sd, tolerance, cells)


def test_rounding_towards_the_measured_score_does_not_help_it_to_pass() -> None:
    """Half a point of tolerance, one decimal: the case in which 5 % was once 6.5 %."""
    for band in (0.5, 1.0, 2.0, 3.0):
        for error in np.arange(0.01, 1.5, 0.01):
            nearest = MARGIN * band - 0.05  # the printed score, rounded towards the measured one
            chances = probabilities(nearest, band, 0.05, Noise(float(error)), 120)
            assert chances[Verdict.REPRODUCED] <= ERROR + 1e-9


def test_a_rounding_coarser_than_the_tolerance_leaves_nothing_proven() -> None:
    assert decide(0.0, 0.1, 0.5, Noise(0.0), 1).verdict is Verdict.INCONCLUSIVE
    assert decide(0.55, 0.1, 0.5, Noise(0.0), 1).verdict is Verdict.INCONCLUSIVE
    assert decide(0.65, 0.1, 0.5, Noise(0.0), 1).verdict is Verdict.NOT_REPRODUCED


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(("rows", "n"), [(1, 2), (1, 3), (2, 3), (2, 5), (12, 3)])
def test_stated_error_rates_are_true_of_an_estimated_spread(
    rows: int, n: int, sampling: float
) -> None:
    """Few rows, few seeds, and a sampling error beside: a spread that is small by luck."""
    runs, cells = 400_000, 10
    rng = np.random.default_rng([22, rows, n])
    # The spread is pooled over the rows, and the cell's own seeds are among them.
    own, squares = np.empty(runs), np.zeros(runs)
    for row in range(rows):
        seeds = rng.standard_normal((runs, n))
        squares += ((seeds - seeds.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        own = np.median(seeds, axis=1) if row == 0 else own
    chance = own - rng.standard_normal(runs) + sampling * rng.standard_normal(runs)
    df = rows * (n - 1)
    unit = difference_noise(Spread(1.0, df), n, 1)
    for level, two_sided in ((ERROR, False), (cell_level(cells) / 2, True)):
        # Of both parts apart: their squares add up, and only the seeds' is estimated.
        estimated = unit.bound(level) ** 2 * squares / df
        bounds = np.sqrt(estimated + Noise(0.0, sampling=sampling).bound(level) ** 2)
        rate = float(np.mean(np.abs(chance) > bounds if two_sided else chance > bounds))
        nominal = 2 * level if two_sided else level
        assert rate <= nominal + 4 * math.sqrt(nominal / runs)


@pytest.mark.slow
def test_of_true_tables_at_most_one_in_twenty_has_a_false_alarm_rounding_included() -> None:
    """All cells at the edge of their tolerance, rounded the worse way; rows share a baseline."""
    tables, cells, tolerance, sd = 20_000, 120, 2.0, 0.7
    rng = np.random.default_rng(23)
    noise = difference_noise(Spread(sd), 3, 3, 0.4)
    limit = decide(0.0, tolerance, 0.05, noise, cells).limit
    medians_of_three = np.median(rng.standard_normal((tables, cells, 3)), axis=2)
    reported = np.median(rng.standard_normal((tables, cells, 3)), axis=2)
    apart = sd * (medians_of_three - reported) + 0.4 * rng.standard_normal((tables, cells))
    shared = apart + sd * (reported - reported[:, :1])
    for chance in (apart, shared):
        assert np.mean((np.abs(tolerance + 0.05 + chance) > limit).any(axis=1)) <= FALSE_ALARMS


def test_what_independence_costs_where_it_does_not_hold_is_what_is_said() -> None:
    """The numbers in the module's docstring and docs/verdicts.md, and a simulation of the first."""
    from scipy.special import ndtr

    sampling = 0.8
    noise = difference_noise(Spread(0.0), 3, 3, sampling)
    limits = decide(0.0, 3.0, 0.0, noise, 120)
    rng = np.random.default_rng(24)
    # Two independent errors on the same examples, where a correlation of 1/2 is assumed.
    apart = rng.normal(0, sampling, RUNS * 4) - rng.normal(0, sampling, RUNS * 4)
    passed = float(np.mean(np.abs(MARGIN * 3.0 + apart) <= limits.proven))
    assert passed == pytest.approx(0.122, abs=0.002)
    alarm = float(ndtr(-(limits.limit - 3.0) / (sampling * math.sqrt(2))))
    assert 1 - (1 - alarm) ** 120 == pytest.approx(0.53, abs=0.01)
    stated = float(ndtr(-(limits.limit - 3.0) / sampling))
    assert 1 - (1 - stated) ** 120 == pytest.approx(0.025, abs=0.001)
    declared = decide(0.0, 3.0, 0.0, difference_noise(Spread(0.5), 1, 1), 120)
    doubled = rng.normal(0, 1.0, RUNS * 4) - rng.normal(0, 1.0, RUNS * 4)
    passed = float(np.mean(np.abs(MARGIN * 3.0 + doubled) <= declared.proven))
    assert passed == pytest.approx(0.205, abs=0.002)


@given(
    difference=st.floats(-50, 50),
    tolerance=st.floats(0, 10),
    error=st.floats(0, 5),
    more=st.floats(1.1, 5),
    cells=st.integers(1, 500),
)
def test_more_noise_never_condemns(
    difference: float, tolerance: float, error: float, more: float, cells: int
) -> None:
    before = decide(difference, tolerance, 0.05, Noise(error), cells)
    after = decide(difference, tolerance, 0.05, Noise(error * more), cells)
    assert after.limit >= before.limit >= tolerance
    assert after.proven <= after.limit
    assert after.verdict is not Verdict.NOT_REPRODUCED or before.verdict is Verdict.NOT_REPRODUCED
