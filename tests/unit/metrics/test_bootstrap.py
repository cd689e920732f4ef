"""The bootstrap against theory, and the ways in which it must not matter how the data lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stilts_artifact.metrics.bootstrap import Sample, estimate, resample_sums, resample_task
from stilts_artifact.metrics.ratios import Array, accuracy, precision_recall_f1

RNG = np.random.default_rng(7)


def answers(right: float, size: int, seed: int = 0) -> Array:
    """Accuracy counts of a model that is right in this share of cases."""
    hits = np.random.default_rng(seed).random(size) < right
    return np.stack([hits, np.ones(size)], axis=1).astype(float)


def generator() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(1))


def task_error(samples: dict[str, Sample], resamples: int = 4000) -> float:
    sums = resample_task(samples, task="t", resamples=resamples)
    mean = np.mean([accuracy(sums[language])["accuracy"] for language in sums], axis=0)
    return estimate(mean).standard_error


def test_row_zero_is_the_sample_itself() -> None:
    counts = RNG.random((50, 3))
    assert resample_sums(counts, 10, generator())[0] == pytest.approx(counts.sum(axis=0))


def test_every_resample_has_as_many_examples() -> None:
    for size in (1, 7, 300_000):
        assert (resample_sums(np.ones((size, 1)), 12, generator()) == size).all()


def test_accuracy_has_the_standard_error_of_a_proportion() -> None:
    counts = answers(0.8, 400)
    share = counts[:, 0].mean()
    result = estimate(accuracy(resample_sums(counts, 4000, generator()))["accuracy"])
    theory = 100 * np.sqrt(share * (1 - share) / 400)
    assert result.standard_error == pytest.approx(theory, rel=0.05)
    assert result.low == pytest.approx(100 * share - 1.96 * theory, abs=0.4)
    assert result.high == pytest.approx(100 * share + 1.96 * theory, abs=0.4)


def test_f1_has_the_error_of_plain_resampling() -> None:
    counts = RNG.integers(0, 4, size=(60, 3)).astype(float)
    ours = precision_recall_f1(resample_sums(counts, 4000, generator()))["f1"]
    draws = [counts[RNG.integers(60, size=60)].sum(axis=0) for _ in range(4000)]
    plain = precision_recall_f1(np.array(draws))["f1"]
    assert ours[1:].std() == pytest.approx(plain.std(), rel=0.08)
    assert ours[1:].mean() == pytest.approx(plain.mean(), abs=5 * plain.std() / np.sqrt(4000))


def test_order_of_examples_and_languages_changes_nothing() -> None:
    first, second = RNG.random((30, 2)), RNG.random((40, 2))
    keys = np.array([f"q{index}" for index in range(30)])
    turn = RNG.permutation(30)
    one = resample_task({"aa": Sample(first, keys), "bb": Sample(second)}, task="t")
    other = resample_task(
        {"bb": Sample(second[::-1]), "aa": Sample(first[turn], keys[turn])}, task="t"
    )
    assert np.array_equal(one["aa"], other["aa"])
    assert np.array_equal(one["bb"], other["bb"])


def test_same_seed_same_numbers_other_seed_or_task_others() -> None:
    samples = {"aa": Sample(RNG.random((30, 2)))}
    first = resample_task(samples, task="t", seed=1)["aa"]
    assert np.array_equal(first, resample_task(samples, task="t", seed=1)["aa"])
    assert not np.array_equal(first, resample_task(samples, task="t", seed=2)["aa"])
    assert not np.array_equal(first, resample_task(samples, task="u", seed=1)["aa"])


def test_separate_languages_average_out_and_translations_do_not() -> None:
    counts = answers(0.7, 500)
    keys = np.arange(500)
    alone = task_error({"aa": Sample(counts)})
    separate = task_error({code: Sample(counts) for code in ("aa", "bb", "cc", "dd")})
    translated = task_error({code: Sample(counts, keys) for code in ("aa", "bb", "cc", "dd")})
    assert separate == pytest.approx(alone / 2, rel=0.08)
    assert translated == pytest.approx(alone, rel=0.08)


def test_languages_that_share_some_questions_keep_their_sizes() -> None:
    samples = {
        "aa": Sample(answers(0.5, 5), np.array(["q1", "q2", "q3", "q4", "q5"])),
        "bb": Sample(answers(0.5, 3), np.array(["q5", "q2", "q9"])),
        "cc": Sample(answers(0.5, 1), np.array(["only"])),
    }
    sums = resample_task(samples, task="t")
    for language, sample in samples.items():
        assert (sums[language][:, 1] == len(sample.counts)).all()
        assert sums[language][0] == pytest.approx(sample.counts.sum(axis=0))


def test_shared_questions_are_drawn_together() -> None:
    hits = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    samples = {
        "aa": Sample(hits, np.array(["q1", "q2", "q3"])),
        "bb": Sample(hits[[2, 1, 0]], np.array(["q3", "q2", "q1"])),
    }
    sums = resample_task(samples, task="t")
    assert np.array_equal(sums["aa"], sums["bb"])
    assert sums["aa"][1:, 0].std() > 0


def test_a_language_in_which_fewer_runs_are_known_is_drawn_with_the_others() -> None:
    keys = np.arange(300)
    one, other = answers(0.7, 300, seed=3), answers(0.6, 300, seed=4)
    both = Sample(np.concatenate([one, other], axis=1), keys)
    drawn = resample_task({"de": both, "fr": Sample(one, keys)}, task="t", resamples=50)
    assert (drawn["de"].shape, drawn["fr"].shape) == ((51, 4), (51, 2))
    assert np.array_equal(drawn["de"][:, :2], drawn["fr"])


def test_two_systems_side_by_side_have_scipys_paired_interval() -> None:
    first = answers(0.6, 300, seed=1)
    # The second is right where the first is, and on some more: unpaired, the interval is wider.
    second = np.maximum(first, answers(0.2, 300, seed=2))
    sums = resample_task({"aa": Sample(np.hstack([first, second]))}, task="t", resamples=4000)
    points = accuracy(sums["aa"].reshape(-1, 2, 2))["accuracy"]
    ours = estimate(points[:, 1] - points[:, 0])
    theirs = stats.bootstrap(
        (first[:, 0], second[:, 0]),
        lambda one, other, axis: 100 * (other - one).mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(3),
    )
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.05)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.5)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.5)
