"""Entering values from the paper: whoever has its PDF fills the cells that no public source has.

Entered values go into ``entered.csv`` beside the YAML files of expected cells, which stay as they
were shipped; :func:`stilts_artifact.checking.expected.load_expected` lays them over. They are
checked when they are entered: a row whose cells and average are all there must be consistent, as
far as rounding allows.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, experiment_named
from stilts_artifact.checking.expected import (
    ENTERED,
    ENTERED_HEADER,
    Entry,
    ExpectedTable,
    is_printed_number,
    is_source,
    load_entered,
    load_shipped,
    require_decimals,
    value_text,
    with_entries,
)
from stilts_artifact.checking.sums import refresh_sums, sums_root
from stilts_artifact.documents import parse_csv, read_document
from stilts_artifact.domain.cells import CellKey, ExpectedCell
from stilts_artifact.domain.tasks import Task
from stilts_artifact.errors import ConfigError, unknown_name
from stilts_artifact.files import write_file
from stilts_artifact.metrics.tables import Column, table_columns

_COLUMNS = ("row", "column", "value")
_OPTIONAL = ("language", "source")


def parse_cell(text: str) -> CellKey:
    """A cell as the command line names it.

    Raises:
        ConfigError: not ``ROW,COLUMN`` or ``ROW,COLUMN,LANGUAGE``.

    Example:
        >>> parse_cell("mnli,xnli"), parse_cell("none,bucc2018,de").language
        (CellKey(row='mnli', column='xnli', language=None), 'de')
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3) or "" in parts:
        raise ConfigError(
            "not a cell", got=repr(text), expected="ROW,COLUMN or ROW,COLUMN,LANGUAGE"
        )
    return CellKey(*parts)


def read_entries(path: Path, source: str | None) -> list[Entry]:
    """Entries from a CSV file with row, column, value and, where wanted, language and source.

    Args:
        source: of the lines that name none.

    Raises:
        DataError: the file cannot be read or a line does not have its header's fields.
    """
    rows = parse_csv(read_document(path), str(path), _COLUMNS, optional=_OPTIONAL)
    return [
        Entry(
            CellKey(row.cells["row"], row.cells["column"], row.cells.get("language") or None),
            row.cells["value"].strip(),
            row.cells.get("source") or source or "",
            row.where,
        )
        for row in rows
    ]


def enter(
    path: Path, entries: Sequence[Entry], *, replace: bool = False, as_printed: bool = False
) -> list[CellKey]:
    """Fill cells of an expected table, all of them or none, and sum the entered values anew.

    Args:
        path: the table's YAML file, which is not touched: the values go beside it.
        replace: whether a cell that has a value may get another.
        as_printed: whether a row may contradict its printed average, as misprints do.

    Returns:
        The cells that have changed.

    Raises:
        ConfigError: a table that is recorded from runs; an unknown cell, a value that the cell
            cannot hold or that would silently replace another; an average that is not the mean of
            its cells.
        IntegrityError: either file was edited by other means.
    """
    shipped, beside = load_shipped(path), path.with_name(ENTERED)
    entered = load_entered(beside)
    own = entered.setdefault(shipped.experiment, {})
    table = with_entries(shipped, own)
    if table.benchmark != "xtreme":
        raise ConfigError(
            "recorded values are not entered", where=str(path), fix="stilts-artifact record"
        )
    changes = [entry for entry in _distinct(entries) if _check(entry, table, replace)]
    own |= {entry.key: _over(shipped, entry) for entry in changes}
    if not as_printed:
        _require_consistent(with_entries(shipped, own), changes, path)
    if changes:
        # Killed between the two writes, the values are refused until somebody sums them: better
        # than a value under a verdict that nobody has confirmed.
        write_file(beside, _csv(entered))
        root = sums_root(path)
        if root is not None:
            refresh_sums(root, [beside])
    return [entry.key for entry in changes]


def _over(shipped: ExpectedTable, entry: Entry) -> Entry:
    """An entry that says what it replaces: the shipped value, not one that was entered before."""
    return replace(entry, replaces=value_text(shipped.cells[entry.key]))


def _csv(entered: Mapping[str, Mapping[CellKey, Entry]]) -> bytes:
    """The file of entered values: experiments in their order, cells in the order of entry."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ENTERED_HEADER)
    for experiment in EXPERIMENTS:
        for key, entry in entered.get(experiment, {}).items():
            writer.writerow(
                (
                    experiment,
                    key.row,
                    key.column,
                    key.language or "",
                    entry.printed,
                    entry.replaces,
                    entry.source,
                )
            )
    return text.getvalue().encode()


def _require_consistent(table: ExpectedTable, changes: Sequence[Entry], path: Path) -> None:
    for fault in inconsistencies(table, {entry.key for entry in changes}):
        raise ConfigError(
            "an average that is not the mean of its cells",
            where=f"{path}: {fault.key}",
            got=f"{fault.printed:g} printed, {fault.mean:.4g} computed",
            expected=f"within {fault.slack:.3g}",
            fix="look again; --as-printed if the paper does print this",
        )


def _distinct(entries: Sequence[Entry]) -> Sequence[Entry]:
    counts = Counter(entry.key for entry in entries)
    for entry in entries:
        if counts[entry.key] > 1:
            raise ConfigError("cell given twice", where=f"{entry.where}: {entry.key}")
    return entries


def _check(entry: Entry, table: ExpectedTable, replace: bool) -> bool:
    """Whether the entry changes anything.

    Raises:
        ConfigError: it must not.
    """
    place = f"{entry.where}: {entry.key}"
    cell = _known_cell(entry.key, table)
    if not is_source(entry.source):
        raise ConfigError(
            "a value needs its source",
            where=place,
            got=repr(entry.source),
            fix="--source 'Table 2 of arXiv 2005.13013v2, page 5'",
        )
    if not is_printed_number(entry.printed):
        raise ConfigError(
            "not a printed number",
            where=place,
            got=repr(entry.printed),
            expected="digits, as in 71.5",
        )
    require_decimals(entry, cell)
    if not experiment_named(table.experiment).is_counted and float(entry.printed) > 100:
        raise ConfigError(
            "not a score", where=place, got=entry.printed, expected="points, 0 to 100"
        )
    # The same file may be entered twice: what stands there already is no change and no fault.
    if cell.value is not None and cell.value == float(entry.printed):
        return False
    if cell.value is not None and not replace:
        raise ConfigError(
            "the cell has another value",
            where=place,
            got=entry.printed,
            expected=f"{cell.value:g} ({cell.source})",
            fix="--replace if that is wrong",
        )
    return True


def _known_cell(key: CellKey, table: ExpectedTable) -> ExpectedCell:
    if key in table.cells:
        return table.cells[key]
    rows, columns = (
        dict.fromkeys(cell.row for cell in table.cells),
        dict.fromkeys(cell.column for cell in table.cells),
    )
    if key.row not in rows:
        raise unknown_name("row", key.row, rows)
    if key.column not in columns:
        raise unknown_name("column", key.column, columns)
    raise ConfigError("the table has no such cell", got=str(key))


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

    Averages over tasks; (F1 + EM) / 2; and a column's mean over its languages. Counts have no
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
    # The worst case, all rounded the same way: what lies beyond it is a misprint or a typing error.
    slack = whole.slack + fmean(part.slack for part in known)
    apart = abs(mean - whole.value)
    # 1e-9: a difference of exactly the slack is not one of binary fractions.
    return Inconsistency(key, whole.value, mean, slack) if apart > slack + 1e-9 else None


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
    if cell is None or cell.value is None:
        return None
    return Printed(cell.value, 0.5 * 10**-cell.decimals)
