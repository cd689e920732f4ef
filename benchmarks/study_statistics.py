"""Error rates of the studies' statistics where the truth is known, beside the usual tests'.

The languages and their covariates are real, effects are drawn (tier V1 of a study's validation;
``tests/unit/studies/test_error_rates.py`` asks the same of fewer draws). About five minutes:

python benchmarks/study_statistics.py --repetitions 1000 --draws 9999
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.sums import expected_root, read_protected
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.covariates import parse_covariates, parse_sources
from stilts_artifact.studies.groups import GenusContrast, group_mean
from stilts_artifact.studies.protocol import parse_protocol
from stilts_artifact.studies.regression import LEVEL, WildBootstrap
from stilts_artifact.studies.verdicts import Chance, Hypothesis, slope_power

Spread = tuple[float, float]
"""Standard deviations of what a genus shares, and of languages."""
MODELS: Mapping[str, Spread] = {"independent": (0.0, 1.2), "half shared in genus": (0.85, 0.85)}
"""The models of error that the test of a slope was chosen by."""
AGGLUTINATIVE = ("Basque", "Dravidian", "Finnic", "Korean", "Turkic", "Ugric")
"""Genera of the group that study 001 names, among the reference languages."""


@dataclass(frozen=True)
class Languages:
    """Languages of a study's design.

    Attributes:
        design: array [languages, columns]: 1, an index of complexity, the amount of data, ...
        column: whose coefficient is tested.
    """

    codes: list[str]
    design: Array
    genus: list[str]
    family: list[str]
    column: int = 1

    @property
    def clusters(self) -> NDArray[np.intp]:
        """Number of each language's genus."""
        return np.unique(self.genus, return_inverse=True)[1]

    @property
    def agglutinative(self) -> NDArray[np.bool_]:
        """Whether a language's genus is one of ``AGGLUTINATIVE``."""
        return np.isin(self.genus, AGGLUTINATIVE)

    def gains(
        self,
        spread: Spread,
        *,
        repetitions: int = 1,
        seed: int = 1,
        slope: float = 0.0,
        data: float = 0.5,
    ) -> Array:
        """Effects [repetitions, languages] with these slopes on the tested column and on data."""
        generator = np.random.default_rng(seed)
        shared = generator.normal(0, spread[0], (repetitions, int(self.clusters.max()) + 1))
        own = generator.normal(0, spread[1], (repetitions, len(self.genus)))
        systematic = slope * self.design[:, self.column] + data * self.design[:, 2]
        return systematic + shared[:, self.clusters] + own


@cache
def real_languages(index: str = "complexity") -> Languages:
    """The reference languages of the shipped covariates: 33 in 18 genera and 11 families.

    With the covariates of study 000, and one or another index of complexity.
    """
    folder = expected_root() / "studies"
    sources = parse_sources(read_protected(folder / "covariate_sources.csv"), "sources")
    covariates = parse_covariates(read_protected(folder / "covariates.csv"), "facts", sources)
    codes = list(covariates.reference)
    rows = [
        [1.0, *(covariates.of(name, code).z or 0.0 for name in (index, "data"))] for code in codes
    ]
    kin = [covariates.languages[code] for code in codes]
    genus, family = [one.genus for one in kin], [one.family for one in kin]
    return Languages(codes, np.array(rows), genus, family)


def study_designs() -> dict[str, Languages]:
    """The slopes that studies test, by study: some have few languages and genera."""
    every = real_languages()
    protocol = parse_protocol(read_protected(expected_root() / "studies" / "002.yaml"), "002")
    low = np.isin(every.codes, protocol.group("low-resource", "xtreme"))
    xnli = np.isin(every.codes, load_benchmark("xtreme").tasks["xnli"].languages)
    steeper = np.column_stack([every.design, low, low * every.design[:, 1]])
    return {
        "000": every,
        "002, low-resource": _only(every, low),
        "002, interaction": replace(every, design=steeper, column=4),
        "004": _only(every, xnli),
    }


def _only(languages: Languages, kept: NDArray[np.bool_]) -> Languages:
    names = (languages.codes, languages.genus, languages.family)
    codes, genus, family = (list(np.array(every)[kept]) for every in names)
    return Languages(codes, languages.design[kept], genus, family)


def ordinary_t(effects: Array, languages: Languages) -> Array:
    """Two-sided p-values [repetitions] of the slope by least squares and Student's t."""
    design = languages.design
    inverse = np.linalg.inv(design.T @ design)
    coefficients = effects @ design @ inverse
    left = effects - coefficients @ design.T
    df = design.shape[0] - design.shape[1]
    errors = np.sqrt((left**2).sum(axis=1) / df * inverse[1, 1])
    return np.asarray(2 * stdtr(df, -np.abs(coefficients[:, 1] / errors)))


def cluster_t(effects: Array, languages: Languages) -> Array:
    """The same by the cluster-robust error, with as many degrees of freedom as genera, less one."""
    wild = WildBootstrap(languages.design, 1, languages.genus, draws=1)
    estimates, errors = wild.fit(effects)
    return np.asarray(2 * stdtr(wild.genera - 1, -np.abs(estimates / errors)))


def permuted(effects: Array, design: Array, draws: int) -> Array:
    """The same by free permutation of residuals (Freedman and Lane, J. Bus. Econ. Stat. 1983)."""
    others = design[:, [0, 2]]
    without = np.eye(len(design)) - others @ np.linalg.pinv(others)
    column = without @ design[:, 1]
    generator = np.random.default_rng(7)
    orders = np.argsort(generator.random((draws, len(design))), axis=1)
    orders = np.concatenate([np.arange(len(design))[None], orders])
    p_values = []
    for residuals in effects @ without:
        left = residuals[orders] @ without
        slopes = left @ column / (column @ column)
        squares = (left**2).sum(axis=1) - slopes**2 * (column @ column)
        ratios = np.abs(slopes) / np.sqrt(squares)
        p_values.append(np.mean(ratios >= ratios[0] - 1e-12))
    return np.array(p_values)


def genus_means_permuted(effects: Array, languages: Languages, draws: int) -> Array:
    """The same on one mean for each genus, whatever its size."""
    member = np.eye(int(languages.clusters.max()) + 1)[languages.clusters]
    mean = member / member.sum(axis=0)  # [languages, genera]
    return permuted(effects @ mean, mean.T @ languages.design, draws)


def wild(effects: Array, languages: Languages, draws: int) -> Array:
    """The studies' own test."""
    own = WildBootstrap(languages.design, languages.column, languages.genus, draws=draws)
    two_sided: Array = own.p_values(effects)[0]
    return two_sided


def rejected(p_values: Array) -> float:
    """Share of p-values below 0.05."""
    return float(np.mean(p_values < LEVEL))


def show_false_positives(languages: Languages, repetitions: int, draws: int) -> None:
    """True nulls that each test of a slope rejects."""
    tests: dict[str, Callable[[Array], Array]] = {
        "ordinary t": lambda effects: ordinary_t(effects, languages),
        "free permutation": lambda effects: permuted(effects, languages.design, draws),
        "cluster-robust t": lambda effects: cluster_t(effects, languages),
        "permuted genus means": lambda effects: genus_means_permuted(effects, languages, draws),
        "wild cluster": lambda effects: wild(effects, languages, draws),
    }
    print("false positives of a slope at nominal 5 %")
    for model, spread in MODELS.items():
        effects = languages.gains(spread, repetitions=repetitions)
        for name, test in tests.items():
            started = time.perf_counter()
            share = rejected(test(effects))
            took = time.perf_counter() - started
            print(f"  {model:<21} {name:<21} {share:6.1%}  ({took:.1f} s)", flush=True)


def show_designs(_: Languages, repetitions: int, draws: int) -> None:
    """True nulls that the studies' own test rejects, in the design of each study."""
    print("false positives of the wild cluster bootstrap at nominal 5 %")
    for study, design in study_designs().items():
        for model, spread in MODELS.items():
            share = rejected(wild(design.gains(spread, repetitions=repetitions), design, draws))
            size = f"{len(design.genus)} languages, {len(set(design.genus))} genera"
            print(f"  {study:<18} {size:<24} {model:<21} {share:5.1%}", flush=True)


def covers(languages: Languages, spread: Spread, repetitions: int, draws: int) -> float:
    """Share of the intervals that hold the true slope."""
    own, true = WildBootstrap(languages.design, 1, languages.genus, draws=draws), -0.7
    effects = languages.gains(spread, repetitions=repetitions, seed=2, slope=true)
    intervals = np.array([own.interval(one) for one in effects])
    return float(np.mean((intervals[:, 0] <= true) & (intervals[:, 1] >= true)))


def group_covers(spreads: Sequence[float], items: float, repetitions: int) -> float:
    """The same of means of a named group, whose terms have five runs with these spreads."""
    generator = np.random.default_rng(3)
    inside = 0
    for _ in range(repetitions):
        terms = generator.normal(0, spreads, (5, len(spreads))).T
        shift = generator.normal(0, items) / len(terms)
        found = group_mean(terms + shift, generator.normal(0, items, 500))
        low, high = found.estimate.interval
        inside += low <= 0 <= high
    return inside / repetitions


def show_coverage(languages: Languages, repetitions: int, draws: int) -> None:
    """Intervals of 95 %, and how many hold the truth."""
    print("coverage of intervals of 95 %")
    for model, spread in MODELS.items():
        share = covers(languages, spread, repetitions, draws)
        print(f"  slope, {model:<30} {share:6.1%}", flush=True)
    for spreads, items in (((0.3, 0.9), 0.0), ((0.3, 0.9), 0.3), ((0.4, 0.4, 0.8, 0.2), 0.3)):
        share = group_covers(spreads, items, repetitions)
        print(f"  group, runs {spreads!s:<21} items {items:<5} {share:5.1%}", flush=True)


def show_findings(languages: Languages, repetitions: int, draws: int) -> None:
    """The verdict rule: how often it says what of "-1 or less"."""
    print('findings on "-1 point or less per standard deviation", one hypothesis, one scale')
    print("  sd genus, language   true   SUPPORTED  NOT SUPPORTED  INCONCLUSIVE")
    own = WildBootstrap(languages.design, 1, languages.genus, draws=draws)
    for genera, each in ((0.3, 0.6), (0.6, 1.0), (0.8, 1.5)):
        chance = Chance(np.full(len(languages.genus), each), genera)
        for record in slope_power(
            own, chance, Hypothesis("less", 1.0), [0, -0.5, -1, -1.5], repetitions=repetitions
        ):
            print(
                f"  {genera}, {each:<15} {record.true:5.1f} {record.supported:11.1%} "
                f"{record.not_supported:14.1%} {record.inconclusive:13.1%}",
                flush=True,
            )


def show_contrast(languages: Languages, repetitions: int, draws: int) -> None:
    """How often a contrast of genera finds the group that study 001 names."""
    member = languages.agglutinative
    contrast = GenusContrast(member, languages.genus, draws=draws)
    print("agglutinative less other genera, standard deviations 0.4 and 0.7: share below .05")
    noise = languages.gains((0.4, 0.7), repetitions=repetitions, seed=5, data=0)
    for true in (0.0, 0.5, 1.0, 1.5):
        print(f"  {true:4.1f} {rejected(contrast.p_values(noise + true * member)[0]):6.1%}")


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=9999)
    options = parser.parse_args()
    languages = real_languages()
    print(
        f"{len(languages.genus)} languages in {len(set(languages.genus))} genera; "
        f"{options.repetitions:,} repetitions, {options.draws:,} draws"
    )
    for show in (show_false_positives, show_designs, show_coverage, show_findings, show_contrast):
        show(languages, options.repetitions, options.draws)


if __name__ == "__main__":
    main()
