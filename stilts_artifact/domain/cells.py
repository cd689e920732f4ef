"""Cells of a table: what was measured, what was expected, and the verdicts on the two."""

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


class Finding(StrEnum):
    """What a study says of one of its hypotheses, or of its own machinery."""

    SUPPORTED = "SUPPORTED"
    NOT_SUPPORTED = "NOT SUPPORTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT RUN"
    """Something that it needs is missing: seeds, languages, rows, data."""
    NOT_EVALUATED = "NOT EVALUATED"
    """The scale says nothing about real languages: only the pipeline is judged."""
    PIPELINE_VALID = "PIPELINE VALID"
    """Known effects, planted in its predictions, were found again, and absent ones were not."""
    PIPELINE_INVALID = "PIPELINE INVALID"


class Premise(StrEnum):
    """Whether what a study's question takes for granted was found."""

    MET = "MET"
    NOT_MET = "NOT MET"
    UNCLEAR = "UNCLEAR"
    NOT_RUN = "NOT RUN"


class Flag(StrEnum):
    """What is said of a number beside its value."""

    DEGENERATE = "DEGENERATE"
    """A run behind it collapsed: no better on development data than always the commonest answer."""
    PARTIAL = "PARTIAL"
    """An average without the languages whose data were not there: held against nothing."""

    @property
    def meaning(self) -> str:
        """What it says of a number, for whoever reads a table."""
        return _MEANINGS[self]


_MEANINGS = {
    Flag.DEGENERATE: "a run behind this number collapsed; it is reported, not dropped",
    Flag.PARTIAL: "an average without the languages whose data were not there",
}


@dataclass(frozen=True, slots=True)
class CellKey:
    """Place of a cell: row, column, and the language where a column has one value for each."""

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
        flag: a collapsed run's spread says nothing about the others'. Of a partial average with a
            collapsed run behind it, that it collapsed.
    """

    key: CellKey
    value: float | None
    reason: str | None
    signature: str
    seeds: tuple[float, ...] | None = None
    flag: Flag | None = None


@dataclass(frozen=True, slots=True)
class ExpectedCell:
    """A value that a measured one is held against, or the reason why none is known.

    It is what a public source reports, or, for a baseline, what this package measured before.

    Args:
        value: counts, or points 0-100; ``None`` where no public source has it.
        decimals: digits after the point as printed: rounding adds half a unit of the last to the
            limit.
        source: citation and place of the value.
        reason: why ``value`` is ``None``.
        n: number of seeds of which ``value`` is the median; ``None`` if unknown.
        tolerance: of this cell, where it is not its column's.
        signature: of a baseline's run; only a run with the same signature (the version aside) can
            be held against it.
    """

    key: CellKey
    value: float | None
    decimals: int
    source: str | None
    reason: str | None
    n: int | None = None
    tolerance: float | None = None
    signature: str | None = None
