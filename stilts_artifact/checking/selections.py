"""Which cells a predicate refers to, and their values with chance drawn in."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.benchmark.experiments import MLM, NONE
from stilts_artifact.checking.statistics import Noise
from stilts_artifact.errors import ConfigError

CELL_FUNCTIONS: Mapping[str, tuple[int, int, bool]] = {
    "cell": (2, 2, False),
    "gain": (2, 3, False),
    "gains": (2, 3, True),
}
"""Name -> fewest and most arguments, and whether rows are averaged:

``cell(rows, columns)``; ``gain(rows, columns[, base rows])``: over the row without an intermediate
task, or row by row over the base rows; ``gains``: of each column, the mean gain over the rows.
"""

COUNTERPART = "counterpart"
"""As base rows: for each row the plain English one, ``mnli`` for ``mnli+mlm`` and for ``mnli@de``."""

SEED = 2005_13013
DRAWS = 4000
"""Enough to place a probability of 5 % to within 0.7 %."""


@dataclass(frozen=True, slots=True)
class Names:
    """Rows or columns of a reference.

    Args:
        title: as written in the predicate.
        items: names, or for rows patterns with ``*``.
        many: a set, rather than one name.
    """

    title: str
    items: tuple[str, ...]
    many: bool

    def among(self, rows: Sequence[str]) -> list[str]:
        """The names, patterns replaced by those of ``rows`` that match."""
        found: list[str] = []
        for item in self.items:
            found += (
                [row for row in rows if fnmatch.fnmatchcase(row, item)] if "*" in item else [item]
            )
        return found


@dataclass(frozen=True, slots=True)
class Reference:
    """``function(rows, columns[, base])`` as a predicate has it."""

    function: str
    rows: Names
    columns: Names
    base: Names | None

    def pairs(self, rows: Sequence[str]) -> list[tuple[str, str]]:
        """Each row with the row that it is compared with.

        Raises:
            ConfigError: several base rows, but not one for each row.
        """
        chosen = self.rows.among(rows)
        if self.base is None:
            return [(row, NONE) for row in chosen]
        if self.base.items == (COUNTERPART,):
            return [(row, counterpart(row)) for row in chosen]
        bases = self.base.among(rows)
        bases = bases * len(chosen) if len(bases) == 1 else bases
        if len(bases) != len(chosen):
            raise ConfigError(
                f"rows {self.rows.title} and base rows {self.base.title} are not as many",
                got=f"{len(chosen)} and {len(bases)}",
            )
        return list(zip(chosen, bases, strict=True))

    def places(self, rows: Sequence[str]) -> Iterator[tuple[str, str]]:
        """(row, column) of every cell that is needed."""
        for row, base in self.pairs(rows):
            for column in self.columns.items:
                yield row, column
                if self.function != "cell":
                    yield base, column


def counterpart(row: str) -> str:
    """The row with the same tasks in English and without masked language modelling.

    Example:
        >>> [counterpart(row) for row in ("mnli+mlm", "qqp@de", "mlm")]
        ['mnli', 'qqp', 'none']
    """
    return NONE if row == MLM else row.partition("@")[0].removesuffix(f"+{MLM}")


class Cells:
    """Values of a table's cells as arrays [1 + DRAWS]: the measured value, then what chance might have made of it.

    A draw is ``value + error t``, with Student's t on the noise's degrees of freedom. A cell's
    draws depend on its name alone: they are the same wherever it is used, so what two expressions
    share (the baseline) cancels.

    Args:
        rows: of the table, which patterns are matched against.
        value: row and column -> the measured value and its noise.
    """

    def __init__(
        self, rows: Sequence[str], value: Callable[[str, str], tuple[float, Noise]]
    ) -> None:
        self.rows = rows
        self._value = value
        self._draws: dict[tuple[str, str], NDArray[Any]] = {}

    def values(self, reference: Reference) -> NDArray[Any]:
        """Array [members, 1 + DRAWS]: rows times columns, or columns where rows are averaged."""
        pairs = reference.pairs(self.rows)
        columns = reference.columns.items
        table = np.array(
            [[self._member(reference, pair, column) for column in columns] for pair in pairs]
        )
        if CELL_FUNCTIONS[reference.function][2]:
            averaged: NDArray[Any] = table.mean(axis=0)
            return averaged
        return table.reshape(len(pairs) * len(columns), -1)

    def _member(self, reference: Reference, pair: tuple[str, str], column: str) -> NDArray[Any]:
        row, base = pair
        value = self._draw(row, column)
        return value if reference.function == "cell" else value - self._draw(base, column)

    def _draw(self, row: str, column: str) -> NDArray[Any]:
        place = (row, column)
        if place not in self._draws:
            value, noise = self._value(row, column)
            generator = np.random.Generator(
                np.random.PCG64([SEED, crc32(f"{row}/{column}".encode())])
            )
            chance = (
                generator.standard_normal(DRAWS)
                if np.isinf(noise.df)
                else generator.standard_t(noise.df, DRAWS)
            )
            self._draws[place] = value + np.concatenate([[0.0], noise.error * chance])
        return self._draws[place]
