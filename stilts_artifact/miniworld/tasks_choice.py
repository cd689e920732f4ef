"""HellaSwag, Cosmos QA and CommonsenseQA: choosing the right continuation or answer.

Whatever can be right is wrong equally often elsewhere, so the choices alone say nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.grammar import Grammar, grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
from stilts_artifact.miniworld.meanings import Event, Meaning, Place, Referent, Thing
from stilts_artifact.miniworld.splits import SplitName, distinct
from stilts_artifact.miniworld.tables import jsonl

HELLASWAG_SIZES: dict[SplitName, int] = {"train": 1500, "dev": 300}
COSMOSQA_SIZES: dict[SplitName, int] = {"train": 1500, "dev": 300}
COMMONSENSEQA_SIZES: dict[SplitName, int] = {"train": 2000, "dev": 300}

_NO_NAME = scenes.Taste(quality=0.2, plural=0.0, numeral=0.0, name=0.4)
_LATER = tuple((scene, step) for scene, steps in c.SCRIPTS.items() for step in range(1, len(steps)))
_ACTING = tuple((scene, step) for scene, step in _LATER if c.SCRIPTS[scene][step][1])
_TWO_BY_TWO = 0.4
"""Share of the items with an acting verb whose endings are two verbs by two objects."""


class Item(NamedTuple):
    """What is told, what is asked (if anything), the candidates, and which of them is right."""

    told: tuple[Meaning, ...]
    asked: Event | None
    candidates: tuple[Event, ...]
    right: int
    concept: str


def _shuffled(
    r: Stream, told: tuple[Meaning, ...], asked: Event | None, choices: list[Event], concept: str
) -> Item:
    """An item whose first choice is the right one, with the choices in random order."""
    order = r.shuffled(range(len(choices)))
    return Item(told, asked, tuple(choices[index] for index in order), order.index(0), concept)


# HellaSwag: the next step of a scene.


def continuation(r: Stream) -> Item:
    """One or two steps of a scene, and four events of which one is its next step."""
    scene, step = r.choice(_LATER)
    who = scenes.agent(r, _NO_NAME)
    what = scenes.thing(r, c.OBJECTS, _NO_NAME)._replace(definite=True)
    told = tuple(
        _step(who, what, scene, earlier, scenes.place(r) if r.chance(0.3) else None)
        for earlier in range(max(0, step - 2), step)
    )
    return _shuffled(r, told, None, _endings(r, who, what, (scene, step)), scene)


def _endings(r: Stream, who: Referent, what: Thing, right: tuple[str, int]) -> list[Event]:
    """The right ending first. With an object or without, a verb is right as often as wrong."""
    verb, acts = c.SCRIPTS[right[0]][right[1]]
    others = [place for place in _LATER if place != right]
    if acts and r.chance(_TWO_BY_TWO):
        # Two verbs by two objects: a wrong object without making the right verb the most frequent
        # choice.
        other = what._replace(noun=r.other(c.OBJECTS, what.noun))
        scene, step = r.choice([place for place in others if place in _ACTING])
        return [
            Event(own, who, thing)
            for own in (verb, c.SCRIPTS[scene][step][0])
            for thing in (what, other)
        ]
    if not acts and r.chance(_TWO_BY_TWO * len(_ACTING) / (len(_LATER) - len(_ACTING))):
        # Makes up for the endings above, which all act.
        others = [place for place in others if place not in _ACTING]
    return [_step(who, what, scene, step, None) for scene, step in (right, *r.sample(others, 3))]


def _step(who: Referent, what: Thing, scene: str, step: int, where: Place | None) -> Event:
    verb, acts = c.SCRIPTS[scene][step]
    return Event(verb, who, what if acts else None, where)


def hellaswag(seed: int, split: SplitName, language: str = SOURCE_LANGUAGE) -> bytes:
    """HellaSwag; the last context sentence begins with the agent, if the language has it first."""
    own = grammar(language, seed)
    return jsonl(
        _hellaswag_row(own, index, item, split)
        for index, item in enumerate(_items(seed, "hellaswag", split, HELLASWAG_SIZES[split]))
    )


def _hellaswag_row(own: Grammar, index: int, item: Item, split: SplitName) -> dict[str, object]:
    context = " ".join([own.text(step) for step in item.told])
    endings = [own.text(candidate) for candidate in item.candidates]
    begun = ""
    # With the verb first, the beginning would be the answer.
    if own.language.order != "VSO":
        begun = own.clause(item.candidates[0])[0][1].text
        endings = [ending[len(begun) + 1 :] for ending in endings]
    return {
        "ind": index,
        "activity_label": item.concept,
        "ctx_a": context,
        "ctx_b": begun,
        "ctx": f"{context} {begun}" if begun else context,
        "split": "val" if split == "dev" else split,
        "split_type": "indomain",
        "label": item.right,
        "endings": endings,
        "source_id": f"miniworld~{index}",
    }


# Cosmos QA: causes and consequences.


def cause(r: Stream) -> Item:
    """Two who are in different states or react to them; asked is the cause or effect for one."""
    who = scenes.agent(r, _NO_NAME)
    other = scenes.distinct_agent(r, who, taste=_NO_NAME)
    states = r.sample(c.STATES, 4)
    asks_cause = r.chance(0.5)
    story: list[Meaning] = []
    for person, state in ((who, states[0]), (other, states[1])):
        story.append(
            _with_place(r, scenes.reaction(person, state))
            if asks_cause
            else Event("be", person, state)
        )
    aside = scenes.event(r, _NO_NAME)._replace(tense="past", negated=False, front=None)
    told = tuple(r.shuffled([*story, aside]))
    if asks_cause:
        asked = scenes.reaction(who, states[0])._replace(asks="why")
        return _shuffled(r, told, asked, [Event("be", who, state) for state in states], "cause")
    asked = Event("do", who, asks="patient", tense="future")
    return _shuffled(
        r,
        told,
        asked,
        [scenes.reaction(who, s)._replace(tense="future") for s in states],
        "consequence",
    )


def _with_place(r: Stream, event: Event) -> Event:
    return event._replace(place=scenes.place(r)) if r.chance(0.4) else event


def cosmosqa(seed: int, split: SplitName) -> bytes:
    """Cosmos QA as comma-separated values."""
    own = grammar(SOURCE_LANGUAGE, seed)
    buffer = io.StringIO()
    # Line feeds, where upstream has CRLF: the reader takes both.
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["id", "context", "question", "answer0", "answer1", "answer2", "answer3", "label"]
    )
    for index, item in enumerate(_items(seed, "cosmosqa", split, COSMOSQA_SIZES[split])):
        context = " ".join([own.text(part) for part in item.told])
        answers = [own.text(candidate) for candidate in item.candidates]
        writer.writerow(
            [
                f"miniworld##{split}##{index}",
                context,
                own.text(_question(item)),
                *answers,
                item.right,
            ]
        )
    return buffer.getvalue().encode()


def _question(item: Item) -> Event:
    if item.asked is None:
        raise TypeError("this item asks nothing")
    return item.asked


# CommonsenseQA: facts about concepts.


def _habitat(r: Stream) -> tuple[str, Event, list[str]]:
    concept = r.choice(tuple(c.HABITATS))
    found = c.HABITATS[concept]
    asked = Event(
        "find", Thing("person", definite=False), _any(r, concept), tense="present", asks="place"
    )
    return concept, asked, [found, *r.sample([place for place in c.PLACES if place != found], 4)]


def _use(r: Stream) -> tuple[str, Event, list[str]]:
    concept = r.choice(c.TOOLS)
    asked = Event(
        "do",
        Thing("person", definite=False),
        place=Place("with", _any(r, concept)),
        tense="present",
    )
    verbs = tuple(c.USES.values())
    return concept, asked._replace(asks="patient"), _with_others(r, c.USES[concept], verbs)


def _want(r: Stream) -> tuple[str, Event, list[str]]:
    concept = r.choice(c.ANIMATES)
    asked = Event("want", _any(r, concept), tense="present", asks="patient")
    return concept, asked, _with_others(r, c.WANTS[concept], tuple(c.WANTS.values()))


def _wanted(r: Stream) -> tuple[str, Event, list[str]]:
    who = r.choice(c.ANIMATES)
    asked = Event("want", Thing(who), _any(r, c.WANTS[who]), tense="present", asks="agent")
    return c.WANTS[who], asked, _with_others(r, who, c.ANIMATES)


def _kind(r: Stream) -> tuple[str, Event, list[str]]:
    kind = r.choice(tuple(c.CLASSES))
    concept = r.choice(c.CLASSES[kind])
    asked = Event("be", _any(r, concept), tense="present", asks="patient")
    return concept, asked, _with_others(r, kind, tuple(c.CLASSES))


def _state(r: Stream) -> tuple[str, Event, list[str]]:
    state = r.choice(c.STATES)
    asked = Event("do", Thing("person", state, definite=False), tense="present", asks="patient")
    return (
        state,
        asked,
        _with_others(r, c.REACTIONS[state][0], tuple(verb for verb, _ in c.REACTIONS.values())),
    )


_RELATIONS: tuple[Callable[[Stream], tuple[str, Event, list[str]]], ...] = (
    _habitat,
    _use,
    _want,
    _wanted,
    _kind,
    _state,
)


def _any(r: Stream, concept: str) -> Thing:
    """The concept, with a quality that makes no difference."""
    quality = r.choice(c.QUALITIES) if r.chance(0.3) else None
    return Thing(concept, quality, 0 if r.chance(0.2) else 1, r.chance(0.5))


def _with_others(r: Stream, right: str, all_of_them: tuple[str, ...]) -> list[str]:
    return [right, *r.sample([other for other in all_of_them if other != right], 4)]


class Fact(NamedTuple):
    """A question about a concept with five concepts to choose from."""

    concept: str
    asked: Event
    choices: tuple[str, ...]
    right: int


def fact(r: Stream) -> Fact:
    """A question about one fact of the ontology."""
    concept, asked, choices = r.choice(_RELATIONS)(r)
    order = r.shuffled(range(len(choices)))
    return Fact(concept, asked, tuple(choices[index] for index in order), order.index(0))


def commonsenseqa(seed: int, split: SplitName) -> bytes:
    """CommonsenseQA as JSON lines."""
    own = grammar(SOURCE_LANGUAGE, seed)
    r = Stream(seed, "commonsenseqa", split)

    def text(drawn: Fact) -> str:
        return own.text(drawn.asked) + "\t" + "\t".join(drawn.choices)

    rows: list[dict[str, object]] = []
    for index, drawn in enumerate(
        distinct(split, lambda: fact(r), text, COMMONSENSEQA_SIZES[split])
    ):
        choices = [
            {"label": "ABCDE"[at], "text": own.word(choice)}
            for at, choice in enumerate(drawn.choices)
        ]
        question = {
            "question_concept": own.word(drawn.concept),
            "choices": choices,
            "stem": own.text(drawn.asked),
        }
        rows.append(
            {"answerKey": "ABCDE"[drawn.right], "id": f"{split}{index:06d}", "question": question}
        )
    return jsonl(rows)


@lru_cache(maxsize=4)  # for the translated files, which hold the same items
def _items(seed: int, name: str, split: SplitName, size: int) -> tuple[Item, ...]:
    """``size`` different items of the split."""
    r = Stream(seed, name, split)
    own = grammar(SOURCE_LANGUAGE, seed)
    draw = continuation if name == "hellaswag" else cause

    def text(item: Item) -> str:
        asked = [] if item.asked is None else [item.asked]
        verbs = [candidate.verb for candidate in item.candidates]
        return "\t".join([*(own.text(part) for part in (*item.told, *asked)), *verbs])

    return tuple(distinct(split, lambda: draw(r), text, size))
