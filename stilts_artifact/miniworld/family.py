"""A family of languages as an experiment: three properties crossed, one language a cell.

In the table of :mod:`languages` everything changes together from near to far, so that no effect can
be put down to one property. Here the number of bound morphemes, the share of replaced vocabulary
and the amount of text are crossed, script and word order are drawn by lot, and all else is the same
for all: whatever goes with one of the three is its doing. All come from the source language of the
shipped world and are spoken of the same things, so its training data serve both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, cycle, islice, product
from types import MappingProxyType
from typing import NamedTuple, TypeVar, get_args

from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.languages import (
    SOURCE_LANGUAGE,
    Category,
    Order,
    Script,
    Typology,
    WordOrder,
)

T = TypeVar("T")

BOUND: Mapping[int, tuple[Category, ...]] = {
    0: (),
    2: ("plural", "past"),
    4: ("plural", "accusative", "past", "agreement"),
    8: (
        "plural",
        "definite",
        "accusative",
        "adposition",
        "negation",
        "past",
        "future",
        "agreement",
    ),
}
"""Number of bound morphemes -> the categories that a suffix expresses."""
REPLACED = (0.1, 0.4)
TEXT = (1, 4, 16)
"""Amounts of text to pretrain on, relative to each other."""
SOURCE_TEXT = 32
"""The source language's: more than any other's, as English has."""

# What a language without the suffix has a word for. Agreement and the accusative have none.
_FREE: tuple[Category, ...] = (
    "plural",
    "definite",
    "indefinite",
    "adposition",
    "past",
    "future",
    "negation",
)
# As few as the nearest shipped language underwent: of its inherited words no two became one.
_SOUND_CHANGES = 2
# What usually goes with the order of verb and object: (adjective, relative clause, adposition).
_ORDERS: Mapping[WordOrder, tuple[Order, Order, Order]] = {
    "SVO": ("before", "after", "before"),
    "SOV": ("before", "before", "after"),
    "VSO": ("after", "after", "before"),
}
_LETTERS = "abcdefghijklmnopqrstuvwx"
# Seed of what is drawn by lot: the first by which every script and order is met equally often, as
# nearly as can be, at every number of bound morphemes and share of replaced vocabulary.
_LOT = 118


class Member(NamedTuple):
    """A language of a family, and how much text it has."""

    language: Typology
    text: int


def family(
    bound: Sequence[int] = tuple(BOUND),
    replaced: Sequence[float] = REPLACED,
    text: Sequence[int] = TEXT,
    lot: int = _LOT,
) -> Iterator[Member]:
    """One language for each combination, at most 24, with codes ``qba``, ``qbb``, ...

    Args:
        bound: numbers of bound morphemes, of :data:`BOUND`.
        lot: seed. Among the languages of each amount of text the scripts are equally frequent, and
            so are the orders, as far as their number allows.

    Example:
        >>> [(m.language.code, len(m.language.bound), m.text) for m in family((0, 8), (0.1,), (1,))]
        [('qba', 0, 1), ('qbb', 8, 1)]
    """
    r = Stream(lot, "family")
    size = len(bound) * len(replaced)
    scripts = _dealt(r, get_args(Script), size, len(text))
    orders = _dealt(r, tuple(_ORDERS), size, len(text))
    cells = product(text, bound, replaced)
    for letter, cell, script, order in zip(_LETTERS, cells, scripts, orders, strict=False):
        amount, number, share = cell
        adjective, relative, adposition = _ORDERS[order]
        yield Member(
            Typology(
                code=f"qb{letter}",
                name=f"Qb{letter}",
                script=script,
                replaced=share,
                sound_changes=_SOUND_CHANGES,
                order=order,
                adjective=adjective,
                numeral="before",
                relative=relative,
                adposition=adposition,
                bound=BOUND[number],
                free=tuple(category for category in _FREE if category not in BOUND[number]),
                fronts_question_word=order != "SOV",
            ),
            amount,
        )


def _dealt(r: Stream, items: Sequence[T], size: int, blocks: int) -> Iterator[T]:
    """The items in turn, ``blocks`` times ``size`` of them, each block in a random order."""
    turn = cycle(items)
    return chain.from_iterable(r.shuffled(list(islice(turn, size))) for _ in range(blocks))


FAMILY: Mapping[str, Member] = MappingProxyType(
    {member.language.code: member for member in family()}
)
AMOUNTS: Mapping[str, int] = MappingProxyType(
    {SOURCE_LANGUAGE: SOURCE_TEXT, **{code: member.text for code, member in FAMILY.items()}}
)
"""Language -> amount of text, the source language first."""
