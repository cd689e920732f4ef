"""Somebody's own data in the place of a benchmark's: which files may be brought, and how read.

A file is named after what it replaces: ``{task}.{split}-{language}`` and an ending, such as
``mnli.train-en.tsv``. In the formats below ``{place}`` stands for the name before the ending,
``{language}`` and ``{english}`` for the codes of the two languages, ``{labels}`` for the task's
labels.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stilts_artifact.benchmark.assemble import licence_of, wikipedia_of
from stilts_artifact.benchmark.tasks import BY_LANGUAGE, SQUAD_V1, SQUAD_V2
from stilts_artifact.benchmark.texts import make_texts
from stilts_artifact.domain.tasks import Benchmark, Part, Role, Source, Split, Task, TaskForm
from stilts_artifact.errors import ConfigError

IGNORED = "README.md"
"""The one other file that may lie beside own data, which nobody reads."""
TEXT = "text"
"""Stands in names for the running text of a language, which is no task's."""


@dataclass(frozen=True, slots=True)
class Format:
    """How own data of a task may be brought.

    Args:
        form: of the tasks; ``None`` for running text.
        parts: what the files are and which reader takes them, in the order of a task's parts.
        tasks: the only ones; by default all of the form.
    """

    form: TaskForm | None
    parts: tuple[Part, ...]
    tasks: tuple[str, ...] = ()


LABELS = (("labels", "{labels}"),)

# Of two formats with the same ending the first that is a task's counts.
FORMATS = (
    Format(TaskForm.PAIR, (Part("{place}.tsv", "pair_rows", options=LABELS),)),
    Format(TaskForm.CHOICE, (Part("{place}.tsv", "choice_rows"),)),
    Format(TaskForm.TAGGING, (Part("{place}.tsv", "tagged_words", options=LABELS),)),
    Format(TaskForm.TAGGING, (Part("{place}.conllu", "conllu", options=BY_LANGUAGE),), ("udpos",)),
    Format(TaskForm.SPAN, (Part("{place}.json", "squad", options=SQUAD_V2),), ("squad_v2",)),
    Format(TaskForm.SPAN, (Part("{place}.json", "squad", options=SQUAD_V1),)),
    Format(
        TaskForm.MINING,
        (
            Part("{place}.src.txt", "lines", options=BY_LANGUAGE),
            Part("{place}.trg.txt", "lines", options=(("language", "{english}"),)),
            Part(
                "{place}.gold.tsv",
                "gold_lines",
                options=(("source", "{language}"), ("target", "{english}")),
            ),
        ),
    ),
    Format(
        TaskForm.SEARCH,
        (
            Part("{place}.tsv", "parallel", options=(("side", "source"),)),
            Part("{place}.tsv", "parallel", options=(("side", "target"),)),
        ),
    ),
    Format(None, (Part("{place}.txt", "lines"),)),
)


@dataclass(frozen=True, slots=True)
class Place:
    """What own files replace: a split of a task in a language, or a language's running text."""

    task: str
    split: Split
    language: str

    def __str__(self) -> str:
        return f"{self.task}.{self.split}-{self.language}"


Known = Mapping[str, tuple[Place, tuple[Part, ...]]]
"""File name -> what it replaces, and all parts that are then read in its place."""


def with_own_data(benchmark: Benchmark, names: Iterable[str]) -> Benchmark:
    """A benchmark that reads files of somebody's own in place of what it read before.

    Args:
        names: of the files.

    Raises:
        ConfigError: a name that says nothing of this benchmark, two files in one place, or a place
            for which only some of its files are there.
    """
    chosen: dict[Place, tuple[Part, ...]] = {}
    known = known_names(benchmark)
    listed = sorted(names)
    for name in listed:
        if name not in known:
            raise _unknown(name, benchmark, known)
        place, parts = known[name]
        if chosen.setdefault(place, parts) != parts:
            raise ConfigError(
                "two own files in one place",
                where=str(place),
                got=", ".join(other for other in listed if known[other][0] == place),
                expected="one of them",
            )
    _require_whole(chosen, listed)
    sources = {**benchmark.sources, **{name: own_source(name) for name in listed}}
    tasks: dict[str, Task] = {}
    for name, task in benchmark.tasks.items():
        own = replace(task, parts=_replaced(task, benchmark, chosen))
        tasks[name] = replace(own, licence=licence_of(own, sources))
    text = {
        language: chosen.get(Place(TEXT, Split.TRAIN, language), (part,))[0]
        for language, part in wikipedia_of(benchmark).items()
    }
    return replace(benchmark, tasks=tasks, texts=make_texts(tasks, text), sources=sources)


def own_source(name: str) -> Source:
    """A file of somebody's own: taken by its name, never verified against anything."""
    return Source(
        name=name,
        urls=(),
        bytes=None,
        sha256=None,
        licence="own data: not stated",
        obtain="Put it into the folder that --own-data names.",
        pinned_by="own data: the hash of the copy used is recorded with the result",
    )


def known_names(benchmark: Benchmark) -> Known:
    """The name of every file that may be brought; none is of a task that only studies have.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> place, parts = known_names(load_benchmark("xtreme"))["bucc2018.dev-de.gold.tsv"]
        >>> str(place), [part.source for part in parts][:2]
        ('bucc2018.dev-de', ['bucc2018.dev-de.src.txt', 'bucc2018.dev-de.trg.txt'])
    """
    known: dict[str, tuple[Place, tuple[Part, ...]]] = {}
    for task in benchmark.tasks.values():
        for split, language in () if task.study else _places(task, benchmark):
            place = Place(task.name, split, language)
            for own in FORMATS:
                if own.form is task.form and (not own.tasks or task.name in own.tasks):
                    parts = tuple(_named(part, place, task) for part in own.parts)
                    for part in parts:
                        known.setdefault(part.source, (place, parts))
    (running,) = (own.parts for own in FORMATS if own.form is None)
    for language in wikipedia_of(benchmark):
        place = Place(TEXT, Split.TRAIN, language)
        parts = tuple(replace(part, source=part.source.format(place=place)) for part in running)
        known[parts[0].source] = place, parts
    return known


def _places(task: Task, benchmark: Benchmark) -> Iterator[tuple[Split, str]]:
    """Where own data of a task are read.

    Not what is another task's data: these go by that one's name. Of a target also a split that a
    language lacks and others have.
    """
    yield from (key for key in task.parts if _owner(task, key, benchmark) == task.name)
    if task.role is Role.TARGET:
        evaluated = {split for split, _ in task.parts} - {Split.TRAIN}
        for split in sorted(evaluated):
            for language in task.languages:
                if (split, language) not in task.parts:
                    yield split, language


def _owner(task: Task, key: tuple[Split, str], benchmark: Benchmark) -> str:
    """The first task that has the data of a split: MNLI, of what XNLI is trained on."""
    return next(
        other.name for other in benchmark.tasks.values() if other.parts.get(key) == task.parts[key]
    )


def _named(part: Part, place: Place, task: Task) -> Part:
    """A part of a format with names in place of the braces."""
    names = {
        "place": place,
        "language": place.language,
        "english": task.source_language,
        "labels": " ".join(task.labels),
    }
    options = tuple((key, value.format_map(names)) for key, value in part.options)
    return replace(part, source=part.source.format_map(names), options=options)


def _replaced(
    task: Task, benchmark: Benchmark, chosen: Mapping[Place, tuple[Part, ...]]
) -> dict[tuple[Split, str], tuple[Part, ...]]:
    """The parts of a task, those of own files among them; what was the same data stays the same.

    Own training data of an intermediate task stand alone: the publisher's development data would
    choose a checkpoint of somebody else's task, and whoever brings the one may not have the other.
    """
    parts = dict(task.parts)
    for place, own in chosen.items():
        key = (place.split, place.language)
        if place.task == task.name or (
            key in task.parts and _owner(task, key, benchmark) == place.task
        ):
            parts[key] = own
    own_splits = {
        place.split
        for place in chosen
        if (place.task, place.language) == (task.name, task.source_language)
    }
    if task.role is Role.INTERMEDIATE and own_splits == {Split.TRAIN}:
        del parts[Split.DEV, task.source_language]
    return parts


def _require_whole(chosen: Mapping[Place, tuple[Part, ...]], names: Sequence[str]) -> None:
    for place, parts in chosen.items():
        missing = sorted({part.source for part in parts} - set(names))
        if missing:
            raise ConfigError(
                "own data of which some files are missing",
                where=str(place),
                got=f"no {', '.join(missing)}",
                expected=", ".join(dict.fromkeys(part.source for part in parts)),
            )


def _unknown(name: str, benchmark: Benchmark, known: Known) -> ConfigError:
    """Says of a name what the benchmark has instead, and which name is nearest."""
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f", did you mean {nearest[0]!r}?" if nearest else ""
    error = ConfigError(
        f"unknown file of own data{hint}", got=name, expected=_expected(name, known)
    )
    for task in benchmark.tasks.values():
        for key in task.parts:
            owner = _owner(task, key, benchmark)
            if owner != task.name and name.startswith(f"{Place(task.name, *key)}."):
                error.fix = f"{task.name} is trained on the data of {owner}: name it after that"
    return error


def _expected(name: str, known: Known) -> str:
    """The names of a task, such as ``panx.dev-CODE.tsv (CODE: af, ar)``; else those of tasks."""
    task = name.partition(".")[0]
    codes: dict[str, list[str]] = {}
    for other, (place, _) in known.items():
        if place.task == task:
            ending = other.removeprefix(str(place))
            codes.setdefault(f"{task}.{place.split}-CODE{ending}", []).append(place.language)
    if not codes:
        tasks = dict.fromkeys(place.task for place, _ in known.values())
        return f"TASK.SPLIT-CODE.ENDING (TASK: {', '.join(tasks)})"
    return "; ".join(f"{form} (CODE: {', '.join(found)})" for form, found in codes.items())
