"""The file that a sweep keeps its results in: a line of JSON for each language, added when done.

Killed at any instant, a sweep loses the language that it was at. What a line is of stands in it,
everything that decides the points; a line of something else is never taken for it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stilts_artifact import __version__
from stilts_artifact.documents import parse_json
from stilts_artifact.errors import DataError
from stilts_artifact.files import disk_errors
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.model.manifest import Origin
from stilts_artifact.retrieval.encode import Batching, View
from stilts_artifact.retrieval.sweep import SweepLanguage, SweepScores
from stilts_artifact.retrieval.transformer import Dtype

Record = Mapping[str, Any]
"""A line: the encoder's name, :meth:`SweepSettings.identity`, ``n``, ``cut`` and ``points``."""


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """Everything that decides the points of a language, beside its data.

    Args:
        encoder: its name, which decides nothing.
        origin: what it is by its bytes.
        task, metric: what is scored; the metric in words.
        direction: which side asks; ``None`` of mining, which looks both ways.
    """

    encoder: str
    origin: Origin
    task: str
    metric: str
    direction: str | None
    views: tuple[View, ...]
    batching: Batching
    dtype: Dtype

    def to_json(self) -> dict[str, Any]:
        """As JSON, without the encoder's name."""
        return {
            **asdict(self.origin),
            "task": self.task,
            "metric": self.metric,
            "metric_version": METRIC_VERSION,
            "direction": self.direction,
            "views": [{"pooling": view.name, "layer": view.layer} for view in self.views],
            "prefix": self.batching.prefix,
            "max_length": self.batching.max_length,
            "dtype": self.dtype,
            "version": __version__,
        }

    def identity(self, language: SweepLanguage) -> dict[str, Any]:
        """What identifies the points of a language."""
        return {**self.to_json(), "language": language.language, "data": language.data}

    def record(self, language: SweepLanguage, points: Sequence[float], cut: int) -> dict[str, Any]:
        """The line of a language.

        Args:
            points: of each view.
            cut: number of its sentences that were embedded without their ends.
        """
        found = {"n": language.n, "cut": cut, "points": [*points]}
        return {"encoder": self.encoder, **self.identity(language), **found}


@dataclass(frozen=True, slots=True)
class SweepFile:
    """Records of any sweeps, in the order in which their languages were done.

    Args:
        path: where it lies, or will.
    """

    path: Path

    def read(self) -> list[Record]:
        """The records; what a killed writer left of a last line is taken away.

        Raises:
            DataError: a line that is no record.
            ResourceError: the file cannot be read or mended.
        """
        if not self.path.exists():
            return []
        with disk_errors(self.path), self.path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.truncate(whole)
        lines = data[:whole].split(b"\n")[:-1]
        return [_record(line, f"{self.path}:{number}") for number, line in enumerate(lines, 1)]

    def add(self, record: Record) -> None:
        """Append a record, on the disk when this returns.

        Raises:
            ResourceError: the disk is full or refuses.
        """
        line = (json.dumps(record) + "\n").encode()
        with disk_errors(self.path, len(line)):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())


def _record(line: bytes, where: str) -> Record:
    record = parse_json(line, where)
    try:
        points, sizes = record["points"], (record["n"], record["cut"])
        sound = len(points) == len(record["views"])
        sound &= all(isinstance(value, float) for value in points)
        sound &= all(type(value) is int for value in sizes)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise DataError(
            "not a result of a sweep",
            where=where,
            expected="a line that `stilts-artifact sweep` wrote",
            fix="name another file with --out",
        )
    return dict(record)


def find_record(records: Sequence[Record], identity: Mapping[str, Any]) -> Record | None:
    """The record with this identity, the last of several."""
    same = (
        record
        for record in reversed(records)
        if all(record.get(name) == value for name, value in identity.items())
    )
    return next(same, None)


def scores_of(records: Sequence[Record]) -> SweepScores:
    """Records of one sweep, a language each, as scores by view."""
    points: dict[tuple[str, int], dict[str, float]] = {}
    for record in records:
        for view, value in zip(record["views"], record["points"], strict=True):
            languages = points.setdefault((view["pooling"], view["layer"]), {})
            languages[record["language"]] = value
    sizes = {record["language"]: record["n"] for record in records}
    return SweepScores(points, sizes, records[0]["metric"])
