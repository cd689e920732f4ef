"""Other words for the same meaning."""

from __future__ import annotations

from collections.abc import Callable

from stilts_artifact.miniworld.concepts import SYNONYMS
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.meanings import Event, Name, Place, Referent


def reworded(r: Stream, event: Event, rate: float) -> Event:
    """The event with a share of its words replaced by synonyms."""
    return _mapped(
        event, lambda word: SYNONYMS[word] if word in SYNONYMS and r.chance(rate) else word
    )


def plain(event: Event) -> Event:
    """The event in basic words and basic order: equal for two events exactly if they mean the same.

    Of each pair of synonyms the alphabetically first stands for both.
    """
    return _mapped(event, lambda word: min(word, SYNONYMS.get(word, word)))._replace(front=None)


def _mapped(event: Event, word: Callable[[str], str]) -> Event:
    """The event with every content word put through ``word``."""
    patient, place = event.patient, event.place
    return event._replace(
        verb=word(event.verb),
        agent=None if event.agent is None else _renamed(event.agent, word),
        patient=word(patient) if isinstance(patient, str) else patient and _renamed(patient, word),
        place=place and Place(place.relation, _renamed(place.ground, word)),
        manner=event.manner and word(event.manner),
    )


def _renamed(referent: Referent, word: Callable[[str], str]) -> Referent:
    if isinstance(referent, Name):
        return referent
    return referent._replace(
        noun=word(referent.noun), quality=referent.quality and word(referent.quality)
    )
