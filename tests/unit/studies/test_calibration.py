"""Calibration: closed forms, what chance alone makes of each measure, and when none is shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from scipy.stats import norm

from stilts_artifact.errors import DataError
from stilts_artifact.studies.calibration import (
    BINS,
    LEAST,
    Confidences,
    Floats,
    Integers,
    brier,
    confidences,
    ece_debiased,
    ece_mass,
    ece_smooth,
    ece_width,
    fit_temperature,
    matched_effect,
    measure_calibration,
    murphy,
    nll,
    overconfidence,
    scaled,
    smooth_reliability,
)

XNLI_TEST, ENGLISH_DEV, MINI = 5010, 2490, 120
RUNS = 200


def calibrated(examples: int, generator: np.random.Generator) -> Confidences:
    """Predictions of a model that is right exactly as often as it says."""
    confidence = 0.4 + 0.6 * generator.beta(6, 1, examples)
    return Confidences(confidence, (generator.random(examples) < confidence).astype(float))


def labelled(examples: int, generator: np.random.Generator) -> tuple[Floats, Integers]:
    """Log-probabilities of three classes, and labels drawn from them."""
    log_probabilities = log_softmax(2 * generator.standard_normal((examples, 3)), axis=1)
    draws = generator.random((examples, 1))
    gold = (np.exp(log_probabilities).cumsum(axis=1) < draws).sum(axis=1)
    return log_probabilities, gold.clip(max=2)


def over_runs(measure: Callable[[Confidences], float], examples: int) -> tuple[float, float]:
    """Mean and standard deviation of a measure of a calibrated model, over many test sets."""
    generator = np.random.default_rng(2)
    values = [measure(calibrated(examples, generator)) for _ in range(RUNS)]
    return float(np.mean(values)), float(np.std(values))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("examples", "bias", "spread"),
    [(MINI, 6.9, 1.5), (ENGLISH_DEV, 1.6, 0.3), (XNLI_TEST, 1.1, 0.2)],
)
def test_plug_in_ece_of_a_calibrated_model_is_chance(
    examples: int, bias: float, spread: float
) -> None:
    mean, sd = over_runs(ece_mass, examples)
    assert mean == pytest.approx(bias, abs=0.3)
    assert sd == pytest.approx(spread, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("examples", "spread"), [(LEAST, 1.4), (XNLI_TEST, 0.9)])
def test_debiased_ece_of_a_calibrated_model_is_about_zero(examples: int, spread: float) -> None:
    mean, sd = over_runs(ece_debiased, examples)
    assert mean == pytest.approx(0, abs=0.3)
    assert sd == pytest.approx(spread, abs=0.15)


def test_overconfidence_has_no_bias_however_few_examples() -> None:
    mean, sd = over_runs(overconfidence, MINI)
    assert abs(mean) < 4 * sd / np.sqrt(RUNS)


def test_errors_of_calibration_are_not_shown_of_few_examples() -> None:
    generator = np.random.default_rng(1)
    few = measure_calibration(*labelled(LEAST - 1, generator))
    assert {few.murphy, few.ece_width, few.ece_mass, few.ece_debiased, few.ece_smooth} == {None}
    assert few.reason == (
        "1999 examples; of fewer than 2000 chance makes most of an error of calibration"
    )
    assert few.overconfidence == pytest.approx(few.confidence - few.accuracy)
    many = measure_calibration(*labelled(LEAST, generator))
    assert many.reason is None
    assert None not in (many.murphy, many.ece_width, many.ece_mass, many.ece_debiased)
    assert many.ece_smooth is not None


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.4, 0.7, 1.5, 3.0])
def test_overconfidence_is_known_where_log_odds_are_scaled(temperature: float) -> None:
    """Labels are drawn from the unscaled probabilities, and scaling changes no prediction: so the
    accuracy that is expected is the mean unscaled confidence."""
    log_probabilities, gold = labelled(40_000, np.random.default_rng(3))
    told = scaled(log_probabilities, temperature)
    expected = 100 * float(
        np.mean(np.exp(told).max(axis=1) - np.exp(log_probabilities).max(axis=1))
    )
    found = measure_calibration(told, gold)
    error = float(np.std(confidences(told, gold).excess)) / np.sqrt(len(gold))
    assert found.overconfidence == pytest.approx(expected, abs=4 * error)
    assert np.sign(expected) == np.sign(1 - temperature)
    # All of one sign: then errors of calibration are overconfidence itself, chance apart.
    for measure in (found.ece_mass, found.ece_smooth):
        assert measure == pytest.approx(abs(expected), abs=1)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_fitted_temperature_undoes_the_scaling(temperature: float) -> None:
    log_probabilities, gold = labelled(20_000, np.random.default_rng(4))
    fitted = fit_temperature(scaled(log_probabilities, temperature), gold)
    assert fitted == pytest.approx(1 / temperature, rel=0.03)
    told = scaled(scaled(log_probabilities, temperature), fitted)
    assert nll(told, gold) == pytest.approx(nll(log_probabilities, gold), abs=1e-3)


def test_a_temperature_changes_no_prediction() -> None:
    log_probabilities, gold = labelled(500, np.random.default_rng(5))
    before, after = (
        confidences(log_probabilities, gold),
        confidences(scaled(log_probabilities, 3), gold),
    )
    assert (before.correct == after.correct).all()
    assert (after.confidence < before.confidence).all()


@pytest.mark.slow
@given(st.floats(0.35, 0.99), st.integers(1, 60), st.integers(0, 60))
def test_of_one_confidence_every_error_is_its_distance_from_accuracy(
    confidence: float, right: int, wrong: int
) -> None:
    correct = np.array([1.0] * right + [0.0] * wrong)
    found = Confidences(np.full(len(correct), confidence), correct)
    distance = 100 * abs(confidence - correct.mean())
    assert ece_width(found) == pytest.approx(distance)
    assert ece_mass(found) == pytest.approx(distance)
    # SmoothECE knows a place to a cell of 1/4096.
    assert ece_smooth(found) == pytest.approx(distance, abs=0.03)


def test_smooth_ece_is_its_own_bandwidth() -> None:
    """By the definition: an integral of the reflected kernel, at the width that it gives."""
    generator = np.random.default_rng(6)
    confidence = generator.uniform(0.35, 1, 400)
    # Underconfident below 80 points and overconfident above: errors of both signs meet.
    correct = (generator.random(400) < 0.8).astype(float)
    found = ece_smooth(Confidences(confidence, correct)) / 100
    grid = (np.arange(2000) + 0.5) / 2000
    kernel = sum(
        norm.pdf(grid[:, None], image, found)
        for shift in (-2, 0, 2)
        for image in (shift + confidence, shift - confidence)
    )
    error = np.abs((kernel * (correct - confidence)).mean(axis=1)).mean()
    assert error == pytest.approx(found, rel=1e-3)


def test_the_smooth_diagram_shows_accuracy_where_confidences_are() -> None:
    generator = np.random.default_rng(7)
    confidence = generator.uniform(0.4, 1, 50_000)
    correct = (generator.random(50_000) < confidence - 0.1).astype(float)
    told, accuracy, density = smooth_reliability(Confidences(confidence, correct))
    inside = (told > 60) & (told < 80)
    assert accuracy[inside] == pytest.approx(told[inside] - 10, abs=2)
    assert density[inside] == pytest.approx(1 / 0.6, rel=0.1)
    assert np.isnan(accuracy[0]) and density[0] == pytest.approx(0, abs=1e-3)


def test_a_diagram_is_not_drawn_towards_where_confidences_are_dense() -> None:
    """They pile up near 1, and with correctness alone smoothed, 10 points too many would be 7."""
    generator = np.random.default_rng(11)
    sure = calibrated(100_000, generator).confidence
    correct = (generator.random(len(sure)) < sure - 0.1).astype(float)
    told, accuracy, density = smooth_reliability(Confidences(sure, correct))
    dense = density > 0.2
    assert (told - accuracy)[dense] == pytest.approx(10, abs=2)


def test_the_area_beside_the_diagonal_is_smooth_ece() -> None:
    sure = calibrated(20_000, np.random.default_rng(12))
    found = Confidences(np.clip(sure.confidence + 0.05, 0, 1), sure.correct)
    told, accuracy, density = smooth_reliability(found, points=1001)
    known = ~np.isnan(accuracy)
    area = np.mean(np.where(known, density * np.abs(accuracy - told), 0))
    assert area == pytest.approx(ece_smooth(found), rel=0.02)


def test_murphy_s_parts_are_the_brier_score() -> None:
    found = calibrated(XNLI_TEST, np.random.default_rng(8))
    parts = murphy(found)
    whole = 100 * float(np.mean((found.confidence - found.correct) ** 2))
    assert parts.reliability - parts.resolution + parts.uncertainty + parts.within == pytest.approx(
        whole
    )
    assert parts.reliability < 0.1 < parts.resolution < parts.uncertainty
    accuracy = float(found.correct.mean())
    assert parts.uncertainty == pytest.approx(100 * accuracy * (1 - accuracy))


def test_confidence_that_tells_nothing_has_no_resolution() -> None:
    generator = np.random.default_rng(8)
    confidence = generator.uniform(0.4, 1, 50_000)
    parts = murphy(Confidences(confidence, (generator.random(50_000) < 0.7).astype(float)))
    assert parts.resolution == pytest.approx(0, abs=0.02)
    assert parts.reliability == pytest.approx(100 * 0.6**2 / 12, rel=0.05)


def test_bins_of_equal_mass_have_equally_many_examples() -> None:
    found = calibrated(10 * BINS, np.random.default_rng(10))
    order = np.argsort(found.confidence)
    gaps = [np.mean(found.excess[part]) for part in np.split(order, BINS)]
    assert ece_mass(found) == pytest.approx(np.mean(np.abs(gaps)))


def test_brier_and_likelihood_by_hand() -> None:
    log_probabilities, gold = np.log([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3]]), np.array([0, 2])
    squares = (0.2**2 + 0.1**2 + 0.1**2, 0.2**2 + 0.5**2 + 0.7**2)
    assert brier(log_probabilities, gold) == pytest.approx(100 * sum(squares) / 4)
    assert nll(log_probabilities, gold) == pytest.approx(-(np.log(0.8) + np.log(0.3)) / 2)


def test_matched_accuracy_takes_the_part_of_accuracy_away() -> None:
    """Overconfidence falls with accuracy alone; the treated are better, and 2 points worse off."""
    generator = np.random.default_rng(9)
    before, after = generator.uniform(60, 80, 400), generator.uniform(65, 85, 400)

    def cells(accuracy: Floats, extra: float) -> tuple[Floats, Floats]:
        return accuracy, 0.5 * (80 - accuracy) + extra

    treated, untreated = cells(after, 2), cells(before, 0)
    assert np.mean(treated[1]) - np.mean(untreated[1]) == pytest.approx(-0.5, abs=0.5)
    matched = matched_effect(treated, untreated, bins=20)
    assert matched == pytest.approx(2, abs=0.2)


def test_without_equal_accuracies_nothing_is_matched() -> None:
    low, high = (np.array([10.0, 11.0]), np.zeros(2)), (np.array([80.0, 81.0]), np.zeros(2))
    assert matched_effect(low, high, bins=2) is None


@pytest.mark.parametrize(
    ("log_probabilities", "gold", "got"),
    [
        (np.log([[0.5, 0.5]]), np.array([2]), "2"),
        (np.log([[0.5, 0.5]]), np.array([0, 1]), "shapes (1, 2) and (2,)"),
        (np.zeros((0, 3)), np.zeros(0, dtype=int), "shapes (0, 3) and (0,)"),
        (np.array([[0.5, 0.5]]), np.array([0]), "0.5, 0.5"),
        (np.array([[0.0, -np.inf]]), np.array([0]), "0, -inf"),
    ],
)
def test_what_are_no_probabilities_of_these_labels_is_refused(
    log_probabilities: Floats, gold: Integers, got: str
) -> None:
    with pytest.raises(DataError) as caught:
        measure_calibration(log_probabilities, gold)
    assert caught.value.got == got
