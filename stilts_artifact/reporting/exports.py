"""A run's table for others' programs: every cell as CSV, the table as printed in LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.checking.learning_curves import CURVES, dump_curves
from stilts_artifact.checking.usage import usage_csv
from stilts_artifact.reporting.comparison import SIZES, points, row_sizes, signed
from stilts_artifact.reporting.layout import (
    GROUP_TITLES,
    Column,
    Layout,
    arrange,
    describe_seeds,
)
from stilts_artifact.reporting.runs import Run

USAGE = "usage.csv"
CSV_HEADER = (
    "row",
    "row_title",
    "column",
    "column_title",
    "language",
    "value",
    "seeds",
    "standard_error",
    "low",
    "high",
    "gain",
    "gain_low",
    "gain_high",
    "expected",
    "limit",
    "verdict",
    "flag",
    "stamp",
)
"""One line a cell. ``low`` to ``high`` is a 95 % interval, as the standard error over test examples
by the bootstrap; ``seeds`` are values with spaces between; an empty field is what is not known."""

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # after the end of a line it would be the space to leave there
    "*": "{*}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def export(runs: Sequence[Run]) -> dict[str, bytes]:
    """File name -> content.

    Two files for each run, and one of what it took and one of its learning curves if known.
    """
    files = {
        f"{run.results.run_name}.{suffix}": make(run)
        for run in runs
        for suffix, make in (("csv", cells_csv), ("tex", table_latex))
    }
    files |= {f"{run.results.run_name}.{USAGE}": usage_csv(run.usage) for run in runs if run.usage}
    files |= {f"{run.results.run_name}.{CURVES}": curves_csv(run) for run in runs if run.curves}
    return {name: text.encode() for name, text in files.items()}


def curves_csv(run: Run) -> str:
    """Every point of a run's learning curves, as its folder has them, with titles and stamp."""
    titles, stamp = run.results.titles, run.results.stamp
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    lines = csv.reader(io.StringIO(dump_curves(run.curves).decode()))
    writer.writerow([*next(lines), "row_title", "target_title", "stamp"])
    for line in lines:
        _, row, _, target, *_ = line
        writer.writerow([*line, titles.rows.get(row, row), titles.columns.get(target, ""), stamp])
    return stream.getvalue()


def cells_csv(run: Run) -> str:
    """Every cell of a run, see :data:`CSV_HEADER`."""
    results, titles = run.results, run.results.titles
    layout = None if results.defined.is_counted else arrange(results)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for cell in results.cells:
        own, gained = run.intervals.scores.get(cell.key), run.intervals.gains.get(cell.key)
        gain = layout.gain(cell.row, cell.column, cell.language) if layout else None
        paired = gained if gain is not None else None
        writer.writerow(
            [
                cell.row,
                titles.rows.get(cell.row, cell.row),
                cell.column,
                titles.columns[cell.column],
                cell.language or "",
                _number(cell.value),
                " ".join(map(_number, cell.seeds or ())),
                *map(_number, (own.standard_error, own.low, own.high) if own else (None,) * 3),
                _number(gain),
                *map(_number, (paired.low, paired.high) if paired else (None, None)),
                _number(cell.expected),
                _number(cell.limit),
                cell.verdict,
                cell.flag or "",
                results.stamp,
            ]
        )
    return stream.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def table_latex(run: Run) -> str:
    """The table as printed, for ``\\input`` beside ``\\usepackage{booktabs}``: scores, then gains.

    What the scale means stands in the table itself: a copy of it must not lose that.
    """
    results = run.results
    parts = [
        f"% {results.title} ({results.scale}), by stilts-artifact; needs \\usepackage{{booktabs}}"
    ]
    if results.defined.is_counted:
        rows = [(row.title, *sizes) for row, sizes in row_sizes(results)]
        parts.append(_tabular(("Task", *SIZES), [("", rows)], results.stamp))
    else:
        layout, seeds = arrange(results), describe_seeds(results)
        parts.append(_score_table(layout, f"Points, {seeds}. {results.stamp}", gains=False))
        if layout.has_gains:
            note = f"Points over {layout.baseline.title}, {seeds}. {results.stamp}"
            parts.append(_score_table(layout, note, gains=True))
    return "\n\n".join(parts) + "\n"


def _score_table(layout: Layout, note: str, *, gains: bool) -> str:
    columns = layout.with_role("score", "average")
    groups = [
        (GROUP_TITLES.get(group, group), lines)
        for group, rows in layout.measured
        if (
            lines := [
                (row.title, *(_text(layout, row.row, column, gains) for column in columns))
                for row in rows
                if not (gains and row.row == NONE)
            ]
        )
    ]
    return _tabular(("", *(column.title for column in columns)), groups, note)


def _text(layout: Layout, row: str, column: Column, gains: bool) -> str:
    name = column.name
    return signed(layout.gain(row, name)) if gains else points(layout.value(row, name))


def _tabular(
    headings: Sequence[str], groups: Iterable[tuple[str, Sequence[Sequence[str]]]], note: str
) -> str:
    """A booktabs table: a rule between blocks, a title above each where there are several."""
    blocks = list(groups)
    width = len(headings)

    def lines() -> Iterator[str]:
        yield f"\\begin{{tabular}}{{l{'r' * (width - 1)}}}"
        yield "\\toprule"
        yield _line(headings)
        for title, rows in blocks:
            yield "\\midrule"
            if len(blocks) > 1:
                yield f"\\multicolumn{{{width}}}{{l}}{{\\emph{{{latex(title)}}}}} \\\\"
            yield from map(_line, rows)
        yield "\\bottomrule"
        yield f"\\multicolumn{{{width}}}{{l}}{{\\footnotesize {latex(note)}}} \\\\"
        yield "\\end{tabular}"

    return "\n".join(lines())


def _line(cells: Sequence[str]) -> str:
    return " & ".join(_cell(cell) for cell in cells) + r" \\"


def _cell(text: str) -> str:
    """A number with its minus, a range with its dash, or an escaped text."""
    if text == "-":
        return "--"
    if re.fullmatch(r"[-+]?[\d.,]+", text):
        return f"${text.replace(',', '{,}')}$"
    return latex(re.sub(r"(?<=\d)-(?=\d)", "--", text))


def latex(text: str) -> str:
    """A text as LaTeX prints it.

    Example:
        >>> print(latex("100 % of R&D_1 {x} \\\\ ~"))
        100 \\% of R\\&D\\_1 \\{x\\} \\textbackslash{} \\textasciitilde{}
    """
    return "".join(_ESCAPES.get(letter, letter) for letter in text)
