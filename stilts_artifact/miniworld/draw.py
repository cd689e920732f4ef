"""The only source of randomness: named streams whose numbers are the same on every machine.

Python promises that ``random.Random(int).random()`` keeps its sequence across versions; it promises
nothing of the kind for ``choice``, ``sample`` or ``shuffle``, so those are built here on
``random()`` alone.

Every call moves its stream: one more, or two in another order, changes whatever is drawn after it,
the pins of the files, and the text that the shipped encoder was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Stream:
    """Numbers that depend on seed and names only: one file can be made without making the others.

    Example:
        >>> Stream(7, "mnli", "train").choice("abc") == Stream(7, "mnli", "train").choice("abc")
        True
    """

    __slots__ = ("unit",)

    def __init__(self, seed: int, *names: str) -> None:
        # Hashed here and not by Random(text), whose way of hashing is not promised to stay.
        digest = hashlib.sha256("/".join((str(seed), *names)).encode()).digest()
        # A generator of texts, no secret.
        self.unit = Random(int.from_bytes(digest[:16], "big")).random  # noqa: S311

    def below(self, bound: int) -> int:
        """An integer in ``[0, bound)``."""
        return int(self.unit() * bound)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.unit() * len(items))]

    def other(self, items: Sequence[T], *excluded: T) -> T:
        """One of the items that is none of the excluded ones."""
        return self.choice([item for item in items if item not in excluded])

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in a new order (Fisher and Yates)."""
        pool = list(items)
        for last in range(len(pool) - 1, 0, -1):
            pick = int(self.unit() * (last + 1))
            pool[last], pool[pick] = pool[pick], pool[last]
        return pool

    def sample(self, items: Sequence[T], size: int) -> list[T]:
        """``size`` different items; of a long sequence, no more numbers are drawn than wanted."""
        pool = list(items)
        # The head of a shuffle: stopping early spares the numbers of the rest.
        for first in range(size):
            pick = first + int(self.unit() * (len(pool) - first))
            pool[first], pool[pick] = pool[pick], pool[first]
        return pool[:size]
