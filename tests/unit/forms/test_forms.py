"""The one-pass scorer gives what the careful one gives, on plain files and on odd ones."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.checking import gold_items, guess, written
from stilts_artifact.benchmark import TARGETS
from stilts_artifact.domain.examples import ChoiceExample
from stilts_artifact.domain.tasks import Benchmark, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms import CHOICE, FORMS, PAIR, form_of

reuse = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)


def compare(
    benchmark: Benchmark, name: str, language: str, folder: Path, gold: str, predicted: bytes
) -> bool:
    """Score one file both ways; whether it was accepted."""
    task = benchmark.tasks[name]
    gold_file, file = (
        folder / f"gold{form_of(task).suffix}",
        folder / f"predicted{form_of(task).suffix}",
    )
    gold_file.write_text(gold)
    file.write_bytes(predicted)
    scorer, both = form_of(task).read_gold(task, language, gold_file), [file, file]
    try:
        counts = form_of(task).count(task, language, file, gold_file).counts
    except DataError as error:
        with pytest.raises(DataError) as caught:
            scorer.tally(file, predicted)
        assert str(caught.value) == str(error)
        with pytest.raises(DataError) as caught:
            form_of(task).count_together(task, language, both, gold_file)
        assert str(caught.value) == str(error)
        return False
    np.testing.assert_allclose(scorer.tally(file, predicted), counts.sum(0), rtol=0, atol=1e-9)
    together = form_of(task).count_together(task, language, both, gold_file).counts
    if task.form is not TaskForm.MINING:  # of which a row is a pair, and rows are those of all runs
        np.testing.assert_array_equal(together, np.concatenate([counts, counts], axis=1))
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@reuse
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 40),
    language=st.sampled_from(["de", "en", "zh"]),
)
def test_equal_on_plain_files(
    benchmark: Benchmark, name: str, tmp_path: Path, seed: int, size: int, language: str
) -> None:
    task, chance = benchmark.tasks[name], random.Random(seed)
    items = gold_items(task, size, chance, language)
    guesses = [
        item if chance.random() < 0.5 else guess(task, item, items, chance) for item in items
    ]
    predicted = written(task, guesses, labels=False).encode()
    assert compare(
        benchmark, name, language, tmp_path, written(task, items, labels=True), predicted
    )


ANSWERS = json.dumps(
    {
        "data": [
            {
                "paragraphs": [
                    {
                        "qas": [
                            {
                                "id": "q1",
                                "answers": [{"text": "the Nile"}, {"text": "river Nile Nile"}],
                            },
                            {"id": "q2", "answers": [{"text": "an"}]},
                        ]
                    }
                ]
            }
        ]
    }
)
ODD = [
    ("xnli", "neutral\nentailment\n", b"neutral\r\nentailment\r\n"),
    ("xnli", "neutral\nentailment\n", b"neutral\nentailment"),
    ("xnli", "neutral\nentailment\n", b" neutral\nneutral \n"),
    ("xnli", "neutral\nentailment\n", b"neutral\n"),
    ("xnli", "neutral\nentailment\n", b"neutral\nmaybe\n"),
    ("xnli", "neutral\nentailment\n", b"neutral\nentailment\n\n"),
    ("xnli", "neutral\nentailment\n", b""),
    ("udpos", "NOUN\nVERB\n\nSYM\n", b"NOUN\nNOUN\n\nSYM\n\n\n"),
    ("udpos", "NOUN\nVERB\n\n\nSYM\n", b"NOUN\nVERB\n\n\nINTJ"),
    ("udpos", "NOUN\nVERB\n\nSYM\n", b"NOUN\n\nVERB\nSYM\n"),
    ("udpos", "NOUN\nVERB\n\nSYM\n", b"NOUN\nVERB\n\n"),
    ("udpos", "NOUN\nVERB\n\nSYM\n", b"NOUN\nVERB\n\nNUON\n"),
    ("udpos", "\nNOUN\nVERB\n", b"\nNOUN\nVERB\n"),
    ("bucc2018", "de-1\ten-1\nde-2\ten-2\n", b"de-1\ten-1\nde-1\ten-1\nde-9\ten-2"),
    ("bucc2018", "de-1\ten-1\nde-2\ten-2\n", b"de-1\ten-1\n"),
    ("bucc2018", "de-1\ten-1\nde-2\ten-2\n", b"en-1\tde-1\n"),
    ("bucc2018", "de-1\ten-1\nde-2\ten-2\n", b"de-1\ten-1\x1c\n"),
    ("bucc2018", "de-1\ten-1\nde-2\ten-2\n", "de-\u0661\ten-1\n".encode()),
    ("tatoeba", "1\n0\n", b"1\n00\n"),
    ("tatoeba", "1\n0\n", b"1\n2\n"),
    ("tatoeba", "1\n7\n", b"1\n9\n"),
    ("tatoeba", "1\n0\n", b"1\n-1\n"),
    ("xquad", ANSWERS, b'{"q2": "An", "q1": "nile nile"}'),
    ("mlqa", ANSWERS, b'{"q2": "", "q1": "\\u00bfNile?"}'),
    ("xquad", ANSWERS, b'{"q1": "a", "q1": "b", "q2": ""}'),
    ("xquad", ANSWERS, b'{"q1": "a"}'),
    ("xquad", ANSWERS, b'{"q1": "a", "q2": "b", "q3": "c"}'),
    ("xquad", ANSWERS, b'{"q1": "a", "q2": 3}'),
    ("xquad", ANSWERS, b'{"q1": "a", "q2": {}}'),
    ("xquad", ANSWERS, b'{"q1": "a", "q2": NaN}'),
    ("xquad", ANSWERS, b'["q1", "q2"]'),
    ("xquad", ANSWERS, b"{"),
    ("xquad", ANSWERS, b'{"q1": "\xff", "q2": ""}'),
]


@pytest.mark.parametrize(("name", "gold", "predicted"), ODD)
def test_equal_on_odd_files(
    benchmark: Benchmark, name: str, gold: str, predicted: bytes, tmp_path: Path
) -> None:
    compare(benchmark, name, "de", tmp_path, gold, predicted)


def test_some_odd_files_are_accepted_and_some_refused(benchmark: Benchmark, tmp_path: Path) -> None:
    accepted = [
        compare(benchmark, name, "de", tmp_path, gold, predicted) for name, gold, predicted in ODD
    ]
    assert 10 <= sum(accepted) <= len(ODD) - 10


@pytest.mark.parametrize(
    ("name", "gold", "examples"),
    [
        ("xnli", "neutral\nneutral\n", 2),
        ("udpos", "\nNOUN\nVERB\n\n\nSYM\n", 2),
        ("xquad", ANSWERS, 2),
        ("bucc2018", "de-1\ten-1\nde-2\ten-2\n", 2),
        ("tatoeba", "1\n0\n2\n", 3),
    ],
)
def test_examples_are_counted(
    benchmark: Benchmark, name: str, gold: str, examples: int, tmp_path: Path
) -> None:
    (tmp_path / "gold").write_text(gold)
    task = benchmark.tasks[name]
    assert form_of(task).read_gold(task, "de", tmp_path / "gold").examples == examples


def test_blinded_labels_are_refused(benchmark: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("neutral\n" * 100)
    with pytest.raises(DataError, match="blinded"):
        PAIR.read_gold(benchmark.tasks["xnli"], "de", tmp_path / "gold")


def test_every_form_has_its_class() -> None:
    assert {name: form.form for name, form in FORMS.items()} == {name: name for name in TaskForm}


@pytest.mark.parametrize(
    ("predicted", "accepted"),
    [(b"0\n2\n1\n", True), (b"3\n2\n1\n", True), (b"0\n2\n", False), (b"a\n2\n1\n", False)],
)
def test_choices_are_counted_alike_in_both_ways(
    benchmark: Benchmark, predicted: bytes, accepted: bool, tmp_path: Path
) -> None:
    task = replace(benchmark.tasks["xnli"], form=TaskForm.CHOICE, labels=())
    items = [ChoiceExample(str(n), "?", ("a", "b", "c"), n) for n in (0, 1, 1)]
    gold = CHOICE.write_gold(tmp_path, task, "de", "test", items)
    assert gold.read_text() == "0\n1\n1\n"
    small = replace(benchmark, tasks={**benchmark.tasks, "xnli": task})
    assert compare(small, "xnli", "de", tmp_path, gold.read_text(), predicted) is accepted
