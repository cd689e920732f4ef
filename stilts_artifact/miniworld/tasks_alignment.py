"""NTREX-128: documents of some sentences each, the same in every language."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
from stilts_artifact.miniworld.meanings import Event, Place
from stilts_artifact.miniworld.splits import owns
from stilts_artifact.miniworld.tables import lines

DOCUMENTS = 30
SHORTEST, LENGTHS = 3, 5
"""Sentences of the shortest document, and how many different lengths there are."""
# Place, time and manner of each: so much is hardly ever said twice, be it in text to pretrain on.
WHOLE = replace(scenes.RICH, place=1.0, time=1.0, manner=1.0)
AT_ITS_PLACE = 0.5
"""Share of a document's sentences that tell of what happens at one place: these are alike."""


@lru_cache(maxsize=4)
def documents(seed: int) -> tuple[tuple[Event, ...], ...]:
    """What each document tells, no sentence twice; all of them are the test split's own."""
    r = Stream(seed, "ntrex")
    own = grammar(SOURCE_LANGUAGE, seed)
    taken: set[str] = set()

    def sentence(place: Place) -> Event:
        while True:
            told = scenes.event(r, WHOLE)
            if r.chance(AT_ITS_PLACE):
                told = told._replace(place=place)
            # Without what stands in front: in another order it would be a second translation.
            text = own.text(told._replace(front=None))
            if text not in taken and owns("test", own.text(told)):
                taken.add(text)
                return told

    def document() -> tuple[Event, ...]:
        place = scenes.place(r)
        return tuple(sentence(place) for _ in range(SHORTEST + r.below(LENGTHS)))

    return tuple(document() for _ in range(DOCUMENTS))


def text(seed: int, language: str) -> bytes:
    """A sentence a line, in the order of the documents."""
    own = grammar(language, seed)
    # With a carriage return in front of the line feed, as upstream.
    return lines(f"{own.text(told)}\r" for document in documents(seed) for told in document)


def document_ids(seed: int) -> bytes:
    """The id of each sentence's document, one a line."""
    return lines(
        f"mini.{number:03d}"
        for number, document in enumerate(documents(seed), start=1)
        for _ in document
    )
