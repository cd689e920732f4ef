"""Scores in the paper's layout, as data: what the console, the Markdown text and the page print."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from stilts_artifact.benchmark.experiments import BEST, MULTI, NONE, Experiment
from stilts_artifact.benchmark.experiments import rows as rows_of
from stilts_artifact.benchmark.titles import Titles, column_title
from stilts_artifact.checking.results import CellRecord, Results, RowRecord
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.signature import Signature, require_comparable
from stilts_artifact.domain.tasks import Benchmark, Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms import form_of

GROUP_TITLES = {
    "English": "English intermediate task",
    "English + MLM": "English intermediate task, with continued multilingual MLM",
    "translated": "Machine-translated intermediate task",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column as printed.

    Args:
        short: heading of at most six characters.
        metric: what its numbers are.
        role: ``score`` of a task, ``part`` of one (F1 or EM alone), or an ``average`` over tasks.
    """

    name: str
    title: str
    short: str
    metric: str
    role: str


@dataclass(frozen=True, slots=True)
class Layout:
    """An experiment's scores, arranged.

    Args:
        columns: in the table's order, parts of scores among them.
        groups: the table's blocks with their rows.
        languages: code -> name.
        chosen: target -> the row that was chosen for it, by their titles, where rows were chosen.
    """

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[RowRecord, ...]], ...]
    languages: Mapping[str, str]
    chosen: Mapping[str, str]
    _cells: Mapping[CellKey, CellRecord]

    @property
    def rows(self) -> tuple[RowRecord, ...]:
        """All rows, in order."""
        return tuple(row for _, rows in self.groups for row in rows)

    @property
    def measured(self) -> tuple[tuple[str, tuple[RowRecord, ...]], ...]:
        """The blocks with those of their rows that have any value, without empty ones."""
        kept = [
            (group, tuple(row for row in rows if self._is_measured(row)))
            for group, rows in self.groups
        ]
        return tuple((group, rows) for group, rows in kept if rows)

    @property
    def unmeasured(self) -> tuple[RowRecord, ...]:
        """The rows without any value."""
        return tuple(row for row in self.rows if not self._is_measured(row))

    def _is_measured(self, row: RowRecord) -> bool:
        return any(self.value(row.row, column.name) is not None for column in self.columns)

    @property
    def has_gains(self) -> bool:
        """Whether there is a row without an intermediate task, and another to compare with it."""
        return len(self.rows) > 1 and any(row.row == NONE for row in self.rows)

    @property
    def baseline(self) -> RowRecord:
        """The row without an intermediate task, where :attr:`has_gains`."""
        return next(row for row in self.rows if row.row == NONE)

    def with_role(self, *roles: str) -> tuple[Column, ...]:
        """The columns of some roles, in order."""
        return tuple(column for column in self.columns if column.role in roles)

    def cell(self, row: str, column: str, language: str | None = None) -> CellRecord | None:
        """A cell, ``None`` if the table has none there."""
        return self._cells.get(CellKey(row, column, language))

    def value(self, row: str, column: str, language: str | None = None) -> float | None:
        """A cell's value in points, ``None`` if it was not measured."""
        cell = self.cell(row, column, language)
        return None if cell is None else cell.value

    def gain(self, row: str, column: str, language: str | None = None) -> float | None:
        """Points over the row without an intermediate task.

        ``None`` for that row itself, if either was not measured, or if the two measure different
        things (:meth:`gain_notes` says so of what is printed).
        """
        value, base = self.value(row, column, language), self.value(NONE, column, language)
        if row == NONE or value is None or base is None:
            return None
        return None if self._difference(row, column, language) else value - base

    def gain_notes(self) -> list[str]:
        """Why gains are not shown although both scores were measured, a line a difference."""
        titles = Titles(
            {row.row: row.title for row in self.rows},
            {column.name: column.title for column in self.columns},
        )
        apart: defaultdict[str, list[str]] = defaultdict(list)
        for row in self.rows:
            for column in self.with_role("score", "average") if self.has_gains else ():
                cell = self.cell(row.row, column.name)
                difference = self._difference(row.row, column.name)
                if cell is not None and difference is not None:
                    apart[difference].append(titles.of(cell.key))
        return [
            f"no gain is shown for {cells[0]}"
            + (f" and {len(cells) - 1} more" if len(cells) > 1 else "")
            + f": not measured as {self.baseline.title} was ({difference})"
            for difference, cells in apart.items()
        ]

    def _difference(self, row: str, column: str, language: str | None = None) -> str | None:
        """In what a measured cell's signature is not the first row's; ``None`` if they compare.

        Seeds may differ: retrieval with the untuned encoder has none, and a run whose seeds are not
        all there is still a run of the same thing.
        """
        cells = [self.cell(name, column, language) for name in (NONE, row)]
        signatures = [
            Signature.parse(cell.signature)
            for cell in cells
            if cell is not None and cell.value is not None
        ]
        try:
            require_comparable(signatures, varying=("seeds",))
        except ConfigError as error:
            return f"{error.got}, not {error.expected}"
        return None

    def languages_of(self, column: str) -> tuple[str, ...]:
        """Languages that have cells of their own in a column, sorted."""
        return tuple(
            sorted(
                {
                    key.language
                    for key in self._cells
                    if key.column == column and key.language is not None
                }
            )
        )

    @property
    def example(self) -> RowRecord | None:
        """The row to show by language: one that no number of this table has chosen.

        What was chosen on other data, if rows were; else all tasks together, else the first row of
        the table that was run and measures what the row without a task does.
        """
        rows = {row.row: row for _, rows in self.measured for row in rows if row.row != NONE}
        names = [*(name for name in (BEST, MULTI) if name in rows), *rows]
        return next((rows[name] for name in names if self._compares(name)), None)

    def _compares(self, row: str) -> bool:
        return any(self.gain(row, column.name) is not None for column in self.with_role("score"))


def arrange(results: Results) -> Layout:
    """Arrange the cells of an experiment that has scores."""
    benchmark = results.benchmark
    names = dict.fromkeys(cell.column for cell in results.cells)
    # Not sorted first: rows stand in the table's order already, block by block.
    groups = tuple(
        (group, tuple(rows)) for group, rows in groupby(results.rows, key=lambda row: row.group)
    )
    languages = {code: language.name for code, language in benchmark.languages.items()}
    columns = tuple(_column(name, benchmark) for name in names)
    cells = {cell.key: cell for cell in results.cells}
    return Layout(columns, groups, languages, _chosen(results), cells)


def _chosen(results: Results) -> dict[str, str]:
    best = next((row for row in results.rows if row.row == BEST), None)
    if best is None:
        return {}
    titles = {row.name: row.title for row in rows_of(results.benchmark)}
    return {
        column_title(task, results.benchmark).title: titles.get(name, name)
        for task, name in best.details.items()
    }


def describe_seeds(results: Results) -> str:
    """How many runs are behind a number.

    Example:
        >>> from types import SimpleNamespace
        >>> from stilts_artifact.benchmark.experiments import EXPERIMENTS
        >>> table2 = EXPERIMENTS["table2"]
        >>> describe_seeds(SimpleNamespace(defined=table2, seeds=[1, 2, 3]))
        'median of 3 seeds'
    """
    if results.defined.seeds is not None and results.defined.study is None:
        return "nothing trained"
    return f"median of {len(results.seeds)} seeds" if len(results.seeds) > 1 else "one seed"


def split_name(experiment: Experiment) -> str:
    """What an experiment's numbers were measured on."""
    return "test" if experiment.split is Split.TEST else "development"


def flagged(cells: Iterable[CellRecord]) -> list[CellRecord]:
    """Cells of a row and column with a flag, such as DEGENERATE.

    Those of single languages only follow them.
    """
    return [cell for cell in cells if cell.flag is not None and cell.language is None]


def _column(name: str, benchmark: Benchmark) -> Column:
    heading = column_title(name, benchmark)
    if heading.task is None:
        metric, role = "mean", "average"
    elif heading.part is None:
        metric, role = form_of(heading.task).score_label, "score"
    else:
        metric, role = heading.part, "part"
    return Column(name, heading.title, heading.short, metric, role)
