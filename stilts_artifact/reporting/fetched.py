"""What a fetch did not bring, in as few lines as say it: files that share a reason are one group.

A person acts on reasons, not on files. Whoever needs each file with its sums asks for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from stilts_artifact.data.fetch import Failure, FetchReport
from stilts_artifact.domain.tasks import Benchmark, Source
from stilts_artifact.domain.units import readable_size

_ADDRESS = re.compile(r"(https?://[^/\s]+)/\S*?(?=:?(\s|$))")
_EACH = "the same command with --json names each file, its sums, and how to get it"
_TEXT = "masked language modelling"

Item = TypeVar("Item")


def missing_lines(report: FetchReport, benchmark: Benchmark) -> list[str]:
    """Lines on all that is not here: what failed, by reason; then what people have to bring."""
    lines: list[str] = []
    for group in _grouped(report.failed, _reason):
        lines += _failed(group)
    by_hand = [failure.source for failure in report.by_hand]
    return lines + (_by_hand(by_hand, benchmark) if by_hand else [])


def _reason(failure: Failure) -> tuple[str, ...]:
    """What failures share if one sentence can say them: all but their names and addresses."""
    error = failure.error
    what = error.what.replace(failure.source.name, "...")
    return type(error).__name__, what, _ADDRESS.sub(r"\1", error.got or "")


def _failed(group: Sequence[Failure]) -> list[str]:
    """The message of one failure, or one message for several of the same reason."""
    if len(group) == 1:
        return str(group[0].error).splitlines()
    _, what, got = _reason(group[0])
    sources = [failure.source for failure in group]
    lines = [f"{_count(sources)}: {what}"]
    lines += [f"  {line.strip()}" for line in got.splitlines() if line.strip()]
    lines += [f"  {_family(family)}" for family in _grouped(sources, _folder)]
    return [*lines, f"  {_EACH}"]


def _by_hand(sources: Sequence[Source], benchmark: Benchmark) -> list[str]:
    """Each kind of file once: which, what reads it, and how one comes by it."""
    readers = _readers(benchmark)
    lines = [f"{_count(sources)} to be brought by hand; what needs them is NOT_RUN without them:"]
    for family in _grouped(sources, lambda source: readers[source.name]):
        lines += [f"  {_family(family)}, for {readers[family[0].name]}", f"    {family[0].obtain}"]
    return lines


def _readers(benchmark: Benchmark) -> dict[str, str]:
    """Source name -> the tasks that read it, or else that it is text for language modelling."""
    titles: dict[str, list[str]] = {name: [] for name in benchmark.sources}
    for task in benchmark.tasks.values():
        for source in dict.fromkeys(p.source for parts in task.parts.values() for p in parts):
            titles[source].append(task.title)
    return {name: ", ".join(found) or _TEXT for name, found in titles.items()}


def _grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Items with the same key together, groups and items in the order given."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _folder(source: Source) -> str:
    """Where its publisher has it, and others of the same kind beside it."""
    return source.urls[0].rpartition("/")[0] if source.urls else source.name


def _family(sources: Sequence[Source]) -> str:
    """Example: ``"40 files wikipedia.af.txt ... wikipedia.zh.txt"``; one is just named."""
    names = sources[0].name
    if len(sources) > 1:
        names = f"{len(sources):,} files {names} ... {sources[-1].name}"
    sizes = [source.bytes for source in sources if source.bytes is not None]
    known = len(sizes) == len(sources)
    return f"{names} ({readable_size(sum(sizes))})" if known else names


def _count(sources: Sequence[Source]) -> str:
    return f"{len(sources):,} file{'s' if len(sources) > 1 else ''}"
