"""Which split owns a text: what train may use, dev and test may not; each file is made alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeVar
from zlib import crc32

SplitName = Literal["train", "dev", "test"]
T = TypeVar("T")

# A text's own checksum decides, so files made alone, in any order, agree on who owns it.
_SHARES = 16
_OWNED: dict[SplitName, tuple[int, int]] = {"train": (0, 8), "dev": (8, 12), "test": (12, 16)}


def owns(split: SplitName, text: str) -> bool:
    """Whether the text falls into the split's share of all (8, 4 and 4 of 16, by checksum)."""
    low, high = _OWNED[split]
    return low <= crc32(text.encode()) % _SHARES < high


def distinct(
    split: SplitName,
    draw: Callable[[], T],
    text: Callable[[T], str],
    size: int,
    label: Callable[[T], str] | None = None,
    labels: int = 1,
) -> Iterator[T]:
    """Drawn items whose texts the split owns and which are all different.

    Args:
        size: how many; with labels, the same number of each (``size`` divided by ``labels``,
            rounded down).
        label: the label of an item.
        labels: how many labels there are.
    """
    seen: set[str] = set()
    wanted = size // labels
    counts: dict[str, int] = {}
    left = wanted * labels
    # Ends because far more can be said than any file asks for.
    while left:
        item = draw()
        own = text(item)
        group = "" if label is None else label(item)
        if counts.get(group, 0) < wanted and own not in seen and owns(split, own):
            seen.add(own)
            counts[group] = counts.get(group, 0) + 1
            left -= 1
            yield item
