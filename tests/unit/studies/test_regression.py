"""Regressions over languages against statsmodels, against metafor, and refitted draw by draw."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import spearmanr

from benchmarks.study_statistics import real_languages
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.groups import GenusContrast
from stilts_artifact.studies.regression import (
    SEED,
    WEBB,
    GenusTest,
    WildBootstrap,
    inverted,
    leave_one_out,
    likelihood_profile,
    meta_regression,
    partial_spearman,
    slope,
)

REAL = real_languages()

# 13 trials of a vaccine: cases and others among the vaccinated, then among the rest; latitude.
# Colditz et al., JAMA 271:698-702, 1994, as R's metafor has them under the name of dat.bcg.
TRIALS = np.array(
    [
        [4, 119, 11, 128, 44],
        [6, 300, 29, 274, 55],
        [3, 228, 11, 209, 42],
        [62, 13536, 248, 12619, 52],
        [33, 5036, 47, 5761, 13],
        [180, 1361, 372, 1079, 44],
        [8, 2537, 10, 619, 19],
        [505, 87886, 499, 87892, 13],
        [29, 7470, 45, 7232, 27],
        [17, 1699, 65, 1600, 42],
        [186, 50448, 141, 27197, 18],
        [5, 2493, 3, 2338, 33],
        [27, 16886, 29, 17825, 33],
    ],
    dtype=float,
)


@pytest.mark.parametrize(
    ("moderators", "coefficients", "errors", "tau2"),
    [([], [-0.7145], [0.1798], 0.3132), ([4], [0.2515, -0.0291], [0.2491, 0.0072], 0.0764)],
)
def test_unequal_variances_give_what_metafor_prints(
    moderators: list[int], coefficients: list[float], errors: list[float], tau2: float
) -> None:
    """``rma(yi, vi, mods, method="REML")`` on log risk ratios."""
    cases, others, cases0, others0 = TRIALS[:, :4].T
    ratios = np.log(cases / (cases + others)) - np.log(cases0 / (cases0 + others0))
    variances = 1 / cases - 1 / (cases + others) + 1 / cases0 - 1 / (cases0 + others0)
    design = np.column_stack([np.ones(13), TRIALS[:, moderators]])
    fit = meta_regression(ratios, variances, design, [str(number) for number in range(13)])
    assert fit.coefficients == pytest.approx(coefficients, abs=6e-5)
    assert fit.standard_errors == pytest.approx(errors, abs=6e-5)
    assert fit.between_languages**2 == pytest.approx(tau2, abs=6e-5)


def model_errors(variances: Array, tau: float, sigma: float) -> Array:
    """Standard errors of coefficients under a known covariance."""
    same = np.equal.outer(REAL.clusters, REAL.clusters)
    inverse = np.linalg.inv(np.diag(variances + tau**2) + sigma**2 * same)
    return np.sqrt(np.diag(np.linalg.inv(REAL.design.T @ inverse @ REAL.design)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 4, 5])
@pytest.mark.parametrize("error", [0.0, 0.4])
def test_equal_variances_give_what_statsmodels_gives(seed: int, error: float) -> None:
    """With one standard error for all, the scale of a mixed model is its square and tau's."""
    effects = REAL.gains((0.8, 1.0), seed=seed, slope=-1)[0]
    variances = np.full(33, error**2)
    fit = meta_regression(effects, variances, REAL.design, REAL.genus)
    theirs = sm.MixedLM(effects, REAL.design, groups=REAL.genus).fit(reml=True)
    assert fit.coefficients == pytest.approx(theirs.fe_params, abs=1e-4)
    assert fit.between_languages**2 + error**2 == pytest.approx(theirs.scale, rel=1e-3)
    assert fit.between_genera**2 == pytest.approx(float(theirs.cov_re[0, 0]), abs=2e-3)
    # statsmodels' own errors are those of a fit that does not take the variances for known.
    expected = model_errors(variances, fit.between_languages, fit.between_genera)
    assert fit.standard_errors == pytest.approx(expected)


def test_known_variances_alone_give_weighted_least_squares() -> None:
    """Effects that lie nearer to the line than their errors leave nothing between languages."""
    effects = REAL.gains((0, 0.1), seed=5)[0]
    variances = np.linspace(0.2, 3, 33)
    fit = meta_regression(effects, variances, REAL.design, REAL.genus)
    theirs = sm.WLS(effects, REAL.design, weights=1 / variances).fit(cov_type="fixed scale")
    assert (fit.between_languages, fit.between_genera) == (0, 0)
    assert fit.coefficients == pytest.approx(theirs.params)
    assert fit.standard_errors == pytest.approx(theirs.bse)


def restricted(effects: Array, variances: Array, tau: float, sigma: float) -> float:
    """The restricted log-likelihood, by its textbook formula."""
    same = np.equal.outer(REAL.clusters, REAL.clusters)
    inverse = np.linalg.inv(np.diag(variances + tau**2) + sigma**2 * same)
    gram = REAL.design.T @ inverse @ REAL.design
    left = effects - REAL.design @ np.linalg.solve(gram, REAL.design.T @ inverse @ effects)
    logs = np.linalg.slogdet(inverse)[1] - np.linalg.slogdet(gram)[1]
    return float((logs - left @ inverse @ left) / 2)


@pytest.mark.slow
def test_the_fit_is_the_highest_likelihood_and_the_profile_lies_below() -> None:
    effects = REAL.gains((0.8, 1.0), seed=2)[0]
    variances = np.linspace(0.05, 1, 33)
    fit = meta_regression(effects, variances, REAL.design, REAL.genus)
    highest = restricted(effects, variances, fit.between_languages, fit.between_genera)
    steps = np.linspace(0, 2, 41)
    around = [restricted(effects, variances, tau, sigma) for tau in steps for sigma in steps]
    assert highest >= max(around)
    assert max(around) > highest - 0.01
    for tau, below in likelihood_profile(effects, variances, REAL.design, REAL.genus):
        best = max(restricted(effects, variances, tau, sigma) for sigma in np.linspace(0, 2, 401))
        assert below == pytest.approx(best - highest, abs=1e-3)
        assert below <= 0


def test_genera_of_one_language_each_are_not_told_from_languages() -> None:
    effects = REAL.gains((1.0, 1.0), seed=3)[0]
    alone = [str(number) for number in range(33)]
    fit = meta_regression(effects, np.zeros(33), REAL.design, alone)
    assert fit.between_genera == 0
    theirs = sm.OLS(effects, REAL.design).fit()
    assert fit.between_languages**2 == pytest.approx(theirs.scale, rel=1e-5)


def test_effects_that_are_all_the_same_leave_nothing_between() -> None:
    fit = meta_regression(np.full(33, 2.0), np.full(33, 0.25), REAL.design, REAL.genus)
    assert (fit.between_languages, fit.between_genera) == (0, 0)
    assert fit.coefficients == pytest.approx([2, 0, 0], abs=1e-9)


def test_webbs_weights_have_mean_0_and_variance_1() -> None:
    assert len(set(WEBB)) == 6
    assert [np.mean(WEBB), np.mean(WEBB**2)] == pytest.approx([0, 1])
    assert sorted(WEBB**2) == pytest.approx([0.5, 0.5, 1, 1, 1.5, 1.5])


def clustered(effects: Array) -> tuple[float, float]:
    """statsmodels' estimate of the second column and its cluster-robust error."""
    fit = sm.OLS(effects, REAL.design).fit(
        cov_type="cluster", cov_kwds={"groups": REAL.clusters, "use_correction": True}
    )
    return float(fit.params[1]), float(fit.bse[1])


def test_standard_errors_are_those_of_statsmodels() -> None:
    effects = REAL.gains((0.8, 1.0), repetitions=5, seed=1)
    estimates, errors = WildBootstrap(REAL.design, 1, REAL.genus).fit(effects)
    theirs = np.array([clustered(one) for one in effects])
    assert estimates == pytest.approx(theirs[:, 0])
    assert errors == pytest.approx(theirs[:, 1])


@pytest.mark.parametrize("null", [0.0, -0.6])
def test_a_p_value_is_the_share_of_refitted_draws(null: float) -> None:
    """Each draw as the recipe has it: restricted fit, weights by genus, a fit, a t."""
    draws = 199
    effects = REAL.gains((0.8, 1.0), seed=6, slope=-0.3)[0]
    others = REAL.design[:, [0, 2]]
    moved = effects - null * REAL.design[:, 1]
    fitted = others @ np.linalg.lstsq(others, moved)[0]
    generator = np.random.Generator(np.random.PCG64(SEED))
    weights = WEBB[generator.integers(6, size=(draws, 18))][:, REAL.clusters]
    ratios = [clustered(one) for one in fitted + weights * (moved - fitted)]
    t = np.array([estimate / error for estimate, error in ratios])
    estimate, error = clustered(effects)
    observed = (estimate - null) / error
    found = WildBootstrap(REAL.design, 1, REAL.genus, draws=draws).test(effects, null)
    assert found.t == pytest.approx(observed)
    assert found.p == (1 + np.sum(np.abs(t) >= abs(observed))) / 200
    assert found.p_less == (1 + np.sum(t <= observed)) / 200
    assert found.p_greater == (1 + np.sum(t >= observed)) / 200
    assert (found.languages, found.genera) == (33, 18)


def test_an_interval_holds_what_is_not_rejected() -> None:
    wild = WildBootstrap(REAL.design, 1, REAL.genus, draws=999)
    for effects in REAL.gains((0.8, 1.0), repetitions=5, seed=7, slope=-1):
        low, high = wild.interval(effects)
        width = high - low
        inside = [low + 0.01 * width, high - 0.01 * width]
        outside = [low - 0.01 * width, high + 0.01 * width]
        assert [wild.test(effects, null).p >= 0.05 for null in inside] == [True, True]
        assert [wild.test(effects, null).p < 0.05 for null in outside] == [True, True]


def test_a_unit_of_effects_changes_no_p_value() -> None:
    wild = WildBootstrap(REAL.design, 1, REAL.genus, draws=999)
    effects = REAL.gains((0.8, 1.0), seed=8)[0]
    points, ratios = wild.test(effects), wild.test(effects / 1e4)
    assert (points.p, points.p_less) == (ratios.p, ratios.p_less)
    assert np.array(wild.interval(effects)) == pytest.approx(
        1e4 * np.array(wild.interval(effects / 1e4))
    )


def test_a_test_needs_more_genera_than_columns() -> None:
    with pytest.raises(DataError, match="too few genera") as caught:
        WildBootstrap(REAL.design, 1, ["one", "two", "three"] * 11)
    assert caught.value.got == "3 genera, 3 columns"


def test_what_one_genus_carries_is_not_taken_for_certain() -> None:
    """A column that is 0 in all genera but one: the fit follows that genus, so its residuals, and
    with them the cluster-robust error, are far too small. The bootstrap sees that any weight of it
    does the same."""
    carried = np.array([float(genus == "Korean") for genus in REAL.genus])
    design = np.column_stack([np.ones(33), carried])
    effects = REAL.gains((0.5, 1.0), seed=1)[0]
    wild = WildBootstrap(design, 1, REAL.genus, draws=999)
    found = wild.test(effects)
    assert abs(found.t) > 7
    assert found.p > 0.4
    low, high = wild.interval(effects)
    assert high - low > 50 * found.standard_error


def test_an_interval_without_an_end_is_refused() -> None:
    with pytest.raises(DataError, match="no interval: too few groups"):
        inverted(lambda null: 0.2, 1.0, 0.5)


def test_columns_that_depend_on_each_other_and_too_few_languages_are_refused() -> None:
    effects = REAL.gains((0, 1.0), seed=1)[0]
    twice = np.column_stack([REAL.design, 2 * REAL.design[:, 1]])
    with pytest.raises(DataError, match="columns that depend on each other"):
        slope(effects, twice, 1)
    with pytest.raises(DataError, match="too few languages"):
        meta_regression(effects[:4], np.ones(4), REAL.design[:4], REAL.genus[:4])


@pytest.mark.parametrize(
    "test",
    [WildBootstrap(REAL.design, 1, REAL.genus), GenusContrast(REAL.agglutinative, REAL.genus)],
)
@pytest.mark.parametrize("value", [0.0, 1.3])
def test_effects_without_chance_have_no_p_value(test: GenusTest, value: float) -> None:
    """Such as those of a row that predicts exactly what the other one does."""
    with pytest.raises(DataError, match="no chance is left"):
        test.test(np.full(33, value))
    with pytest.raises(DataError, match="no chance is left"):
        test.interval(np.full(33, value))


def test_leaving_a_family_out_refits_the_rest() -> None:
    effects = REAL.gains((0.8, 1.0), seed=4, slope=-1)[0]
    without = leave_one_out(effects, REAL.design, 1, REAL.family)
    assert list(without) == sorted(set(REAL.family))
    kept = np.array(REAL.family) != "Uralic"
    theirs = sm.OLS(effects[kept], REAL.design[kept]).fit()
    assert without["Uralic"] == pytest.approx(theirs.params[1])


def test_partial_spearman_is_the_correlation_of_what_ranks_leave() -> None:
    effects = REAL.gains((0.5, 1.0), seed=4, slope=-1)[0]
    table = np.column_stack([effects, REAL.design[:, 1:]])
    (ab, ac), (_, bc) = spearmanr(table).statistic[0, 1:], spearmanr(table).statistic[1, 1:]
    by_hand = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    assert partial_spearman(effects, REAL.design, 1) == pytest.approx(by_hand)
