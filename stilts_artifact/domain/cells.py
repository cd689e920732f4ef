"""Table cells: what was measured, what was reported, and the verdict on the two."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The outcome for a cell, a claim or a whole table."""

    REPRODUCED = "REPRODUCED"
    NOT_REPRODUCED = "NOT_REPRODUCED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT_RUN"
    NOT_CHECKABLE = "NOT_CHECKABLE"


@dataclass(frozen=True, slots=True)
class CellKey:
    """Row and column of a cell, and the language where a column has one value for each."""

    row: str
    column: str
    language: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.row, self.column, self.language) if part is not None)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured value, or the reason why there is none (exactly one of the two is ``None``).

    Args:
        seeds: value of each seed, of which ``value`` is the median; ``None`` where there is only
            the one.
        flag: such as ``DEGENERATE``; a collapsed run's spread says nothing about the others'.
    """

    key: CellKey
    value: float | None
    reason: str | None
    signature: str
    seeds: tuple[float, ...] | None = None
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A reported value with its source, or the reason why none is known.

    Args:
        value: counts, or points 0-100; ``None`` where no public source has it.
        decimals: digits after the point as printed; rounding widens the tolerance by half a unit of
            the last.
        source: citation and place of the value.
        reason: why ``value`` is ``None``.
        n: number of seeds of which ``value`` is the median; ``None`` if unknown.
        tolerance: band of this cell, where it is not its column's.
        signature: of the recorded run, for values that this package measured; only a run with the
            same signature (the version aside) can be held against them.
    """

    key: CellKey
    value: float | None
    decimals: int
    source: str | None
    reason: str | None
    n: int | None = None
    tolerance: float | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one cell, with the numbers it rests on; ``seeds``, ``flag``: as measured."""

    key: CellKey
    value: float | None
    reported: float | None
    tolerance: float | None
    verdict: Verdict
    reason: str
    signature: str
    seeds: tuple[float, ...] | None = None
    flag: str | None = None
