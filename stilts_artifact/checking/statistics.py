"""How far a reproduced number may lie from the reported one, and what either verdict then promises.

A reproduced score differs from the reported one by more than a difference of method: both are
medians over few random seeds, the reported one is rounded, and the test set is a sample. The
question is not "is there a significant difference" (with few seeds the answer is always no) but "is
the difference smaller than what matters". That has two errors, and a decision with an indifference
zone (Bechhofer, Ann. Math. Statist. 25:16-39, 1954) bounds both:

- ``tolerance``: a true difference up to here is a reproduction. NOT_REPRODUCED is then a false
  alarm; its probability over *all* cells of a table together is at most 5 % (Sidak).
- ``MARGIN`` tolerances: a true difference from here on is none. REPRODUCED is then an error; its
  probability is at most 5 % (two one-sided tests: Schuirmann, J. Pharmacokinet. Biopharm.
  15:657-680, 1987).
- between the two either verdict may be defended; and where noise is large beside the tolerance,
  neither can be reached: INCONCLUSIVE.

Everything is in points (0-100). scipy is imported where it is used: Table 1 is counted, and needs
none of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import ConfigError

FALSE_ALARMS = 0.05
"""Probability that a table whose every cell truly lies within its tolerance has a cell that is
NOT_REPRODUCED."""
ERROR = 0.05
"""Probability that a cell truly ``MARGIN`` tolerances off is called REPRODUCED."""
MARGIN = 2
MAX_SEEDS = 1000
_SLACK = 1e-11  # 1.1 - 1.0 is 0.10000000000000009 in binary


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviation of a score over seeds.

    Args:
        sd: in points.
        df: degrees of freedom that it was estimated from; infinite where it is declared.
    """

    sd: float
    df: float = math.inf


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard error of a difference of two scores, in points, and its degrees of freedom."""

    error: float
    df: float = math.inf


NO_NOISE = Noise(0.0)
"""Of numbers without chance: counts, untrained encoders, a run repeated with the same seeds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Verdict on one difference.

    Args:
        verdict: REPRODUCED, NOT_REPRODUCED or INCONCLUSIVE.
        limit: beyond it noise does not explain that the difference exceeds the tolerance.
        proven: up to it, a true difference of ``MARGIN`` tolerances is excluded; at most ``limit``,
            negative where noise hides every difference.
    """

    verdict: Verdict
    limit: float
    proven: float


@lru_cache(maxsize=128)
def median_error(n: int) -> float:
    """Standard deviation of the median of ``n`` independent standard normals, exactly.

    The middle order statistic of an odd sample has the density ``n! / k!^2 F^k (1 - F)^k f`` with
    ``k = (n - 1) / 2``; of an even one the two middle statistics have
    ``n! / (k-1)!^2 F(x)^(k-1) (1 - F(y))^(k-1) f(x) f(y)``, ``x < y``, ``k = n / 2`` (David and
    Nagaraja, Order Statistics, 3rd ed. 2003, section 2.2). The textbook's ``sqrt(pi / (2 n))`` is 8
    % too large at n = 3 and 25 % at n = 1.

    Raises:
        ConfigError: ``n`` is not between 1 and :data:`MAX_SEEDS`.

    Example:
        >>> [round(median_error(n), 4) for n in (1, 2, 3, 5)]
        [1.0, 0.7071, 0.6698, 0.5356]
    """
    if not 1 <= n <= MAX_SEEDS:
        raise ConfigError("number of seeds out of range", got=str(n), expected=f"1 to {MAX_SEEDS}")
    if n <= 2:
        return 1 / math.sqrt(n)  # the mean
    return math.sqrt(_odd_variance(n) if n % 2 else _even_variance(n))


def _odd_variance(n: int) -> float:
    from scipy.integrate import quad
    from scipy.special import gammaln, log_ndtr

    k = (n - 1) // 2
    # In logarithms: with a thousand seeds n! is too large for a float.
    constant = gammaln(n + 1) - 2 * gammaln(k + 1) - 0.5 * math.log(2 * math.pi)

    def integrand(x: float) -> float:
        return x * x * math.exp(constant + k * (log_ndtr(x) + log_ndtr(-x)) - x * x / 2)

    # Twice one half: the integrand is even.
    return 2 * float(quad(integrand, 0, 12, points=[1 / math.sqrt(n), 4 / math.sqrt(n)])[0])


def _even_variance(n: int) -> float:
    from scipy.integrate import dblquad
    from scipy.special import gammaln, log_ndtr

    k = n // 2
    # gammaln(k) is log (k - 1)!.
    constant = gammaln(n + 1) - 2 * gammaln(k) - math.log(2 * math.pi)

    def integrand(gap: float, x: float) -> float:
        y = x + gap
        log_density = constant + (k - 1) * (log_ndtr(x) + log_ndtr(-y)) - (x * x + y * y) / 2
        return (x + gap / 2) ** 2 * math.exp(log_density)

    return float(dblquad(integrand, -8, 8, 0, 8, epsabs=1e-9, epsrel=1e-9)[0])


def pooled_spread(samples: Iterable[Sequence[float]]) -> Spread | None:
    """Standard deviation over seeds, pooled over cells that have a common one.

    ``sqrt(sum SS_i / sum (n_i - 1))`` with the sum of squares ``SS_i`` and size ``n_i`` of a cell.
    Three seeds alone determine a standard deviation to a factor of five; all rows of a column
    together do well.

    Returns:
        ``None`` unless some sample has two values.

    Example:
        >>> pooled_spread([[1.0, 3.0], [5.0, 5.0], [7.0]])
        Spread(sd=1.0, df=2)
    """
    squares, df = 0.0, 0
    for sample in samples:
        if len(sample) > 1:
            squares += float(np.sum((np.asarray(sample) - np.mean(sample)) ** 2))
            df += len(sample) - 1
    return Spread(math.sqrt(squares / df), df) if df else None


def binomial_error(points: float, examples: int) -> float:
    """Sampling error of a share of independent examples, in points: ``100 sqrt(p (1 - p) / N)``.

    Exact for accuracies; an upper bound for a mean of F1 over questions, as no variable between 0
    and 1 with the mean ``p`` has a variance above ``p (1 - p)`` (Bhatia and Davis, Amer. Math.
    Monthly 107:353-357, 2000); an approximation for F1 over chunks or pairs.

    Raises:
        ConfigError: no examples.

    Example:
        >>> round(binomial_error(80.0, 2490), 3)
        0.802
    """
    if examples < 1:
        raise ConfigError("number of examples", got=str(examples), expected="at least 1")
    share = min(max(points / 100, 0.0), 1.0)
    return 100 * math.sqrt(share * (1 - share) / examples)


def mean_error(errors: Sequence[float]) -> float:
    """Error of the unweighted mean of independent numbers, as languages with own test sets are.

    Example:
        >>> mean_error([3.0, 4.0])
        2.5
    """
    return math.sqrt(sum(error**2 for error in errors)) / len(errors)


def difference_noise(
    spread: Spread, measured: int, reported: int | None, sampling: float = 0.0
) -> Noise:
    """Noise of (median of ``measured`` seeds) - (median of ``reported`` seeds).

    ``Var = sd^2 (c(measured)^2 + c(reported)^2) + sampling^2`` with ``c`` of :func:`median_error`.
    An unknown number of reported seeds is taken as one, the noisiest. The sampling error counts
    once, not twice: both runs are scored on the same examples, and a correlation of 1/2 between
    their errors gives ``(1 + 1 - 2/2) sampling^2``. Degrees of freedom by Satterthwaite (Biometrics
    Bulletin 2:110-114, 1946).

    Example:
        >>> noise = difference_noise(Spread(1.0), 3, 3)
        >>> round(noise.error, 4), noise.df
        (0.9473, inf)
    """
    seeds = spread.sd**2 * (median_error(measured) ** 2 + median_error(reported or 1) ** 2)
    total = seeds + sampling**2
    # The sampling error counts as known, with infinite degrees of freedom: only the part of the
    # seeds is estimated.
    return Noise(math.sqrt(total), spread.df * (total / seeds) ** 2 if seeds else math.inf)


def sidak_level(cells: int, level: float = FALSE_ALARMS) -> float:
    """Level of one cell that holds ``level`` over all: ``1 - (1 - level)^(1 / cells)``.

    Holds for normal errors however they are correlated (Sidak, J. Amer. Statist. Assoc. 62:626-633,
    1967), as cells that share a baseline, and averages with what they average, are.

    Example:
        >>> round(sidak_level(120), 6), round(1 - 0.95**120, 3)
        (0.000427, 0.998)
    """
    return -math.expm1(math.log1p(-level) / max(cells, 1))


def decide(
    difference: float, tolerance: float, rounding: float, noise: Noise, cells: int
) -> Decision:
    """The verdict on ``measured - reported``.

    ``limit = tolerance + rounding + t(1 - a/2) error`` with ``a`` of :func:`sidak_level`;
    ``proven = MARGIN tolerance + rounding - t(1 - ERROR) error``, at most the limit.

    - NOT_REPRODUCED: beyond ``limit``.
    - REPRODUCED: within ``proven``.
    - INCONCLUSIVE: between the two.

    Args:
        tolerance: declared: up to here two scores count as equal.
        rounding: half a unit of the last reported digit.
        cells: compared in the same table.

    Example:
        >>> [decide(d, 2.0, 0.05, Noise(0.5), 120).verdict.value for d in (1.0, -3.5, 4.0)]
        ['REPRODUCED', 'INCONCLUSIVE', 'NOT_REPRODUCED']
        >>> decide(1.0, 2.0, 0.05, Noise(3.0), 120).verdict.value
        'INCONCLUSIVE'
    """
    limit = tolerance + rounding + _quantile(1 - sidak_level(cells) / 2, noise) * noise.error
    proven = min(limit, MARGIN * tolerance + rounding - _quantile(1 - ERROR, noise) * noise.error)
    size = abs(difference)
    if not size <= limit + _SLACK:  # written so that NaN is beyond it
        verdict = Verdict.NOT_REPRODUCED
    else:
        verdict = Verdict.REPRODUCED if size <= proven + _SLACK else Verdict.INCONCLUSIVE
    return Decision(verdict, limit, proven)


def probabilities(
    true_difference: float, tolerance: float, rounding: float, noise: Noise, cells: int
) -> Mapping[Verdict, float]:
    """Probability of each verdict on a known true difference, for normal noise of known error.

    Tells before a run how many seeds it needs.

    Example:
        >>> chances = probabilities(0.0, 2.0, 0.05, Noise(0.5), 120)
        >>> {verdict.value: round(chance, 4) for verdict, chance in chances.items()}
        {'REPRODUCED': 1.0, 'NOT_REPRODUCED': 0.0, 'INCONCLUSIVE': 0.0}
    """
    from scipy.special import ndtr

    decision = decide(0.0, tolerance, rounding, noise, cells)

    def within(limit: float) -> float:
        if limit < 0 or noise.error == 0:
            return float(abs(true_difference) <= limit + _SLACK)
        high, low = (
            (limit - true_difference) / noise.error,
            (-limit - true_difference) / noise.error,
        )
        return float(ndtr(high) - ndtr(low))

    passed, tolerated = within(decision.proven), within(decision.limit)
    return {
        Verdict.REPRODUCED: passed,
        Verdict.NOT_REPRODUCED: 1 - tolerated,
        Verdict.INCONCLUSIVE: tolerated - passed,
    }


def _quantile(probability: float, noise: Noise) -> float:
    """Of Student's t; of the normal where the degrees of freedom are infinite.

    Not needed, so 0, without noise.
    """
    if noise.error == 0:
        return 0.0
    from scipy.special import ndtri, stdtrit

    return float(ndtri(probability) if math.isinf(noise.df) else stdtrit(noise.df, probability))
