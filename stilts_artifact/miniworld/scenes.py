"""Random meanings: who did what to whom, where and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.lexicon import ACRONYMS, CITIES, FAMILY_NAMES, GIVEN_NAMES
from stilts_artifact.miniworld.meanings import (
    Compound,
    Event,
    Meaning,
    Name,
    Place,
    Referent,
    Report,
    Tense,
    Thing,
    filled,
)
from stilts_artifact.miniworld.wording import reworded

# Past twice: it is drawn twice as often as the others.
TENSES: tuple[Tense, ...] = ("past", "past", "present", "future")
Filler = Referent | str | None
"""What a slot of an event may hold."""
YEARS = tuple(str(year) for year in range(1900, 2000))


@dataclass(frozen=True, slots=True)
class Taste:
    """How often a drawn event has what (probabilities)."""

    quality: float = 0.3
    plural: float = 0.15
    numeral: float = 0.1
    name: float = 0.25
    place: float = 0.5
    time: float = 0.4
    manner: float = 0.15
    negated: float = 0.12
    front: float = 0.2


PLAIN = Taste()
RICH = Taste(
    quality=0.55,
    plural=0.2,
    numeral=0.2,
    name=0.35,
    place=0.75,
    time=0.7,
    manner=0.3,
    negated=0.1,
    front=0.3,
)
"""Longer sentences, hard to meet twice."""


def person_name(r: Stream) -> Name:
    """A person with one or two names."""
    given = r.below(GIVEN_NAMES)
    return Name("PER", (given, r.below(FAMILY_NAMES)) if r.chance(0.7) else (given,))


def place_name(r: Stream) -> Name:
    """A city, or a part of one ("Old ...")."""
    city = r.below(CITIES)
    return Name("LOC", (r.choice(("old", "small", "good")), city) if r.chance(0.3) else (city,))


def office_name(r: Stream) -> Name:
    """An organisation."""
    return Name(
        "ORG", (r.below(ACRONYMS),) if r.chance(0.4) else (r.choice(c.OFFICES), r.below(CITIES))
    )


def thing(r: Stream, nouns: tuple[str, ...], taste: Taste = PLAIN) -> Thing:
    """Something that one of the nouns names."""
    quality = r.choice(c.QUALITIES) if r.chance(taste.quality) else None
    draw = r.unit()
    # One draw for both, so that plural and numeral exclude each other.
    count = (
        0 if draw < taste.plural else 2 + r.below(4) if draw < taste.plural + taste.numeral else 1
    )
    return Thing(r.choice(nouns), quality, count, count < 2 and r.chance(0.7))


def agent(r: Stream, taste: Taste = PLAIN) -> Referent:
    """Somebody who can act."""
    return person_name(r) if r.chance(taste.name) else thing(r, c.ANIMATES, taste)


def place(r: Stream, taste: Taste = PLAIN) -> Place:
    """Somewhere."""
    if r.chance(taste.name / 2):
        return Place("in", place_name(r))
    return Place(r.choice(c.LOCATIVES), Thing(r.choice(c.PLACES)))


def time(r: Stream) -> str:
    """A part of the day or year, or a year."""
    return r.choice(YEARS) if r.chance(0.3) else r.choice(c.TIMES)


def event(r: Stream, taste: Taste = PLAIN) -> Event:
    """A proposition with random participants and adjuncts."""
    kind = r.unit()
    # Two animates most often: only they can change roles, which inference and paraphrase live on.
    if kind < 0.4:
        verb, patient = r.choice(c.ANIMATE_VERBS), agent(r, taste)
    elif kind < 0.7:
        verb, patient = r.choice(c.OBJECT_VERBS), thing(r, c.OBJECTS, taste)
    elif kind < 0.8:
        verb, patient = r.choice(c.FOOD_VERBS), thing(r, c.FOODS, taste)
    else:
        return _adjuncts(r, Event(r.choice(c.INTRANSITIVE_VERBS), agent(r, taste)), taste)
    return _adjuncts(r, Event(verb, distinct_agent(r, patient, taste=taste), patient), taste)


def distinct_agent(r: Stream, *others: Filler, taste: Taste = PLAIN) -> Referent:
    """An agent that none of the others can be taken for: nobody chases himself, all stays clear."""
    while True:
        drawn = agent(r, taste)
        if not any(same_kind(drawn, other) for other in others):
            return drawn


def same_kind(first: Filler, second: Filler) -> bool:
    """Whether two participants could be taken for one another."""
    if isinstance(first, Name) and isinstance(second, Name):
        # By the given name alone: who has two may be called by the first.
        return first.parts[0] == second.parts[0]
    return isinstance(first, Thing) and isinstance(second, Thing) and first.noun == second.noun


def _adjuncts(r: Stream, bare: Event, taste: Taste) -> Event:
    where = place(r, taste) if r.chance(taste.place) else None
    when = time(r) if r.chance(taste.time) else None
    manner = r.choice(c.MANNERS) if r.chance(taste.manner) else None
    front: Literal["place", "time"] | None = None
    if r.chance(taste.front):
        front = "time" if when is not None else "place" if where is not None else None
    return bare._replace(
        place=where,
        time=when,
        manner=manner,
        tense=r.choice(TENSES),
        negated=r.chance(taste.negated),
        front=front,
    )


def state(r: Stream) -> Event:
    """Somebody is hungry, old, a teacher."""
    who = person_name(r) if r.chance(0.5) else thing(r, c.ANIMATES)
    if r.chance(0.25):
        return Event(
            "be", person_name(r), Thing(r.choice(c.PERSONS), definite=False), tense="present"
        )
    return Event(
        "be", who, r.choice(c.STATES + c.QUALITIES), tense=r.choice(TENSES), negated=r.chance(0.1)
    )


def reaction(agent: Referent, state: str) -> Event:
    """What the agent does in a state."""
    verb, thing = c.REACTIONS[state]
    return Event(verb, agent, None if thing is None else Thing(thing))


def question(r: Stream, taste: Taste = PLAIN) -> Event:
    """A question about one slot of a random event."""
    # What did not happen has no place or time to ask for.
    told = event(r, taste)._replace(negated=False, front=None)
    return told._replace(asks=r.choice(filled(told)))


def meaning(r: Stream, taste: Taste = PLAIN) -> Meaning:
    """A sentence of any kind: statement, state, question, compound, report, relative clause."""
    kind = r.unit()
    if kind < 0.5:
        return reworded(r, event(r, taste), 0.3)
    if kind < 0.6:
        return state(r)
    if kind < 0.7:
        return question(r, taste)
    if kind < 0.8:
        return compound(r, taste)
    if kind < 0.88:
        return Report(agent(r), r.choice(c.REPORT_VERBS), simple(r), r.choice(TENSES))
    return relative(r, taste)


def simple(r: Stream) -> Event:
    """A short event, to be embedded."""
    return event(r, Taste(quality=0.15, place=0.3, time=0.0, manner=0.1, front=0.0))


def compound(r: Stream, taste: Taste = PLAIN) -> Compound:
    """Two events of one agent, two of different agents, or an event and the state behind it."""
    first = event(r, taste)._replace(front=None)
    if r.chance(0.4):
        return Compound(
            first, "because", Event("be", first.agent, r.choice(c.STATES), tense=first.tense)
        )
    second = simple(r)._replace(tense=first.tense)
    # Or somebody would act on himself.
    if r.chance(0.4) and not same_kind(first.agent, second.patient):
        second = second._replace(agent=first.agent)
    return Compound(first, "and", second)


def relative(r: Stream, taste: Taste = PLAIN) -> Event:
    """An event whose agent is told apart by a relative clause."""
    told = event(r, taste)._replace(front=None)
    # The noun that the clause describes is its agent.
    clause = simple(r)._replace(agent=None, negated=False)
    return told._replace(agent=Thing(r.choice(c.ANIMATES), clause=clause))


def meanings(seed: int, name: str) -> Iterator[Meaning]:
    """Endless random meanings of the stream with this name."""
    r = Stream(seed, "meanings", name)
    while True:
        yield meaning(r, RICH if r.chance(0.3) else PLAIN)
