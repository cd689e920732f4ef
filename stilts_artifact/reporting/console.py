"""Tables on the console."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stilts_artifact.checking.judge import summary
from stilts_artifact.checking.results import CellRecord, Results
from stilts_artifact.domain.cells import Verdict

if TYPE_CHECKING:
    from stilts_artifact.scoring import Scores

# A pipe has no width; the tables need this much to keep each row on one line.
PIPE_WIDTH = 132

STYLES = {
    Verdict.REPRODUCED: "green",
    Verdict.NOT_REPRODUCED: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_RUN: "yellow",
    Verdict.NOT_CHECKABLE: "dim",
}


def make_console(file: IO[str] | None = None) -> Console:
    """A console on ``file`` (standard output): colour on a terminal only, wide enough when piped."""
    stream = file if file is not None else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, markup=False, highlight=False)


def show_table1(results: Results, console: Console) -> None:
    """Print Table 1 in the paper's layout, then measured beside reported, then why cells have no verdict."""
    console.print(_sizes(results), "", _comparison(results), "", sep="\n")
    for verdict, line in _explanations(results):
        console.print(Text(line, style=STYLES[verdict]), soft_wrap=True)
    console.print(summary(cell.verdict for cell in results.cells))


def show_scores(scores: Scores, console: Console) -> None:
    """Print every task and language, the averages, the groups and the overall score, each with its error."""
    table = Table(title="Scores (points)", title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in ("task", "language", "metric"):
        table.add_column(name, no_wrap=True)
    for name in ("score", "std. error", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    task = None
    for row in scores.rows():
        if row.task != task:
            task = row.task
            table.add_section()
        found = row.estimate
        interval = f"{found.low:.2f} - {found.high:.2f}"
        style = "bold" if row.language is None else None
        table.add_row(
            row.task,
            row.language or "average",
            row.metric,
            f"{found.value:.2f}",
            f"{found.standard_error:.2f}",
            interval,
            style=style,
        )
    console.print(table)


def _explanations(results: Results) -> Iterator[tuple[Verdict, str]]:
    """One line for each row and column with cells that differ or were not run: the first reason and their number.

    A count of languages that was not run has the reasons of its splits, which have lines of their own.
    """
    titles = {row.row: row.title for row in results.rows}
    for (row, column), cells in _by_place(results.cells).items():
        for verdict in (Verdict.NOT_REPRODUCED, Verdict.NOT_RUN):
            found = [cell for cell in cells if cell.verdict is verdict]
            if found and (found[0].language or verdict is not Verdict.NOT_RUN):
                place = f"{titles.get(row, row)} {column}" + (f" {found[0].language}" if found[0].language else "")
                more = f" (and {len(found) - 1} more languages)" if len(found) > 1 else ""
                yield verdict, f"{verdict} {place}{more}: {found[0].reason}"


def _sizes(results: Results) -> Table:
    table = _new_table(f"Table 1, measured ({results.stamp})")
    for name, justify in (("Task", "left"), ("train", "right"), ("dev", "right"), ("test", "right"),
                          ("languages", "right"), ("kind", "left"), ("licence", "left")):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    cells = _by_place(results.cells)
    group = ""
    for row in results.rows:
        if row.group != group:
            group = row.group
            table.add_section()
        numbers = [_span([cell.value for cell in cells[row.row, column]])
                   for column in ("train", "dev", "test", "languages")]  # fmt: skip
        table.add_row(row.title, *numbers, row.details["kind"], row.details["licence"])
    return table


def _comparison(results: Results) -> Table:
    table = _new_table(f"Measured and reported ({results.stamp})")
    for name in ("Task", "column"):
        table.add_column(name, no_wrap=True)
    for name in ("measured", "reported", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    titles = {row.row: row.title for row in results.rows}
    for (row, column), cells in _by_place(results.cells).items():
        measured, reported = [cell.value for cell in cells], [cell.reported for cell in cells]
        table.add_row(
            titles.get(row, row), column, _span(measured), _span(reported), _difference(cells), _verdicts(cells)
        )
    return table


def _new_table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)


def _by_place(cells: Sequence[CellRecord]) -> dict[tuple[str, str], list[CellRecord]]:
    places: defaultdict[tuple[str, str], list[CellRecord]] = defaultdict(list)
    for cell in cells:
        places[cell.row, cell.column].append(cell)
    return places


def _span(values: Sequence[float | None]) -> str:
    """Range over the languages of a cell.

    Example:
        >>> _span([1000, 205, None]), _span([5010, 5010]), _span([None]), _span([])
        ('205-1,000 (2 of 3)', '5,010', 'unknown', '-')
    """
    known = [value for value in values if value is not None]
    if not values:
        return "-"
    if not known:
        return "unknown"
    low, high = min(known), max(known)
    text = f"{low:,}" if low == high else f"{low:,}-{high:,}"
    return text if len(known) == len(values) else f"{text} ({len(known)} of {len(values)})"


def _difference(cells: Sequence[CellRecord]) -> str:
    differences = [cell.value - cell.reported for cell in cells
                   if cell.value is not None and cell.reported is not None]  # fmt: skip
    if not differences:
        return "-"
    largest = max(differences, key=abs)
    return f"{largest:+,}" if largest else "0"


def _verdicts(cells: Sequence[CellRecord]) -> Text:
    text = Text()
    for verdict in Verdict:
        named = [cell for cell in cells if cell.verdict is verdict]
        if named:
            count = f" {len(named)} of {len(cells)}" if len(named) < len(cells) else ""
            text.append(f"{', ' if text else ''}{verdict}{count}", style=STYLES[verdict])
    return text
