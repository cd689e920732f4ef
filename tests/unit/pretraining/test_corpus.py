"""Pretraining text: its languages, what is in parallel, and nothing of any evaluation set."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.examples import PairExample, TaggedSentence
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms import PAIR, TAGGING, form_of
from stilts_artifact.forms.base import Form
from stilts_artifact.miniworld import SEED, grammar, languages, passages, realise
from stilts_artifact.miniworld.concepts import CONTENT
from stilts_artifact.pretraining import corpus
from stilts_artifact.pretraining.corpus import documents, evaluation_sentences, key, windows
from stilts_artifact.pretraining.discourse import joined_windows


def _script(text: str) -> str:
    """Block of the first letter of a text."""
    letter = next((char for char in text if char.isalpha() and char.islower()), "A")
    return "Latin" if letter < "\u0300" else hex(ord(letter) >> 8)


def test_a_stream_depends_on_its_name_alone() -> None:
    first = list(islice(windows("1/0", 0.3, ()), 50))
    assert first == list(islice(windows("1/0", 0.3, ()), 50))
    assert first != list(islice(windows("1/1", 0.3, ()), 50))
    texts = list(islice(documents("qaa", "x", ()), 5))
    assert texts == list(islice(documents("qaa", "x", ()), 5))
    assert texts != list(islice(documents("qaa", "y", ()), 5))


@pytest.mark.slow
def test_the_parallel_share_is_what_was_asked_for() -> None:
    drawn = list(islice(windows("1/0", 1.0, ()), 200))
    scripts = [[_script(text) for text in window if text] for window in drawn]
    assert all(len(found) == 2 for found in scripts), "a parallel window has two texts"
    assert sum(first != second for first, second in scripts) > 80, "many pairs are in two scripts"
    mixed = list(islice(windows("1/0", 0.25, ()), 2000))
    across = [_script(window.first) != _script(window.second) for window in mixed if window.second]
    share = sum(first != second for first, second in scripts) / 200
    assert sum(across) / 2000 == pytest.approx(0.25 * share, abs=0.03)
    monolingual = list(islice(windows("1/0", 0.0, ()), 400))
    assert 0.2 < sum(window.second is None for window in monolingual) / 400 < 0.9


@pytest.mark.slow
def test_each_language_has_windows_by_its_amount_of_text() -> None:
    amounts = {"qab": 1, "qad": 4, "qae": 16}  # each in a script of its own
    for drawn in (
        [window.first for window in islice(windows("1/0", 0.0, (), amounts), 2100)],
        [window.second for window in islice(joined_windows("1/0", (), text=amounts), 2100)],
    ):
        found = Counter(_script(text) for text in drawn)
        assert found["Latin"] == pytest.approx(100, abs=30)
        assert found["0x4"] == pytest.approx(400, abs=60)
        assert found["0x3"] == pytest.approx(1600, abs=70)


def test_parallel_windows_hold_translations() -> None:
    """A window is one meaning in two languages: no other pair of languages can say both texts."""
    singles = (passage[0] for passage in passages(SEED, "test") if len(passage) == 1)
    meaning = next(
        told
        for told in singles
        if len({realise(told, code) for code in languages}) == len(languages)
    )
    by_text = {realise(meaning, code): code for code in languages}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "passages", lambda *_: iter([(meaning,)] * 1000))
        patch.setattr(corpus, "NAMED", 0.0)
        drawn = list(islice(windows("1/0", 1.0, ()), 200))
    pairs = {(by_text[window.first], by_text[window.second or ""]) for window in drawn}
    assert len(pairs) > 50, "all 56 ordered pairs of the eight languages, given enough windows"
    assert all(first != second for first, second in pairs)


def test_every_language_is_there() -> None:
    forms = {code: {grammar(code).word(noun) for noun in CONTENT} for code in languages}
    text = " ".join(window.first for window in islice(windows("1/0", 0.0, ()), 1500))
    found = set(text.replace(".", " ").replace("?", " ").split())
    # Words that one language alone has.
    for code, own in forms.items():
        others = set().union(*(forms[other] for other in languages if other != code))
        assert found & (own - others), code


def test_forbidden_sentences_do_not_occur() -> None:
    drawn = list(islice(windows("1/0", 0.3, ()), 300))
    sentences = {
        key(sentence)
        for window in drawn
        for text in window
        if text
        for sentence in text.replace("?", ".").split(".")
    } - {""}
    forbidden = set(sorted(sentences)[::3])
    again = islice(windows("1/0", 0.3, forbidden), 300)
    found = {
        key(sentence)
        for window in again
        for text in window
        if text
        for sentence in text.replace("?", ".").split(".")
    }
    assert not found & forbidden
    assert found & sentences, "the rest of the stream is the same"


def test_training_sets_are_allowed_and_single_words_are_no_sentences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = {
        Split.TRAIN: [PairExample("1", "train one.", "train two.", "x")],
        Split.DEV: [PairExample("1", "Dev one. Dev two?  dev three.", "word", "x")],
        Split.TEST: [TaggedSentence(("test", "one", "."), ("X", "X", "X"))],
    }
    forms = {Split.TRAIN: PAIR, Split.DEV: PAIR, Split.TEST: TAGGING}
    tasks = {
        split: SimpleNamespace(form=form.form, parts={(split, "qen"): ()}, permuted=False)
        for split, form in forms.items()
    }
    monkeypatch.setattr(Form, "read", lambda form, task, split, language, library: made[split])
    found = evaluation_sentences(SimpleNamespace(tasks=tasks), None)  # type: ignore[arg-type]
    assert found == {"Devone", "Devtwo", "devthree", "testone"}


@pytest.mark.slow
def test_no_sentence_of_the_mini_worlds_evaluation_sets_is_pretrained_on(mini_store: Path) -> None:
    mini = load_benchmark("mini")
    library = Library(mini.sources, FileStore(mini_store))
    # Read again in another way: whole lines of two tasks, in all languages.
    lines = {
        text
        for name in ("xnli", "tatoeba")
        for split, language in mini.tasks[name].parts
        if split is Split.TEST
        for text in form_of(mini.tasks[name]).texts(
            form_of(mini.tasks[name]).read(mini.tasks[name], split, language, library)
        )
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
