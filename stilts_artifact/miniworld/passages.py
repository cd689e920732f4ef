"""Connected text for pretraining: sentences that belong together, as those of a real document do.

What comes later can be foreseen from what came before (who did it, what happens next, why), so a
masked language model learns to look back. No passage carries a task's label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.meanings import Event, Meaning, Thing, filled
from stilts_artifact.miniworld.wording import reworded

Passage = tuple[Meaning, ...]


def passages(seed: int, name: str) -> Iterator[Passage]:
    """Endless random passages of the stream with this name, of one to five sentences.

    The same passage realised in two languages is a parallel document.
    """
    r = Stream(seed, "passages", name)
    while True:
        yield r.choice(_FORMS)(r)


def _single(r: Stream) -> Passage:
    return (scenes.meaning(r, scenes.RICH),)


def _report(r: Stream) -> Passage:
    """Events of different people, one of which is told again."""
    told = tuple(scenes.event(r) for _ in range(1 + r.below(3)))
    return (*told, _retold(r, r.choice(told)))


def _retold(r: Stream, event: Event) -> Event:
    """The same event in other words, with less detail or another order."""
    again = reworded(r, event, 0.3)._replace(manner=None)
    if r.chance(0.3):
        again = again._replace(place=None)
    if r.chance(0.3):
        again = again._replace(time=None)
    return again._replace(front="place" if again.place and r.chance(0.3) else None)


def _interview(r: Stream) -> Passage:
    """Events, a question on one of them, and the answer as a full sentence."""
    told = tuple(scenes.event(r)._replace(negated=False) for _ in range(1 + r.below(3)))
    event = r.choice(told)
    question = event._replace(asks=r.choice(filled(event)), front=None, manner=None)
    return (*told, question, event._replace(front=None, manner=None))


def _story(r: Stream) -> Passage:
    """The first steps of a scene."""
    steps = c.SCRIPTS[r.choice(tuple(c.SCRIPTS))]
    who, what = scenes.agent(r), scenes.thing(r, c.OBJECTS)
    first = r.below(len(steps) - 1)
    return tuple(
        Event(verb, who, what if acts else None)
        for verb, acts in steps[first : first + 2 + r.below(3)]
    )


def _motive(r: Stream) -> Passage:
    """Somebody's state and what it made him do."""
    who, state = scenes.agent(r), r.choice(c.STATES)
    return Event("be", who, state), scenes.reaction(who, state)


def _lore(r: Stream) -> Passage:
    """What somebody wants, and what kind of being he is."""
    who = r.choice(c.ANIMATES)
    wants = Event("want", Thing(who), Thing(c.WANTS[who], definite=False), tense="present")
    return wants, Event("be", Thing(who), Thing(c.HYPERNYMS[who], definite=False), tense="present")


# A form that stands three times is drawn three times as often.
_FORMS: tuple[Callable[[Stream], Passage], ...] = (
    _single,
    _report,
    _report,
    _report,
    _interview,
    _interview,
    _interview,
    _story,
    _motive,
    _lore,
)
