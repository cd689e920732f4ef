"""Would two systems differ as much if it were chance which of the two gave which answer?

Approximate randomisation: under the null hypothesis either system could have given either answer to
an example, so the two are swapped, example by example, at random. The p-value is the share of such
swaps after which the systems lie at least as far apart as they do. Nothing is assumed of the
metric, so it serves sums of counts (F1) as well as means (accuracy).

What is swapped is an example whole: in all runs, and with its translations in other languages.
Errors of runs with different seeds on one example go together, and so do those on its translations;
swapped one by one, they would pass for more evidence than there is.

Sources: E. W. Noreen, Computer-Intensive Methods for Testing Hypotheses (1989); A. Yeh, More
accurate tests for the statistical significance of result differences (COLING 2000); for the one
that is added on both sides of the share, B. Phipson and G. K. Smyth, Permutation p-values should
never be zero (Stat. Appl. Genet. Mol. Biol. 9:39, 2010, arXiv 1603.05766).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stilts_artifact.metrics.bootstrap import SEED, Sample, named_generator, strata
from stilts_artifact.metrics.ratios import Array

SWAPS = 9999
"""Random swaps of a task: the smallest p-value is 1 / (1 + SWAPS)."""
_BLOCK = 1 << 22  # swaps held at once, times examples: 32 MiB
_EQUAL = 1e-9  # points; sums of the same numbers in another order


def swap_sums(counts: Array, swaps: int, generator: np.random.Generator) -> Array:
    """Column sums of two systems as they are, then after swapping them in examples at random.

    Args:
        counts: array [examples, 2, columns], the two systems' counts of each example.

    Returns:
        Array [1 + swaps, 2, columns].
    """
    # Only what the systems do not have in common changes the sums, and equal differences count
    # together: of n of them, as many are swapped as n coins show heads.
    moves, number = np.unique(counts[:, 1] - counts[:, 0], axis=0, return_counts=True)
    unlike = moves.any(axis=1)
    moves, number = moves[unlike], number[unlike]
    sums = np.repeat(counts.sum(axis=0)[None], 1 + swaps, axis=0)
    block = max(1, _BLOCK // max(1, len(moves)))
    for start in range(1, 1 + swaps, block):
        draws = min(block, 1 + swaps - start)
        # [draws, moves] @ [moves, columns] -> [draws, columns]
        moved = generator.binomial(number, 0.5, size=(draws, len(moves))).astype(np.float64) @ moves
        sums[start : start + draws, 0] += moved
        sums[start : start + draws, 1] -= moved
    return sums


def swap_task(
    samples: Mapping[str, Sample], *, task: str, swaps: int = SWAPS, seed: int = SEED
) -> dict[str, Array]:
    """Swap two systems in all languages of a task together: language -> sums [1 + swaps, columns].

    The counterpart of :func:`stilts_artifact.metrics.bootstrap.resample_task`: row 0 belongs to the
    systems as they are, and the order of languages and examples has no influence.

    Args:
        samples: whose columns are the first system's, then as many of the second.
    """
    total = {
        language: np.zeros((1 + swaps, sample.counts.shape[1]))
        for language, sample in samples.items()
    }
    for languages, counts in strata(samples):
        examples, size = len(counts), counts.shape[1] // (2 * len(languages))
        # [examples, languages x 2 x columns] -> [examples, 2, languages x columns]
        systems = counts.reshape(examples, len(languages), 2, size).swapaxes(1, 2)
        generator = named_generator(f"swaps/{task}/{'+'.join(languages)}", seed)
        sums = swap_sums(systems.reshape(examples, 2, -1), swaps, generator)
        parts = sums.reshape(1 + swaps, 2, len(languages), size)
        for number, language in enumerate(languages):
            total[language] += parts[:, :, number].reshape(1 + swaps, -1)
    return total


def p_value(differences: Array) -> float:
    """Two-sided, from the difference itself, ``differences[0]``, and those after each swap.

    Example:
        >>> p_value(np.array([2.0, -2.0, 0.0, 1.0]))
        0.5
    """
    hits = np.count_nonzero(np.abs(differences[1:]) >= abs(differences[0]) - _EQUAL)
    return float((hits + 1) / len(differences))


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected for their number: with those below 0.05, one in twenty such families errs.

    Holds however the tests depend on one another.

    Source: S. Holm, A simple sequentially rejective multiple test procedure (Scand. J. Statist.
    6:65-70, 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = list(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """P-values corrected so that, of those below 0.05, one in twenty is false on average.

    It serves tables that explore: a single claim from it is not protected as :func:`holm` does.

    Source: Y. Benjamini and Y. Hochberg, Controlling the false discovery rate (J. R. Statist. Soc.
    B 57:289-300, 1995).

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03])
        [0.03, 0.04, 0.04]
    """
    corrected, least = list(values), 1.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__, reverse=True)):
        least = min(least, len(values) * values[index] / (len(values) - rank))
        corrected[index] = least
    return corrected
