"""The benchmark's labels by their hashes: ``expected_results/labels/{benchmark}.tsv``.

Whoever may choose the labels can make any predictions look right. A label file's bytes follow from
pinned sources by this package's readers, so they are the same on every machine; their hashes are
recorded once, where the sources are, and whoever checks a result holds its labels against them
without having the sources.

    {sha256} TAB {rows, or all} TAB {task}/{split}-{language}.{tsv|json}
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.sums import (
    expected_root,
    is_recorded,
    read_protected,
    refresh_sums,
)
from stilts_artifact.config import SCALES
from stilts_artifact.config.load import benchmark_of, load_scale
from stilts_artifact.domain.tasks import Benchmark, Split, Task
from stilts_artifact.errors import DataError
from stilts_artifact.files import hash_file, write_file
from stilts_artifact.forms.labels import evaluated_rows, write_labels

if TYPE_CHECKING:
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.data.library import Library

FOLDER = "labels"
ALL = "all"
RECORD = "stilts-artifact record --labels"

_LINE = re.compile(
    r"(?P<sha256>[0-9a-f]{64})\t"
    r"(?P<rows>all|[1-9][0-9]{0,8})\t"
    r"(?P<path>[\w-]+/[\w-]+\.(?:tsv|json))",
    re.ASCII,
)

Pins = Mapping[tuple[str, str], str]
"""(rows, ``task/split-language.suffix``) -> sha256."""


@dataclass(frozen=True, slots=True)
class RecordedLabels:
    """What was recorded of a benchmark's labels.

    Args:
        path: of the list.
        recorded: label files whose sources are here.
        missing: names of the sources that are not, and whose labels were left as they are.
    """

    path: Path
    recorded: int
    missing: tuple[str, ...]


def labels_path(benchmark: str) -> Path:
    """Where the hashes of a benchmark's labels lie."""
    return expected_root() / FOLDER / f"{benchmark}.tsv"


def load_labels(scale: Scale) -> Mapping[str, str] | None:
    """Hashes of the label files that a scale scores on.

    Returns:
        ``{task}/{split}-{language}.{tsv|json}`` -> sha256; only of those that are recorded.
        ``None`` where nothing is held against anything, and so nothing recorded.

    Raises:
        DataError: a malformed line; the list is gone although its sum is recorded.
        IntegrityError: the list was edited.
    """
    if not scale.expected:
        return None
    tasks = benchmark_of(scale).tasks
    rows = {name: rows_text(evaluated_rows(task, scale)) for name, task in tasks.items()}
    return {
        path: sha256
        for (own, path), sha256 in read_pins(labels_path(scale.benchmark)).items()
        if rows.get(path.partition("/")[0]) == own
    }


def read_pins(path: Path) -> Pins:
    """A whole list; none where nothing is recorded yet. Raises as :func:`load_labels`."""
    if not is_recorded(path):
        return {}
    pins: dict[tuple[str, str], str] = {}
    text = read_protected(path).decode("utf-8", "replace")
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        match = _LINE.fullmatch(line)
        if match is None or (match["rows"], match["path"]) in pins:
            raise DataError(
                "not a pinned label file", where=f"{path}:{number}", got=repr(line[:100])
            )
        pins[match["rows"], match["path"]] = match["sha256"]
    return pins


def dump_pins(pins: Pins) -> bytes:
    """The bytes of a list."""
    lines = sorted((path, rows, sha256) for (rows, path), sha256 in pins.items())
    return "".join(f"{sha256}\t{rows}\t{path}\n" for path, rows, sha256 in lines).encode()


def rows_text(rows: int | None) -> str:
    """How a list calls a number of rows."""
    return ALL if rows is None else str(rows)


def record_labels(library: Library, benchmark: Benchmark) -> RecordedLabels:
    """Record the labels of every target whose sources are on this machine, for every shipped scale.

    Raises:
        DataError, IntegrityError: a source that cannot be read, or was changed; or the list.
        ResourceError: the list cannot be written.
    """
    path = labels_path(benchmark.name)
    made: dict[tuple[str, str], str] = {}
    missing: dict[str, None] = {}
    scales = [scale for scale in map(load_scale, SCALES) if scale.benchmark == benchmark.name]
    for task, split, language in _scored_places(benchmark):
        lacking = library.missing(task.parts[split, language])
        missing |= dict.fromkeys(source.name for source in lacking)
        if not lacking:
            rows = {evaluated_rows(task, scale) for scale in scales}
            made |= _label_pins(library, task, split, language, rows)
    write_file(path, dump_pins({**read_pins(path), **made}))
    refresh_sums(expected_root(), [path])
    return RecordedLabels(path, len(made), tuple(missing))


def _scored_places(benchmark: Benchmark) -> Iterator[tuple[Task, Split, str]]:
    """Every split that some experiment scores, in each of its languages."""
    scored = [one for one in EXPERIMENTS.values() if not one.is_counted]
    for task in benchmark.tasks.values():
        own = [one for one in scored if task in one.targets(benchmark)]
        places = {
            (split, language)
            for split in {one.scored_split(task) for one in own}
            for language in task.languages_of(split)
        }
        places |= {(Split.DEV, language) for one in own for language in one.development(task)}
        for split, language in sorted(places):
            yield task, split, language


def _label_pins(
    library: Library, task: Task, split: Split, language: str, rows: Collection[int | None]
) -> dict[tuple[str, str], str]:
    pins: dict[tuple[str, str], str] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for most in rows:
            written = write_labels(task, split, language, most, library, folder)
            name = written.relative_to(folder).as_posix()
            pins[rows_text(most), name] = hash_file(written).sha256
    return pins
