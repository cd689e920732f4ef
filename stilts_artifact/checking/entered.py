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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, experiment_named, headings
from stilts_artifact.benchmark.titles import Called, column_title, find_name
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
from stilts_artifact.documents import CsvRow, parse_csv, read_document
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.tasks import Task
from stilts_artifact.errors import ConfigError
from stilts_artifact.files import write_file
from stilts_artifact.metrics.tables import Column, table_columns

_COLUMNS = ("row", "column", "value")
_OPTIONAL = ("language", "source", "cell")
_TEMPLATE = ("row", "column", "language", "value", "source", "cell")
_NAMED = 12  # faults that a message spells out

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class TableNames:
    """What people call the rows, columns and languages of an expected table, by name."""

    rows: Called
    columns: Called
    languages: Called

    @classmethod
    def of(cls, table: ExpectedTable) -> TableNames:
        """Those of the table's cells."""
        benchmark = load_benchmark("mini" if table.benchmark == "mini" else "xtreme")
        titles = headings(experiment_named(table.experiment), benchmark)
        languages = benchmark.languages.items()
        rows = dict.fromkeys(key.row for key in table.cells)
        return cls(
            {row: (titles[row].title if row in titles else row,) for row in rows},
            {key.column: column_title(key.column, benchmark).words for key in table.cells},
            {code: (language.name,) for code, language in languages},
        )

    def key(self, row: str, column: str, language: str | None, where: str) -> CellKey:
        """The cell that is meant by what somebody typed.

        Raises:
            ConfigError: a name that nothing has, or several have.
        """
        return CellKey(
            find_name("row", row, self.rows, where),
            find_name("column", column, self.columns, where),
            find_name("language", language, self.languages, where) if language else None,
        )

    def printed(self, key: CellKey) -> tuple[str, str]:
        """Row and column of a cell as the paper prints them."""
        row, *_ = self.rows[key.row]
        column, *_ = self.columns[key.column]
        return row, column


def parse_cell(text: str, table: ExpectedTable) -> CellKey:
    """A cell as the command line names it: by titles, short headings or names.

    Raises:
        ConfigError: not ``ROW,COLUMN`` or ``ROW,COLUMN,LANGUAGE``, or not of the table.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3) or "" in parts:
        raise ConfigError(
            "not a cell", got=repr(text), expected="ROW,COLUMN or ROW,COLUMN,LANGUAGE"
        )
    row, column, *rest = parts
    return TableNames.of(table).key(row, column, rest[0] if rest else None, "--cell")


def template(table: ExpectedTable) -> str:
    """CSV with a line for each cell that has no value, for a person to fill in.

    Row and column as the paper prints them; value and source empty; last the cell as this program
    calls it, by which :func:`read_entries` notices lines that were mixed up.

    Raises:
        ConfigError: the table is recorded from runs.
    """
    _require_the_papers(table, experiment_named(table.experiment).title)
    names = TableNames.of(table)
    return _csv(
        _TEMPLATE,
        (
            (*names.printed(key), key.language or "", "", "", str(key))
            for key, cell in table.cells.items()
            if cell.value is None
        ),
    )


def count_filled(table: ExpectedTable) -> str:
    """How far a table is filled.

    Example:
        >>> from stilts_artifact.checking.expected import expected_path, load_shipped
        >>> count_filled(load_shipped(expected_path("paper", "table2")))
        '2 of 352 cells of Table 2 have a value'
    """
    filled = sum(cell.value is not None for cell in table.cells.values())
    title = experiment_named(table.experiment).title
    return f"{filled} of {len(table.cells)} cells of {title} have a value"


def read_entries(path: Path, source: str | None, table: ExpectedTable) -> list[Entry]:
    """Entries from a CSV file such as :func:`template` makes; lines without a value are left out.

    Row, column and value; where wanted language, source and the cell's name, in any order. Zeros at
    a number's end that the table prints are put back: a spreadsheet writes 80.0 as 80.

    Args:
        source: of the lines that name none.

    Raises:
        DataError: the file cannot be read or a line does not have its header's fields.
        ConfigError: no line has a value; or lines that name no cell, or two.
    """
    names = TableNames.of(table)
    lines = parse_csv(read_document(path), str(path), _COLUMNS, optional=_OPTIONAL)
    filled = [line for line in lines if line.cells["value"].strip()]
    if not filled:
        raise ConfigError("no line has a value", where=str(path), fix="fill in its column 'value'")
    return _every(lambda line: _entry(line, source, names, table), filled)


def _entry(line: CsvRow, source: str | None, names: TableNames, table: ExpectedTable) -> Entry:
    found = {name: text.strip() for name, text in line.cells.items()}
    key = names.key(found["row"], found["column"], found.get("language"), line.where)
    if found.get("cell", str(key)) != str(key):
        raise ConfigError(
            "a line that names two cells",
            where=line.where,
            got=f"{str(key)!r} by row and column",
            expected=repr(found["cell"]),
            fix="sort whole lines; or leave the column 'cell' out",
        )
    decimals = table.cells[key].decimals if key in table.cells else 0
    printed = _with_zeros(found["value"], decimals)
    return Entry(key, printed, found.get("source") or source or "", line.where)


def _with_zeros(number: str, decimals: int) -> str:
    """A number with as many decimals at least.

    Example:
        >>> _with_zeros("80", 1), _with_zeros("80.12", 1), _with_zeros("392702", 0)
        ('80.0', '80.12', '392702')
    """
    if not decimals or not is_printed_number(number):
        return number
    whole, _, digits = number.partition(".")
    return f"{whole}.{digits:0<{decimals}}"


def _every(make: Callable[[_Item], _Made], items: Sequence[_Item]) -> list[_Made]:
    """What is made of each item; whatever is wrong with any of them, in one error.

    Raises:
        ConfigError: one or more of them are wrong.
    """
    made, faults = [], []
    for item in items:
        try:
            made.append(make(item))
        except ConfigError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        said = [f"{fault.where}: {fault.what}, got {fault.got}" for fault in faults[:_NAMED]]
        more, fixes = len(faults) - len(said), {fault.fix for fault in faults}
        raise ConfigError(
            f"{len(faults)} faults; nothing was entered",
            got="\n".join(said) + (f"\nand {more} more" if more else ""),
            fix=fixes.pop() if len(fixes) == 1 else None,
        )
    return made


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
    _require_the_papers(table, str(path))
    counts = Counter(entry.key for entry in entries)
    changed = _every(lambda entry: _is_change(entry, table, replace, counts[entry.key]), entries)
    changes = [entry for entry, differs in zip(entries, changed, strict=True) if differs]
    own |= {entry.key: _over(shipped, entry) for entry in changes}
    if not as_printed:
        _require_consistent(with_entries(shipped, own), changes, path)
    if changes:
        # Killed between the two writes, the values are refused until somebody sums them: better
        # than a value under a verdict that nobody has confirmed.
        write_file(beside, _overlay(entered).encode())
        root = sums_root(path)
        if root is not None:
            refresh_sums(root, [beside])
    return [entry.key for entry in changes]


def _over(shipped: ExpectedTable, entry: Entry) -> Entry:
    """An entry that says what it replaces: the shipped value, not one that was entered before."""
    return replace(entry, replaces=value_text(shipped.cells[entry.key]))


def _require_the_papers(table: ExpectedTable, where: str) -> None:
    if table.benchmark != "xtreme":
        raise ConfigError(
            "recorded values are not entered", where=where, fix="stilts-artifact record"
        )


def _overlay(entered: Mapping[str, Mapping[CellKey, Entry]]) -> str:
    """The file of entered values: experiments in their order, cells in the order of entry."""
    return _csv(
        ENTERED_HEADER,
        (
            (
                experiment,
                key.row,
                key.column,
                key.language or "",
                entry.printed,
                entry.replaces,
                entry.source,
            )
            for experiment in EXPERIMENTS
            for key, entry in entered.get(experiment, {}).items()
        ),
    )


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _require_consistent(table: ExpectedTable, changes: Sequence[Entry], path: Path) -> None:
    places = {entry.key: entry.where for entry in changes}

    def refuse(fault: Inconsistency) -> None:
        raise ConfigError(
            "an average that is not the mean of its cells",
            where=f"{places.get(fault.key, path)}: {fault.key}",
            got=f"{fault.printed:g} printed, {fault.mean:.4g} computed",
            expected=f"within {fault.slack:.3g}",
            fix="look again; --as-printed if the paper does print this",
        )

    _every(refuse, inconsistencies(table, places))


def _is_change(entry: Entry, table: ExpectedTable, replace: bool, times: int) -> bool:
    """Whether the entry changes anything.

    Args:
        times: that its cell is given.

    Raises:
        ConfigError: it must not.
    """
    place = f"{entry.where}: {entry.key}"
    if times > 1:
        raise ConfigError("cell given twice", where=place, got=entry.printed)
    if entry.key not in table.cells:
        raise ConfigError("the table has no such cell", where=place, got=str(entry.key))
    cell = table.cells[entry.key]
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
