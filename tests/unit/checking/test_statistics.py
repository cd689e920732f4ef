"""The statistics keep what they promise: every rate is simulated and held against its nominal."""

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
    decide,
    difference_noise,
    mean_error,
    median_error,
    pooled_spread,
    probabilities,
    sidak_level,
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


def test_degrees_of_freedom_grow_with_what_is_known() -> None:
    estimated = difference_noise(Spread(1.0, 10), 3, 3)
    assert estimated.df == 10
    assert difference_noise(Spread(1.0, 10), 3, 3, estimated.error).df == pytest.approx(
        40
    )  # Satterthwaite: 10 (2/1)^2


@pytest.mark.parametrize("reported", SEEDS)
@pytest.mark.parametrize("measured", SEEDS)
def test_false_alarms_without_a_band_are_at_their_level(measured: int, reported: int) -> None:
    """Type-I error of NOT_REPRODUCED: a perfect repetition, declared spread, one cell: 5 %."""
    noise = difference_noise(Spread(1.0), measured, reported)
    differences = medians(measured, RUNS, 10) - medians(reported, RUNS, 11)
    decision = decide(0.0, 0.0, 0.0, noise, 1)
    assert abs(float(np.mean(np.abs(differences) > decision.limit)) - FALSE_ALARMS) < WITHIN


@pytest.mark.parametrize("reported", SEEDS)
@pytest.mark.parametrize("measured", SEEDS)
def test_a_difference_that_matters_is_passed_at_its_level(measured: int, reported: int) -> None:
    """Type-I error of REPRODUCED: a true difference of MARGIN bands: 5 %."""
    noise = difference_noise(Spread(1.0), measured, reported)
    tolerance = (
        3 * noise.error
    )  # from 3.6 on the limit is the narrower of the two, and the rate below its level
    differences = (
        MARGIN * tolerance + 0.05 + medians(measured, RUNS, 12) - medians(reported, RUNS, 13)
    )
    assert abs(rates(differences, tolerance, noise, 1)[Verdict.REPRODUCED] - ERROR) < WITHIN


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
    unit = decide(0.0, 0.0, 0.0, Noise(1.0, df), 1)  # both limits are linear in the error
    false_alarms = float(np.mean(np.abs(differences) > unit.limit * errors))
    passed = float(np.mean(np.abs(6 + differences) <= 6 + unit.proven * errors))
    assert abs(false_alarms - FALSE_ALARMS) < WITHIN
    assert abs(passed - ERROR) < WITHIN


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


@pytest.mark.parametrize("n", SEEDS)
def test_false_alarms_over_a_table_are_held_even_at_the_edge_of_the_tolerance(n: int) -> None:
    tables = 4000
    noise = difference_noise(Spread(1.0), n, n)
    differences = 3.0 + medians(n, (tables, 120), 20) - medians(n, (tables, 120), 21)
    decision = decide(0.0, 3.0, 0.0, noise, 120)
    assert np.mean(np.any(np.abs(differences) > decision.limit, axis=1)) <= FALSE_ALARMS + WITHIN


def test_the_level_of_a_cell_gives_back_that_of_the_table() -> None:
    for cells in (1, 9, 120, 2000):
        assert (1 - sidak_level(cells)) ** cells == pytest.approx(1 - FALSE_ALARMS)
    assert sidak_level(0) == sidak_level(1)


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
