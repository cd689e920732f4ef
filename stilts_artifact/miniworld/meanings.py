"""The interlingua: what a sentence says, apart from any language.

All parts are named tuples: cheap to make by the hundred thousand, hashable, equal by value.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Slot = Literal["agent", "patient", "place", "time"]
Tense = Literal["present", "past", "future"]


class Name(NamedTuple):
    """A proper name.

    ``parts`` index the lexicon: PER (given, family) or (given,); LOC (city,) or (quality, city) as
    in "Old Town"; ORG (acronym,) or (office, city) as in "Bank Town".
    """

    kind: Literal["PER", "LOC", "ORG"]
    parts: tuple[int | str, ...]


class Thing(NamedTuple):
    """Participants that a noun names. ``number`` 0: an unspecific plural; 2 or more are counted."""

    noun: str
    quality: str | None = None
    number: int = 1
    definite: bool = True
    clause: Event | None = None
    """Relative clause; its missing agent is this thing."""


Referent = Thing | Name


class Place(NamedTuple):
    """Where: an adposition and its noun phrase."""

    relation: str
    ground: Referent


class Event(NamedTuple):
    """One proposition. With ``verb`` "be" it says of the agent what it is, its ``patient``.

    ``asks`` turns it into a question about that slot. ``front`` moves an adjunct to the beginning,
    which changes no truth condition.
    """

    verb: str
    agent: Referent | None
    patient: Referent | str | None = None
    place: Place | None = None
    time: str | None = None
    manner: str | None = None
    tense: Tense = "past"
    negated: bool = False
    asks: Slot | Literal["why"] | None = None
    front: Literal["place", "time"] | None = None


def with_roles_swapped(event: Event) -> Event:
    """Who did it to whom, the other way round; without a second participant it stays as it is."""
    agent, patient = event.agent, event.patient
    return (
        event._replace(agent=patient, patient=agent) if isinstance(patient, Thing | Name) else event
    )


def filled(event: Event) -> list[Slot]:
    """The slots that are filled, and could be asked for."""
    slots: tuple[Slot, ...] = ("agent", "patient", "place", "time")
    return [slot for slot in slots if getattr(event, slot) is not None]


class Compound(NamedTuple):
    """Two propositions and the conjunction between them."""

    first: Event
    link: Literal["and", "because"]
    second: Event


class Report(NamedTuple):
    """A proposition that somebody says or knows."""

    speaker: Referent
    verb: str
    content: Event
    tense: Tense = "past"


Meaning = Event | Compound | Report
