"""What a run was asked for: the cells that ``--only`` names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from stilts_artifact.benchmark.experiments import BEST, NONE, Experiment, Row
from stilts_artifact.benchmark.titles import column_title, find_pattern
from stilts_artifact.domain.tasks import Benchmark, Task
from stilts_artifact.errors import ConfigError

PATTERN = r"^[A-Za-z0-9_@+*?!\[\]., -]*$"
"""Of cells asked for, ``ROW``, ``ROW,COLUMN`` or ``*,COLUMN``: nothing that a shell would obey."""

Wanted = Sequence[tuple[Row, Task]]
"""Cells asked for: rows, and the targets wanted of each."""

Place = tuple[str, str]
"""Row and task: what is measured in one piece."""


def wanted_cells(benchmark: Benchmark, experiment: Experiment, only: Sequence[str]) -> Wanted:
    """The rows and targets that an experiment needs.

    Args:
        only: ``ROW``, ``ROW,COLUMN`` or ``*,COLUMN``, by name, title or short heading, or by name
            with ``*`` for anything; none for all of it. Where the rows are only chosen among, each
            is needed, and only columns can be limited.

    Raises:
        ConfigError: a row or column that the experiment does not have, or no pattern at all; or the
            benchmark was left with languages that no column is evaluated in.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> from stilts_artifact.benchmark.experiments import EXPERIMENTS
        >>> patterns = ["mnli*,xnli", "none,panx"]
        >>> wanted = wanted_cells(load_benchmark("mini"), EXPERIMENTS["table2"], patterns)
        >>> [(row.name, task.name) for row, task in wanted][:3]
        [('none', 'panx'), ('mnli', 'xnli'), ('mnli+mlm', 'xnli')]
    """
    for text in only:
        # It is kept in the results file, and a command line is made of it.
        # Nothing at all would mean everything, which nobody says like that.
        if not re.fullmatch(PATTERN, text) or not text.strip(" ,"):
            expected = "ROW, ROW,COLUMN or *,COLUMN"
            raise ConfigError("no name of cells", where="--only", got=repr(text), expected=expected)
    rows = {row.name: row for row in experiment.rows(benchmark)}
    columns = {task.name: task for task in experiment.targets(benchmark)}
    if not columns:
        raise ConfigError(
            f"{experiment.title} has no column in any language asked for", where="--languages"
        )
    row_words = {row.name: (row.title,) for row in rows.values()}
    column_words = {name: column_title(name, benchmark).words for name in columns}
    patterns = [
        (
            find_pattern("row", row, row_words, "--only"),
            find_pattern("column", column, column_words, "--only"),
        )
        for row, column in map(_pattern, only or ["*"])
    ]
    for row, _ in patterns:
        if experiment.selected_by is not None and row != "*":
            what = f"{experiment.title} is chosen among all rows"
            raise ConfigError(what, got=row, expected="*,COLUMN", where="--only")
    return [
        (row, task)
        for row in rows.values()
        for task in columns.values()
        if any(fnmatchcase(row.name, own) and fnmatchcase(task.name, col) for own, col in patterns)
    ]


def _pattern(text: str) -> tuple[str, str]:
    row, _, column = text.partition(",")
    return row.strip() or "*", column.strip() or "*"


def asked_places(benchmark: Benchmark, experiment: Experiment, only: Sequence[str]) -> set[Place]:
    """Rows of the table and tasks that were asked for.

    Where rows are chosen among all, those of the table are the untrained and the chosen one.

    Raises:
        ConfigError: a row or column that the experiment does not have.
    """
    wanted = wanted_cells(benchmark, experiment, only)
    if experiment.selected_by is None:
        return {(row.name, task.name) for row, task in wanted}
    return {(row, task.name) for row in (NONE, BEST) for _, task in wanted}
