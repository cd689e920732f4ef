"""Joined texts: the joining word is the true one, and what stands instead, the first text says."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from stilts_artifact.miniworld import SEED, discourse
from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld.discourse import ALSO, NO, YES, Exchange, exchanges, grants
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.inference import Inference
from stilts_artifact.miniworld.meanings import Event, filled
from tests.unit.miniworld.test_gold import answers, public, verdict

_LABELS = {YES: "entailment", ALSO: "neutral", NO: "contradiction"}


def drawn(form: str, size: int = 400) -> list[Exchange]:
    r = Stream(SEED, "test of discourse")
    make = getattr(discourse, form)
    return [make(r) for _ in range(size)]


def test_a_stream_depends_on_its_name_alone() -> None:
    first = list(islice(exchanges(SEED, "one"), 60))
    assert first == list(islice(exchanges(SEED, "one"), 60))
    assert first != list(islice(exchanges(SEED, "two"), 60))


def test_a_judge_of_meanings_agrees_on_conclusions() -> None:
    for pair in drawn("_conclusion"):
        (claim,) = pair.second
        assert isinstance(claim, Event)
        assert verdict(Inference(pair.first, claim, "neutral", "")) == _LABELS[pair.joined]


def test_what_decides_a_conclusion_stands_instead_of_it() -> None:
    """The event of the first text with the claim's verb: it says all of it if that follows."""
    for pair in drawn("_conclusion"):
        (claim,) = pair.second
        given = pair.instead
        assert isinstance(claim, Event)
        assert isinstance(given, Event)
        assert verdict(Inference((given,), claim, "neutral", "")) == _LABELS[pair.joined]


def test_a_conclusion_follows_exactly_if_all_that_it_claims_is_granted() -> None:
    for pair in drawn("_conclusion"):
        (claim,) = pair.second
        assert isinstance(claim, Event)
        assert isinstance(pair.instead, Event)
        slots = ("verb", *filled(claim))
        assert all(grants(pair.instead, claim, slot) for slot in slots) == (pair.joined == YES)


def test_only_rewordings_are_joined_by_yes() -> None:
    for pair in drawn("_rewording"):
        (first,), (second,) = pair.first, pair.second
        assert isinstance(first, Event)
        assert isinstance(second, Event)
        assert (public(first) == public(second)) == (pair.joined == YES)
        assert pair.instead == first


def test_answers_answer() -> None:
    for pair in drawn("_answer"):
        (question,) = pair.first
        assert isinstance(question, Event)
        events = [event for event in pair.second if isinstance(event, Event)]
        matches = [at for at, event in enumerate(events) if answers(event, question)]
        if pair.answer is None:
            assert (matches, pair.joined) == ([], NO)
        else:
            assert ([pair.answer[0]], YES) == (matches, pair.joined)
            assert pair.answer[1] == question.asks


@pytest.mark.parametrize("form", ["_story", "_lore"])
def test_what_is_right_stands_instead_of_what_is_wrong(form: str) -> None:
    for pair in drawn(form):
        assert ((pair.instead,) == pair.second) == (pair.joined == YES)


def test_lore_is_true() -> None:
    """The right answer to where, among what is asked for, is the habitat that the concept has."""
    asked = [(e.first[0], e.instead) for e in drawn("_lore") if isinstance(e.first[0], Event)]
    places = [(q, a) for q, a in asked if q.asks == "place"]
    assert len(places) > 20
    for question, found in places:
        assert c.HABITATS[getattr(question.patient, "noun", "")] == found


@pytest.mark.slow
def test_no_joining_word_is_rare() -> None:
    words = Counter(pair.joined for pair in islice(exchanges(SEED, "shares"), 2000))
    assert set(words) == {YES, NO, ALSO}
    assert min(words.values()) > 100
    assert max(words.values()) < 1300
