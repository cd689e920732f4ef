"""Vectorised chunks against the rule span by span, and seqeval where its versions agree."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stilts_artifact.metrics.chunk_f1 import chunk_counts, chunks
from stilts_artifact.metrics.ratios import precision_recall_f1

unhurried = settings(deadline=None)  # tests share the machine with others

Sentences = list[list[str]]

UPOS = [
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
]
PANX = ["B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O"]
ODD = [
    "B",
    "I",
    "O",
    "S",
    "E",
    "E-LOC",
    "S-LOC",
    "B-O",
    "I-O",
    "E-O",
    "I-a-b",
    "X-O",
    ".",
    "语-地",
    "é",
    "B-",
    "-",
]
any_tag = st.sampled_from(UPOS + PANX + ODD) | st.text(min_size=1, max_size=3)


def aligned(tag: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Sentences, Sentences]]:
    """Two taggings of the same sentences."""
    sentence = st.lists(st.tuples(tag, tag), max_size=8)
    return st.lists(sentence, max_size=5).map(
        lambda both: ([[a for a, _ in s] for s in both], [[b for _, b in s] for s in both])
    )


def take_apart(tag: str) -> tuple[str, str]:
    return tag[0], tag.split("-")[-1]


def starts(before: tuple[str, str], tag: tuple[str, str]) -> bool:
    if tag[0] == "B" or tag[0] == "S":
        return True
    if tag[0] in ("E", "I") and before[0] in ("E", "S", "O"):
        return True
    return tag[0] not in ("O", ".") and before[1] != tag[1]


def ends(before: tuple[str, str], tag: tuple[str, str]) -> bool:
    if before[0] == "E" or before[0] == "S":
        return True
    if before[0] in ("B", "I") and tag[0] in ("B", "S", "O"):
        return True
    return before[0] not in ("O", ".") and before[1] != tag[1]


def brute_force(sentences: Sentences) -> set[tuple[str, int, int]]:
    """Every span with a boundary on both sides and no start inside: the rule of seqeval 0.0.12."""
    tags = [take_apart(tag) for sentence in sentences for tag in [*sentence, "O"]]
    before = [("O", ""), *tags]
    found = set()
    for first in range(len(tags)):
        # Position 0 stands in for a start that never came: seqeval begins its count there.
        opened = first == 0 or starts(before[first], tags[first])
        for last in range(first, len(tags) - 1):
            inside = range(first + 1, last + 1)
            closed = ends(before[last + 1], tags[last + 1])
            if opened and closed and not any(starts(before[i], tags[i]) for i in inside):
                found.add((tags[last][1], first, last))
    return found


@pytest.mark.slow
@unhurried
@given(st.lists(st.lists(any_tag, max_size=8), max_size=4))
@example([["NOUN", "NOUN"], ["NOUN"]])
@example([["I-LOC", "I-PER", "I-PER", "B-PER", "E-PER"]])
def test_chunks_are_those_of_brute_force(sentences: Sentences) -> None:
    found = chunks(sentences)
    assert len(found) == len(set(found))
    assert set(found) == brute_force(sentences)


@pytest.mark.slow
@unhurried
@given(aligned(any_tag))
def test_counts_are_those_of_sets_of_chunks(both: tuple[Sentences, Sentences]) -> None:
    predicted, gold = brute_force(both[0]), brute_force(both[1])
    assert chunk_counts(*both).sum(axis=0).tolist() == [
        len(predicted & gold),
        len(predicted),
        len(gold),
    ]


@pytest.mark.slow
@unhurried
@given(aligned(st.sampled_from(PANX)).filter(lambda both: both[0] != []))
def test_ner_equals_seqeval(both: tuple[Sentences, Sentences]) -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    predicted, gold = both
    sums = chunk_counts(predicted, gold).sum(axis=0)
    ours = precision_recall_f1(sums)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns where nothing is predicted
        theirs = {
            "f1": seqeval.f1_score(gold, predicted),
            "precision": seqeval.precision_score(gold, predicted),
            "recall": seqeval.recall_score(gold, predicted),
        }
    assert {name: float(value) for name, value in ours.items()} == pytest.approx(
        {name: 100 * float(value) for name, value in theirs.items()}
    )


@pytest.mark.slow
@unhurried
@given(aligned(st.sampled_from(UPOS)), st.randoms())
def test_order_of_sentences_changes_nothing(
    both: tuple[Sentences, Sentences], random: object
) -> None:
    pairs = list(zip(*both, strict=True))
    random.shuffle(pairs)  # type: ignore[attr-defined]
    shuffled = ([first for first, _ in pairs], [second for _, second in pairs])
    assert np.array_equal(chunk_counts(*shuffled).sum(axis=0), chunk_counts(*both).sum(axis=0))


@pytest.mark.slow
@unhurried
@given(st.lists(st.lists(any_tag, max_size=6), max_size=4))
def test_perfect_predictions_are_all_correct(sentences: Sentences) -> None:
    counts = chunk_counts(sentences, sentences)
    assert np.array_equal(counts[:, 0], counts[:, 1])
    assert np.array_equal(counts[:, 1], counts[:, 2])


def test_bare_tags_merge_as_in_seqeval_0_0_12() -> None:
    assert chunks([["NOUN", "NOUN", "SYM", "SYM", "INTJ", "INTJ"]]) == [
        ("NOUN", 0, 1),
        ("SYM", 2, 2),
        ("SYM", 3, 3),
        ("INTJ", 4, 5),
    ]


def test_counts_stay_with_their_sentence() -> None:
    gold = [["O"], ["B-LOC", "I-LOC"], ["B-PER", "B-PER"]]
    predicted = [["B-LOC"], ["B-LOC", "I-LOC"], ["B-PER", "I-PER"]]
    assert chunk_counts(predicted, gold).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 2]]


def test_nothing_has_no_chunks() -> None:
    assert chunks([]) == []
    assert chunk_counts([], []).shape == (0, 3)
