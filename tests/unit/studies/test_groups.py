"""Means of named groups, contrasts of genera: against scipy, statsmodels and all permutations."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind

from benchmarks.study_statistics import real_languages
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.randomisation import benjamini_hochberg, holm
from stilts_artifact.studies.groups import Estimate, GenusContrast, group_mean, seed_estimate

REAL = real_languages()
CORE = REAL.agglutinative
NO_ITEMS = np.zeros(2)


def runs(seed: int = 1, treated: float = 61.0, size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two rows, one a seed."""
    generator = np.random.default_rng(seed)
    return generator.normal(treated, 0.8, size), generator.normal(60, 0.5, size)


def test_without_chance_in_items_a_mean_has_welchs_test() -> None:
    treated, baseline = runs()
    found = group_mean(np.stack([treated, -baseline]), NO_ITEMS).estimate
    theirs = stats.ttest_ind(treated, baseline, equal_var=False)
    interval = theirs.confidence_interval()
    assert found.df == pytest.approx(theirs.df)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.interval == pytest.approx((interval.low, interval.high))
    above = stats.ttest_ind(treated - 0.5, baseline, equal_var=False, alternative="greater")
    assert found.p_above(0.5) == pytest.approx(above.pvalue)
    assert found.p_below(0.5) == pytest.approx(1 - above.pvalue)


def test_equivalence_is_two_one_sided_tests() -> None:
    treated, baseline = runs(treated=60.2)
    found = group_mean(np.stack([treated, -baseline]), NO_ITEMS).estimate
    theirs, *_ = ttost_ind(treated, baseline, -1, 1, usevar="unequal")
    assert found.p_within(1) == pytest.approx(theirs)
    assert Estimate(0.0, 0.5, math.inf).p_within(1) == pytest.approx(stats.norm.sf(2))


def test_items_add_to_the_error_and_count_as_known() -> None:
    treated, baseline = runs()
    terms = np.stack([treated, -baseline])
    draws = np.random.default_rng(2).normal(1, 0.7, 2000)
    found, alone = group_mean(terms, draws), group_mean(terms, NO_ITEMS)
    assert found.item_error == pytest.approx(draws.std(ddof=1))
    assert found.run_error == pytest.approx(alone.estimate.standard_error)
    error = found.estimate.standard_error
    assert error == pytest.approx(math.hypot(found.run_error, found.item_error))
    assert found.estimate.df == pytest.approx(alone.estimate.df * (error / found.run_error) ** 4)


def test_runs_that_all_agree_leave_no_doubt() -> None:
    found = group_mean(np.array([[61.0, 61.0], [-60.0, -60.0]]), NO_ITEMS).estimate
    assert (found.interval, found.p) == ((1, 1), 0)
    assert (found.p_above(1), found.p_below(1)) == (1, 1)
    assert group_mean(np.zeros((2, 5)), NO_ITEMS).estimate.p == 1


def test_one_seed_is_told_from_none_by_its_words() -> None:
    with pytest.raises(DataError, match="one seed moves all languages at once"):
        group_mean(np.array([[61.0], [-60.0]]), NO_ITEMS)
    with pytest.raises(DataError, match="one seed moves all languages at once"):
        seed_estimate([0.4])


def test_slopes_of_seeds_have_a_t_interval() -> None:
    slopes = [-0.4, -0.9, -0.2, -0.6, -0.5]
    theirs = stats.ttest_1samp(slopes, 0)
    found = seed_estimate(slopes)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval()))


@pytest.mark.parametrize(("genera", "least"), [(6, 0.031), (5, 0.0625)])
def test_flipping_signs_of_few_genera_cannot_be_significant(genera: int, least: float) -> None:
    """Why the languages of a named group are fixed: however large and equal the gains of its
    genera, this is the smallest p-value that sign flips have; the runs tell the same gain."""
    gains = np.linspace(4.8, 5.2, genera)
    flips = np.array(list(product([-1, 1], repeat=genera)))
    flipped = np.abs((flips * gains).mean(axis=1))
    smallest = float(np.mean(flipped >= gains.mean() - 1e-9))
    assert smallest == 2 / 2**genera
    assert smallest >= least
    treated, baseline = runs(treated=65.0)
    assert group_mean(np.stack([treated, -baseline]), NO_ITEMS).estimate.p < 0.001


@pytest.mark.slow
def test_a_contrast_has_the_p_value_of_all_choices_of_genera() -> None:
    effects = REAL.gains((0.4, 0.7), seed=2)[0] + 1.0 * CORE
    names = sorted(set(REAL.genus))
    means = np.array([effects[np.array(REAL.genus) == name].mean() for name in names])
    core = [number for number, name in enumerate(names) if name in set(np.array(REAL.genus)[CORE])]
    every = []
    for chosen in combinations(range(len(names)), len(core)):
        inside = np.isin(np.arange(len(names)), chosen)
        every.append(means[inside].mean() - means[~inside].mean())
    inside = np.isin(np.arange(len(names)), core)
    observed = means[inside].mean() - means[~inside].mean()
    found = GenusContrast(CORE, REAL.genus).test(effects)
    assert found.estimate == pytest.approx(observed)
    assert found.standard_error == pytest.approx(np.std(every), rel=0.03)
    exact = float(np.mean(np.abs(every) >= abs(observed) - 1e-9))
    assert 0.001 < exact < 0.2
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact / 9999))
    above = float(np.mean(np.array(every) >= observed - 1e-9))
    assert found.p_greater == pytest.approx(above, abs=4 * math.sqrt(above / 9999))


def test_a_contrasts_interval_holds_what_is_not_rejected() -> None:
    effects = REAL.gains((0.4, 0.7), seed=2)[0] + 1.0 * CORE
    contrast = GenusContrast(CORE, REAL.genus)
    low, high = contrast.interval(effects)
    step = 0.02 * (high - low)
    assert contrast.test(effects, low + step).p >= 0.05 > contrast.test(effects, low - step).p
    assert contrast.test(effects, high - step).p >= 0.05 > contrast.test(effects, high + step).p


def test_genera_on_both_sides_and_too_few_are_refused() -> None:
    mixed = np.array([number % 2 == 0 for number in range(33)])
    with pytest.raises(DataError, match="a genus on both sides") as caught:
        GenusContrast(mixed, REAL.genus)
    assert str(caught.value.got).startswith("Dravidian, Finnic, Germanic")
    with pytest.raises(DataError, match="too few genera for a contrast"):
        GenusContrast(np.array([True, True, False, False, False]), list("aabcd"))
    with pytest.raises(DataError, match="too few genera for a contrast"):
        GenusContrast(np.zeros(33, dtype=bool), REAL.genus)


@pytest.mark.slow
def test_corrections_are_those_of_statsmodels() -> None:
    values = [0.004, 0.03, 0.2, 0.011, 0.6, 0.03]
    for ours, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert ours(values) == pytest.approx(multipletests(values, method=method)[1])
