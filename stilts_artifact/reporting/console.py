"""Tables on the console."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stilts_artifact.checking.judge import summary
from stilts_artifact.checking.results import Results
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.reporting.comparison import (
    Comparison,
    compare_sizes,
    explanations,
    row_sizes,
    share,
)

if TYPE_CHECKING:
    from stilts_artifact.metrics.score import Scores

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
    return Console(
        file=stream, width=None if stream.isatty() else PIPE_WIDTH, markup=False, highlight=False
    )


def show_table(results: Results, console: Console) -> None:
    """Print a table in the paper's layout, then measured beside reported, what was not checked, and the claims."""
    if results.defined.is_counted:
        show_table1(results, console)
    elif not results.defined.averages:
        from stilts_artifact.reporting.console_calibration import show_calibration

        show_calibration(results, console)
    else:
        from stilts_artifact.reporting.console_scores import show_score_table

        show_score_table(results, console)


def show_table1(results: Results, console: Console) -> None:
    """Print Table 1 in the paper's layout, then measured beside reported, then why cells have no verdict."""
    comparison = comparison_table(
        f"Measured and reported ({results.stamp})", "Task", compare_sizes(results)
    )
    console.print(_sizes(results), "", comparison, "", sep="\n")
    for verdict, line in explanations(results):
        console.print(Text(line, style=STYLES[verdict]), soft_wrap=True)
    console.print(summary(cell.verdict for cell in results.cells))


def show_scores(scores: Scores, console: Console) -> None:
    """Print every task and language, the averages, the groups and the overall score, each with its error."""
    table = new_table("Scores (points)")
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


def new_table(title: str) -> Table:
    """An empty table in this package's style."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=None,
        pad_edge=False,
    )


def comparison_table(title: str, row: str, lines: list[Comparison]) -> Table:
    """Measured beside reported; ``row`` is what its first column is called."""
    table = new_table(title)
    for name in (row, "column"):
        table.add_column(name, no_wrap=True)
    bands = any(line.band not in ("0", "0.0", "-") for line in lines)
    for name in ("measured", "reported", "difference", *(["band"] if bands else [])):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for line in lines:
        band = [line.band] if bands else []
        table.add_row(
            line.row,
            line.column,
            line.measured,
            line.reported,
            line.difference,
            *band,
            _verdict_text(line),
        )
    return table


def _verdict_text(line: Comparison) -> Text:
    parts = [
        Text(share(verdict, count, line.cells), style=STYLES[verdict])
        for verdict, count in line.counts
    ]
    return Text(", ").join(parts)


def _sizes(results: Results) -> Table:
    table = new_table(f"Table 1, measured ({results.stamp})")
    for name, justify in (
        ("Task", "left"),
        ("train", "right"),
        ("dev", "right"),
        ("test", "right"),
        ("languages", "right"),
        ("kind", "left"),
        ("licence", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    group = ""
    for row, sizes in row_sizes(results):
        if row.group != group:
            group = row.group
            table.add_section()
        table.add_row(row.title, *sizes, row.details["kind"], row.details["licence"])
    return table
