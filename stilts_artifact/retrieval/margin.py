"""Margin scores: how far a pair stands out from the neighbourhoods of its two sentences."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from stilts_artifact.retrieval.exact import DECIMALS, Neighbours
from stilts_artifact.retrieval.rows import Float64

Margin = Literal["ratio", "distance", "absolute"]
MARGINS: tuple[Margin, ...] = get_args(Margin)


def margin(cosines: Float64, means: Float64, kind: Margin) -> Float64:
    """Score pairs by their cosine and the mean cosine of both sentences' neighbours.

    ``ratio`` cosine / mean (0 where the mean is 0); ``distance`` cosine - mean; ``absolute``
    cosine. Rounded as cosines are, so that pairs with equal neighbourhoods tie. Source: Artetxe and
    Schwenk, ACL 2019, arXiv 1811.01136, section 3.1; XTREME utils_retrieve.py:131-229 at 838c13b.

    Example:
        >>> [margin(np.array([0.9]), np.array([0.6]), kind).item() for kind in MARGINS]
        [1.5, 0.3, 0.9]
    """
    if kind == "absolute":
        return cosines
    if kind == "distance":
        return np.round(cosines - means, DECIMALS)
    ratio: Float64 = np.divide(cosines, means, out=np.zeros_like(cosines), where=means != 0)
    return np.round(ratio, DECIMALS)


def margin_scores(found: Neighbours, other: Neighbours, kind: Margin) -> Float64:
    """Margins of the candidates in ``found``; ``other`` holds the neighbours in the opposite direction.

    The mean of a pair is half the mean cosine of its source's neighbours plus half that of its
    target's.

    Returns:
        Array [n, k], in the order of ``found``.
    """
    own, theirs = found.scores.mean(axis=1)[:, None], other.scores.mean(axis=1)[found.indices]
    return margin(found.scores, np.round((own + theirs) / 2, DECIMALS), kind)
