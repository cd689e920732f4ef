"""Sentences kept out of pretraining: all running text of every development and test set."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.library import Library
from stilts_artifact.data.splits import read_split
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.examples import (
    Answer,
    ChoiceExample,
    ComparableCorpus,
    PairExample,
    Sentence,
    SentencePair,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import Split
from stilts_artifact.miniworld import serve
from stilts_artifact.pretraining import heldout
from stilts_artifact.pretraining.corpus import key, windows
from stilts_artifact.pretraining.heldout import evaluation_sentences, texts

EXAMPLES: list[tuple[Any, list[str]]] = [
    ([PairExample("1", "a b.", "c.", "x")], ["a b.", "c."]),
    ([ChoiceExample("1", "a.", ("b.", "c."), 0)], ["a.", "b.", "c."]),
    ([TaggedSentence(("a", "b", "."), ("X", "X", "X"))], ["a b ."]),
    ([SpanExample("1", "a?", "b c.", (Answer("b", 0),))], ["b c.", "a?"]),
    ([SentencePair("a.", "b.")], ["a.", "b."]),
    (ComparableCorpus((Sentence("1", "a."),), (Sentence("2", "b."),), ()), ["a.", "b."]),
]


@pytest.mark.parametrize(("data", "expected"), EXAMPLES)
def test_every_form_of_example_gives_all_its_text(data: Any, expected: list[str]) -> None:
    assert list(texts(data)) == expected


def test_training_sets_are_allowed_and_single_words_are_no_sentences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = {
        Split.TRAIN: [PairExample("1", "train one.", "train two.", "x")],
        Split.DEV: [PairExample("1", "Dev one. Dev two?  dev three.", "word", "x")],
        Split.TEST: [TaggedSentence(("test", "one", "."), ("X", "X", "X"))],
    }
    task = SimpleNamespace(parts=dict.fromkeys((split, "qen") for split in Split))
    monkeypatch.setattr(heldout, "read_split", lambda task, split, language, library: made[split])
    found = evaluation_sentences(SimpleNamespace(tasks={"t": task}), None)  # type: ignore[arg-type]
    assert found == {"Devone", "Devtwo", "devthree", "testone"}


@pytest.mark.slow
def test_no_sentence_of_the_mini_worlds_evaluation_sets_is_pretrained_on(tmp_path: Path) -> None:
    mini = load_benchmark("mini")
    library = Library(mini.sources, FileStore(tmp_path))
    assert not fetch(
        list(mini.sources.values()), library, offline=True, openers={"miniworld": serve}
    ).failures
    # Read again in another way: whole lines of two tasks, in all languages.
    lines = {
        text
        for name in ("xnli", "tatoeba")
        for split, language in mini.tasks[name].parts
        if split is Split.TEST
        for text in texts(read_split(mini.tasks[name], split, language, library))
    }

    def pretrained(forbidden: frozenset[str]) -> set[str]:
        drawn = islice(windows("1/0", 0.4, forbidden), 20_000)
        return {
            found
            for window in drawn
            for text in window
            if text
            for found in re.findall(r"[^.?]+[.?]", text)
        }

    def met(sentences: set[str]) -> set[str]:
        return {sentence.strip() for sentence in sentences} & lines

    assert met(pretrained(frozenset())), "by chance some sentences would be met: the test can fail"
    forbidden = evaluation_sentences(mini, library)
    assert {key(line) for line in lines if line.count(".") == 1} <= forbidden
    assert not met(pretrained(forbidden))
