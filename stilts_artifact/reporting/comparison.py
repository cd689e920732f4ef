"""What is said about measured and expected values, in words, whatever it is printed on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stilts_artifact.benchmark.asked import asked_places
from stilts_artifact.checking.judge import joint_verdict, summary
from stilts_artifact.checking.results import CellRecord, Results, RowRecord
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.metrics.tables import table_columns

Counts = tuple[tuple[Verdict, int], ...]

SIZES = ("train", "dev", "test", "languages")
_FEW = 60  # cells with an expected value that are all listed
_URGENCY = (
    Verdict.NOT_REPRODUCED,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_RUN,
    Verdict.NOT_CHECKABLE,
    Verdict.REPRODUCED,
)
"""Verdicts in the order in which a reader wants to see them."""
_EXAMPLES = 3  # cells that stand for all those with the same reason


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of measured beside expected; a line of counts stands for all languages of a cell.

    Args:
        limit: how far apart the two may be: the tolerance, widened by rounding, seeds and sampling.
        counts: how many of its cells have each verdict.
        cells: how many cells the line stands for.
    """

    row: str
    column: str
    measured: str
    expected: str
    difference: str
    limit: str
    counts: Counts
    cells: int

    @property
    def verdict(self) -> str:
        """The verdict, with its share where there are several.

        Example:
            >>> counts = ((Verdict.REPRODUCED, 2), (Verdict.NOT_RUN, 1))
            >>> Comparison("XNLI", "dev", "2,490", "2,490", "0", "0", counts, 3).verdict
            'REPRODUCED 2 of 3, NOT_RUN 1 of 3'
        """
        return ", ".join(share(verdict, count, self.cells) for verdict, count in self.counts)


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines of a comparison as far as they are shown: failures first, and every one of them.

    Args:
        lines: that are shown.
        is_cut: whether there is something to list that no line stands for; never a failure.
        counts: how many of the cells that were compared have each verdict, listed or not.
        others: cells with an expected value that were not compared with it.
    """

    lines: tuple[Comparison, ...]
    is_cut: bool
    counts: Counts
    others: int

    @property
    def summary(self) -> str:
        """What was compared, in words: ``480 cells compared: 478 REPRODUCED, ...``."""
        total = sum(count for _, count in self.counts)
        named = ", ".join(f"{count:,} {verdict}" for verdict, count in self.counts)
        text = f"{n_cells(total)} compared" + (f": {named}" if named else "")
        return text + (f"; not compared: {n_cells(self.others)}" if self.others else "")


@dataclass(frozen=True, slots=True)
class Gap:
    """Cells without a comparison, all for one reason."""

    verdict: Verdict
    reason: str
    cells: int
    examples: tuple[str, ...]


def compare_sizes(results: Results) -> list[Comparison]:
    """Counts: one line for each row and column, failures first."""
    titles = results.titles
    lines = [
        Comparison(
            row=titles.rows.get(row, row),
            column=column,
            measured=span([cell.value for cell in cells]),
            expected=span([cell.expected for cell in cells]),
            difference=_largest_difference(cells),
            limit=span([cell.limit for cell in cells if cell.limit is not None]),
            counts=verdict_counts(cells),
            cells=len(cells),
        )
        for (row, column), cells in by_row_and_column(results.cells).items()
    ]
    return sorted(lines, key=_urgency)


def row_sizes(results: Results) -> list[tuple[RowRecord, tuple[str, ...]]]:
    """Counts in the paper's layout: each task with its sizes, in the order of :data:`SIZES`."""
    cells = by_row_and_column(results.cells)
    return [
        (
            row,
            tuple(
                span([cell.value for cell in cells.get((row.row, column), ())]) for column in SIZES
            ),
        )
        for row in results.rows
    ]


def compare_scores(results: Results) -> list[Comparison]:
    """Scores: one line for each cell with an expected value, failures first.

    Where these are many, cells of single languages have one only if they fail. What nobody asked
    for has none.
    """
    titles = results.titles
    with_value = _listed_cells(results)
    lines = [
        _compare_score(
            cell,
            titles.rows.get(cell.row, cell.row),
            titles.columns[cell.column] + (f" {cell.language}" if cell.language else ""),
        )
        for cell in with_value
        if len(with_value) <= _FEW
        or cell.language is None
        or cell.verdict is Verdict.NOT_REPRODUCED
    ]
    return sorted(lines, key=_urgency)


def listing(results: Results, most: int | None = None) -> Listing:
    """The comparison of an experiment, cut to so many lines, but never at a failure."""
    counted = results.defined.is_counted
    lines = compare_sizes(results) if counted else compare_scores(results)
    failures = sum(_urgency(line) == 0 for line in lines)
    shown = lines if most is None else lines[: max(most, failures)]
    cells = _listed_cells(results)
    compared = [cell for cell in cells if _is_compared(cell)]
    return Listing(
        tuple(shown),
        sum(line.cells for line in shown) < len(results.cells if counted else cells),
        verdict_counts(compared),
        len(cells) - len(compared),
    )


def asked_cells(results: Results) -> list[CellRecord]:
    """The cells that some run was asked for, or that were measured all the same."""
    if results.defined.is_counted or not all(results.asked):
        return results.cells
    benchmark = results.benchmark
    places = {
        place for only in results.asked for place in asked_places(benchmark, results.defined, only)
    }
    columns = {column.name: column for column in table_columns(benchmark, results.defined)}
    return [
        cell
        for cell in results.cells
        if cell.verdict is not Verdict.NOT_RUN or columns[cell.column].is_among(cell.row, places)
    ]


def cell_counts(results: Results) -> str:
    """How many cells have each verdict, in words; those that nobody asked for apart."""
    asked = asked_cells(results)
    left = len(results.cells) - len(asked)
    return summary(cell.verdict for cell in asked) + (
        f"; {left:,} were not asked for" if left else ""
    )


def expected_word(results: Results) -> str:
    """What the values are that measured ones are held against: a paper's, or of an earlier run."""
    return "reported" if results.is_real else "recorded"


def _listed_cells(results: Results) -> list[CellRecord]:
    """Cells with something to compare; and those that fail without, as altered ones do."""
    return [
        cell
        for cell in asked_cells(results)
        if cell.expected is not None or cell.verdict is Verdict.NOT_REPRODUCED
    ]


def _is_compared(cell: CellRecord) -> bool:
    # What was not compared has no limit: it was not measured, or is a number of something else.
    return cell.verdict is Verdict.NOT_REPRODUCED or (
        cell.value is not None and cell.limit is not None
    )


def n_cells(count: int) -> str:
    """Example: ``n_cells(1)`` is ``"1 cell"``."""
    return f"{count:,} {'cell' if count == 1 else 'cells'}"


def _urgency(line: Comparison) -> int:
    """How early a line is shown: as the most urgent of its cells."""
    return min((_URGENCY.index(verdict) for verdict, _ in line.counts), default=len(_URGENCY))


def every_score(results: Results) -> list[Comparison]:
    """Scores of a single encoder: one line for each cell, a task's mean before its languages.

    Failures first.
    """
    titles = results.titles
    lines = [
        _compare_score(cell, titles.columns[cell.column], cell.language or "mean")
        for cells in by_row_and_column(asked_cells(results)).values()
        for cell in sorted(cells, key=lambda cell: cell.language or "")
    ]
    return sorted(lines, key=_urgency)


def _compare_score(cell: CellRecord, row: str, column: str) -> Comparison:
    limit = cell.limit
    return Comparison(
        row=row,
        column=column,
        measured=points(cell.value),
        expected=points(cell.expected),
        difference=signed(_difference(cell)),
        limit="-" if limit is None else f"{limit:.2f}",
        counts=((cell.verdict, 1),),
        cells=1,
    )


def _difference(cell: CellRecord) -> float | None:
    """Measured minus expected; ``None`` also where the two were not compared, and have no limit."""
    if cell.value is None or cell.expected is None or cell.limit is None:
        return None
    return cell.value - cell.expected


def gaps(results: Results) -> list[Gap]:
    """Why cells have no verdict: one entry for each reason, the most frequent first."""
    titles = results.titles
    alike: defaultdict[tuple[Verdict, str], list[CellRecord]] = defaultdict(list)
    for cell in asked_cells(results):
        if cell.verdict in (Verdict.NOT_RUN, Verdict.NOT_CHECKABLE, Verdict.INCONCLUSIVE):
            alike[cell.verdict, cell.reason].append(cell)
    entries = [
        Gap(
            verdict,
            reason,
            len(cells),
            tuple(titles.of(cell.key) for cell in cells[:_EXAMPLES]),
        )
        for (verdict, reason), cells in alike.items()
    ]
    order = list(Verdict)
    return sorted(entries, key=lambda gap: (order.index(gap.verdict), -gap.cells, gap.reason))


def row_verdict(cells: Sequence[CellRecord]) -> Verdict:
    """The verdict on the counts of a row, as that on a table: the worst of those checkable.

    A row that was not measured at all is ``NOT_RUN``; one of which nothing is known,
    ``NOT_CHECKABLE``.
    """
    verdicts = {cell.verdict for cell in cells}
    for only in (Verdict.NOT_RUN, Verdict.NOT_CHECKABLE):
        if verdicts == {only}:
            return only
    return joint_verdict(cell.verdict for cell in cells)


def failing_counts(results: Results) -> Iterator[str]:
    """One line for each row and column with counts that differ: the first reason, and how many."""
    titles = results.titles.rows
    for (row, column), cells in by_row_and_column(results.cells).items():
        alike = [cell for cell in cells if cell.verdict is Verdict.NOT_REPRODUCED]
        if alike:
            where = f"{titles.get(row, row)} {column}"
            where += f" {alike[0].language}" if alike[0].language else ""
            left = len(alike) - 1
            more = f" (and {left} more {'language' if left == 1 else 'languages'})" if left else ""
            yield f"{Verdict.NOT_REPRODUCED} {where}{more}: {alike[0].reason}"


def undecided_counts(results: Results) -> Iterator[tuple[Verdict, str]]:
    """Why counts have no verdict: one line for the rows that all have the same reasons.

    A count of languages that was not run has the reasons of its splits, and is only counted.
    """
    titles = results.titles.rows
    for verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.NOT_CHECKABLE):
        alike: defaultdict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
        for row in titles:
            cells = [cell for cell in results.cells if (cell.row, cell.verdict) == (row, verdict)]
            own = [cell for cell in cells if cell.language or verdict is not Verdict.NOT_RUN]
            reasons = dict.fromkeys(cell.reason for cell in own or cells)
            if cells:
                alike[tuple(reasons)][titles[row]] = len(cells)
        for (first, *others), rows in alike.items():
            names = ", ".join(list(rows)[:_EXAMPLES])
            names += f" and {len(rows) - _EXAMPLES} more" if len(rows) > _EXAMPLES else ""
            more = f" (and {len(others)} more reasons)" if len(others) > 1 else ""
            more = " (and 1 more reason)" if len(others) == 1 else more
            yield (
                verdict,
                f"{verdict} {names} ({n_cells(sum(rows.values()))}): {first}{more}",
            )


def verdict_line(tables: Sequence[Results]) -> str:
    """The verdicts on some experiments, for a command's last line.

    Such as ``Table 1 (mini) REPRODUCED, Calibration (mini) INCONCLUSIVE``.
    """
    return ", ".join(f"{results.title} ({results.scale}) {results.verdict}" for results in tables)


def by_row_and_column(cells: Sequence[CellRecord]) -> dict[tuple[str, str], list[CellRecord]]:
    """Cells by row and column, their languages together."""
    grouped: defaultdict[tuple[str, str], list[CellRecord]] = defaultdict(list)
    for cell in cells:
        grouped[cell.row, cell.column].append(cell)
    return grouped


def verdict_counts(cells: Sequence[CellRecord]) -> Counts:
    """How many cells have each verdict, in the verdicts' order, without those that none has."""
    counts = Counter(cell.verdict for cell in cells)
    return tuple((verdict, counts[verdict]) for verdict in Verdict if counts[verdict])


def share(verdict: Verdict, count: int, cells: int) -> str:
    """A verdict, with how many of the cells have it unless all do."""
    return f"{verdict} {count} of {cells}" if count < cells else str(verdict)


def span(values: Sequence[float | None]) -> str:
    """Range over the languages of a cell.

    Example:
        >>> span([1000, 205, None]), span([5010, 5010]), span([None]), span([])
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


def points(value: float | None, digits: int = 1) -> str:
    """Points, or a dash.

    Example:
        >>> points(71.25), points(None)
        ('71.2', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 1) -> str:
    """A difference in points with its sign, but no sign at zero.

    Example:
        >>> signed(3.14), signed(-0.26), signed(-0.04), signed(None)
        ('+3.1', '-0.3', '0.0', '-')
    """
    if value is None:
        return "-"
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def _largest_difference(cells: Sequence[CellRecord]) -> str:
    differences = [difference for cell in cells if (difference := _difference(cell)) is not None]
    if not differences:
        return "-"
    largest = max(differences, key=abs)
    return f"{largest:+,}" if largest else "0"
