"""The calibration on the console: every cell, each task's mean first."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from stilts_artifact.checking.judge import summary
from stilts_artifact.checking.results import CellRecord, Results
from stilts_artifact.reporting.comparison import Comparison, by_place, gaps, points, signed
from stilts_artifact.reporting.console import STYLES, comparison_table


def show_calibration(results: Results, console: Console) -> None:
    """Print measured beside reported, and why cells have no verdict."""
    lines = [
        _line(cell) for cells in by_place(results.cells).values() for cell in _mean_first(cells)
    ]
    title = (
        f"Calibration: retrieval with the untuned {results.rows[0].title}, points ({results.stamp})"
    )
    console.print(comparison_table(title, "task", lines), "", sep="\n")
    for gap in gaps(results):
        where = f"{gap.cells} cells" if gap.cells > 1 else gap.examples[0]
        console.print(
            Text(f"{gap.verdict} {where}: {gap.reason}", style=STYLES[gap.verdict]), soft_wrap=True
        )
    console.print(summary(cell.verdict for cell in results.cells))


def _mean_first(cells: list[CellRecord]) -> list[CellRecord]:
    return sorted(cells, key=lambda cell: cell.language or "")


def _line(cell: CellRecord) -> Comparison:
    known = cell.value is not None and cell.expected is not None
    return Comparison(
        row=cell.column,
        column=cell.language or "mean",
        measured=points(cell.value),
        reported=points(cell.expected),
        difference=signed(cell.value - cell.expected) if known else "-",  # type: ignore[operator]
        band="-" if cell.limit is None else f"{cell.limit:.2f}",
        counts=((cell.verdict, 1),),
        cells=1,
    )
