"""Resampling a score: the vectorised bootstrap against one resample after the other.

Both in turn on the same counts:

python benchmarks/scoring.py --rows 100000 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from stilts_artifact.metrics.bootstrap import resample_sums
from stilts_artifact.metrics.ratios import Array

RESAMPLES = 1000


def one_by_one(counts: Array, generator: np.random.Generator) -> Array:
    """The textbook way: draw rows, take them, add them up."""
    size = len(counts)
    return np.array(
        [counts[generator.integers(size, size=size)].sum(axis=0) for _ in range(RESAMPLES)]
    )


def vectorised(counts: Array, generator: np.random.Generator) -> Array:
    """The package's way, without its row 0, the score itself."""
    return resample_sums(counts, RESAMPLES, generator)[1:]


def seconds(
    resample: Callable[[Array, np.random.Generator], Array], counts: Array
) -> tuple[float, Array]:
    """Wall time of one run, and the standard error of each column that it gives."""
    started = time.perf_counter()
    sums = resample(counts, np.random.Generator(np.random.PCG64(1)))
    return time.perf_counter() - started, sums.std(axis=0, ddof=1)


def main() -> None:
    """Run both in turn and print times, their ratio, and how far the standard errors are apart."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    counts = np.random.default_rng(0).integers(0, 5, size=(options.rows, 3)).astype(float)
    times: dict[str, list[float]] = {"vectorised": [], "one by one": []}
    errors: dict[str, Array] = {}
    for _ in range(options.rounds):
        for name, resample in (("vectorised", vectorised), ("one by one", one_by_one)):
            took, errors[name] = seconds(resample, counts)
            times[name].append(took)
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores; {options.rows:,} rows, "
        f"{RESAMPLES:,} resamples"
    )
    for name, found in medians.items():
        print(f"{name:<11} {found:.2f} s (median of {options.rounds})")
    print(f"ratio       {medians['one by one'] / medians['vectorised']:.1f}")
    apart = float(np.max(np.abs(errors["vectorised"] / errors["one by one"] - 1)))
    print(
        f"standard errors differ by at most {100 * apart:.1f} % "
        "(two independent estimates of one quantity)"
    )


if __name__ == "__main__":
    main()
