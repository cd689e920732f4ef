"""What Tables 2 and 3 are made of: rows (encoders), columns (scores) and the splits they are scored on.

The tables' layout is [MEM] in the project's notes: it was not read from the paper's PDF. It is
data, here and nowhere else, so that one line changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stilts_artifact.domain.tasks import Benchmark, Role, Split, Task
from stilts_artifact.errors import unknown_name

Group = Literal["English", "English + MLM", "translated"]

NONE = "none"
"""The row without an intermediate task: XLM-R as it is."""
MULTI = "multi"
MLM = "mlm"
BEST = "best"
"""Table 3's second row: for each target the row of Table 2 that is best on development data."""

CALIBRATION = 0
"""Goes for a table's number: the published retrieval scores of the untuned encoder, which are in none of the tables."""

AVERAGE = "average"
"""Table 2's last column: the mean over the nine targets."""
OVERALL = "overall"
"""Table 3's last column, XTREME's name for the same mean, on test data."""


@dataclass(frozen=True, slots=True)
class Row:
    """One encoder of phase (ii).

    Args:
        name: unique; ``mnli``, ``mnli+mlm``, ``mnli@de``.
        title: as printed.
        group: block of the table.
        tasks: intermediate tasks trained on together; none for XLM-R itself and for MLM alone.
        mlm: whether multilingual masked language modelling goes on beside them.
        language: of the training data: the source_language, or a language it was translated into.
    """

    name: str
    title: str
    group: Group
    tasks: tuple[str, ...]
    mlm: bool
    language: str


def rows(benchmark: Benchmark) -> tuple[Row, ...]:
    """The rows of Table 2, in order: plain, with MLM, translated.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> [row.name for row in rows(load_benchmark("mini"))][::7]
        ['none', 'ccg', 'qqp+mlm', 'cosmosqa+mlm', 'qqp@qad']
    """
    source_language = benchmark.source_language
    singles = [
        task
        for task in benchmark.tasks.values()
        if (Split.TRAIN, source_language) in task.parts and _is_intermediate(task)
    ]
    everything = tuple(task.name for task in singles)
    plain = [Row(NONE, "XLM-R", "English", (), False, source_language)]
    plain += [
        Row(task.name, task.title, "English", (task.name,), False, source_language)
        for task in singles
    ]
    plain.append(Row(MULTI, "Multi-task", "English", everything, False, source_language))
    mixed = [Row(MLM, "MLM", "English + MLM", (), True, source_language)]
    mixed += [
        Row(
            f"{row.name}+mlm",
            f"{row.title} + MLM",
            "English + MLM",
            row.tasks,
            True,
            source_language,
        )
        for row in plain
        if row.tasks
    ]
    translated = [
        Row(
            f"{task.name}@{language}",
            f"{task.title} in {language}",
            "translated",
            (task.name,),
            False,
            language,
        )
        for task in singles
        for language in task.languages_of(Split.TRAIN)
        if language != source_language
    ]
    return (*plain, *mixed, *translated)


def row_named(benchmark: Benchmark, name: str) -> Row:
    """The row of Table 2 with this name.

    Raises:
        ConfigError: there is none.
    """
    known = {row.name: row for row in rows(benchmark)}
    if name not in known:
        raise unknown_name("row", name, known)
    return known[name]


def targets(benchmark: Benchmark) -> tuple[Task, ...]:
    """The nine target tasks, in the order of the columns."""
    return tuple(task for task in benchmark.tasks.values() if not _is_intermediate(task))


def table_name(table: int) -> str:
    """How files and folders of a table are called.

    Example:
        >>> table_name(2), table_name(CALIBRATION)
        ('table2', 'calibration')
    """
    return "calibration" if table == CALIBRATION else f"table{table}"


def scored_split(task: Task, table: int) -> Split:
    """Table 2 is scored on development data, where a task has none on its public test data; Table 3 on test data.

    The calibration is scored on what Table 2 is.
    """
    has_development = any(split is Split.DEV for split, _ in task.parts)
    return Split.DEV if table in (CALIBRATION, 2) and has_development else Split.TEST


def training_task(target: Task, benchmark: Benchmark) -> str | None:
    """Name of the first target with the same training data, so that two which share it are trained once.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> mini = load_benchmark("mini")
        >>> training_task(mini.tasks["mlqa"], mini), training_task(mini.tasks["tatoeba"], mini)
        ('xquad', None)
    """
    place = (Split.TRAIN, benchmark.source_language)
    if place not in target.parts:
        return None
    return next(
        task.name for task in targets(benchmark) if task.parts.get(place) == target.parts[place]
    )


def selection_task(target: Task, benchmark: Benchmark) -> str | None:
    """Name of the task on whose pivot development data a target's best checkpoint is chosen.

    The target that is trained itself where it has such data; else whichever task has the same
    training data (SQuAD for XQuAD and MLQA, which are one model). TyDiQA-GoldP has neither, and its
    public development set is its test set: the last checkpoint is kept.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> mini = load_benchmark("mini")
        >>> [selection_task(mini.tasks[name], mini) for name in ("pawsx", "xquad", "tydiqa")]
        ['pawsx', 'squad_v1', None]
    """
    train, dev = (Split.TRAIN, benchmark.source_language), (Split.DEV, benchmark.source_language)
    trained = training_task(target, benchmark)
    if trained is None:
        return None
    if dev in benchmark.tasks[trained].parts:
        return trained
    same = (
        task.name
        for task in benchmark.tasks.values()
        if dev in task.parts and task.parts.get(train) == target.parts[train]
    )
    return next(same, None)


def _is_intermediate(task: Task) -> bool:
    return task.role is Role.INTERMEDIATE
