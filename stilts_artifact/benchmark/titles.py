"""What people call the rows and columns of a table: titles as printed, short headings, names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from stilts_artifact.benchmark.experiments import AVERAGE, GROUPS, OVERALL
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.tasks import Benchmark, Task
from stilts_artifact.errors import ConfigError, unknown_name

# Averages, with headings that leave room for ten columns in a line of 80 characters.
_SHORT = {
    "classification": "Class",
    "tagging": "Tag",
    "qa": "QA",
    "retrieval": "Retr",
    AVERAGE: "Avg",
    OVERALL: "All",
}
_PARTS = {"_f1": "F1", "_em": "EM"}
_AVERAGES = {
    AVERAGE: "Average",
    **{name: name.capitalize() for name in GROUPS},
    "qa": "QA",
    OVERALL: "Overall",
}

_WILD = frozenset("*?[")

Called = Mapping[str, Iterable[str]]
"""Name -> what else that row or column is called."""


@dataclass(frozen=True, slots=True)
class ColumnTitle:
    """How a column is headed.

    Args:
        title: as printed.
        short: of at most six characters, or nine for F1 or EM alone.
        task: whose column it is; ``None`` for averages over tasks.
        part: ``F1`` or ``EM``, where it shows that alone.
    """

    title: str
    short: str
    task: Task | None = None
    part: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that it is called beside its name."""
        full = () if self.task is None or self.part else (self.task.title,)
        return (self.title, self.short, *full)


def column_title(name: str, benchmark: Benchmark) -> ColumnTitle:
    """How a column of any table is headed, by its name.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> mini = load_benchmark("mini")
        >>> [column_title(name, mini).title for name in ("udpos", "tydiqa_f1", "average")]
        ['POS', 'TyDiQA F1', 'Average']
    """
    if name in benchmark.tasks:
        task = benchmark.tasks[name]
        return ColumnTitle(_title(task), task.short or task.title, task)
    task_name, part = name[:-3], _PARTS.get(name[-3:])
    if task_name in benchmark.tasks and part:
        task = benchmark.tasks[task_name]
        short = f"{task.short or task.title} {part}"
        return ColumnTitle(f"{_title(task)} {part}", short, task, part)
    title = _AVERAGES.get(name, name)
    return ColumnTitle(title, _SHORT.get(name, title[:6]))


class Titles(NamedTuple):
    """How the rows and columns of an experiment are headed, by name: the same in every list.

    Example:
        >>> Titles({"mnli": "MNLI"}, {"xnli": "XNLI"}).of(CellKey("mnli", "xnli", "de"))
        'MNLI, XNLI, de'
    """

    rows: Mapping[str, str]
    columns: Mapping[str, str]

    def of(self, key: CellKey) -> str:
        """A cell as people name it."""
        row = self.rows.get(key.row, key.row)
        column = self.columns.get(key.column, key.column)
        return ", ".join([row, column, *([key.language] if key.language else [])])


def find_name(kind: str, text: str, known: Called, where: str | None = None) -> str:
    """The name that is meant by a name, a title or a short heading.

    Case, spaces and punctuation do not count, but for the ``+`` and ``@`` that tell rows apart.

    Args:
        kind: of name, for messages.
        where: the text stands, for messages.

    Raises:
        ConfigError: nothing is called so, or several are; it lists what could be meant.

    Example:
        >>> find_name("row", "SQuAD v2.0", {"squad_v1": ["SQuAD v1.1"], "squad_v2": ["SQuAD v2.0"]})
        'squad_v2'
    """
    if text in known:
        return text
    wanted = _bare(text)
    folded = {name: [_bare(word) for word in (name, *words)] for name, words in known.items()}
    same = [name for name, words in folded.items() if wanted in words]
    if len(same) == 1:
        return same[0]
    near = same or [
        name for name, words in folded.items() if wanted and any(wanted in word for word in words)
    ]
    if not near:
        raise unknown_name(kind, text, known, where)
    meant = ", ".join(f"{next(iter(known[name]), name)} ({name})" for name in near)
    raise ConfigError(
        f"no {kind} is called {text!r} alone", where=where, got=repr(text), expected=meant
    )


def find_pattern(kind: str, text: str, known: Called, where: str | None = None) -> str:
    """A pattern of names that matches some, or the name that is meant by another text.

    Raises:
        ConfigError: a pattern that matches none; or as :func:`find_name`.

    Example:
        >>> known = {"xnli": ["XNLI"], "udpos": ["POS"]}
        >>> find_pattern("column", "u*", known), find_pattern("column", "pos", known)
        ('u*', 'udpos')
    """
    if any(fnmatchcase(name, text) for name in known):
        return text
    if set(text) & _WILD:
        raise unknown_name(kind, text, known, where)
    return find_name(kind, text, known, where)


def _bare(text: str) -> str:
    """A word without what people leave out or add when they type it."""
    return re.sub(r"[^\w+@]|_", "", text).casefold()


def _title(task: Task) -> str:
    return task.title.removesuffix("-GoldP").removesuffix(" 2018")
