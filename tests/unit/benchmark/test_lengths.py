"""Lengths of examples, where no data are at hand."""

from __future__ import annotations

import numpy as np

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.lengths import CHOICES, LENGTHS, QUANTILES, drawn, mean_length
from stilts_artifact.benchmark.own_data import TEXT, known_names
from stilts_artifact.domain.tasks import TaskForm

TEXTS = {
    TaskForm.PAIR: 2,
    TaskForm.CHOICE: 2,
    TaskForm.TAGGING: 1,
    TaskForm.SPAN: 3,
    TaskForm.MINING: 1,
    TaskForm.SEARCH: 1,
}


def test_every_task_of_the_tables_has_the_lengths_of_its_texts() -> None:
    benchmark = load_benchmark("xtreme")
    places = {place.task for place, _ in known_names(benchmark).values()}
    assert places == LENGTHS.keys()
    for name in places - {TEXT}:
        form = benchmark.tasks[name].form
        assert len(LENGTHS[name]) == TEXTS[form]
        assert (name in CHOICES) == (form is TaskForm.CHOICE)


def test_quantiles_rise_and_no_text_is_empty() -> None:
    for name, texts in LENGTHS.items():
        for quantiles in texts:
            assert len(quantiles) == len(QUANTILES), name
            assert sorted(quantiles) == list(quantiles) and quantiles[0] >= 1, name


def test_what_is_drawn_has_the_quantiles_and_few_have_the_mean() -> None:
    quantiles = LENGTHS["mnli"][0]
    many = drawn(quantiles, 20_000, np.random.default_rng(1))
    found = np.quantile(many, QUANTILES[1:-1])
    assert np.abs(found - quantiles[1:-1]).max() <= 1
    assert quantiles[0] <= many.min() and many.max() <= quantiles[-1]
    few = [drawn(quantiles, 8, np.random.default_rng(seed)).mean() for seed in range(200)]
    assert abs(np.mean(few) - mean_length(quantiles)) < 1
    # One of each eighth: far closer together than eight of anywhere would be, whose spread is 6.
    assert np.std(few) < 5
