"""Tables 2 and 3 on the console, each part readable at 80 characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stilts_artifact.benchmark.experiments import NONE, Experiment
from stilts_artifact.checking.judge import summary
from stilts_artifact.checking.results import CellRecord, ClaimRecord, Results, RowRecord
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.reporting.comparison import Comparison, compare_scores, gaps, points, signed
from stilts_artifact.reporting.console import STYLES, comparison_table, new_table
from stilts_artifact.reporting.layout import (
    Column,
    Layout,
    arrange,
    describe_seeds,
    flagged,
    place,
    row_titles,
    split_name,
)

MARKS = {Verdict.NOT_REPRODUCED: "*"}
FLAG_MARK = "!"

_LINES = 40  # of a list, before the rest is only counted
_REASONS = 8


def show_score_table(results: Results, console: Console) -> None:
    """Print Table 2 or 3."""
    layout = arrange(results)
    for columns in _blocks(layout, results.defined):
        console.print(_table(layout, columns, _title(results, "scores"), _score), "", sep="\n")
        if layout.has_gains:
            console.print(
                _table(layout, columns, f"Gains over {_baseline(layout)}", _gain), "", sep="\n"
            )
    _show_legend(results, console)
    _show_comparison(results, console)
    _show_gaps(results, console)
    _show_claims(results.claims, console)
    console.print(summary(cell.verdict for cell in results.cells), soft_wrap=True)


def _title(results: Results, what: str) -> str:
    name, split = results.defined.title, split_name(results.defined)
    head = f"{name}, {split} {what} in points, {describe_seeds(results)}"
    return f"{head} ({results.stamp})"


def _blocks(layout: Layout, experiment: Experiment) -> list[tuple[Column, ...]]:
    """Columns that are printed side by side: several averages have a block of their own."""
    if len(experiment.averages) < 2:
        return [layout.with_role("score", "average")]
    return [block for block in (layout.with_role("score"), layout.with_role("average")) if block]


def _baseline(layout: Layout) -> str:
    return next(row.title for row in layout.rows if row.row == NONE)


def _table(
    layout: Layout,
    columns: Sequence[Column],
    title: str,
    show: Callable[[Layout, RowRecord, Column], Text],
) -> Table:
    table = new_table(title)
    table.padding = (0, 1, 0, 0)
    table.add_column("", overflow="fold", min_width=12)
    for column in columns:
        table.add_column(column.short, justify="right", no_wrap=True, min_width=5)
    for number, (group, rows) in enumerate(layout.groups):
        if len(layout.groups) > 1:
            if number:
                table.add_row()
            table.add_row(Text(group, style="italic"))
        for row in rows:
            table.add_row(row.title, *(show(layout, row, column) for column in columns))
    return table


def _score(layout: Layout, row: RowRecord, column: Column) -> Text:
    cell = layout.cell(row.row, column.name)
    if cell is None or cell.value is None:
        return Text("-", style="dim")
    style = STYLES[cell.verdict] if cell.verdict in MARKS else "bold" if row.row == NONE else ""
    return Text(
        points(cell.value) + MARKS.get(cell.verdict, "") + (FLAG_MARK if cell.flag else ""),
        style=style,
    )


def _gain(layout: Layout, row: RowRecord, column: Column) -> Text:
    if row.row == NONE:
        return Text(points(layout.value(row.row, column.name)), style="bold")
    gain = layout.gain(row.row, column.name)
    if gain is None:
        return Text("-", style="dim")
    return Text(signed(gain), style="green" if gain >= 0.5 else "red" if gain <= -0.5 else "")


def _show_legend(results: Results, console: Console) -> None:
    cells = [cell for cell in results.cells if cell.language is None]
    if any(cell.verdict in MARKS for cell in cells):
        console.print("* not reproduced: outside the tolerance of the reported value", style="dim")
    titles = row_titles(results)
    for cell in flagged(cells):
        console.print(
            Text(f"{FLAG_MARK} {cell.flag} {place(cell, titles)}: {_flag_meaning(cell)}"),
            soft_wrap=True,
        )


def _flag_meaning(cell: CellRecord) -> str:
    seeds = " (seeds " + " ".join(points(value) for value in cell.seeds) + ")" if cell.seeds else ""
    return f"a run behind this number collapsed; it is reported, not dropped{seeds}"


def _show_comparison(results: Results, console: Console) -> None:
    lines = compare_scores(results)
    if not lines:
        console.print(
            "\nNothing is reported for these cells: there is no value to compare them with."
        )
        return
    shown = (
        lines if len(lines) <= _LINES else [line for line in lines if not _passed(line)][:_LINES]
    )
    console.print()
    if shown:
        console.print(comparison_table(f"Measured and reported ({results.stamp})", "row", shown))
    if len(shown) < len(lines):
        passed = sum(map(_passed, lines))
        console.print(
            f"{len(lines)} cells compared, {passed} REPRODUCED; `stilts-artifact report` shows every one"
        )


def _passed(line: Comparison) -> bool:
    return line.counts[0][0] is Verdict.REPRODUCED


def _show_gaps(results: Results, console: Console) -> None:
    found = gaps(results)
    if not found:
        return
    console.print("\nNot decided, and why", style="bold")
    for gap in found[:_REASONS]:
        count = "1 cell" if gap.cells == 1 else f"{gap.cells} cells"
        line = f"{gap.verdict} {count} (such as {gap.examples[0]}): {gap.reason}"
        console.print(Text(line, style=STYLES[gap.verdict]), soft_wrap=True)
    if len(found) > _REASONS:
        console.print(f"and {len(found) - _REASONS} more reasons")


def _show_claims(claims: Sequence[ClaimRecord], console: Console) -> None:
    if not claims:
        return
    console.print("\nClaims", style="bold")
    for claim in claims:
        line = Text.assemble((f"{claim.verdict:<15}", STYLES[claim.verdict]), claim.title)
        console.print(line, soft_wrap=True)
        numbers = ", ".join(f"{name} {value:g}" for name, value in claim.numbers.items())
        detail = f"{numbers}; {claim.reason}" if numbers else claim.reason
        console.print(Text(" " * 15 + detail, style="dim"), soft_wrap=True)
    console.print()
