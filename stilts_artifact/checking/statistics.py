"""How far a reproduced number may lie from the reported one, and what either verdict then promises.

A reproduced score differs from the reported one by more than a difference of method: both are
medians over few random seeds, the reported one is rounded, and the test set is a sample. The
question is not "is there a significant difference" (with few seeds the answer is always no) but "is
the difference smaller than what matters". That has two errors, and a decision with an indifference
zone (Bechhofer, Ann. Math. Statist. 25:16-39, 1954) bounds both:

- ``tolerance``: a true difference up to here is a reproduction. NOT_REPRODUCED is then a false
  alarm; its probability over *all* cells of a table together is at most 5 % (Bonferroni).
- ``MARGIN`` tolerances: a true difference from here on is none. REPRODUCED is then an error; its
  probability is at most 5 % (two one-sided tests: Schuirmann, J. Pharmacokinet. Biopharm.
  15:657-680, 1987).
- between the two either verdict may be defended; and where noise is large beside the tolerance,
  neither can be reached: INCONCLUSIVE.

A true difference is one of scores before rounding. Both rates hold wherever in half a unit of its
last digit the reported score lay: rounding is taken against the verdict that is given, so it widens
``limit`` and narrows ``proven``.

What the rates rest on, and what it costs where it does not hold:

- Scores of single seeds are normal, with one spread in a column, and independent. A declared spread
  of half the true one passes 20.5 % instead of 5 %.
- Cells may depend on one another in any way: a baseline that rows share, averages and their parts.
- The errors that both runs make because the test set is a sample have a correlation of 1/2 or more,
  as both are scored on the same examples. Were they uncorrelated, a difference of ``MARGIN``
  tolerances would pass in 12.2 % instead of 5 %, where sampling is all there is of chance; and of
  tables with 120 independent cells that are all truly a whole tolerance off, every other one would
  have a false alarm instead of one in forty.
- Sampling errors of F1 and exact match are those of the bootstrap over the measured predictions,
  and count as known. Where they are unknown, and of averages over tasks, a column that declares no
  test examples counts sampling as nothing: the rates are then of differences on these very
  examples, not on others like them.

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
    """Chance in a score or in a difference of two, in points.

    Args:
        seeds: standard error that the spread over seeds gives it.
        df: degrees of freedom that the spread was estimated from.
        sampling: standard error that the sampling of the test set gives it; counts as known.
        medians: numbers of seeds of the medians behind it; that of one is the score itself.
    """

    seeds: float
    df: float = math.inf
    sampling: float = 0.0
    medians: tuple[int, ...] = (1,)

    @property
    def error(self) -> float:
        """Standard error of both together."""
        return math.hypot(self.seeds, self.sampling)

    def bound(self, level: float) -> float:
        """What chance exceeds, on one side, with at most the probability ``level`` (up to 5 %).

        ``sqrt((t(1 - level) seeds)^2 + (z(1 - level) sampling)^2)``: the two parts' own bounds,
        added as squares. Given the estimated spread, the difference is normal, and the tail of a
        normal is a convex function of the squared bound; so the mean of the tail over the estimates
        is at most the weighted mean of the two parts' tails, which is ``level``. (Satterthwaite's
        degrees of freedom, the usual choice, give up to twelve times a level of 0.1 % where one row
        of three seeds is all that is known: one estimate that is small by luck then makes the noise
        look known.)

        A median has longer tails than a normal: see :func:`_tail`.

        Example:
            >>> round(Noise(1.0).bound(0.025), 3), round(Noise(1.0, df=4).bound(0.025), 3)
            (1.96, 2.776)
        """
        if self.error == 0:
            return 0.0
        from scipy.special import ndtri, stdtrit

        normal = -float(ndtri(level))
        quantile = normal if math.isinf(self.df) else -float(stdtrit(self.df, level))
        own = math.hypot(*(median_error(n) for n in self.medians))
        longer = math.hypot(*(median_error(n) * _tail(n, level) for n in self.medians))
        return math.hypot(quantile * self.seeds * longer / own, normal * self.sampling)


NO_NOISE = Noise(0.0)
"""Of numbers without chance: counts, untrained encoders, a run repeated with the same seeds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Verdict on one difference.

    Args:
        verdict: REPRODUCED, NOT_REPRODUCED or INCONCLUSIVE.
        limit: beyond it noise does not explain that the difference exceeds the tolerance.
        proven: up to it, a true difference of ``MARGIN`` tolerances is excluded; at most ``limit``,
            negative where noise or rounding hides every difference.
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


@lru_cache(maxsize=128)
def _tail(n: int, level: float) -> float:
    """How much further out than a normal's of the same variance a median's upper point lies.

    The distribution function of a median of ``n = 2 k + 1`` standard normals is ``I(F(x); k + 1, k
    + 1)``, an incomplete beta function (David and Nagaraja, section 2.1). An even number of seeds
    is taken to have the tail of the odd one below it, which is longer. At least 1: at 5 % the
    median's own point lies a little further in.

    Example:
        >>> [round(_tail(n, 0.0002), 3) for n in (1, 3, 4)]
        [1.0, 1.012, 1.012]
    """
    if n <= 2:
        return 1.0
    from scipy.special import betaincinv, ndtri

    odd = n - (n + 1) % 2
    upper = ndtri(betaincinv((odd + 1) / 2, (odd + 1) / 2, level))
    return max(1.0, float(upper / (ndtri(level) * median_error(odd))))


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
    Monthly 107:353-357, 2000); an approximation for F1 over chunks or pairs. Of these the error is
    computed from predictions where they are there
    (:class:`stilts_artifact.checking.intervals.SampledErrors`).

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
    their errors gives ``(1 + 1 - 2/2) sampling^2``.

    Example:
        >>> noise = difference_noise(Spread(1.0), 3, 3)
        >>> round(noise.error, 4), noise.df
        (0.9473, inf)
    """
    medians = (measured, reported or 1)
    seeds = spread.sd * math.hypot(*(median_error(n) for n in medians))
    return Noise(seeds, spread.df, sampling, medians)


def cell_level(cells: int, level: float = FALSE_ALARMS) -> float:
    """Level of one cell that holds ``level`` over all: ``level / cells`` (Bonferroni).

    Holds however the cells depend on one another. Sidak's is 2.5 % larger, and needs them normal.

    Example:
        >>> round(cell_level(120), 6), round(1 - 0.95**120, 3)
        (0.000417, 0.998)
    """
    return level / max(cells, 1)


def decide(
    difference: float, tolerance: float, rounding: float, noise: Noise, cells: int
) -> Decision:
    """The verdict on ``measured - reported``.

    ``limit = tolerance + rounding + bound(a / 2)`` with ``a`` of :func:`cell_level` and the noise's
    bound; ``proven = MARGIN tolerance - rounding - bound(ERROR)``, at most the limit. A reported
    score that was rounded towards the measured one by ``rounding`` hides as much of the difference:
    hence the minus.

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
    limit = tolerance + rounding + noise.bound(cell_level(cells) / 2)
    proven = min(limit, MARGIN * tolerance - rounding - noise.bound(ERROR))
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

    Args:
        true_difference: of the measured score, chance apart, from the reported one as printed.

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
