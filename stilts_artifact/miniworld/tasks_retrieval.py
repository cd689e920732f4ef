"""BUCC (translations hidden in comparable corpora) and Tatoeba (translations to be found)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.archives import tar_bz2
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
from stilts_artifact.miniworld.meanings import Event, Meaning
from stilts_artifact.miniworld.tables import lines

BUCC_SIZES: dict[str, tuple[int, int]] = {"sample": (600, 60), "training": (2000, 200)}
"""Part -> (sentences on each side, of which so many have their translation on the other)."""
NEAR_MISSES = 0.2
"""Share of translated sentences that have a look-alike on the other side, different in one slot."""
TATOEBA_PAIRS = 300


class Corpora(NamedTuple):
    """Meanings of the two sides in their order, and the positions that translate each other."""

    source: list[Meaning]
    target: list[Meaning]
    gold: list[tuple[int, int]]


def _unique(r: Stream, seed: int, taken: set[str], taste: scenes.Taste) -> Iterator[Event]:
    """Endless events, none of which is said twice, whatever the side."""
    source_language = grammar(SOURCE_LANGUAGE, seed)
    while True:
        drawn = scenes.event(r, taste)
        # Without what stands in front: in another order it would be a second translation.
        text = source_language.text(drawn._replace(front=None))
        if text not in taken:
            taken.add(text)
            yield drawn


def near_miss(r: Stream, told: Event) -> Event:
    """An event that differs in one slot."""
    slots = [slot for slot in ("place", "time") if getattr(told, slot) is not None]
    slot = r.choice(["agent", *slots])
    if slot == "place":
        return told._replace(place=scenes.place(r))
    if slot == "time":
        return told._replace(time=scenes.time(r))
    return told._replace(
        agent=scenes.distinct_agent(r, told.agent, told.patient, taste=scenes.RICH)
    )


def corpora(seed: int, language: str, part: str) -> Corpora:
    """Two corpora of which a tenth is parallel, the rest are distractors."""
    size, pairs = BUCC_SIZES[part]
    r = Stream(seed, "bucc2018", language, part)
    source_language = grammar(SOURCE_LANGUAGE, seed)
    taken: set[str] = set()
    fresh = _unique(r, seed, taken, scenes.RICH)
    shared = [next(fresh) for _ in range(pairs)]
    misses = []
    for told in shared[: int(pairs * NEAR_MISSES)]:
        miss = near_miss(r, told)
        text = source_language.text(miss._replace(front=None))
        if text not in taken:
            taken.add(text)
            misses.append(miss)
    sides = []
    # Look-alikes stand on one side only: on the other is the sentence they are mistaken for.
    for extra in ([], misses):
        others = [next(fresh) for _ in range(size - pairs - len(extra))]
        sides.append(
            r.shuffled(
                [
                    *((told, at) for at, told in enumerate(shared)),
                    *((t, -1) for t in extra + others),
                ]
            )
        )
    positions = [{at: position for position, (_, at) in enumerate(side)} for side in sides]
    gold = [(positions[0][at], positions[1][at]) for at in range(pairs)]
    return Corpora([told for told, _ in sides[0]], [told for told, _ in sides[1]], sorted(gold))


def bucc(seed: int, language: str, part: str) -> bytes:
    """One language's corpora and gold pairs, for ``part`` "sample" or "training"."""
    drawn = corpora(seed, language, part)
    stem = f"bucc2018/{language}-{SOURCE_LANGUAGE}/{language}-{SOURCE_LANGUAGE}.{part}"
    members = {}
    for code, side in ((language, drawn.source), (SOURCE_LANGUAGE, drawn.target)):
        own = grammar(code, seed)
        members[f"{stem}.{code}"] = lines(
            f"{_id(code, at)}\t{own.text(told)}" for at, told in enumerate(side)
        )
    members[f"{stem}.gold"] = lines(
        f"{_id(language, one)}\t{_id(SOURCE_LANGUAGE, two)}" for one, two in drawn.gold
    )
    return tar_bz2(members)


def _id(code: str, position: int) -> str:
    return f"{code}-{position + 1:09d}"


@lru_cache(maxsize=16)
def _tatoeba(seed: int, language: str) -> tuple[Event, ...]:
    r = Stream(seed, "tatoeba", language)
    fresh = _unique(r, seed, set(), scenes.PLAIN)
    return tuple(next(fresh) for _ in range(TATOEBA_PAIRS))


def tatoeba(seed: int, language: str, side: str) -> bytes:
    """One side of a language's sentence pairs, a sentence a line."""
    own = grammar(side, seed)
    return lines(own.text(told) for told in _tatoeba(seed, language))
