"""Pairs of texts and the word that joins them: what follows, is denied, answers a question.

Written language is full of such pairs ("so ...", "no, ...", "in other words ...", a question and
its answer), and joining words are how a reader of plain text comes to compare two statements. The
pairs are drawn by the rules of the tasks, in all languages, from streams of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld.concepts import SYNONYMS
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.inference import LABELS, Inference, infer
from stilts_artifact.miniworld.meanings import Compound, Event, Meaning, Slot, Thing
from stilts_artifact.miniworld.tasks_choice import cause, continuation, fact
from stilts_artifact.miniworld.tasks_paraphrase import paws, question_pair, said
from stilts_artifact.miniworld.tasks_span import paragraph, telling
from stilts_artifact.miniworld.wording import plain

YES, NO, ALSO = "be", "not", "and"
"""Concepts whose words join two texts: the second is so, is not so, or is another matter."""
# In the order of LABELS: entailment, neutral, contradiction.
_JOINING = dict(zip(LABELS, (YES, ALSO, NO), strict=True))


class Exchange(NamedTuple):
    """Two texts and the concept that joins them.

    In ``second`` a string is a concept, whose word stands alone. ``answer`` is a sentence of the
    second text and a slot of it that answers the first, a question. ``instead`` is what the first
    text says, or calls for, in the place of the second, one sentence or word then. ``None``: there
    is no such thing.
    """

    first: tuple[Meaning, ...]
    second: tuple[Meaning | str, ...]
    joined: str
    answer: tuple[int, Slot] | None = None
    instead: Event | str | None = None


def exchanges(seed: int, name: str) -> Iterator[Exchange]:
    """Endless exchanges of the stream with this name."""
    r = Stream(seed, "exchanges", name)
    while True:
        yield r.choice(_FORMS)(r)


def _conclusion(r: Stream) -> Exchange:
    """A statement and what follows from it, does not, or cannot be."""
    bystanders = 1 + r.below(3) if r.chance(0.2) else 0
    pair = infer(r, r.choice(LABELS), bystanders)
    return Exchange(
        pair.premises, (pair.hypothesis,), _JOINING[pair.label], instead=_deciding(pair)
    )


def _deciding(pair: Inference) -> Event:
    """The premise that bears on the hypothesis: no other has its verb or the opposite."""
    verb = plain(pair.hypothesis).verb
    events = [
        event
        for told in pair.premises
        for event in ((told.first, told.second) if isinstance(told, Compound) else (told,))
        if isinstance(event, Event)
    ]
    return next((event for event in events if plain(event).verb == verb), None) or next(
        event
        for event in events
        if pair.rule == "antonym" and _opposed(event.verb, pair.hypothesis.verb)
    )


def _opposed(one: str, two: str) -> bool:
    words = {c.ANTONYMS.get(word) for word in (one, SYNONYMS.get(one, one))}
    return bool(words & {two, SYNONYMS.get(two, two)})


def grants(given: Event, claim: Event, slot: str) -> bool:
    """Whether one event has what another has in a slot, or a kind of it, in whatever words."""
    one, two = plain(given), plain(claim)
    if slot == "verb":
        return (one.verb, one.negated) == (two.verb, two.negated)
    mine, yours = getattr(one, slot), getattr(two, slot)
    if (
        isinstance(mine, Thing)
        and isinstance(yours, Thing)
        and mine.noun in c.CLASSES.get(yours.noun, ())
    ):
        return mine.quality == yours.quality
    return bool(mine == yours)


def _rewording(r: Stream) -> Exchange:
    """A statement or question, and the same or nearly the same in other words."""
    make = question_pair if r.chance(0.4) else paws
    pair = make(r, r.chance(0.5))
    joined = YES if said(pair.first) == said(pair.second) else NO
    return Exchange((pair.first,), (pair.second,), joined, instead=pair.first)


def _answer(r: Stream) -> Exchange:
    """A question, and a text that answers it or does not."""
    drawn = paragraph(r, telling(r), 2 + r.below(3), 1, 0.15)
    (asked,) = drawn.asked
    return Exchange(
        (asked.question,), drawn.events, NO if asked.answer is None else YES, asked.answer
    )


def _story(r: Stream) -> Exchange:
    """The first steps of a scene, or a story and a question on it; what comes next, or does not."""
    item = r.choice((continuation, cause))(r)
    fits = r.chance(0.5)
    other = r.other([at for at in range(len(item.candidates))], item.right)
    told: tuple[Meaning, ...] = item.told if item.asked is None else (*item.told, item.asked)
    ending: Event = item.candidates[item.right if fits else other]
    return Exchange(told, (ending,), YES if fits else NO, instead=item.candidates[item.right])


def _lore(r: Stream) -> Exchange:
    """A question on what everybody knows, and a word that answers it or does not."""
    drawn = fact(r)
    fits = r.chance(0.5)
    other = r.other([at for at in range(len(drawn.choices))], drawn.right)
    choice = drawn.choices[drawn.right if fits else other]
    return Exchange(
        (drawn.asked,), (choice,), YES if fits else NO, instead=drawn.choices[drawn.right]
    )


# A form that stands twice is drawn twice as often; questions and inference need the most text.
_FORMS: tuple[Callable[[Stream], Exchange], ...] = (
    _conclusion,
    _conclusion,
    _conclusion,
    _rewording,
    _rewording,
    _answer,
    _answer,
    _answer,
    _answer,
    _story,
    _story,
    _lore,
)
