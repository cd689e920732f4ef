"""Results on the console: a table in the paper's layout, measured beside expected, what is missing.

From top to bottom: what every view needs, the views of the three sorts of experiment (counts,
scores with averages, scores without) and of studies, the parts they share, and the scores of a
submission.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from stilts_artifact.benchmark.experiments import NONE, Experiment
from stilts_artifact.checking.results import CellRecord, ClaimRecord, Results, RowRecord
from stilts_artifact.config.load import is_evidence
from stilts_artifact.domain.cells import Finding, Premise, Verdict
from stilts_artifact.reporting import findings
from stilts_artifact.reporting.comparison import (
    SIZES,
    Comparison,
    by_row_and_column,
    cell_counts,
    compare_sizes,
    every_score,
    expected_word,
    failing_counts,
    gaps,
    listing,
    n_cells,
    points,
    row_sizes,
    row_verdict,
    share,
    signed,
    undecided_counts,
)
from stilts_artifact.reporting.layout import (
    Column,
    Layout,
    arrange,
    describe_seeds,
    flagged,
    split_name,
)

if TYPE_CHECKING:
    from stilts_artifact.checking.compare import RowComparison
    from stilts_artifact.metrics.score import Scores
    from stilts_artifact.studies.record import StudyRecord

# A pipe has no width; the tables need this much to keep each row on one line.
PIPE_WIDTH = 132

STYLES = {
    Verdict.REPRODUCED: "green",
    Verdict.NOT_REPRODUCED: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_RUN: "yellow",
    Verdict.NOT_CHECKABLE: "dim",
}

FINDING_STYLES: dict[Finding | Premise, str] = {
    Finding.SUPPORTED: "green",
    Finding.NOT_SUPPORTED: "bold",
    Finding.INCONCLUSIVE: "yellow",
    Finding.NOT_RUN: "yellow",
    Finding.NOT_EVALUATED: "dim",
    Finding.PIPELINE_VALID: "green",
    Finding.PIPELINE_INVALID: "bold red",
    Premise.MET: "green",
    Premise.NOT_MET: "bold yellow",
    Premise.UNCLEAR: "yellow",
}
# Beside each row of counts. Colour alone would be lost in a pipe and to some readers.
_MARKS = {
    Verdict.REPRODUCED: "ok",
    Verdict.NOT_REPRODUCED: "DIFFERS",
    Verdict.INCONCLUSIVE: "open",
    Verdict.NOT_RUN: "not run",
    Verdict.NOT_CHECKABLE: "not checkable",
}
_FAILED_MARK = "*"
_FLAG_MARK = "!"

_OPEN = (Verdict.NOT_CHECKABLE, Verdict.NOT_RUN)
_LISTED = 40  # lines of a comparison, before the rest is only counted
_REASONS = 8
_UNBOUNDED = 1 << 12  # characters, more than any table takes
_VISIBLE_GAIN = 0.5  # points from which a gain is coloured; less is within most seeds' spread


def make_console(file: IO[str] | None = None) -> Console:
    """A console on ``file`` (standard output): colour on a terminal only, wide when piped."""
    stream = file if file is not None else sys.stdout
    # Neither markup nor highlighting: titles and reasons come from files and are shown as they are.
    return Console(
        file=stream, width=None if stream.isatty() else PIPE_WIDTH, markup=False, highlight=False
    )


class _Titled(Table):
    """A table below its title, which may be wider than the table."""

    heading: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.heading is not None:
            yield Text(self.heading, style="bold")
        yield from super().__rich_console__(console, options)


def new_table(title: str | None = None) -> Table:
    """An empty table in this package's style."""
    table = _Titled(header_style="bold", box=None, pad_edge=False)
    table.heading = title
    return table


def show_table(results: Results, console: Console, *, verbose: bool = False) -> None:
    """Print results: in the paper's layout, beside expected values, what is missing, the claims.

    Args:
        verbose: list every cell that has an expected value, and every reason.
    """
    if results.study is not None:
        show_study(results.study, results.scale, console)
    elif results.defined.is_counted:
        _show_counts(results, console, verbose)
    elif results.defined.averages:
        _show_score_table(results, console, verbose)
    else:
        _show_single_scores(results, console)


# Counts: Table 1


def _show_counts(results: Results, console: Console, verbose: bool) -> None:
    """Table 1, a mark for each row, and then only what is not as it should be."""
    cells = by_row_and_column(results.cells)
    verdicts = {
        row.row: row_verdict([cell for cell in results.cells if cell.row == row.row])
        for row in results.rows
    }
    console.print(_sizes(results, verdicts, console), "", sep="\n")
    lines = [line for line in compare_sizes(results) if verbose or _is_failing(line)]
    if lines:
        word = expected_word(results)
        title = f"Measured and {word} ({results.stamp})"
        console.print(_comparison_table(title, "Task", lines, word), "", sep="\n")
    for line in failing_counts(results):
        console.print(Text(line, style=STYLES[Verdict.NOT_REPRODUCED]), soft_wrap=True)
    # Never cut: a line stands for all languages of a cell.
    for verdict, line in undecided_counts(results):
        console.print(Text(line, style=STYLES[verdict]), soft_wrap=True)
    marks = Counter(verdicts.values())
    rows = ", ".join(f"{marks[verdict]} {_MARKS[verdict]}" for verdict in _MARKS if marks[verdict])
    console.print(f"rows: {rows}", soft_wrap=True)
    stand = f"{len(cells)} numbers stand for {len(results.cells)} cells, one for each language"
    counts = cell_counts(results).removeprefix("cells: ")
    console.print(f"{stand}: {counts}", soft_wrap=True)


def _is_failing(line: Comparison) -> bool:
    return any(verdict is Verdict.NOT_REPRODUCED for verdict, _ in line.counts)


def _sizes(results: Results, verdicts: Mapping[str, Verdict], console: Console) -> Table:
    """The sizes; with as many of the tasks' particulars as leave each task its one line."""
    unbounded = console.options.update(max_width=_UNBOUNDED)
    for particulars in (("kind", "licence"), ("kind",)):
        table = _sizes_with(results, verdicts, particulars)
        if console.measure(table, options=unbounded).maximum <= console.width:
            return table
    return _sizes_with(results, verdicts, ())


def _sizes_with(
    results: Results, verdicts: Mapping[str, Verdict], particulars: Sequence[str]
) -> Table:
    table = new_table(f"{results.defined.title}, measured ({results.stamp})")
    table.add_column("Task", overflow="fold")
    for name in SIZES:
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("")
    for name in particulars:
        table.add_column(name, overflow="fold")
    group = ""
    for row, sizes in row_sizes(results):
        if row.group != group:
            group = row.group
            table.add_section()
        verdict = verdicts[row.row]
        mark = Text(_MARKS[verdict], style=STYLES[verdict])
        table.add_row(row.title, *sizes, mark, *(row.details[name] for name in particulars))
    return table


# Scores with averages: Tables 2 and 3, each part readable at 80 characters


def _show_score_table(results: Results, console: Console, verbose: bool) -> None:
    """Scores and gains, then measured beside expected, what was not decided, and the claims."""
    layout = arrange(results)
    for columns in _blocks(layout, results.defined):
        scores = _grid(layout, columns, _title(results, "scores"), _score)
        console.print(scores, "", sep="\n")
        if layout.has_gains:
            gains = _grid(layout, columns, f"Gains over {layout.baseline.title}", _gain)
            console.print(gains, "", sep="\n")
    _show_legend(results, layout, console)
    _show_chosen(layout, console)
    _show_comparison(results, console, verbose)
    _show_gaps(results, console, verbose)
    _show_claims(results, console, verbose)
    console.print(cell_counts(results), soft_wrap=True)


def _title(results: Results, what: str) -> str:
    name, split = results.defined.title, split_name(results.defined)
    head = f"{name}, {split} {what} in points, {describe_seeds(results)}"
    return f"{head} ({results.stamp})"


def _blocks(layout: Layout, experiment: Experiment) -> list[tuple[Column, ...]]:
    """Columns that are printed side by side: several averages have a block of their own."""
    if len(experiment.averages) < 2:
        return [layout.with_role("score", "average")]
    return [block for block in (layout.with_role("score"), layout.with_role("average")) if block]


def _grid(
    layout: Layout,
    columns: Sequence[Column],
    title: str,
    show: Callable[[Layout, RowRecord, Column], Text],
) -> Table:
    """Rows by columns, the rows in their groups; ``show`` gives what stands in a cell."""
    table = new_table(title)
    table.padding = (0, 1, 0, 0)  # ten columns of numbers must fit beside the rows' titles
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
    failed = cell.verdict is Verdict.NOT_REPRODUCED
    marks = (_FAILED_MARK if failed else "") + (_FLAG_MARK if cell.flag else "")
    style = STYLES[cell.verdict] if failed else "bold" if row.row == NONE else ""
    return Text(points(cell.value) + marks, style=style)


def _gain(layout: Layout, row: RowRecord, column: Column) -> Text:
    if row.row == NONE:  # in points: what the gains below it are gains over
        return Text(points(layout.value(row.row, column.name)), style="bold")
    gain = layout.gain(row.row, column.name)
    if gain is None:
        return Text("-", style="dim")
    colour = "green" if gain >= _VISIBLE_GAIN else "red" if gain <= -_VISIBLE_GAIN else ""
    return Text(signed(gain), style=colour)


def _show_legend(results: Results, layout: Layout, console: Console) -> None:
    """What the marks in the tables above stand for."""
    cells = [cell for cell in results.cells if cell.language is None]
    if any(cell.verdict is Verdict.NOT_REPRODUCED for cell in cells):
        legend = f"{_FAILED_MARK} not reproduced: beyond the limit around the expected value"
        console.print(legend, style="dim")
    titles = results.titles
    for cell in flagged(cells):
        line = f"{_FLAG_MARK} {cell.flag} {titles.of(cell.key)}: {_flag_meaning(cell)}"
        console.print(Text(line), soft_wrap=True)
    for note in layout.gain_notes():
        console.print(Text(f"- {note}"), soft_wrap=True)


def _show_chosen(layout: Layout, console: Console) -> None:
    """The row that was chosen for each target, where rows are: which model its number is of."""
    if not layout.chosen:
        return
    console.print("\nBest for each target, chosen on development data", style="bold")
    table = new_table()
    for heading in ("target", "intermediate task"):
        table.add_column(heading, overflow="fold")
    for target, row in layout.chosen.items():
        table.add_row(target, row)
    console.print(table)


def _flag_meaning(cell: CellRecord) -> str:
    seeds = " (seeds " + " ".join(points(value) for value in cell.seeds) + ")" if cell.seeds else ""
    return f"{cell.flag.meaning if cell.flag else ''}{seeds}"


def _show_comparison(results: Results, console: Console, verbose: bool) -> None:
    """Measured beside expected: failures first, each of them; of a long list the rest counted."""
    found = listing(results, None if verbose else _LISTED)
    word = expected_word(results)
    if not found.lines:
        console.print(
            f"\nNothing is {word} for these cells: there is no value to compare them with.",
            soft_wrap=True,
        )
        return
    title = f"Measured and {word} ({results.stamp})"
    console.print("", _comparison_table(title, "row", found.lines, word), sep="\n")
    rest = f"; {results.run_name}.json has every cell" if found.is_cut else ""
    console.print(found.summary + rest, soft_wrap=True)


def _show_gaps(results: Results, console: Console, verbose: bool) -> None:
    reasons = gaps(results)
    most = len(reasons) if verbose else _REASONS
    if not reasons:
        return
    console.print("\nNot decided, and why", style="bold")
    for gap in reasons[:most]:
        line = f"{gap.verdict} {n_cells(gap.cells)} (such as {gap.examples[0]}): {gap.reason}"
        console.print(Text(line, style=STYLES[gap.verdict]), soft_wrap=True)
    if len(reasons) > most:
        left = len(reasons) - most
        console.print(f"and {left} more {'reason' if left == 1 else 'reasons'}")


def _show_claims(results: Results, console: Console, verbose: bool) -> None:
    """Each claim that was judged; of those held against nothing, one line for each reason."""
    if not results.claims:
        return
    console.print("\nClaims", style="bold")
    aside = Counter[str]()
    for claim in results.claims:
        why = _why_aside(claim, results)
        if why is not None and not verbose:
            aside[why] += 1
            continue
        line = Text.assemble((f"{claim.verdict:<15}", STYLES[claim.verdict]), claim.title)
        console.print(line, soft_wrap=True)
        numbers = ", ".join(f"{name} {value:g}" for name, value in claim.numbers.items())
        detail = f"{numbers}; {claim.reason}" if numbers else claim.reason
        console.print(Text(" " * 15 + detail, style="dim"), soft_wrap=True)
    for why, count in aside.items():
        said = f"{count} {'claim is' if count == 1 else 'claims are'} not judged: {why}"
        console.print(Text(said, style="dim"), soft_wrap=True)
    console.print()


def _why_aside(claim: ClaimRecord, results: Results) -> str | None:
    """Why a claim is held against nothing; ``None`` of one that is, or that could be."""
    if not is_evidence(results.scale) and claim.verdict in _OPEN:
        return results.stamp
    return claim.reason if claim.verdict is Verdict.NOT_CHECKABLE else None


# Scores without averages: the calibration


def _show_single_scores(results: Results, console: Console) -> None:
    """Every cell beside its expected value, each task's mean first, and why some lack a verdict."""
    title = (
        f"{results.defined.title}: retrieval with the untuned {results.rows[0].title}, points "
        f"({results.stamp})"
    )
    table = _comparison_table(title, "task", every_score(results), expected_word(results))
    console.print(table, "", sep="\n")
    for gap in gaps(results):
        where = n_cells(gap.cells) if gap.cells > 1 else gap.examples[0]
        line = f"{gap.verdict} {where}: {gap.reason}"
        console.print(Text(line, style=STYLES[gap.verdict]), soft_wrap=True)
    console.print(cell_counts(results))


# Studies


def show_study(record: StudyRecord, scale: str, console: Console) -> None:
    """Print whether the premise was met, then a line a hypothesis, and what is to be said of it.

    In a pipe each of them is one line, whatever its length; a terminal gets lines of its width.
    """

    def line(label: str, style: str, sentence: str) -> None:
        text = Text.assemble((f"{label}. ", style), sentence)
        console.print(text, soft_wrap=not console.is_terminal)

    if record.altered:
        line("ALTERED PROTOCOL", "bold red", f"{findings.ALTERED} (sha256 {record.protocol})")
    premise = findings.premise_finding(record)
    line(f"PREMISE {premise}", FINDING_STYLES[premise], findings.premise_sentence(record))
    for one in record.hypotheses:
        label = findings.hypothesis_label(record, one, scale)
        line(label, FINDING_STYLES[one.finding], findings.hypothesis_sentence(one))
    if not findings.is_evidence(record):
        label = f"{record.study} {record.finding} ({scale})"
        line(label, FINDING_STYLES[record.finding], findings.NO_EVIDENCE)
    for check in record.validations:
        line("Validation", "" if check.passed else "bold red", findings.validation_sentence(check))
    for reason, languages in findings.left_out(record).items():
        line("Left out", "dim", f"{', '.join(languages)}: {reason}.")
    for note in record.notes:
        line("Note", "dim", f"{note}.")


# What several views share


def _comparison_table(title: str, row: str, lines: Sequence[Comparison], word: str) -> Table:
    """Measured beside expected.

    Args:
        row: what the first column is called.
        word: what the expected values are: :func:`expected_word`.
    """
    table = new_table(title)
    for name in (row, "column"):
        table.add_column(name, no_wrap=True)
    # Counts are compared exactly: a column of zeros would say nothing.
    limits = any(line.limit not in ("0", "0.0", "-") for line in lines)
    for name in ("measured", word, "difference", *(["limit"] if limits else [])):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for line in lines:
        numbers = [line.measured, line.expected, line.difference, *([line.limit] if limits else [])]
        table.add_row(line.row, line.column, *numbers, _verdicts(line))
    return table


def _verdicts(line: Comparison) -> Text:
    parts = [
        Text(share(verdict, count, line.cells), style=STYLES[verdict])
        for verdict, count in line.counts
    ]
    return Text(", ").join(parts)


# Names


def show_list(title: str, entries: Sequence[Mapping[str, str | int]], console: Console) -> None:
    """Print entries that say the same things of each, a line each where there is room."""
    table = new_table(title)
    for heading, value in entries[0].items():
        justify: Literal["left", "right"] = "right" if isinstance(value, int) else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading == "name")
    for entry in entries:
        table.add_row(*(Text(str(value)) for value in entry.values()))
    console.print(table)


# A submission


def show_scores(scores: Scores, console: Console) -> None:
    """Print every task and language, the averages, groups and overall score, with their errors."""
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
        estimate = row.estimate
        table.add_row(
            row.task,
            row.language or ("average (partial)" if row.partial else "average"),
            row.metric,
            f"{estimate.value:.2f}",
            f"{estimate.standard_error:.2f}",
            f"{estimate.low:.2f} - {estimate.high:.2f}",
            style="bold" if row.language is None else None,
        )
    console.print(table)


def show_gains(compared: RowComparison, console: Console) -> None:
    """Print what one row has more than another, with intervals and p-values."""
    results, several = compared.results, len(compared.results.seeds) > 1
    first, second = (results.titles.rows[row] for row in (compared.first, compared.second))
    title = f"{results.defined.title}: {second} minus {first} ({results.stamp})"
    table = new_table(title)
    for name in ("column", "language"):
        table.add_column(name, overflow="fold")
    by_seed = ("by seed",) if several else ()
    values = (first, second, "diff.", "95 % interval", *by_seed, "p", "p Holm")
    for name in values:
        table.add_column(name, justify="right", overflow="fold")
    for gain in compared.gains:
        if gain.language is None:
            table.add_section()
        spread = f"{min(gain.seeds):+.2f} to {max(gain.seeds):+.2f}"
        table.add_row(
            results.titles.columns[gain.column],
            gain.language or ("mean (partial)" if gain.partial else "mean"),
            f"{gain.first:.2f}",
            f"{gain.second:.2f}",
            f"{gain.difference.value:+.2f}",
            f"{gain.difference.low:+.2f} to {gain.difference.high:+.2f}",
            *([spread] if several else []),
            f"{gain.p:.4f}",
            f"{gain.corrected:.4f}",
        )
    console.print(table)
