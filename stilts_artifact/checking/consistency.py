"""Whether printed averages are the means of the printed cells that they average, as far as rounding allows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import experiment_named
from stilts_artifact.checking.expected import ExpectedTable
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.tasks import Task
from stilts_artifact.metrics.tables import Column, table_columns


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed number and how far the unrounded one may lie from it."""

    value: float
    slack: float


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """A printed average that its cells do not give.

    Args:
        mean: of the cells as printed.
        slack: how far rounding lets the two lie apart.
    """

    key: CellKey
    printed: float
    mean: float
    slack: float


def inconsistencies(table: ExpectedTable, changed: Collection[CellKey]) -> list[Inconsistency]:
    """Averages with all their cells that do not agree with them, in the rows of the changed cells.

    Averages over tasks; (F1 + EM) / 2; and a column's mean over its languages. Table 1 has no
    averages.
    """
    experiment = experiment_named(table.experiment)
    if not experiment.averages:
        return []
    columns = table_columns(
        load_benchmark("mini" if table.benchmark == "mini" else "xtreme"), experiment
    )
    rows = dict.fromkeys(key.row for key in changed)
    found = [
        _compare(table, CellKey(row, column.name), parts)
        for row in rows
        for column in columns
        for parts in _parts(table, row, column)
    ]
    return [fault for fault in found if fault is not None]


def _parts(table: ExpectedTable, row: str, column: Column) -> Iterator[list[Printed | None]]:
    """The ways in which a column is a mean of others."""
    if column.is_average:
        yield [_score(table, row, task) for task in column.tasks]
        return
    yield [
        _cell(table, CellKey(row, column.name, language))
        for language in column.languages(experiment_named(table.experiment))
    ]
    if column.metric == "score":
        yield _halves(table, row, column.name)


def _compare(
    table: ExpectedTable, key: CellKey, parts: Sequence[Printed | None]
) -> Inconsistency | None:
    whole = _cell(table, key)
    known = [part for part in parts if part is not None]
    if whole is None or not parts or len(known) < len(parts):
        return None
    mean = fmean(part.value for part in known)
    slack = whole.slack + fmean(part.slack for part in known)
    return (
        Inconsistency(key, whole.value, mean, slack)
        if abs(mean - whole.value) > slack + 1e-9
        else None
    )


def _score(table: ExpectedTable, row: str, task: Task) -> Printed | None:
    """A task's one number: as printed, or from its F1 and EM."""
    printed = _cell(table, CellKey(row, task.name))
    first, second = _halves(table, row, task.name)
    if printed is not None or first is None or second is None:
        return printed
    return Printed((first.value + second.value) / 2, (first.slack + second.slack) / 2)


def _halves(table: ExpectedTable, row: str, task: str) -> list[Printed | None]:
    return [_cell(table, CellKey(row, f"{task}_{part}")) for part in ("f1", "em")]


def _cell(table: ExpectedTable, key: CellKey) -> Printed | None:
    cell = table.cells.get(key)
    return (
        None
        if cell is None or cell.value is None
        else Printed(cell.value, 0.5 * 10**-cell.decimals)
    )
