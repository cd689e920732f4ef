"""Does an effect depend on a property of languages? Regression over languages nested in genera.

Languages of a genus share more than the property in question, so their effects err together: a test
that takes languages for independent rejects a true null twice as often as it says. Two answers to
that are here, and a study uses both:

- :func:`meta_regression` models it: ``y = X b + u_genus + e`` with ``e ~ N(0, s^2 + tau^2)`` and
  ``u ~ N(0, sigma_u^2)``, where ``s`` is each effect's known standard error (restricted maximum
  likelihood). It says what remains between languages and between genera.
- :class:`WildBootstrap` assumes nothing of that: languages count alike, and it asks how large the
  cluster-robust ``t`` becomes when the residuals of whole genera, fitted under the null hypothesis,
  get random signs and sizes. It decides. (Weighted by the fitted model instead, the same test was
  too liberal: 6.6 % of 2,000 true nulls at nominal 5 %, where the standard errors differ much.)

Sources, as bibliographic references: M. D. Webb, Reworking wild bootstrap based inference for
clustered errors (QED Working Paper 1315, 2014), for the six weights; J. G. MacKinnon,
M. O. Nielsen, M. D. Webb, Cluster-robust inference: a guide to empirical practice (J. Econometrics
232:272-299, 2023, arXiv 2301.04527), for the restricted wild cluster bootstrap-t and intervals by
its inversion; D. A. Harville, Maximum likelihood approaches to variance component estimation
(J. Amer. Statist. Assoc. 72:320-338, 1977), for the restricted likelihood.

Arrays are float64; ``languages`` and ``columns`` are lengths. scipy is imported where it is used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import DataError
from stilts_artifact.metrics.ratios import Array

DRAWS = 9999
"""Random weightings of genera: the smallest p-value is 1 / (1 + DRAWS)."""
SEED = 12345
LEVEL = 0.05
WEBB = np.array([-math.sqrt(1.5), -1, -math.sqrt(0.5), math.sqrt(0.5), 1, math.sqrt(1.5)])
"""Six weights of mean 0 and variance 1, equally likely: K genera have 6^K weightings, not 2^K."""
PROFILE = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Where the likelihood of tau is shown, in standard deviations of an unweighted fit's residuals."""
_EQUAL = 1e-9  # of a t; sums of the same numbers in another order
_BLOCK = 1 << 21  # numbers held at once, for draws times genera times repetitions: 16 MiB
_NOTHING = 1e-20  # share of the squares that rounding leaves where nothing is left
_LEAST = 1e-5  # of tau, in spreads: a covariance needs an inverse where variances are 0
_GRID, _FINE, _HALVINGS = 25, 7, 24
_ENDS = 1e-3  # how exactly an interval's ends are found, in first steps
_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class MetaRegression:
    """A random-effects meta-regression.

    Attributes:
        coefficients: array [columns].
        standard_errors: array [columns], from the model with its variances taken for known.
        between_languages: tau, standard deviation of languages beyond their standard errors.
        between_genera: sigma_u; 0 where no genus has two languages, as nothing then tells it from
            tau.
    """

    coefficients: Array
    standard_errors: Array
    between_languages: float
    between_genera: float


def meta_regression(
    effects: Array, variances: Array, design: Array, genus: Sequence[str]
) -> MetaRegression:
    """Fit ``y = X b + u_genus + e``, ``e ~ N(0, s^2 + tau^2)``, ``u ~ N(0, sigma_u^2)`` by REML.

    Args:
        effects: array [languages].
        variances: array [languages], squared standard errors of the effects.
        design: array [languages, columns], with its column of ones.
        genus: of each language.

    Raises:
        DataError: fewer than two languages more than columns, or columns that depend on each other.
    """
    clusters = _checked(effects, design, genus)
    likelihood = _Likelihood(effects, variances, design, clusters)
    tau, sigma, _ = _peak(likelihood)
    together = clusters[:, None] == clusters
    covariance = (
        np.diag(variances + max(tau, _LEAST * likelihood.spread) ** 2) + sigma**2 * together
    )
    weighted = np.linalg.solve(covariance, design)
    inverse = np.linalg.inv(design.T @ weighted)
    return MetaRegression(
        coefficients=inverse @ (weighted.T @ effects),
        standard_errors=np.sqrt(np.diag(inverse)),
        between_languages=tau,
        between_genera=sigma,
    )


def likelihood_profile(
    effects: Array, variances: Array, design: Array, genus: Sequence[str]
) -> list[tuple[float, float]]:
    """How well the data tell tau: restricted log-likelihood at some values, less its maximum.

    Args: and what it raises: as :func:`meta_regression`.

    Returns:
        Pairs of a tau and the log-likelihood there, with sigma_u as suits it best. Values above
        -1.92 are within a 95 % interval of tau.
    """
    likelihood = _Likelihood(effects, variances, design, _checked(effects, design, genus))
    _, _, highest = _peak(likelihood)
    taus = [share * likelihood.spread for share in PROFILE]
    return [(tau, _peak(likelihood, tau)[2] - highest) for tau in taus]


class _Likelihood:
    """Restricted log-likelihood of many pairs of tau and sigma_u at once, up to a constant.

    A genus's block of the covariance is a diagonal and a constant, so its inverse and determinant
    are sums over the genus (Sherman and Morrison): no matrix of languages is ever factored.
    """

    def __init__(
        self, effects: Array, variances: Array, design: Array, clusters: NDArray[np.intp]
    ) -> None:
        self.languages, self.genera = len(effects), int(clusters.max()) + 1
        residuals = effects - design @ (np.linalg.pinv(design) @ effects)
        # Of an unweighted fit's residuals. Effects without any have a tau and a sigma_u of 0 in
        # whatever unit.
        self.spread = math.sqrt(residuals @ residuals / (len(effects) - design.shape[1])) or 1.0
        self._variances = variances
        self._member = np.eye(self.genera)[clusters]
        # What the design leaves of the outcome, as one more column: its Schur complement is the sum
        # of squared residuals of a weighted fit, the same as that of the outcome itself.
        both = np.column_stack([design, residuals])
        self._columns = both.shape[1]
        self._products = (both[:, :, None] * both[:, None]).reshape(len(both), -1)
        self._sums = (self._member[:, :, None] * both[:, None]).reshape(len(both), -1)

    def __call__(self, tau: Array, sigma: Array) -> Array:
        """Arrays [points] of standard deviations -> array [points]."""
        precise = 1 / (self._variances + tau[:, None] ** 2)
        total = precise @ self._member
        shrunk = sigma[:, None] ** 2 / (1 + sigma[:, None] ** 2 * total)
        # Weighted by precision: of each genus [points, genera, columns], and products of columns.
        sums = (precise @ self._sums).reshape(len(tau), self.genera, self._columns)
        gram = (precise @ self._products).reshape(len(tau), self._columns, self._columns)
        gram -= (shrunk[:, :, None] * sums).swapaxes(1, 2) @ sums
        halves = -np.log(precise).sum(axis=1) + np.log1p(sigma[:, None] ** 2 * total).sum(axis=1)
        inner = np.linalg.slogdet(gram[:, :-1, :-1])[1]
        # det(all) = det(design's) * Schur complement
        left = np.exp(np.linalg.slogdet(gram)[1] - inner)
        return np.asarray(-(halves + inner + left) / 2, dtype=np.float64)


def _peak(likelihood: _Likelihood, tau: float | None = None) -> tuple[float, float, float]:
    """Tau, sigma_u and the likelihood where it is highest; sigma_u alone where tau is given.

    A grid over the whole range, then one of half the width around the best point, and so on: the
    likelihood may have two peaks, and ends at 0 as often as not, where a climber stops too early.
    """
    widest = 2 * likelihood.spread
    # Where every genus is one language, nothing tells sigma_u from tau.
    shared = likelihood.genera < likelihood.languages
    ranges = [(0.0, widest) if tau is None else (tau, tau), (0.0, widest if shared else 0.0)]
    points = _GRID
    for _ in range(_HALVINGS):
        axes = [np.linspace(low, high, points if low < high else 1) for low, high in ranges]
        taus, sigmas = (axis.ravel() for axis in np.meshgrid(*axes))
        heights = likelihood(np.maximum(taus, _LEAST * likelihood.spread), sigmas)
        place = int(np.argmax(heights))
        best = float(taus[place]), float(sigmas[place])
        widths = [(high - low) / 4 for low, high in ranges]
        ranges = [(max(0.0, x - width), x + width) for x, width in zip(best, widths, strict=True)]
        points = _FINE
    return *best, float(heights[place])


@dataclass(frozen=True, slots=True)
class GenusTestResult:
    """A coefficient, or a difference of groups, against a hypothetical value.

    Attributes:
        estimate, standard_error: of the coefficient.
        t: (estimate - null) / standard_error.
        p: two-sided.
        p_less: one-sided; small where the coefficient lies below the null.
        p_greater: one-sided; small where it lies above.
        languages, genera: behind it. Of few genera little is learnt, whatever p-value they give.
    """

    estimate: float
    standard_error: float
    null: float
    t: float
    p: float
    p_less: float
    p_greater: float
    languages: int
    genera: int


class GenusTest(ABC):
    """A test that takes a genus for one unit; one object serves any outcomes and hypotheses.

    Every hypothetical value meets the same random draws, so an interval holds exactly the values
    that the test does not reject.

    Attributes:
        covariate: array [languages], what the outcome is said to change with.
        clusters: array [languages], number of a language's genus.
        genera: how many there are.
    """

    covariate: Array
    clusters: NDArray[np.intp]
    genera: int

    @abstractmethod
    def fit(self, effects: Array) -> tuple[Array, Array]:
        """Estimates and standard errors [repetitions] of outcomes [repetitions, languages]."""

    @abstractmethod
    def p_values(self, effects: Array, null: float = 0.0) -> Array:
        """Of outcomes [repetitions, languages]: two-sided, of a coefficient below, and above.

        Returns:
            Array [3, repetitions].
        """

    @abstractmethod
    def interval(self, effects: Array) -> tuple[float, float]:
        """The 95 % interval of one outcome [languages]: values that are not rejected, two-sided.

        Raises:
            DataError: an end that no value marks, as where too few genera carry the covariate.
        """

    def test(self, effects: Array, null: float = 0.0) -> GenusTestResult:
        """One outcome [languages] against a hypothetical value."""
        (estimate,), (error,) = self.fit(effects[None])
        (p,), (less,), (greater,) = self.p_values(effects[None], null)
        return GenusTestResult(
            estimate=float(estimate),
            standard_error=float(error),
            null=null,
            t=float((estimate - null) / error),
            p=float(p),
            p_less=float(less),
            p_greater=float(greater),
            languages=len(effects),
            genera=self.genera,
        )


class WildBootstrap(GenusTest):
    """The wild cluster bootstrap-t of one coefficient: null imposed, Webb's weights, by genus.

    Of K genera there are 6^K weightings. Standard errors are cluster-robust (CR1).

    By the theorem of Frisch, Waugh and Lovell the coefficient is ``c'y / c'c``, where ``c`` is the
    column less what the other columns explain of it. Its cluster-robust variance needs of the
    residuals only the sums ``c_g' e_g`` over genera, and under weights ``w`` of genera those are
    linear in ``w``: an outcome is summed into a matrix [genera, genera] once, and a draw costs its
    product with that.

    Args:
        design: array [languages, columns], with its column of ones.
        column: number of the tested coefficient's column.
        genus: of each language.

    Raises:
        DataError: no more genera than columns, or columns that depend on each other.
    """

    def __init__(
        self,
        design: Array,
        column: int,
        genus: Sequence[str],
        *,
        draws: int = DRAWS,
        seed: int = SEED,
    ) -> None:
        self.clusters = _checked(design[:, 0], design, genus)
        self.covariate, self.genera = design[:, column], int(self.clusters.max()) + 1
        languages, columns = design.shape
        if self.genera <= columns:
            raise DataError(
                "too few genera for a test that takes each for one unit",
                got=f"{self.genera} genera, {columns} columns",
                expected=f"{columns + 1} genera or more",
            )
        others = np.delete(design, column, axis=1)
        # The column and every outcome, less what the other columns explain: [languages, languages].
        self._without = np.eye(languages) - others @ np.linalg.pinv(others)
        self._column = self._without @ self.covariate
        self._square = float(self._column @ self._column)
        self._member = np.eye(self.genera)[self.clusters]  # [languages, genera]
        # Residuals of a fit with all columns, times the column, summed by genus: [genera,
        # languages].
        left = self._without - np.outer(self._column, self._column) / self._square
        self._scores = (self._member * self._column[:, None]).T @ left
        adjusted = self.genera / (self.genera - 1)
        self._correction = adjusted * (languages - 1) / (languages - columns)
        self._draws, self._seed = draws, seed

    @cached_property
    def _weights(self) -> Array:
        """Array [draws, genera]."""
        generator = np.random.Generator(np.random.PCG64(self._seed))
        return WEBB[generator.integers(len(WEBB), size=(self._draws, self.genera))]

    def fit(self, effects: Array) -> tuple[Array, Array]:
        sums = effects @ self._scores.T
        errors = np.sqrt(self._correction * (sums**2).sum(axis=1)) / self._square
        return effects @ self._column / self._square, errors

    def _sums(self, residuals: Array) -> tuple[Array, Array]:
        """What draws need of residuals [repetitions, languages] that are fitted under a null.

        Returns:
            Arrays [repetitions, genera] of the coefficient's numerator and [repetitions, genera,
            genera] of the scores, each by the genus whose weight multiplies it.
        """
        numerators = (residuals * self._column) @ self._member
        scores = (residuals[:, None, :] * self._scores) @ self._member
        return numerators, scores

    def _ratios(self, numerators: Array, scores: Array) -> Array:
        """The t of every draw, from sums multiplied by its weights, the genera last."""
        with np.errstate(divide="ignore"):
            ratios: Array = numerators / np.sqrt(self._correction * (scores**2).sum(axis=-1))
        return ratios

    def _residuals(self, effects: Array) -> Array:
        """Of fits without the column, array [repetitions, languages]."""
        residuals = effects @ self._without.T
        own = residuals - np.outer(residuals @ self._column / self._square, self._column)
        require_chance(own, effects)
        return residuals

    def p_values(self, effects: Array, null: float = 0.0) -> Array:
        residuals = self._residuals(effects) - null * self._column
        estimates, errors = self.fit(effects)
        observed = (estimates - null) / errors
        counts = np.empty((3, len(effects)))
        block = max(1, _BLOCK // (self._draws * self.genera))
        for start in range(0, len(effects), block):
            part = slice(start, start + block)
            numerators, scores = self._sums(residuals[part])
            # Numerators are an array [repetitions, draws], scores [repetitions, draws, genera].
            t = self._ratios(numerators @ self._weights.T, self._weights @ scores.swapaxes(1, 2))
            counts[:, part] = tails(t, observed[part, None])
        return (1 + counts) / (1 + self._draws)

    def interval(self, effects: Array) -> tuple[float, float]:
        numerator, scores = self._sums(self._residuals(effects[None]))
        (estimate,), (error,) = self.fit(effects[None])
        # Residuals under a null are those under 0 less the column times the null, and so is all
        # that is summed of them: every candidate meets the same weightings.
        moved, shifted = self._sums(self._column[None])
        numerators, moves = self._weights @ numerator[0], self._weights @ moved[0]
        spreads, shifts = self._weights @ scores[0].T, self._weights @ shifted[0].T

        def p(null: float) -> float:
            t = self._ratios(numerators - null * moves, spreads - null * shifts)
            two, _, _ = tails(t, (estimate - null) / error)
            return float((1 + two) / (1 + self._draws))

        return inverted(p, float(estimate), float(error))


def require_chance(left: Array, effects: Array) -> None:
    """Refuse outcomes [repetitions, languages] of which only rounding is left [repetitions, ...].

    Raises:
        DataError: an outcome without any chance in it, such as effects that are all the same.
    """
    if np.any((left**2).sum(axis=1) <= _NOTHING * (effects**2).sum(axis=1)):
        raise DataError(
            "no chance is left in the effects",
            got=f"{effects.shape[1]} languages whose effects follow exactly from the covariates",
            expected="effects that differ between languages",
        )


def tails(t: Array, observed: Array) -> Array:
    """How many draws [..., draws] are as extreme: two-sided, below, above. Array [3, ...]."""
    slack = _EQUAL * (1 + np.abs(observed))
    return np.array(
        [
            np.count_nonzero(np.abs(t) >= np.abs(observed) - slack, axis=-1),
            np.count_nonzero(t <= observed + slack, axis=-1),
            np.count_nonzero(t >= observed - slack, axis=-1),
        ]
    )


def inverted(p: Callable[[float], float], estimate: float, step: float) -> tuple[float, float]:
    """The interval around an estimate of hypothetical values with a p-value of 0.05 or more.

    Its ends are found by doubling the distance until a value is rejected, then by halving.

    Args:
        p: p-value of a hypothetical value, falling on both sides of the estimate.
        step: first distance, about a standard error.

    Raises:
        DataError: values ever so far away are not rejected.
    """
    ends = []
    for direction in (-1.0, 1.0):
        inside, outside = 0.0, step
        for _ in range(_DOUBLINGS):
            if p(estimate + direction * outside) < LEVEL:
                break
            inside, outside = outside, 2 * outside
        else:
            raise DataError(
                "no interval: too few groups carry the difference for any value to be rejected",
                got=f"an estimate of {estimate:.3g}, and {estimate + direction * outside:.3g} not "
                "rejected",
                expected="an end on both sides",
            )
        while outside - inside > _ENDS * step:
            middle = (inside + outside) / 2
            if p(estimate + direction * middle) < LEVEL:
                outside = middle
            else:
                inside = middle
        ends.append(estimate + direction * inside)
    return ends[0], ends[1]


def slope(effects: Array, design: Array, column: int) -> float:
    """The coefficient that :class:`WildBootstrap` tests, where only its value matters.

    Raises:
        DataError: fewer than two languages more than columns, or columns that depend on each other.
    """
    _refuse_what_no_fit_is_made_of(effects, design)
    return float((np.linalg.pinv(design) @ effects)[column])


def leave_one_out(
    effects: Array, design: Array, column: int, groups: Sequence[str]
) -> dict[str, float]:
    """The slope without each group of languages, such as a family.

    Args:
        groups: of each language.

    Raises:
        DataError: as :func:`slope`, of what is left.
    """
    names = np.array(groups)
    return {
        name: slope(effects[names != name], design[names != name], column)
        for name in sorted(set(groups))
    }


def partial_spearman(effects: Array, design: Array, column: int) -> float:
    """Correlation of ranks of effects and a column, less what the ranks of other columns explain.

    It is shown and decides nothing: ranks lose the size of effects, and no test of it takes genera
    into account.
    """
    from scipy.stats import rankdata

    others = rankdata(np.delete(design, column, axis=1), axis=0)
    others = np.column_stack([np.ones(len(others)), others])
    pair = np.column_stack([rankdata(effects), rankdata(design[:, column])])
    left = pair - others @ (np.linalg.pinv(others) @ pair)
    return float(left[:, 0] @ left[:, 1] / np.sqrt((left**2).sum(axis=0).prod()))


def _checked(effects: Array, design: Array, genus: Sequence[str]) -> NDArray[np.intp]:
    """Number of each language's genus."""
    _refuse_what_no_fit_is_made_of(effects, design)
    if len(genus) != len(effects):
        raise ValueError(f"{len(effects)} effects, and a genus of {len(genus)} languages")
    return np.unique(genus, return_inverse=True)[1]


def _refuse_what_no_fit_is_made_of(effects: Array, design: Array) -> None:
    languages, columns = design.shape
    if len(effects) != languages:
        raise ValueError(f"{len(effects)} effects, and covariates of {languages} languages")
    if languages < columns + 2:
        raise DataError(
            "too few languages for a fit",
            got=f"{languages} languages, {columns} columns",
            expected=f"{columns + 2} languages or more",
        )
    if np.linalg.matrix_rank(design) < columns:
        raise DataError(
            "columns that depend on each other: their coefficients cannot be told apart",
            got=f"{languages} languages, {columns} columns",
            expected="covariates of which none follows from the others",
        )
