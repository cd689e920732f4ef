"""How far a classifier's probabilities can be believed: from log-probabilities and gold labels.

The *confidence* of a prediction is the probability of the class that is predicted. A model is
calibrated if of its predictions with confidence p a share p is correct. Everything is in points, as
accuracies are, but the negative log-likelihood, which is in nats.

Primary is **overconfidence**, mean confidence less accuracy: an average over examples, so it has no
bias, its error follows from theirs, and two models are compared example by example. Errors of
calibration (ECE) say more, as over- and underconfidence do not cancel in them, but they are made of
absolute values, which chance alone makes positive: the plug-in ECE of a perfectly calibrated model
with 15 bins is about 1.1 at 5,010 examples and 6.9 at 120. So below :data:`LEAST` examples there is
none, and above it the debiased one is the one to read (Kumar, Liang and Ma 2019, NeurIPS; Roelofs
et al. 2022, arXiv 2012.08668, prefer bins of equal mass too).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import DataError

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]

BINS = 15
LEAST = 2000
"""Examples below which no error of calibration is shown. Here the bias of the plug-in ECE of a
calibrated model is 1.7 points, and the standard deviation of the debiased one 1.4."""

_CELLS = 4096  # into which SmoothECE and its diagram cut the unit interval: a power of 2, for speed
_SPARSE = 0.01  # density of confidences, where equally many everywhere are 1
_TEMPERATURES = (0.05, 20.0)
_SLACK = 1e-3  # of a sum of float32 probabilities


@dataclass(frozen=True, slots=True)
class Confidences:
    """The predicted classes' probabilities, and whether they were right.

    Attributes:
        confidence: array [examples], 0-1.
        correct: array [examples], 0 or 1.
    """

    confidence: Floats
    correct: Floats

    @property
    def excess(self) -> Floats:
        """Points of overconfidence of each example, whose mean is that of them all."""
        return 100 * (self.confidence - self.correct)


@dataclass(frozen=True, slots=True)
class Murphy:
    """The Brier score of confidences taken apart, in points, by bins of equal mass (Murphy 1973).

    ``reliability - resolution + uncertainty + within`` is the Brier score exactly: ``within`` is
    what the variation of confidences inside bins adds (Stephenson, Coelho and Jolliffe 2008).

    Attributes:
        reliability: squared distance of confidence from accuracy; 0 is calibrated.
        resolution: variance of accuracy between bins; high is good.
        uncertainty: variance of correctness, that of accuracy alone: it is highest at 50 points.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """All measures of one model on one test set.

    Attributes:
        n: examples.
        confidence, accuracy: means, points.
        overconfidence: confidence less accuracy, points.
        brier: of all classes' probabilities, 0-100.
        nll: negative log-likelihood, nats an example.
        murphy: decomposition of the Brier score of confidences.
        ece_width, ece_mass: plug-in ECE in bins of equal width or mass, points.
        ece_debiased: root of the debiased squared error in bins of equal mass, points. An estimate
            without bias is negative by chance where there is no error; so is the root then.
        ece_smooth: SmoothECE, points.
        reason: why the last five are ``None``.
    """

    n: int
    confidence: float
    accuracy: float
    overconfidence: float
    brier: float
    nll: float
    murphy: Murphy | None
    ece_width: float | None
    ece_mass: float | None
    ece_debiased: float | None
    ece_smooth: float | None
    reason: str | None


def measure_calibration(log_probabilities: Floats, gold: Integers) -> Calibration:
    """Every measure; those that need many examples only where there are as many.

    Args:
        log_probabilities: natural logarithms, array [examples, classes].
        gold: numbers of the right classes, array [examples].

    Raises:
        DataError: as :func:`confidences`.
    """
    found = confidences(log_probabilities, gold)
    n = len(gold)
    enough = n >= LEAST

    def shown(measure: Callable[[Confidences], float]) -> float | None:
        return measure(found) if enough else None

    return Calibration(
        n=n,
        confidence=100 * float(found.confidence.mean()),
        accuracy=100 * float(found.correct.mean()),
        overconfidence=overconfidence(found),
        brier=brier(log_probabilities, gold),
        nll=nll(log_probabilities, gold),
        murphy=murphy(found) if enough else None,
        ece_width=shown(ece_width),
        ece_mass=shown(ece_mass),
        ece_debiased=shown(ece_debiased),
        ece_smooth=shown(ece_smooth),
        reason=None
        if enough
        else f"{n} examples; of fewer than {LEAST} chance makes most of an error of calibration",
    )


def confidences(log_probabilities: Floats, gold: Integers) -> Confidences:
    """Confidence and correctness of each prediction; of equal classes the first is predicted.

    Args:
        log_probabilities: natural logarithms, array [examples, classes].
        gold: numbers of the right classes, array [examples].

    Raises:
        DataError: no examples, other shapes, a number of no class, or rows that are not the
            logarithms of probabilities.

    Example:
        >>> found = confidences(np.log([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]))
        >>> found.confidence, found.correct
        (array([0.9, 0.6]), array([1., 0.]))
    """
    _check(log_probabilities, gold)
    predicted = log_probabilities.argmax(axis=1)
    top = log_probabilities.max(axis=1).astype(np.float64)
    return Confidences(np.exp(np.minimum(top, 0)), (predicted == gold).astype(np.float64))


def overconfidence(found: Confidences) -> float:
    """Mean confidence less accuracy, in points; negative is underconfidence."""
    return float(found.excess.mean())


def ece_width(found: Confidences) -> float:
    """Plug-in ECE in 15 bins of equal width, in points: to compare with other papers."""
    return _plug_in(found, np.minimum((found.confidence * BINS).astype(np.int64), BINS - 1))


def ece_mass(found: Confidences) -> float:
    """Plug-in ECE in 15 bins of equal mass, in points."""
    return _plug_in(found, _equal_mass(found.confidence))


def ece_debiased(found: Confidences) -> float:
    """Root of the debiased squared error in 15 bins of equal mass, in points (Kumar et al. 2019).

    ``sum_k n_k/n ((confidence_k - accuracy_k)^2 - accuracy_k (1 - accuracy_k) / (n_k - 1))``: what
    chance adds to each square is taken off again. A negative sum has a negative root, so that the
    mean over many calibrated models stays near 0.
    """
    bins = _bins(found, _equal_mass(found.confidence))
    chance = bins.accuracy * (1 - bins.accuracy) / np.maximum(bins.size - 1, 1)
    squared = float(np.sum(bins.share * ((bins.confidence - bins.accuracy) ** 2 - chance)))
    return 100 * float(np.sign(squared) * np.sqrt(abs(squared)))


def ece_smooth(found: Confidences) -> float:
    """SmoothECE in points (Błasiok and Nakkiran 2023, arXiv 2309.12236): no bins, no parameter.

    ``smECE_s = integral over t of |1/n sum_i K_s(t, confidence_i) (correct_i - confidence_i)|``,
    with a Gaussian kernel of width s, reflected at 0 and 1; SmoothECE is the only s that is its own
    smECE_s.
    """
    return 100 * _bandwidth(found)


def smooth_reliability(found: Confidences, points: int = 101) -> tuple[Floats, Floats, Floats]:
    """A reliability diagram without bins, smoothed by the kernel of SmoothECE.

    What is smoothed is how far an example's correctness lies from its confidence, and not the
    former alone: where confidences are dense on one side, that would be drawn towards them, and a
    calibrated model off the diagonal. So the distance from the diagonal, weighted by density, is
    SmoothECE itself, as long as accuracies are within 0 and 100.

    Returns:
        Arrays [points], from 0 to 100: confidence; accuracy there, NaN where there are next to no
        confidences; and the density of these, whose mean is 1.
    """
    # A model without any error has no bandwidth; its diagram needs one.
    width = max(_bandwidth(found), 1 / points)
    mass = _smoothed(_histogram(found.confidence, np.ones_like(found.correct)), width)
    residual = _smoothed(_histogram(found.confidence, found.correct - found.confidence), width)
    grid = np.linspace(0, 1, points)
    cells = _cell(grid)
    density = mass[cells] * _CELLS
    known = density > _SPARSE
    off = np.divide(residual[cells], mass[cells], out=np.full(points, np.nan), where=known)
    return 100 * grid, 100 * np.clip(grid + off, 0, 1), density


def murphy(found: Confidences) -> Murphy:
    """The Brier score of confidences, ``mean((confidence - correct)^2)``, taken apart."""
    bins = _bins(found, _equal_mass(found.confidence))
    mean = float(found.correct.mean())
    reliability = float(np.sum(bins.share * (bins.confidence - bins.accuracy) ** 2))
    resolution = float(np.sum(bins.share * (bins.accuracy - mean) ** 2))
    uncertainty = mean * (1 - mean)
    whole = float(np.mean((found.confidence - found.correct) ** 2))
    within = whole - (reliability - resolution + uncertainty)
    return Murphy(100 * reliability, 100 * resolution, 100 * uncertainty, 100 * within)


def brier(log_probabilities: Floats, gold: Integers) -> float:
    """Brier score in points: half the squared distance of the probabilities from the truth.

    The half makes 100 of a wrong prediction with full confidence, whatever the number of classes.

    Raises:
        DataError: as :func:`confidences`.
    """
    _check(log_probabilities, gold)
    probabilities = np.exp(log_probabilities.astype(np.float64))
    probabilities[np.arange(len(gold)), gold] -= 1
    return 50 * float(np.mean(np.sum(probabilities**2, axis=1)))


def nll(log_probabilities: Floats, gold: Integers) -> float:
    """Negative log-likelihood of the right classes, nats an example.

    Raises:
        DataError: as :func:`confidences`.
    """
    _check(log_probabilities, gold)
    return -float(log_probabilities[np.arange(len(gold)), gold].astype(np.float64).mean())


def scaled(log_probabilities: Floats, temperature: float) -> Floats:
    """Log-probabilities [examples, classes] with the log-odds divided by a temperature."""
    from scipy.special import log_softmax

    result: Floats = log_softmax(log_probabilities.astype(np.float64) / temperature, axis=1)
    return result


def fit_temperature(log_probabilities: Floats, gold: Integers) -> float:
    """The temperature with the least negative log-likelihood, to a ten-thousandth of its logarithm.

    One number for all languages, fitted on development data of the source language. It changes no
    prediction. Between 0.05 and 20: what is all correct, or all wrong, has none.

    Raises:
        DataError: as :func:`confidences`.
    """
    from scipy.optimize import minimize_scalar

    _check(log_probabilities, gold)
    found = minimize_scalar(
        lambda log: nll(scaled(log_probabilities, np.exp(log)), gold),
        bounds=tuple(np.log(_TEMPERATURES)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def matched_effect(
    treated: tuple[Floats, Floats], untreated: tuple[Floats, Floats], bins: int = 5
) -> float | None:
    """What a treatment does to overconfidence where accuracy is equal, in points.

    Models that are right more often are less overconfident for that alone. So cells (a language,
    row and run) are compared within bins of accuracy that have equally many of them; bins are
    weighted by ``n1 n0 / (n1 + n0)``, the inverse of their difference's variance.

    Args:
        treated, untreated: accuracy and overconfidence, arrays [cells], points.

    Returns:
        ``None`` where no bin has cells of both kinds.
    """
    pooled = np.concatenate([treated[0], untreated[0]])
    edges = np.quantile(pooled, np.linspace(0, 1, bins + 1))[1:-1]
    sums, sizes = [], []
    for accuracy, excess in (treated, untreated):
        place = np.searchsorted(edges, accuracy, side="right")
        sums.append(np.bincount(place, excess, minlength=bins))
        sizes.append(np.bincount(place, minlength=bins))
    both = (sizes[0] > 0) & (sizes[1] > 0)
    if not both.any():
        return None
    first, second = sizes[0][both], sizes[1][both]
    difference = sums[0][both] / first - sums[1][both] / second
    return float(np.average(difference, weights=first * second / (first + second)))


@dataclass(frozen=True, slots=True)
class _Bins:
    """Bins that have examples: number, share of all, mean confidence, accuracy; arrays [bins]."""

    size: Floats
    share: Floats
    confidence: Floats
    accuracy: Floats


def _equal_mass(confidence: Floats) -> Integers:
    """Bin of each example, by quantiles: equal confidences are never in two bins."""
    edges = np.quantile(confidence, np.linspace(0, 1, BINS + 1))[1:-1]
    return np.searchsorted(edges, confidence, side="right")


def _bins(found: Confidences, member: Integers) -> _Bins:
    size = np.bincount(member, minlength=BINS).astype(np.float64)
    some = size > 0
    means = [
        np.bincount(member, values, minlength=BINS)[some] / size[some]
        for values in (found.confidence, found.correct)
    ]
    return _Bins(size[some], size[some] / size.sum(), *means)


def _plug_in(found: Confidences, member: Integers) -> float:
    bins = _bins(found, member)
    return 100 * float(np.sum(bins.share * np.abs(bins.confidence - bins.accuracy)))


def _cell(places: Floats) -> Integers:
    return np.minimum((places * _CELLS).astype(np.int64), _CELLS - 1)


def _histogram(confidence: Floats, values: Floats) -> Floats:
    """Values over their number, summed in cells of confidence: array [cells]."""
    return np.bincount(_cell(confidence), values, minlength=_CELLS) / len(values)


def _smoothed(masses: Floats, width: float) -> Floats:
    """Masses [cells] of the unit interval under a Gaussian kernel that is reflected at both ends.

    Cosines are what such a kernel only scales, ``cos(pi k t)`` by ``exp(-(pi k width)^2 / 2)``; so
    this is a multiplication between two cosine transforms.
    """
    from scipy.fft import dct, idct

    waves = np.pi * np.arange(len(masses)) * width
    result: Floats = idct(dct(masses, norm="ortho") * np.exp(-(waves**2) / 2), norm="ortho")
    return result


def _bandwidth(found: Confidences) -> float:
    """The width whose smoothed error is itself, 0-1.

    The error falls with the width, so there is one, and bisection finds it.
    """
    from scipy.optimize import brentq

    residuals = _histogram(found.confidence, found.correct - found.confidence)

    def too_small(width: float) -> float:
        return float(np.abs(_smoothed(residuals, width)).sum()) - width

    least = 1 / _CELLS
    # Below what the cells resolve there is only no error to speak of.
    return float(brentq(too_small, least, 1.0)) if too_small(least) > 0 else 0.0


def _check(log_probabilities: Floats, gold: Integers) -> None:
    if log_probabilities.ndim != 2 or gold.shape != log_probabilities.shape[:1] or not len(gold):
        raise DataError(
            "not the probabilities of these labels",
            got=f"shapes {log_probabilities.shape} and {gold.shape}",
            expected="[examples, classes] and [examples], at least one",
        )
    classes = log_probabilities.shape[1]
    if gold.min() < 0 or gold.max() >= classes:
        outside = gold[(gold < 0) | (gold >= classes)][0]
        raise DataError("label that is no class", got=str(outside), expected=f"0 to {classes - 1}")
    sums = np.exp(log_probabilities.astype(np.float64)).sum(axis=1)
    # A probability of 0 has no logarithm; softmax gives none.
    is_fine = np.isfinite(log_probabilities).all(axis=1) & (np.abs(sums - 1) < _SLACK)
    wrong = np.flatnonzero(~is_fine)
    if len(wrong):
        raise DataError(
            "not logarithms of probabilities",
            where=f"example {wrong[0] + 1}",
            got=", ".join(f"{value:.6g}" for value in log_probabilities[wrong[0]]),
            expected="finite numbers whose exponentials sum to 1",
        )
