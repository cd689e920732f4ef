"""How near translations lie to each other: their ranks, and what else is known of the space.

Two languages have the same sentences, line for line, as vectors of one layer. Everything is
measured on them as they are (raw), without the mean of each language (centred), and without its
mean and the directions in which it varies most (reduced). What a language's vectors have in common
moves all of its sentences alike: a change that vanishes without it is one of languages, or of
anisotropy, and none of how well translations lie together.

The whole similarity matrix of two languages is held, in float64: for 2,000 sentences 32 MB, and a
few of its size beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import DataError
from stilts_artifact.forms.alignment import VARIANTS, Ranks, Variant
from stilts_artifact.forms.alignment_scores import Measure, Measures, accuracies
from stilts_artifact.retrieval.exact import DECIMALS, Int64, best_positions
from stilts_artifact.retrieval.mine import Mining, margin
from stilts_artifact.retrieval.vectors import Float64, Rows, norms

COMPONENTS = 3
"""Directions that are taken out of a language: the top principal components of its sentences."""
NEAREST = 10
"""Neighbours that hubness counts; N_10 of Radovanović et al. 2010 (JMLR 11, 2487-2531)."""
_COMPARED = 500
"""Sentences whose similarities to each other are compared (RSA): 125,000 pairs."""
# What is shorter than this part of a vector, once its language's mean is taken out of it, is what
# float32 left of it: such a vector has no direction.
_NOTHING = 1e-6

Half = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LayerAlignment:
    """What the vectors of one layer say of two languages.

    Attributes:
        ranks: array [sentences, variants, 2].
        measures: of each variant.
    """

    ranks: Ranks
    measures: dict[Variant, Measures]


def halves(documents: Sequence[str]) -> Half:
    """Which sentences stand in the one half of the documents: every other document.

    Example:
        >>> halves(["a", "a", "b", "c", "c"]).tolist()
        [False, False, True, False, False]
    """
    numbers = {document: number for number, document in enumerate(dict.fromkeys(documents))}
    return np.array([numbers[document] % 2 == 1 for document in documents])


def align(source: Rows, other: Rows, half: Half, mining: Mining | None = None) -> LayerAlignment:
    """Ranks of translations by margin, and every measure, in all variants.

    A rank is 1 and the number of sentences with a higher score; equal scores by index, as wherever
    neighbours are sought. So a space in which all sentences are one point finds next to nothing.

    Of the reduced variant, each half of the documents has the ranks that follow from what was
    fitted on the other half (mean and components), among all sentences; its other measures are
    means over both fits.

    Args:
        source, other: arrays [n, d]; row i of one is the translation of row i of the other.
        half: array [n], as :func:`halves` has it.
        mining: its margin and neighbours are used.

    Raises:
        DataError: a row that is zero, NaN or infinite; sides of unequal shape; too few sentences;
            or a half without any.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(40, 8))
        >>> found = align(rows, rows + 5, np.arange(40) % 2 == 0)
        >>> {name: round(of["accuracy"]) for name, of in found.measures.items()}["centred"]
        100
    """
    mining = mining or Mining()
    _check(source, other, half)
    one, two = source.astype(np.float64), other.astype(np.float64)
    raw = _compare(_Cloud.of(one), _Cloud.of(two), mining)
    centred = _compare(_centred(one), _centred(two), mining)
    # Fitted on the one half, and on the other.
    fits = [_compare(_reduced(one, part), _reduced(two, part), mining) for part in (half, ~half)]
    reduced = _crossed(fits[0], fits[1], half)
    found = dict(zip(VARIANTS, (raw, centred, reduced), strict=True))
    return LayerAlignment(
        np.stack([compared.ranks for compared in found.values()], axis=1),
        {variant: compared.measures for variant, compared in found.items()},
    )


def _check(source: Rows, other: Rows, half: Half) -> None:
    norms(source, "vectors of the source language")
    norms(other, "vectors of the other language")
    if source.shape != other.shape or half.shape != (len(source),):
        raise DataError(
            "two languages that do not have the same sentences, or encoders",
            got=f"vectors {source.shape} and {other.shape}, halves {half.shape}",
            expected="arrays [n, d], [n, d] and [n]",
        )
    least = int(min(half.sum(), (~half).sum()))
    if len(source) <= NEAREST or least < 2:
        raise DataError(
            "too few sentences to align",
            got=f"{len(source)}, {least} of them in the smaller half",
            expected=f"more than {NEAREST}, and two in each half of the documents",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Cloud:
    """The sentences of one language.

    Attributes:
        rows: array [n, d].
        unit: the same at length one; zero where a row has no direction.
    """

    rows: Float64
    unit: Float64

    @classmethod
    def of(cls, rows: Float64, before: Float64 | None = None) -> _Cloud:
        """From vectors, and what these were before something was taken out of them."""
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        least = 0.0 if before is None else _NOTHING * np.linalg.norm(before, axis=1, keepdims=True)
        unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > least)
        return cls(rows, unit)


def _centred(rows: Float64) -> _Cloud:
    return _Cloud.of(rows - rows.mean(axis=0), rows)


def _reduced(rows: Float64, fitted: Half) -> _Cloud:
    """Without the mean and the top principal components of some rows (Mu and Viswanath, ICLR 2018,
    arXiv 1702.01417)."""
    from scipy.linalg import eigh

    mean = rows[fitted].mean(axis=0)
    moved = rows - mean
    part, last = moved[fitted], rows.shape[1] - 1
    top = max(0, last - COMPONENTS + 1)
    _, components = eigh(part.T @ part, subset_by_index=(top, last))
    return _Cloud.of(moved - (moved @ components) @ components.T, rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """Two languages in one variant.

    Attributes:
        ranks, by_cosine: arrays [n, 2]; by margin, and by cosine alone.
        space: the measures that no ranks give.
    """

    ranks: Int64
    by_cosine: Int64
    space: Measures

    @property
    def measures(self) -> Measures:
        """All of them."""
        cosine = accuracies(self.by_cosine)["accuracy"]
        return {**accuracies(self.ranks), "cosine-accuracy": cosine, **self.space}


def _crossed(of_half: _Compared, of_rest: _Compared, half: Half) -> _Compared:
    """Each sentence as the fit has it in which it had no part."""
    own = half[:, None]
    return _Compared(
        np.where(own, of_rest.ranks, of_half.ranks),
        np.where(own, of_rest.by_cosine, of_half.by_cosine),
        {name: (value + of_rest.space[name]) / 2 for name, value in of_half.space.items()},
    )


def _compare(source: _Cloud, other: _Cloud, mining: Mining) -> _Compared:
    # Rounded as everywhere: what is equal on paper is equal here.
    cosines = np.round(source.unit @ other.unit.T, DECIMALS)
    width = min(max(NEAREST, mining.neighbours), len(cosines))
    ways = [(scores, best_positions(scores, width)) for scores in (cosines, cosines.T.copy())]
    near = [
        np.take_along_axis(scores, found[:, : mining.neighbours], axis=1).mean(axis=1)
        for scores, found in ways
    ]
    means = np.round((near[0][:, None] + near[1]) / 2, DECIMALS)
    hubs = [hubness(found[:, :NEAREST]) for _, found in ways]
    space: dict[Measure, float] = {
        "gap": gap(cosines),
        "cka": cka(source.rows, other.rows),
        "rsa": rsa(source.unit, other.unit),
        "hubness": (hubs[0][0] + hubs[1][0]) / 2,
        "never-found": (hubs[0][1] + hubs[1][1]) / 2,
        "isotropy": isotropy(other.rows),
        "language-identity": language_identity(source.unit, other.unit),
    }
    return _Compared(
        translation_ranks(margin(cosines, means, mining.margin)), translation_ranks(cosines), space
    )


def translation_ranks(scores: Float64) -> Int64:
    """At which rank the translation of each sentence stands: of each row, and of each column.

    Args:
        scores: array [n, n]; sentence i of the rows and sentence i of the columns are translations.

    Returns:
        Array [n, 2].

    Example:
        >>> translation_ranks(np.array([[0.5, 0.9], [0.5, 0.9]])).tolist()
        [[2, 1], [1, 2]]
    """
    return np.stack([_ranks_of_rows(scores), _ranks_of_rows(scores.T.copy())], axis=1)


def _ranks_of_rows(scores: Float64) -> Int64:
    own = np.diagonal(scores)[:, None]
    ranks: Int64 = 1 + np.count_nonzero(scores > own, axis=1)
    tied = scores == own
    # Rare: each row has its own score once.
    for row in np.flatnonzero(np.count_nonzero(tied, axis=1) > 1).tolist():
        ranks[row] += np.count_nonzero(tied[row, :row])
    return ranks


def gap(cosines: Float64) -> float:
    """Mean cosine of translations less that of all other pairs, in standard deviations of these.

    NaN where these are all alike.

    Args:
        cosines: array [n, n].

    Example:
        >>> round(gap(np.array([[1.0, 0.1, 0.3], [0.3, 1.0, 0.1], [0.1, 0.3, 1.0]])), 6)
        8.0
    """
    pairs, n = np.diagonal(cosines), len(cosines)
    mean = (cosines.sum() - pairs.sum()) / (n * (n - 1))
    variance = (np.vdot(cosines, cosines) - pairs @ pairs) / (n * (n - 1)) - mean**2
    # As much as rounding leaves where there is none.
    return float((pairs.mean() - mean) / math.sqrt(variance)) if variance > 1e-13 else math.nan


def cka(one: Float64, other: Float64) -> float:
    """Linear centred kernel alignment of two clouds, debiased: 1 for a rotation, about 0 by chance.

    Kornblith et al. (ICML 2019, arXiv 1905.00414), with the unbiased HSIC of Song et al. (JMLR 13,
    2012, 1393-1434, equation 5). That never sees the diagonals of the two Gram matrices, and is the
    same wherever the clouds' origins lie. NaN where a cloud is one point.

    Args:
        one, other: arrays [n, d] and [n, e], n > 3.
    """
    clouds = [rows - rows.mean(axis=0) for rows in (one, other)]
    if any(
        np.abs(moved).max() <= _NOTHING * np.abs(rows).max()
        for moved, rows in zip(clouds, (one, other), strict=True)
    ):
        return math.nan
    x, y = clouds
    return _hsic(x, y) / math.sqrt(_hsic(x, x) * _hsic(y, y))


def _hsic(x: Float64, y: Float64) -> float:
    """Without the n x n matrices: sums over their entries are products of d x d ones."""
    n = len(x)
    own_x, own_y = np.einsum("nd,nd->n", x, x), np.einsum("nd,nd->n", y, y)
    row_x, row_y = x @ x.sum(axis=0) - own_x, y @ y.sum(axis=0) - own_y
    trace = ((x.T @ y) ** 2).sum() - own_x @ own_y
    mean = row_x.sum() * row_y.sum() / ((n - 1) * (n - 2))
    return float(trace + mean - 2 / (n - 2) * (row_x @ row_y)) / (n * (n - 3))


def rsa(one: Float64, other: Float64) -> float:
    """Spearman's correlation of the similarities within one language and within the other.

    Representational similarity analysis (Kriegeskorte et al. 2008), on at most 500 sentences spread
    over all. NaN where all of a language's similarities are equal.

    Args:
        one, other: arrays [n, d], rows at length one.
    """
    from scipy.stats import rankdata

    step = -(-len(one) // _COMPARED)
    above = np.triu_indices(len(one[::step]), 1)
    ranked = [
        rankdata(np.round(part @ part.T, DECIMALS)[above]) for part in (one[::step], other[::step])
    ]
    if any(np.ptp(ranks) == 0 for ranks in ranked):
        return math.nan
    return float(np.corrcoef(ranked[0], ranked[1])[0, 1])


def hubness(found: Int64) -> tuple[float, float]:
    """How unevenly sentences are found: skewness of how often, and the share never found in points.

    Source: Radovanović et al. 2010 (JMLR 11, 2487-2531), S_N of N_k. The skewness is 0 where all
    are found equally often.

    Args:
        found: array [n, k], the k nearest of each of n sentences, among as many.

    Example:
        >>> hubness(np.array([[0, 1], [0, 1], [0, 2], [0, 2]]))
        (0.0, 25.0)
    """
    times = np.bincount(found.ravel(), minlength=len(found))
    away = times - times.mean()
    spread = float(away.std())
    skewness = float((away**3).mean()) / spread**3 if spread > 0 else 0.0
    return skewness, 100.0 * float((times == 0).mean())


def isotropy(rows: Float64) -> float:
    """IsoScore of a cloud: 1 where it varies alike in all directions, 0 where in one alone.

    Rudman et al. (Findings of ACL 2022, arXiv 2108.07344), definition 3.1. With the variances v_i
    along the principal axes, their steps come down to (p - 1) / (d - 1), where
    p = (sum v)^2 / sum v^2: and that is trace^2 / squared norm of the covariance matrix, so no axis
    is sought. NaN where the cloud is one point.

    Args:
        rows: array [n, d], d > 1.

    Example:
        >>> isotropy(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])).real
        1.0
    """
    moved = rows - rows.mean(axis=0)
    if np.abs(moved).max() <= _NOTHING * np.abs(rows).max():
        return math.nan
    covariance = moved.T @ moved
    held = np.trace(covariance) ** 2 / (covariance**2).sum()
    return float((held - 1) / (rows.shape[1] - 1))


def language_identity(one: Float64, other: Float64) -> float:
    """Silhouette of the two languages as clusters: 1 apart, 0 mixed.

    Rousseeuw 1987 (J. Comput. Appl. Math. 20, 53-65), mean over all sentences, by cosine distance.
    Mean distances to a cluster are distances to its mean, so no pair is looked at.

    Args:
        one, other: arrays [n, d], rows at length one, or zero: then at distance 1 from all.
    """
    values = []
    for own, others in ((one, other), (other, one)):
        n = len(own)
        itself = np.einsum("nd,nd->n", own, own)
        within = 1 - (own @ own.sum(axis=0) - itself) / (n - 1)
        between = 1 - own @ others.mean(axis=0)
        largest = np.maximum(within, between)
        values.append(
            np.divide(between - within, largest, out=np.zeros(n), where=largest > _NOTHING)
        )
    return float(np.mean(values))
