"""The experiments whose cells are scores: steps, published predictions, and the cells they give.

    {results}/table2.mini/labels/{task}/{split}-{language}.{tsv|json}
    {results}/table2.mini/predictions/{row}/seed-{seed}/{task}/{split}-{language}.{tsv|json}
    {results}/study-004.mini/probabilities/{row}/seed-{seed}/{task}/{split}-{language}.csv
    {results}/study-002.mini/scores/{row}/seed-{seed}/{task}/{split}.csv

Nothing but these files decides a number, so whoever has the folder can compute it again. Beside
them lies what the training runs said of themselves, ``training.csv``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stilts_artifact import __version__
from stilts_artifact.benchmark.asked import Wanted, wanted_cells
from stilts_artifact.benchmark.experiments import BEST, Experiment, Size
from stilts_artifact.checking.learning_curves import (
    CURVES,
    Curve,
    CurveKey,
    Curves,
    dump_curves,
    reported_curves,
)
from stilts_artifact.checking.results import RowRecord, row_records
from stilts_artifact.data.library import InputRecord
from stilts_artifact.documents import parse_json, read_document
from stilts_artifact.domain.cells import CellKey, Flag, Measurement
from stilts_artifact.domain.signature import Signature, require_comparable
from stilts_artifact.domain.tasks import Part, Source, Split, Task
from stilts_artifact.errors import (
    ArtifactError,
    ConfigError,
    MissingDataError,
    ResourceError,
)
from stilts_artifact.experiments.session import Measured, Session
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.experiments.table1 import describe_source, in_one_line
from stilts_artifact.files import own_disk_errors, write_file
from stilts_artifact.forms.alignment_scores import SCORES
from stilts_artifact.forms.probabilities import PROBABILITIES
from stilts_artifact.forms.provenance import evaluation_parts, training_parts
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.tables import CellValue, Column, table_columns, table_values
from stilts_artifact.pipeline.errors import RunError, RunReport
from stilts_artifact.pipeline.executor import run
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store

_REPORT = "report.json"

Missing = Callable[[Iterable[Part]], Sequence[Source]]
"""The sources that parts need and that are not on this machine."""


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
        predictions: the steps that predict, in every language whose data are here.
        labels: the steps that write gold labels, by task and split.
        impossible: what cannot be run because its data are not on this machine, and why.
        absent: (task, language) of which only the evaluation data are not here, and why.
    """

    predictions: Mapping[RunKey, Step]
    labels: Mapping[tuple[str, Split], Step]
    impossible: Mapping[RunKey, str]
    absent: Mapping[tuple[str, str], str]

    @property
    def steps(self) -> list[Step]:
        """All steps asked for."""
        return [*self.predictions.values(), *self.labels.values()]

    def renamed(self, row: str) -> Request:
        """The same, standing in another row."""
        predictions = {replace(key, row=row): step for key, step in self.predictions.items()}
        impossible = {replace(key, row=row): reason for key, reason in self.impossible.items()}
        return replace(self, predictions=predictions, impossible=impossible)

    def without(self, encoders: Mapping[str, ArtifactError]) -> Request:
        """The same where some encoders cannot be had: revision -> why."""
        if not encoders:
            return self
        lost = {
            key: in_one_line(encoders[revision])
            for key, step in self.predictions.items()
            if (revision := _origin(step)) in encoders
        }
        left = {key: step for key, step in self.predictions.items() if key not in lost}
        return replace(self, predictions=left, impossible={**self.impossible, **lost})


def merged(parts: Sequence[Request]) -> Request:
    """Several requests as one."""
    return Request(
        {key: step for one in parts for key, step in one.predictions.items()},
        {place: step for one in parts for place, step in one.labels.items()},
        {key: reason for one in parts for key, reason in one.impossible.items()},
        {place: reason for one in parts for place, reason in one.absent.items()},
    )


@dataclass(frozen=True, slots=True)
class Executed:
    """The results of a request.

    Args:
        predictions, labels: verified folders.
        failed: what has no predictions, and why.
        absent: (task, language) without evaluation data, and why.
        flags: runs that collapsed, or that rest on one that did.
        errors: what broke on the way.
        steps: addresses in the store of predictions and labels.
        made: addresses of all steps that this run made.
        seconds: that it took.
        curves: of the training runs behind the predictions.
    """

    predictions: Mapping[RunKey, Path]
    labels: Mapping[tuple[str, Split], Path]
    failed: Mapping[RunKey, str]
    absent: Mapping[tuple[str, str], str]
    flags: Mapping[RunKey, Flag]
    errors: list[ArtifactError]
    steps: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    seconds: float = 0.0
    curves: Curves = field(default_factory=dict)


def request(
    builder: StepBuilder, experiment: Experiment, wanted: Wanted, missing: Missing
) -> Request:
    """The steps behind some cells.

    A target is evaluated in the languages whose data are here; what it is trained on must be here
    whole.

    Args:
        missing: says what is not on this machine.
    """
    predictions: dict[RunKey, Step] = {}
    labels: dict[tuple[str, Split], Step] = {}
    impossible: dict[RunKey, str] = {}
    seeds = builder.scale.seeds if experiment.seeds is None else experiment.seeds
    absent = _absent_languages(builder, experiment, wanted, missing)
    for row, task in wanted:
        split = experiment.scored_split(task)
        every = task.languages_of(split)
        here = tuple(language for language in every if (task.name, language) not in absent)
        lacking = _not_here(missing(training_parts(row, task, builder.benchmark)))
        if builder.origin(row.encoder) is None:
            lacking = f"scale {builder.scale.name} has no {row.encoder} encoder"
        if not here:
            # Nothing is left to evaluate; the first language stands for all of them.
            lacking = lacking or absent[task.name, every[0]]
        for seed in seeds:
            key = RunKey(row.name, seed, task.name)
            if lacking is not None:
                impossible[key] = lacking
            else:
                predictions[key] = builder.predictions(row, seed, task, experiment, here)
                labels[task.name, split] = builder.labels(task, experiment, here)
                if (development := builder.development_labels(task, experiment)) is not None:
                    labels[task.name, Split.DEV] = development
    return Request(predictions, labels, impossible, absent)


def _absent_languages(
    builder: StepBuilder, experiment: Experiment, wanted: Wanted, missing: Missing
) -> dict[tuple[str, str], str]:
    """(task, language) -> why it cannot be evaluated here."""
    tasks = {task.name: task for _, task in wanted}
    reasons = {
        (name, language): _not_here(missing(evaluation_parts(task, experiment, language)))
        for name, task in tasks.items()
        for language in task.languages_of(experiment.scored_split(task))
    }
    return {place: reason for place, reason in reasons.items() if reason is not None}


def _not_here(absent: Sequence[Source]) -> str | None:
    if not absent:
        return None
    more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
    return f"not on this machine: {describe_source(absent[0])}{more}"


def needed_sources(
    builder: StepBuilder, experiments: Iterable[Experiment], wanted: Wanted
) -> list[Source]:
    """The sources behind some cells in any of some experiments, each once."""
    stages = tuple(experiments)
    parts = [
        part
        for row, task in wanted
        for experiment in stages
        for part in builder.parts(
            row, task, experiment, task.languages_of(experiment.scored_split(task))
        )
    ]
    names = dict.fromkeys(part.source for part in parts)
    return [builder.benchmark.sources[name] for name in names]


@dataclass(frozen=True, slots=True)
class Scored:
    """A scored experiment at work: a session, its steps, and what is wanted of it."""

    session: Session
    builder: StepBuilder
    wanted: Wanted

    @classmethod
    def open(cls, session: Session) -> Scored:
        """From what was asked for and what is on this machine; the encoder need not be here.

        Raises:
            ConfigError: cells that the experiment does not have.
        """
        wanted = wanted_cells(session.benchmark, session.experiment, session.only)
        return cls(session, StepBuilder.of(session), wanted)

    def request(
        self, experiment: Experiment, wanted: Wanted, missing: Missing | None = None
    ) -> Request:
        """The steps behind some cells of an experiment, this one or the one that selects for it."""
        return request(self.builder, experiment, wanted, missing or self.session.library.missing)

    def execute(self, asked: Request, label: str) -> Executed:
        """Run every step that is not done yet.

        Raises:
            ResourceError: the cluster does not start or is lost.
            IntegrityError: a finished result was altered.
        """
        encoders, lost = self.bring_encoders(asked)
        asked = asked.without(lost)
        if lost and not asked.predictions:  # nothing can be run, and all says why
            return Executed({}, {}, asked.impossible, asked.absent, {}, list(lost.values()))
        trained = {key: list(_trained(step)) for key, step in asked.predictions.items()}
        training = {step for steps in trained.values() for step in steps}
        # The reports of training runs name those that collapsed, even where the predictions are
        # done, and the models themselves dropped.
        graph = Graph(asked.steps, KINDS, training)
        context = self.session.context(encoders, trains=bool(training))
        with self.session.display.steps(label) as watch:
            report = run(graph, context, self.session.options(), watch)
        store = Store(self.session.machine.store)
        reasons = _reasons(report)
        failed = dict(asked.impossible)
        predictions: dict[RunKey, Path] = {}
        for key, step in asked.predictions.items():
            address = graph.address(step)
            if address in reasons:
                failed[key] = reasons[address]
            else:
                predictions[key] = store.read(address)
        labels = {
            place: store.read(graph.address(step))
            for place, step in asked.labels.items()
            if graph.address(step) not in reasons
        }
        reports = {step: _training_report(store, graph.address(step)) for step in training}
        flags: dict[RunKey, Flag] = {}
        curves: dict[CurveKey, Curve] = {}
        for key, own in trained.items():
            for step in own:
                # A run that failed has no report; its cells have a reason instead of a flag.
                if (said := reports[step]) is None:
                    continue
                if said["flags"]:
                    flags[key] = Flag(said["flags"][0])
                if key in predictions:
                    curves |= training_curves(key, step, said)
        errors = [*lost.values(), *_failures(report)]
        steps = frozenset(graph.targets)
        made = frozenset(step.address for step in report.made)
        return Executed(
            predictions,
            labels,
            failed,
            asked.absent,
            flags,
            errors,
            steps,
            made,
            report.seconds,
            curves,
        )

    def bring_encoders(
        self, asked: Request
    ) -> tuple[Mapping[str, Path], Mapping[str, MissingDataError]]:
        """The encoders of phase (i) that some steps start from, downloaded if they have to be.

        Returns:
            Revision -> folder, and of those that cannot be had revision -> why.

        Raises:
            IntegrityError, ResourceError: as :meth:`Session.encoder_folder`.
        """
        known = {one.revision: one for one in (self.builder.smaller, self.builder.phase_one) if one}
        folders: dict[str, Path] = {}
        lost: dict[str, MissingDataError] = {}
        for revision in sorted({_origin(step) for step in asked.predictions.values()}):
            try:
                folders[revision] = self.session.encoder_folder(known[revision])
            except MissingDataError as error:
                lost[revision] = error
        return folders, lost

    def measure(
        self,
        executed: Executed,
        rows: Sequence[RowRecord],
        errors: Iterable[ArtifactError],
        folder: Path,
    ) -> Measured:
        """Gather what was executed beside what is kept, and compute the cells of some rows from it.

        Raises:
            DataError: predictions that cannot be scored.
            IntegrityError: what is kept was changed, or has other labels.
            ResourceError: the predictions cannot be written.
        """
        gather(folder, executed.predictions, executed.labels)
        if self.session.kept is not None:
            # It lies there already; the new labels must be the same.
            self.session.kept.add_to(folder)
        before = {} if self.session.kept is None else self.session.kept.curves
        if curves := {**before, **executed.curves}:
            write_file(folder / CURVES, dump_curves(curves))
        cells = _Cells(self.session, self.builder, executed, folder)
        found = cells.measure([row.row for row in rows])
        return Measured(
            list(rows),
            found,
            [],
            [*errors, *executed.errors],
            executed.steps,
            executed.made,
            executed.seconds,
        )

    def inputs(
        self, executed: Sequence[Executed], experiments: Sequence[Experiment]
    ) -> list[InputRecord]:
        """What the workers read, verified once more here.

        A verdict rests on no file that was only claimed to be verified.
        """
        kept = self.session.kept
        made = {(key.row, key.task) for one in executed for key in one.predictions}
        absent = {place for one in executed for place in one.absent}
        parts = [
            part
            for row, task in self.wanted
            if (row.name, task.name) in made
            for experiment in experiments
            for part in self.builder.parts(row, task, experiment, _here(task, experiment, absent))
        ]
        found = self.session.library.records(parts)
        return found if kept is None else kept.inputs(found)


def measure(session: Session, folder: Path) -> Measured:
    """An experiment whose rows are evaluated as they stand: Table 2, and the calibration.

    Args:
        folder: for the predictions and labels that the cells are computed from.
    """
    scored = Scored.open(session)
    experiment = session.experiment
    absent = session.obtain(needed_sources(scored.builder, [experiment], scored.wanted))
    asked = scored.request(experiment, scored.wanted)
    executed = scored.execute(asked, experiment.title)
    names = {row.name for row, _ in scored.wanted}
    names |= {row.row for row in session.kept.rows} if session.kept else set()
    rows = row_records(experiment, session.benchmark, names)
    measured = scored.measure(executed, rows, absent, folder)
    return replace(measured, inputs=scored.inputs([executed], [experiment]))


def _here(task: Task, experiment: Experiment, absent: Collection[tuple[str, str]]) -> list[str]:
    every = task.languages_of(experiment.scored_split(task))
    return [language for language in every if (task.name, language) not in absent]


def gather(
    folder: Path,
    predictions: Mapping[RunKey, Path],
    labels: Mapping[tuple[str, Split], Path],
) -> None:
    """Copy the results of steps into the layout of a results folder.

    Args:
        predictions, labels: folders that hold ``{task}/{split}-{language}.*``; the former perhaps
            more of a task under ``probabilities`` or ``scores``.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    try:
        with own_disk_errors(folder, folder):
            for (task, _), source in labels.items():
                _copy(source / task, folder / "labels" / task)
            for key, source in predictions.items():
                run = f"{key.row}/seed-{key.seed}/{key.task}"
                _copy(source / key.task, folder / "predictions" / run)
                for more in (PROBABILITIES, SCORES):
                    if (source / more).is_dir():
                        _copy(source / more / key.task, folder / more / run)
    except OSError as error:  # of the store, whose files were there a moment ago
        fix = "run the same command again"
        raise ResourceError(
            "cannot publish the predictions", where=str(folder), got=str(error), fix=fix
        ) from error


def _copy(source: Path, target: Path) -> None:
    # copyfile leaves rights and times of the store behind: published files are the reader's.
    # Labels of kept cells may be there.
    shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)


class _Place(NamedTuple):
    """What a signature says of where a cell stands."""

    column: Column
    languages: tuple[str, ...]
    row: str


@dataclass(frozen=True)
class _Cells:
    """Computes the cells of a folder of predictions and labels."""

    session: Session
    builder: StepBuilder
    executed: Executed
    folder: Path

    @cached_property
    def _sizes(self) -> Mapping[str, Size]:
        """Row -> which encoder of phase (i) it starts from."""
        rows = self.session.experiment.rows(self.session.benchmark)
        return {row.name: row.encoder for row in rows}

    def measure(self, rows: Sequence[str]) -> list[Measurement]:
        """All cells of these rows; those without predictions have the reason instead of a value."""
        session = self.session
        experiment, benchmark = session.experiment, session.benchmark
        columns = {column.name: column for column in table_columns(benchmark, experiment)}
        values = table_values(self.folder, benchmark, experiment, rows, session.seeds)
        return [self._cell(key, columns[key.column], cell) for key, cell in values.items()]

    def _cell(self, key: CellKey, column: Column, cell: CellValue) -> Measurement:
        if not column.is_average and (measured := self._before(key, column.tasks[0])) is not None:
            return measured
        languages = cell.languages or column.languages(self.session.experiment)
        place = _Place(column, languages if key.language is None else (key.language,), key.row)
        try:
            signature = self._signature(place)
        except ConfigError as error:
            # Of this cell alone: the others were measured, perhaps for days.
            return Measurement(key, None, in_one_line(error), self._sign(place, {}).short())
        return Measurement(
            key,
            cell.value,
            cell.reason and (self._failure(key, column) or cell.reason),
            signature,
            seeds=cell.seeds if len(cell.seeds) > 1 else None,
            flag=cell.flag(self._flag(key.row, column)),
        )

    def _before(self, key: CellKey, task: Task) -> Measurement | None:
        """What an earlier run measured, if its cells of that row and task are kept."""
        kept = self.session.kept
        return kept.cell(key) if kept is not None and kept.holds(key.row, task) else None

    def _failure(self, key: CellKey, column: Column) -> str | None:
        """Why a cell has no predictions, if that is known better than that a file is not there."""
        failed, absent = self.executed.failed, self.executed.absent
        for own in self._runs(key.row, column):
            if own in failed:
                return failed[own]
        for task in column.tasks:
            before = self._before(CellKey(key.row, task.name), task)
            if before is not None and before.reason is not None:
                return before.reason
        if key.language is not None:
            return absent.get((column.tasks[0].name, key.language))
        tasks = {task.name for task in column.tasks}
        languages = [(place, why) for place, why in sorted(absent.items()) if place[0] in tasks]
        if not languages:
            return None
        return f"{len(languages)} languages are {languages[0][1]}"

    def _flag(self, row: str, column: Column) -> Flag | None:
        flags = self.executed.flags
        now = [flags[key] for key in self._runs(row, column) if key in flags]
        kept = [self._before(CellKey(row, task.name), task) for task in column.tasks]
        before = [cell.flag for cell in kept if cell is not None and cell.flag is not None]
        return next(iter([*now, *before]), None)

    def _runs(self, row: str, column: Column) -> list[RunKey]:
        return [
            RunKey(row, seed, task.name) for task in column.tasks for seed in self.session.seeds
        ]

    def _signature(self, place: _Place) -> str:
        """What the number is: its place, and what the steps behind it say they did.

        Raises:
            ConfigError: the runs behind it computed different things, and cannot be averaged.
        """
        reports: list[Mapping[str, Any]] = []
        found: list[Signature] = []
        for task in place.column.tasks:
            own = self._reports(place.row, task)
            signed = [self._sign(place, reported) for reported in own]
            require_comparable(signed)
            reports += own
            found += signed
        if not found:
            return self._sign(place, {}).short()
        # Tasks are computed in different ways: their average says what these have in common.
        fields = dict.fromkeys(name for reported in reports for name in reported)
        common = {name: {getattr(one, name) for one in found} for name in fields}
        alike = {name: values.pop() for name, values in common.items() if len(values) == 1}
        return replace(found[0], **{**fields, **alike}).short()

    def _sign(self, place: _Place, reported: Mapping[str, Any]) -> Signature:
        session, column = self.session, place.column
        experiment, task = session.experiment, column.tasks[0]
        encoder = self.builder.origin(self._sizes.get(place.row, "own"))
        return Signature(
            task=column.name if column.is_average else task.name,
            split=str(experiment.scored_split(task)),
            languages=place.languages,
            encoder=None if encoder is None else encoder.label,
            revision=None if encoder is None else encoder.revision[:12],
            metric=column.metric_name,
            metric_version=METRIC_VERSION,
            seeds=None if column.is_untrained(place.row) else session.seeds,
            scale=session.scale.name,
            version=__version__,
            **reported,
        )

    def _reports(self, row: str, task: Task) -> list[Mapping[str, Any]]:
        """What each seed's run says of how it computed; fewer where some have failed."""
        kept = self.session.kept
        if kept is not None and kept.holds(row, task):
            return kept.reported(row, task)
        folders = (
            self.executed.predictions.get(RunKey(row, seed, task.name))
            for seed in self.session.seeds
        )
        return [_read_report(folder)["signature"] for folder in folders if folder is not None]


def _origin(step: Step) -> str:
    """Revision of the encoder of phase (i) that a step starts from."""
    return next(str(one.params["revision"]) for one in _below(step) if one.kind == "encoder")


def _below(step: Step) -> Iterable[Step]:
    yield step
    for other in step.inputs.values():
        yield from _below(other)


def _trained(step: Step) -> Iterable[Step]:
    """The training runs behind a step."""
    return (one for one in _below(step) if one.kind in ("intermediate", "target"))


def _reasons(report: RunReport) -> dict[str, str]:
    """Address of every step that has no result -> why."""
    found = {
        failure.step.address: f"failed: {in_one_line(failure.error)}" for failure in report.failures
    }
    for skipped in report.skipped:
        found[skipped.step.address] = f"not run, because {skipped.because.label} failed"
    return found


def _training_report(store: Store, address: str) -> Any:
    """What a training run reported, ``None`` if it failed."""
    if not store.has_report(address):
        return None
    return parse_json(store.report(address), f"the report of {address}")


def training_curves(key: RunKey, step: Step, report: Mapping[str, Any]) -> dict[CurveKey, Curve]:
    """The curves of one training run behind some predictions.

    Args:
        step: that trained; ``report`` is what it reported.
    """
    found = reported_curves(report)
    if step.kind == "target":
        # A target's run has one task, which its report does not know by name.
        return {
            CurveKey("target", key.row, key.seed, key.task, step.params["task"]): curve
            for curve in found.values()
        }
    # Of the chosen rows each target has its own.
    target = key.task if key.row == BEST else ""
    return {
        CurveKey("intermediate", key.row, key.seed, target, task): curve
        for task, curve in found.items()
    }


@lru_cache(maxsize=1 << 12)  # a run is behind every cell of its row and task
def _read_report(folder: Path) -> Any:
    path = folder / _REPORT
    return parse_json(read_document(path), str(path))


def _failures(report: RunReport) -> list[ArtifactError]:
    """An error if steps failed: which, what was thereby not run, and how to go on."""
    try:
        report.check("run the same command again; what is done is kept")
    except RunError as error:
        return [error]
    return []
