"""Swapping two systems against every possible swap, against scipy, and against its stated level."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.randomisation import SWAPS, holm, p_value, swap_sums, swap_task
from stilts_artifact.metrics.ratios import Array, accuracy, precision_recall_f1


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def answers(chance: np.random.Generator, right: float, size: int) -> Array:
    """Accuracy counts [size, 2] of a system that is right in this share of cases."""
    return np.stack([chance.random(size) < right, np.ones(size)], axis=1).astype(float)


def accuracy_p(systems: Array, swaps: int = SWAPS, seed: int = 1) -> float:
    points = accuracy(swap_sums(systems, swaps, generator(seed)))["accuracy"]
    return p_value(points[:, 1] - points[:, 0])


def error(p: float) -> float:
    """Four standard errors of a share of random swaps."""
    return 4 * float(np.sqrt(p * (1 - p) / SWAPS)) + 2 / SWAPS


def test_f1_has_the_p_value_of_all_possible_swaps() -> None:
    systems = generator(3).integers(0, 5, size=(10, 2, 3)).astype(float)
    points = precision_recall_f1(swap_sums(systems, SWAPS, generator()))["f1"]
    every = []
    for swapped in product([False, True], repeat=10):
        sums = np.where(np.array(swapped)[:, None, None], systems[:, ::-1], systems).sum(axis=0)
        f1 = precision_recall_f1(sums)["f1"]
        every.append(f1[1] - f1[0])
    exact = np.mean(np.abs(every) >= abs(every[0]) - 1e-9)
    assert 0.02 < exact < 0.98
    assert p_value(points[:, 1] - points[:, 0]) == pytest.approx(exact, abs=error(exact))


@pytest.mark.parametrize("right", [0.6, 0.7, 0.8])
def test_accuracy_has_scipys_p_value(right: float) -> None:
    chance = generator(5)
    systems = np.stack([answers(chance, 0.6, 80), answers(chance, right, 80)], axis=1)
    theirs = stats.permutation_test(
        (systems[:, 1, 0], systems[:, 0, 0]),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=SWAPS,
        rng=generator(9),
    ).pvalue
    assert accuracy_p(systems) == pytest.approx(theirs, abs=2 * error(theirs))


def rejections(*, together: bool) -> float:
    """Share of comparisons of two equal systems that are significant at 5 %.

    Three seeds of each; systems differ in which examples suit them, so seeds err together.
    """
    found = 0
    for number in range(400):
        chance = generator(number)
        # [examples, 2 systems, 3 seeds]: how likely a run of a system is right on an example.
        suits = chance.beta(0.3, 0.3, size=(80, 2, 1))
        right = (chance.random((80, 2, 3)) < suits).astype(float)
        counts = np.stack([right, np.ones_like(right)], axis=-1)
        if not together:
            counts = counts.swapaxes(1, 2).reshape(-1, 2, 1, 2)
        sums = swap_sums(counts.reshape(len(counts), 2, -1), 199, generator(number))
        points = accuracy(sums.reshape(200, 2, -1, 2))["accuracy"].mean(axis=-1)
        found += p_value(points[:, 1] - points[:, 0]) <= 0.05
    return found / 400


@pytest.mark.slow
def test_equal_systems_are_told_apart_once_in_twenty_and_oftener_were_seeds_swapped_alone() -> None:
    # 0.05 and four standard errors of 400 simulations.
    assert rejections(together=True) <= 0.094
    assert rejections(together=False) > 0.15


def test_row_zero_is_what_there_is_and_swaps_keep_the_sum_of_both() -> None:
    systems = generator().random((30, 2, 3))
    sums = swap_sums(systems, 50, generator(2))
    assert sums[0] == pytest.approx(systems.sum(axis=0))
    assert sums.sum(axis=1) == pytest.approx(np.tile(systems.sum(axis=(0, 1)), (51, 1)))
    assert sums[1:, 0, 0].std() > 0


def test_systems_that_agree_everywhere_have_p_1() -> None:
    same = answers(generator(), 0.5, 40)
    assert accuracy_p(np.stack([same, same], axis=1)) == 1


def test_order_of_examples_and_languages_changes_nothing() -> None:
    one, other = generator(1).random((30, 4)), generator(2).random((30, 4))
    keys, turn = np.arange(30), generator(3).permutation(30)
    first = swap_task({"aa": Sample(one, keys), "bb": Sample(other, keys)}, task="t", swaps=20)
    second = swap_task(
        {"bb": Sample(other[turn], keys[turn]), "aa": Sample(one[turn], keys[turn])},
        task="t",
        swaps=20,
    )
    for language in ("aa", "bb"):
        assert np.allclose(first[language], second[language], rtol=0, atol=1e-12)


def test_translations_are_swapped_together_and_separate_sentences_alone() -> None:
    counts = generator().integers(0, 2, size=(30, 4)).astype(float)
    tied = Sample(counts, np.arange(30))
    sums = swap_task({"aa": tied, "bb": tied}, task="t", swaps=50)
    assert np.array_equal(sums["aa"], sums["bb"])
    sums = swap_task({"aa": Sample(counts), "bb": Sample(counts)}, task="t", swaps=50)
    assert not np.array_equal(sums["aa"], sums["bb"])


def test_many_unlike_examples_are_swapped_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    systems = generator().random((40, 2, 2))
    whole = swap_sums(systems, 30, generator())
    monkeypatch.setattr("stilts_artifact.metrics.randomisation._BLOCK", 70)
    assert np.allclose(swap_sums(systems, 30, generator()), whole)


def test_holm_multiplies_the_smallest_by_all_and_never_turns_the_order() -> None:
    assert holm([0.02]) == [0.02]
    assert holm([0.001, 0.5, 0.02, 0.015]) == pytest.approx([0.004, 0.5, 0.045, 0.045])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
