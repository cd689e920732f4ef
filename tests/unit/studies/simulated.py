"""Studies with a known truth: the real languages and covariates, effects that were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.checking.sums import expected_root, read_protected
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.covariates import parse_covariates, parse_sources


@dataclass(frozen=True)
class Languages:
    """The reference languages of the shipped covariates: 33 in 18 genera and 11 families."""

    design: Array
    genus: list[str]
    family: list[str]

    @property
    def clusters(self) -> NDArray[np.intp]:
        return np.unique(self.genus, return_inverse=True)[1]

    def gains(
        self, genera: float, languages: float, *, repetitions: int, seed: int, slope: float = 0.0
    ) -> Array:
        """Effects [repetitions, languages] with these standard deviations; data matter too."""
        generator = np.random.default_rng(seed)
        shared = generator.normal(0, genera, (repetitions, self.clusters.max() + 1))
        own = generator.normal(0, languages, (repetitions, len(self.genus)))
        return slope * self.design[:, 1] + 0.5 * self.design[:, 2] + shared[:, self.clusters] + own


@cache
def real_languages(index: str = "complexity") -> Languages:
    """The design of study 000: an index of complexity, and the amount of data."""
    folder = expected_root() / "studies"
    sources = parse_sources(read_protected(folder / "covariate_sources.csv"), "sources")
    covariates = parse_covariates(read_protected(folder / "covariates.csv"), "facts", sources)
    rows = [
        [1.0, *(covariates.of(name, code).z or 0.0 for name in (index, "data"))]
        for code in covariates.reference
    ]
    kin = [covariates.languages[code] for code in covariates.reference]
    return Languages(np.array(rows), [one.genus for one in kin], [one.family for one in kin])
