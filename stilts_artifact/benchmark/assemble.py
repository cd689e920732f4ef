"""The worlds, real and generated, assembled from the same tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from stilts_artifact.benchmark.languages import FAMILY, MINI, XTREME, Naming
from stilts_artifact.benchmark.pins import Pin, read_pins
from stilts_artifact.benchmark.sources import upstream_sources
from stilts_artifact.benchmark.tasks import ROWS, make_task
from stilts_artifact.benchmark.texts import WIKIPEDIA, make_texts
from stilts_artifact.domain.tasks import Benchmark, Language, Part, Role, Source, Task
from stilts_artifact.errors import ConfigError, unknown_name

MINI_PINS, FAMILY_PINS = "mini_pins.tsv", "family_pins.tsv"
RECORD = {
    "mini": "python -m stilts_artifact.miniworld.pin",
    "family": "python -m stilts_artifact.miniworld.pin family",
}
"""Generated benchmark -> the command that prints its pins."""


def xtreme_benchmark() -> Benchmark:
    """The real benchmark."""
    return _assemble("xtreme", XTREME, upstream_sources())


def mini_benchmark(pins: Mapping[str, Pin] | None = None) -> Benchmark:
    """The generated benchmark, with the recorded pins unless others are given.

    Raises:
        ConfigError: the pins are not exactly those of the files that the tasks read.
    """
    recorded = read_pins(MINI_PINS) if pins is None else pins
    pinned_by = f"stilts_artifact/benchmark/{MINI_PINS}, recorded by {RECORD['mini']}"
    return _assemble("mini", MINI, _generated(recorded, "", pinned_by))


def family_benchmark() -> Benchmark:
    """The generated benchmark in the family of languages, for the validation of the studies.

    Raises:
        ConfigError: as :func:`mini_benchmark`.
    """
    pinned_by = f"stilts_artifact/benchmark/{FAMILY_PINS}, recorded by {RECORD['family']}"
    return _assemble("family", FAMILY, _generated(read_pins(FAMILY_PINS), "family/", pinned_by))


def restricted(benchmark: Benchmark, languages: Collection[str]) -> Benchmark:
    """A benchmark whose targets are evaluated in some languages only; training stays as it is.

    Raises:
        ConfigError: a language that the benchmark does not have.
    """
    for code in languages:
        if code not in benchmark.languages:
            raise unknown_name("language", code, benchmark.languages)
    tasks = {
        name: replace(task, languages=tuple(own for own in task.languages if own in languages))
        if task.role is Role.TARGET
        else task
        for name, task in benchmark.tasks.items()
    }
    return replace(benchmark, tasks=tasks)


def with_single_files(benchmark: Benchmark) -> Benchmark:
    """A benchmark in which what an archive alone would have whole is of single files.

    Where not every file of a split is known one by one, those that are known are read instead: some
    treebanks of a language, where XTREME has all. Such a split is another one than the benchmark's,
    and the same on every machine.
    """

    def known(parts: Iterable[Part]) -> tuple[Part, ...]:
        return tuple(one for part in parts for one in single_files(part, benchmark) or [part])

    tasks = {
        name: replace(task, parts={key: known(parts) for key, parts in task.parts.items()})
        for name, task in benchmark.tasks.items()
    }
    return replace(benchmark, tasks=tasks, texts=make_texts(tasks, wikipedia_of(benchmark)))


def single_files(part: Part, benchmark: Benchmark) -> list[Part]:
    """The files of a part that are known one by one, where not all of them are; else none."""
    source, pattern = benchmark.sources[part.source], part.member
    if pattern is None or "*" not in pattern or pattern in source.complete:
        return []
    paths = sorted(one.path for one in source.members if fnmatchcase(one.path, pattern))
    return [replace(part, member=path) for path in paths]


def source_names(naming: Naming) -> tuple[str, ...]:
    """Names of the sources that a benchmark's tasks read, each once, in the order of first use."""
    parts = [part for task in _tasks(naming) for parts in task.parts.values() for part in parts]
    return tuple(dict.fromkeys(part.source for part in [*parts, *_wikipedia(naming).values()]))


def wikipedia_of(benchmark: Benchmark) -> Mapping[str, Part]:
    """Language -> the running text of it that is brought by hand."""
    return {code: part for code, (part,) in benchmark.texts[WIKIPEDIA].parts.items()}


def _wikipedia(naming: Naming) -> Mapping[str, Part]:
    return {language: Part(f"wikipedia.{language}.txt", "lines") for language in naming.names}


def _assemble(name: str, naming: Naming, sources: Mapping[str, Source]) -> Benchmark:
    names = source_names(naming)
    astray = sorted(set(names) ^ set(sources))
    if astray:
        raise ConfigError(
            "the pins are not those of the files that the tasks read",
            where=f"stilts_artifact/benchmark/{name}_pins.tsv",
            got=f"{len(astray)} astray: {', '.join(astray[:5])}",
            fix=f"run: {RECORD[name]}" if name in RECORD else None,
        )
    tasks = {task.name: replace(task, licence=licence_of(task, sources)) for task in _tasks(naming)}
    return Benchmark(
        name=name,
        source_language=naming.source_language,
        languages={
            code: Language(code, text)
            for code, text in sorted({**naming.names, **naming.further}.items())
        },
        tasks=tasks,
        sources={source: sources[source] for source in names},
        texts=make_texts(tasks, _wikipedia(naming)),
    )


def _tasks(naming: Naming) -> tuple[Task, ...]:
    return tuple(
        make_task(row, naming)
        for row in ROWS
        if (naming.tasks is None or row.name in naming.tasks)
        and (not row.languages or naming.name in row.languages)
    )


def licence_of(task: Task, sources: Mapping[str, Source]) -> str:
    """The licences of everything a task reads, training data included."""
    return "; ".join(
        dict.fromkeys(
            sources[part.source].licence for parts in task.parts.values() for part in parts
        )
    )


def _generated(pins: Mapping[str, Pin], within: str, pinned_by: str) -> dict[str, Source]:
    """Files that the mini world makes; ``within`` stands before their names there."""
    return {
        name: Source(
            name=name,
            urls=(f"miniworld:{within}{name}",),
            bytes=pin.bytes,
            sha256=pin.sha256,
            licence="CC0-1.0",
            obtain="Nothing to download: fetching generates it from a seed.",
            pinned_by=pinned_by,
        )
        for name, pin in pins.items()
    }
