"""Tables 2 and 3: which steps they need, the public folder of predictions and labels, and the cells computed from it.

    {results}/table2.mini/labels/{task}/{split}-{language}.{tsv|json}
    {results}/table2.mini/predictions/{row}/seed-{seed}/{task}/{split}-{language}.{tsv|json}

Nothing but these files decides a number, so whoever has the folder can compute it again.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stilts_artifact import __version__
from stilts_artifact.benchmark.experiments import NONE, Row, scored_split
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Part, Source, Split, Task, TaskForm
from stilts_artifact.errors import ResourceError
from stilts_artifact.experiments.steps import RETRIEVAL, StepBuilder
from stilts_artifact.experiments.table1 import describe_source
from stilts_artifact.forms import form_of
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.tables import Column, table_columns, table_values
from stilts_artifact.pipeline.step import Step


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """One folder of predictions: an encoder (row and seed) on a target."""

    row: str
    seed: int
    task: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run.

    Args:
        predictions: the steps that predict, by place.
        labels: the steps that write gold labels, by task.
        impossible: places whose data are not on this machine, and why.
    """

    table: int
    predictions: Mapping[RunKey, Step]
    labels: Mapping[str, Step]
    impossible: Mapping[RunKey, str]

    @property
    def steps(self) -> list[Step]:
        """All steps asked for."""
        return [*self.predictions.values(), *self.labels.values()]

    def renamed(self, row: str) -> Request:
        """The same, standing in another row."""
        predictions = {replace(place, row=row): step for place, step in self.predictions.items()}
        impossible = {replace(place, row=row): reason for place, reason in self.impossible.items()}
        return replace(self, predictions=predictions, impossible=impossible)


def merged(requests: Sequence[Request]) -> Request:
    """Several requests of one table as one."""
    return Request(
        requests[0].table,
        {place: step for one in requests for place, step in one.predictions.items()},
        {task: step for one in requests for task, step in one.labels.items()},
        {place: reason for one in requests for place, reason in one.impossible.items()},
    )


Missing = Callable[[Iterable[Part]], Sequence[Source]]
"""The sources that parts need and that are not on this machine."""


def request(
    builder: StepBuilder, table: int, cells: Iterable[tuple[Row, Task]], missing: Missing
) -> Request:
    """The steps behind some cells.

    Args:
        cells: rows and the targets wanted of them.
        missing: says what is not on this machine.
    """
    predictions: dict[RunKey, Step] = {}
    labels: dict[str, Step] = {}
    impossible: dict[RunKey, str] = {}
    for row, task in cells:
        absent = missing(builder.parts(row, task, table))
        for seed in builder.scale.seeds:
            place = RunKey(row.name, seed, task.name)
            if absent:
                more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
                impossible[place] = f"not on this machine: {describe_source(absent[0])}{more}"
            else:
                predictions[place] = builder.predictions(row, seed, task, table)
                labels[task.name] = builder.labels(task, table)
    return Request(table, predictions, labels, impossible)


def publish(folder: Path, predictions: Mapping[RunKey, Path], labels: Mapping[str, Path]) -> None:
    """Make the public folder anew from the results of steps; it appears whole, or stays as it was.

    Args:
        predictions, labels: folders that hold ``{task}/{split}-{language}.*``.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for task, source in labels.items():
                shutil.copytree(
                    source / task, made / "labels" / task, copy_function=shutil.copyfile
                )
            for place, source in predictions.items():
                target = made / "predictions" / place.row / f"seed-{place.seed}" / place.task
                shutil.copytree(source / place.task, target, copy_function=shutil.copyfile)
            made.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        fix = "free some disk space, or name a folder this user can write"
        raise ResourceError(
            "cannot write the predictions", where=str(folder), got=str(error), fix=fix
        ) from error


def files_below(results: Path, folder: Path) -> Iterator[tuple[str, int, str]]:
    """Path below the results folder, bytes and sha256 of every file of a published folder, sorted."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        yield path.relative_to(results).as_posix(), len(data), hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Measuring:
    """Computes the cells of a published folder.

    Args:
        failed: place -> why there are no predictions.
        flags: place -> ``DEGENERATE``, for runs that collapsed.
    """

    builder: StepBuilder
    failed: Mapping[RunKey, str]
    flags: Mapping[RunKey, str]

    def measure(self, folder: Path, table: int, rows: Sequence[str]) -> list[Measurement]:
        """All cells of these rows; those without predictions have the reason instead of a value.

        Raises:
            DataError: predictions that cannot be scored.
        """
        columns = {column.name: column for column in table_columns(self.builder.benchmark, table)}
        values = table_values(folder, self.builder.benchmark, table, rows, self.builder.scale.seeds)
        return [
            Measurement(
                key,
                cell.value,
                cell.reason and (self._failure(key.row, columns[key.column]) or cell.reason),
                self._signature(columns[key.column], key, table),
                seeds=cell.seeds if len(cell.seeds) > 1 else None,
                flag=self._flag(key.row, columns[key.column]),
            )
            for key, cell in values.items()
        ]

    def _failure(self, row: str, column: Column) -> str | None:
        found = [
            reason for place in self._places(row, column) if (reason := self.failed.get(place))
        ]
        return found[0] if found else None

    def _flag(self, row: str, column: Column) -> str | None:
        return next(
            (self.flags[place] for place in self._places(row, column) if place in self.flags), None
        )

    def _places(self, row: str, column: Column) -> list[RunKey]:
        return [
            RunKey(row, seed, task.name)
            for task in column.tasks
            for seed in self.builder.scale.seeds
        ]

    def _signature(self, column: Column, key: CellKey, table: int) -> str:
        scale = self.builder.scale
        untrained = key.row == NONE and all(task.form in RETRIEVAL for task in column.tasks)
        fields = {} if column.is_average else self._task_fields(column.tasks[0], table)
        return Signature(
            task=column.name if column.is_average else column.tasks[0].name,
            split=_split(column, table),
            languages=column.languages(table) if key.language is None else (key.language,),
            encoder=scale.encoder.name,
            revision=self.builder.revision[:12],
            metric="mean" if column.is_average else _metric(column),
            metric_version=METRIC_VERSION,
            seeds=None if untrained else scale.seeds,
            dtype=scale.dtype,
            scale=scale.name,
            version=__version__,
            **fields,
        ).short()

    def _task_fields(self, task: Task, table: int) -> dict[str, Any]:
        """What else decides a target's score."""
        if task.form not in RETRIEVAL:
            return {"max_length": self.builder.tuning(task.name).max_length}
        own = self.builder.scale.retrieval
        fields = {"layer": own.layer, "pooling": own.pooling, "max_length": own.max_length}
        if task.form is TaskForm.SEARCH:
            return {**fields, "neighbours": 1, "margin": "absolute"}
        policy = "oracle" if scored_split(task, table) is Split.DEV else "dev"
        mining = {
            "neighbours": own.neighbours,
            "margin": f"{own.margin}-max",
            "duplicates": "product",
        }
        return {**fields, **mining, "threshold": policy}


def _split(column: Column, table: int) -> str:
    """An average is called by the split that most of its tasks have."""
    return scored_split(column.tasks[0], table)


def _metric(column: Column) -> str:
    name = form_of(column.tasks[0]).metric_name(column.tasks[0])
    return name if column.metric == "score" else f"{name}:{column.metric}"
