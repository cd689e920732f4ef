"""QQP and PAWS-X: do two texts mean the same?

Every pair differs on the surface (order of phrases, synonyms), whatever its label; a pair that is
no paraphrase differs in meaning as well. So neither overlap nor reordering tells, only who did
what, and whether it was denied, does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Literal, NamedTuple

from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.archives import tar_gz, zip_archive
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE, languages
from stilts_artifact.miniworld.meanings import Event, Slot, Thing, filled, with_roles_swapped
from stilts_artifact.miniworld.splits import SplitName, distinct
from stilts_artifact.miniworld.tables import tsv
from stilts_artifact.miniworld.wording import plain, reworded

QQP_SIZES: dict[SplitName, int] = {"train": 3600, "dev": 300}
PAWSX_SIZES: dict[SplitName, int] = {"train": 3400, "dev": 240, "test": 360}

_TASTE = scenes.Taste(
    quality=0.3, plural=0.05, numeral=0.0, name=0.4, place=0.7, time=0.6, manner=0.1, front=0.3
)


class Pair(NamedTuple):
    """Two events and whether they mean the same; ``rule`` is what was changed if not."""

    first: Event
    second: Event
    same: bool
    rule: str


def _base(r: Stream) -> Event:
    """An event between two who could change roles, with an adjunct that could move."""
    while True:
        drawn = scenes.event(r, _TASTE)
        if drawn.verb in c.ANIMATE_VERBS and (drawn.place or drawn.time):
            return drawn._replace(negated=False)


def _moved(r: Stream, event: Event) -> Event:
    """The same event with another phrase in front, if it has one that can move."""
    fronts: list[Literal["place", "time"] | None] = [None]
    if event.place is not None and event.asks != "place":
        fronts.append("place")
    if event.time is not None and event.asks != "time":
        fronts.append("time")
    return (
        event._replace(front=r.other(fronts, event.front))
        if len(fronts) > 1
        else event._replace(front=None)
    )


def _two_ways(r: Stream, draw: Callable[[Stream], Event]) -> tuple[Event, Event]:
    """An event, and the same said in other words or another order."""
    while True:
        first = draw(r)
        other = reworded(r, _moved(r, first) if r.chance(0.7) else first, 0.3)
        if visible(other) != visible(first):
            return first, other


def paws(r: Stream, same: bool) -> Pair:
    """Two sentences of (almost) the same words."""
    first, second = _two_ways(r, _base)
    rule = "" if same else r.choice(_paws_rules(first))
    return Pair(first, second if same else _changed(r, second, rule), same, rule)


DENIED = 0.75
"""Share of PAWS-X pairs with another meaning in which the second sentence denies the first."""
DENIALS = "denials-30"
"""Name of their random stream. Evaluation sentences are kept out of the encoder's text: another
name, other sentences, and the shipped encoder could no longer be made anew bit for bit."""


def with_denials(r: Stream, pair: Pair) -> Pair:
    """A pair of :func:`paws`, perhaps as a denial, so that a negation alone says nothing."""
    negated, denial = r.chance(0.5), not pair.same and r.chance(DENIED)
    first, second = _two_ways(r, lambda _: pair.first) if denial else (pair.first, pair.second)
    second = second._replace(negated=negated != denial)
    return Pair(
        first._replace(negated=negated), second, pair.same, "denial" if denial else pair.rule
    )


def _paws_rules(event: Event) -> list[str]:
    # Roles most often, as in PAWS, where word order is what tells two sentences apart.
    rules = ["roles", "roles", "roles", "verb", "verb", "adjunct"]
    agent, patient = event.agent, event.patient
    if isinstance(agent, Thing) and isinstance(patient, Thing) and agent.quality != patient.quality:
        rules += ["qualities", "qualities"]
    return rules


def _question(r: Stream) -> Event:
    base = _base(r)
    asked = r.choice(filled(base))
    return base._replace(asks=asked, front=None if base.front == asked else base.front)


def question_pair(r: Stream, same: bool) -> Pair:
    """Two questions about events."""
    first, second = _two_ways(r, _question)
    told_adjunct = any(slot in ("place", "time") and slot != first.asks for slot in filled(first))
    rule = (
        "" if same else r.choice(["roles", "verb", "asks", "adjunct" if told_adjunct else "verb"])
    )
    return Pair(first, second if same else _changed(r, second, rule), same, rule)


def _changed(r: Stream, event: Event, rule: str) -> Event:
    """The event with another meaning; its words and its length stay as they can."""
    agent, patient = event.agent, event.patient
    if rule == "roles":
        asks: Literal[Slot, "why"] | None = event.asks
        asks = "patient" if asks == "agent" else "agent" if asks == "patient" else asks
        return with_roles_swapped(event)._replace(asks=asks)
    if rule == "qualities" and isinstance(agent, Thing) and isinstance(patient, Thing):
        swapped = agent._replace(quality=patient.quality), patient._replace(quality=agent.quality)
        return event._replace(agent=swapped[0], patient=swapped[1])
    if rule == "verb":
        return event._replace(
            verb=r.other(c.ANIMATE_VERBS, event.verb, c.SYNONYMS.get(event.verb, ""))
        )
    if rule == "asks":
        asked = r.other(filled(event), event.asks)
        return event._replace(asks=asked, front=None if event.front == asked else event.front)
    told = [slot for slot in filled(event) if slot in ("place", "time") and slot != event.asks]
    return (
        event._replace(place=scenes.place(r))
        if r.choice(told) == "place"
        else event._replace(time=scenes.time(r))
    )


def said(event: Event) -> tuple[object, ...]:
    """What an event tells, or a question tells and asks: paraphrases are those that share it."""
    return visible(plain(event))


def visible(event: Event) -> tuple[object, ...]:
    """What stands in the text: all but the filler of the slot that is asked for."""
    return tuple(None if slot == event.asks else getattr(event, slot) for slot in event._fields)


@lru_cache(maxsize=4)  # for the translated files, which hold the same pairs
def pairs(seed: int, name: str, split: SplitName, size: int) -> tuple[Pair, ...]:
    """``size`` different pairs, half of them paraphrases."""
    r = Stream(seed, name, split)
    source_language = grammar(SOURCE_LANGUAGE, seed)
    turn = count()
    # A stream beside the other, so that the pairs drawn there are the same with and without.
    denials = Stream(seed, name, split, DENIALS)

    def draw() -> Pair:
        same = next(turn) % 2 == 0
        while True:
            pair = question_pair(r, same) if name == "qqp" else with_denials(denials, paws(r, same))
            # A change may undo itself; then the pair does not have the label it was made for.
            if (said(pair.first) == said(pair.second)) == same and pair.first != pair.second:
                return pair

    def text(pair: Pair) -> str:
        return source_language.text(pair.first)

    return tuple(distinct(split, draw, text, size, lambda pair: str(pair.same), 2))


def qqp(seed: int, language: str = SOURCE_LANGUAGE) -> bytes:
    """QQP in GLUE's layout."""
    own = grammar(language, seed)
    members = {}
    for split, size in QQP_SIZES.items():
        rows = [["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]]
        for index, pair in enumerate(pairs(seed, "qqp", split, size)):
            ids = [str(index), str(2 * index + 1), str(2 * index + 2)]
            rows.append([*ids, own.text(pair.first), own.text(pair.second), str(int(pair.same))])
        members[f"QQP/{split}.tsv"] = tsv(rows)
    return zip_archive(members)


def pawsx(seed: int) -> bytes:
    """PAWS-X: training pairs in the source language, the same dev and test pairs in all."""
    members = {f"x-final/{SOURCE_LANGUAGE}/train.tsv": _pawsx(seed, SOURCE_LANGUAGE, "train")}
    for language in languages:
        members[f"x-final/{language}/dev_2k.tsv"] = _pawsx(seed, language, "dev")
        members[f"x-final/{language}/test_2k.tsv"] = _pawsx(seed, language, "test")
    return tar_gz(members)


def _pawsx(seed: int, language: str, split: SplitName) -> bytes:
    own = grammar(language, seed)
    rows = [["id", "sentence1", "sentence2", "label"]]
    for index, pair in enumerate(pairs(seed, "pawsx", split, PAWSX_SIZES[split]), 1):
        rows.append([str(index), own.text(pair.first), own.text(pair.second), str(int(pair.same))])
    return tsv(rows)
