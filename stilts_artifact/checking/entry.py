"""Entering values from the paper: whoever has its PDF fills the cells that no public source has.

The YAML file is edited line by line, so that comments and layout stay; then it is read again and
must differ in the entered cells alone. A row whose cells and average are all there must be
consistent.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts_artifact.benchmark.experiments import experiment_named
from stilts_artifact.checking.consistency import inconsistencies
from stilts_artifact.checking.expected import ExpectedTable, load_expected
from stilts_artifact.checking.sums import read_protected, refresh_sums, sums_root
from stilts_artifact.documents import parse_yaml, read_document
from stilts_artifact.domain.cells import CellKey, Reported
from stilts_artifact.errors import ConfigError, DataError, unknown_name
from stilts_artifact.files import write_file

_PRINTED = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,4})?")
_CELL_LINE = re.compile(r"\s*-\s+(?P<flow>\{.*\})\s*(?:#.*)?")
_VALUE = re.compile(r"(?P<key>\bvalue: *)[^,}\s]+")
_ORIGIN = re.compile(r"\b(?:reason|source): *[^,}\s]+")
_SOURCES = re.compile(r"sources:\s*(?P<inline>\{.*)?")
_HEADER = ["row", "column", "language", "value", "source"]
_LONGEST_SOURCE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One printed value.

    Args:
        printed: digits as the paper prints them; ``71.50`` is not ``71.5``.
        source: where it is printed.
        where: what a message calls the entry.
    """

    key: CellKey
    printed: str
    source: str
    where: str

    @property
    def decimals(self) -> int:
        """Digits after the point."""
        return len(self.printed.partition(".")[2])


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
    """Entries from a CSV file with the columns row, column, value and, where wanted, language and source.

    Args:
        source: of the lines that name none.

    Raises:
        DataError: the file cannot be read or a line does not have its header's fields.
    """
    try:
        text = read_document(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("bytes that are not UTF-8", where=str(path), got=str(error)) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    header = list(reader.fieldnames or [])
    if (
        {"row", "column", "value"} - set(header)
        or set(header) - set(_HEADER)
        or len(set(header)) < len(header)
    ):
        raise DataError(
            "not a table of entries",
            where=f"{path}:1",
            got=",".join(header),
            expected=",".join(_HEADER),
        )
    entries = []
    try:
        for line in reader:
            where = f"{path}:{reader.line_num}"
            if None in line or None in line.values():
                raise DataError(
                    "line of another length", where=where, expected=f"{len(header)} fields"
                )
            key = CellKey(line["row"], line["column"], line.get("language") or None)
            entries.append(
                Entry(key, line["value"].strip(), line.get("source") or source or "", where)
            )
    except csv.Error as error:
        raise DataError(
            "not CSV", where=f"{path}:{reader.reader.line_num}", got=str(error)
        ) from error
    return entries


def enter(
    path: Path, entries: Sequence[Entry], *, replace: bool = False, as_printed: bool = False
) -> list[CellKey]:
    """Fill cells of an expected table, all of them or none, and sum the file anew.

    Args:
        replace: whether a cell that has a value may get another.
        as_printed: whether a row may contradict its printed average, as misprints do.

    Returns:
        The cells that have changed.

    Raises:
        ConfigError: a table that is recorded from runs; an unknown cell, a value that the cell
            cannot hold or that would silently replace another; an average that is not the mean of
            its cells.
        IntegrityError: the file was edited by other means.
    """
    data = read_protected(path)
    before = load_expected(path)
    if before.benchmark != "xtreme":
        raise ConfigError(
            "recorded values are not entered", where=str(path), fix="stilts-artifact record"
        )
    changes = [entry for entry in _distinct(entries) if _check(entry, before, replace)]
    edited = _edit(data.decode(), changes, str(path))
    after = _reparse(edited, path.name)
    _require_exactly(changes, before, after, path)
    if not as_printed:
        _require_consistent(after, changes, path)
    if changes:
        write_file(path, edited.encode())
        root = sums_root(path)
        if root is not None:
            refresh_sums(root, [path])
    return [entry.key for entry in changes]


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
    if not 1 <= len(entry.source.strip()) <= _LONGEST_SOURCE or not entry.source.isprintable():
        raise ConfigError(
            "a value needs its source",
            where=place,
            got=repr(entry.source),
            fix="--source 'Table 2 of arXiv 2005.13013v2, page 5'",
        )
    if not _PRINTED.fullmatch(entry.printed):
        raise ConfigError(
            "not a printed number",
            where=place,
            got=repr(entry.printed),
            expected="digits, as in 71.5",
        )
    if entry.decimals != cell.decimals:
        raise ConfigError(
            "another number of decimals than the table has",
            where=place,
            got=entry.printed,
            expected=f"{cell.decimals} after the point",
        )
    if not experiment_named(table.experiment).is_counted and float(entry.printed) > 100:
        raise ConfigError(
            "not a score", where=place, got=entry.printed, expected="points, 0 to 100"
        )
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


def _known_cell(key: CellKey, table: ExpectedTable) -> Reported:
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


def _edit(text: str, changes: Sequence[Entry], where: str) -> str:
    """The text with the lines of the changed cells, and of the sources that they need, rewritten."""
    document = parse_yaml(text.encode(), where)
    names = _source_names(document["sources"], changes)
    due = {entry.key: entry for entry in changes}
    lines = text.split("\n")
    for number, cell in _cell_lines(lines):
        entry = due.pop(_key_of(cell), None)
        if entry is not None:
            edited = _VALUE.sub(rf"\g<key>{entry.printed}", lines[number], count=1)
            lines[number] = _ORIGIN.sub(f"source: {names[entry.source]}", edited, count=1)
    if due:
        raise ConfigError(
            "cell that is not on one line of its own", where=f"{where}: {next(iter(due))}"
        )
    fresh = {name: source for source, name in names.items() if name not in document["sources"]}
    return "\n".join(_with_sources(lines, fresh, where)) if fresh else "\n".join(lines)


def _source_names(known: Mapping[str, str], changes: Sequence[Entry]) -> dict[str, str]:
    """Source in words -> its name in the file, new ones numbered on."""
    names = {text: name for name, text in known.items()}
    for entry in changes:
        if entry.source not in names:
            number = next(
                n for n in range(1, len(names) + 2) if f"entered-{n}" not in names.values()
            )
            names[entry.source] = f"entered-{number}"
    return names


def _cell_lines(lines: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines):
        match = _CELL_LINE.fullmatch(line)
        if match is not None:
            cell = parse_yaml(match["flow"].encode(), f"line {number + 1}")
            if {"row", "column", "value"} <= cell.keys():
                yield number, cell


def _key_of(cell: Mapping[str, Any]) -> CellKey:
    return CellKey(str(cell["row"]), str(cell["column"]), cell.get("language"))


def _with_sources(lines: Sequence[str], fresh: Mapping[str, str], where: str) -> Iterator[str]:
    """The lines with further sources, in the style that the section has."""
    found = False
    for line in lines:
        match = None if found else _SOURCES.fullmatch(line)
        if match is None:
            yield line
            continue
        found = True
        written = [
            f"{name}: {json.dumps(text, ensure_ascii=False)}" for name, text in fresh.items()
        ]
        inline = (match["inline"] or "{}").strip()
        if inline != "{}":
            yield f"sources: {{{', '.join(written)}, {inline[1:]}"
        else:
            yield from ("sources:", *(f"  {item}" for item in written))
    if not found:
        raise ConfigError("no line that begins the sources", where=where)


def _reparse(text: str, name: str) -> ExpectedTable:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        copy.write_text(text, encoding="utf-8", newline="\n")
        return load_expected(copy)


def _require_exactly(
    changes: Sequence[Entry], before: ExpectedTable, after: ExpectedTable, path: Path
) -> None:
    """The edit must have done what was asked, and nothing else: it works on text, and text can surprise."""
    due = {entry.key: (float(entry.printed), entry.source) for entry in changes}
    for key, cell in before.cells.items():
        now = after.cells.get(key)
        wanted = due.get(key)
        same = (
            now == cell if wanted is None else now is not None and (now.value, now.source) == wanted
        )
        if not same or after.cells.keys() != before.cells.keys():
            raise ConfigError(
                "the file cannot be edited safely", where=f"{path}: {key}", fix="edit it by hand"
            )
