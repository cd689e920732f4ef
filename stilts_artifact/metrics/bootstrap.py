"""Sampling error by the bootstrap: what would the score be on another test set like this one?

Examples are drawn with replacement: sentences for tagging, pairs of the union of predicted and gold
pairs for BUCC, questions for question answering. Where the languages of a task translate the same
examples (XNLI, PAWS-X, XQuAD, MLQA), an example is drawn with all its translations: their errors go
together, and an average over languages is less certain than if they did not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.metrics.ratios import Array

SEED = 12345
RESAMPLES = 1000
_BLOCK = 1 << 18  # weights held at once: 2 MiB, so that counting stays in cache


@dataclass(frozen=True, slots=True)
class Sample:
    """One language's examples as counts.

    Args:
        counts: array [examples, columns] of the task's counts.
        keys: array [examples]; examples of two languages with one key are translations of each
            other. ``None`` where the languages have nothing in common.
    """

    counts: Array
    keys: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score and its sampling error in points; a 95 % interval by percentiles of the resamples."""

    value: float
    standard_error: float
    low: float
    high: float


def estimate(values: Array) -> Estimate:
    """Summarise the score itself, ``values[0]``, and its resampled values, ``values[1:]``.

    Example:
        >>> estimate(np.array([51.0, 48.0, 50.0, 52.0]))
        Estimate(value=51.0, standard_error=2.0, low=48.1, high=51.9)
    """
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Estimate(float(values[0]), float(np.std(values[1:], ddof=1)), float(low), float(high))


def resample_sums(counts: Array, resamples: int, generator: np.random.Generator) -> Array:
    """Column sums of ``counts`` [examples, columns], then those of each resample of its rows.

    A resample is how often every row was drawn, times the rows; the order of rows has no influence.

    Returns:
        Array [1 + resamples, columns]; row 0 belongs to the examples as they are.
    """
    # A draw names rows by number: sorted, they have the same numbers in whatever order they came.
    rows = counts[np.lexsort(counts.T)]
    size = len(rows)
    block = max(1, _BLOCK // size)
    sums = [np.ones((1, size)) @ rows]
    for start in range(0, resamples, block):
        draws = min(block, resamples - start)
        drawn = generator.integers(size, size=(draws, size), dtype=np.int32)
        # Each draw gets a range of numbers of its own, so that one bincount serves the whole block.
        drawn += np.arange(draws, dtype=np.int32)[:, None] * size
        # [draws, size] -> [draws x size] -> [draws, size]
        weights = np.bincount(drawn.ravel(), minlength=draws * size).reshape(draws, size)
        # [draws, size] @ [size, columns] -> [draws, columns]
        sums.append(weights.astype(np.float64) @ rows)
    return np.concatenate(sums)


def resample_task(
    samples: Mapping[str, Sample], *, task: str, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Array]:
    """Resample all languages of a task together: language -> sums [1 + resamples, columns].

    Examples fall into strata by the set of languages that have them, and each stratum keeps its
    size, so every language keeps its number of examples. Languages need not have the same columns:
    of one, more runs may be known. The result does not depend on the order of languages or
    examples.
    """
    total = {
        language: np.zeros((1 + resamples, sample.counts.shape[1]))
        for language, sample in samples.items()
    }
    for languages, counts in strata(samples):
        generator = named_generator(f"{task}/{'+'.join(languages)}", seed)
        sums = resample_sums(counts, resamples, generator)
        # [1 + resamples, all columns] -> [1 + resamples, columns] for each language
        ends = np.cumsum([samples[language].counts.shape[1] for language in languages])
        for language, part in zip(languages, np.split(sums, ends[:-1], axis=1), strict=True):
            total[language] += part
    return total


def named_generator(name: str, seed: int = SEED) -> np.random.Generator:
    """Random numbers that follow from a name: the same in every process and whatever the order."""
    # crc32, because Python's own hash of a text differs from process to process.
    return np.random.Generator(np.random.PCG64([seed, crc32(name.encode())]))


def strata(samples: Mapping[str, Sample]) -> Iterator[tuple[tuple[str, ...], Array]]:
    """Sets of languages with the counts of the examples they share.

    Yields:
        The languages, sorted, and an array [examples, columns of them all]: theirs side by side.
    """
    tied = []
    for language, sample in sorted(samples.items()):
        if sample.keys is None:
            yield (language,), sample.counts
        else:
            tied.append((language, sample.counts, sample.keys))
    if not tied:
        return
    every, place = np.unique(np.concatenate([keys for _, _, keys in tied]), return_inverse=True)
    # [keys, languages]: the number of the example with this key, -1 where there is none.
    rows = np.full((len(every), len(tied)), -1)
    offset = 0
    for column, (_, counts, _) in enumerate(tied):
        rows[place[offset : offset + len(counts)], column] = np.arange(len(counts))
        offset += len(counts)
    patterns, member = np.unique(rows >= 0, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        chosen = rows[member == index]
        present = np.flatnonzero(pattern)
        # [examples, columns] of each language -> [examples, all columns]
        parts = [tied[column][1][chosen[:, column]] for column in present]
        yield tuple(tied[column][0] for column in present), np.concatenate(parts, axis=1)
