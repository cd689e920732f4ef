"""Tables 2 and 3 for ``reproduce`` and ``plan``: open a scale on this machine, run it, make a results file of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.cli import options
from stilts_artifact.errors import ArtifactError
from stilts_artifact.pipeline.errors import RunError

if TYPE_CHECKING:
    from stilts_artifact.checking.expected import ExpectedTable
    from stilts_artifact.checking.results import CellRecord, Results, RowRecord
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.cells import Verdict
    from stilts_artifact.domain.tasks import Benchmark
    from stilts_artifact.experiments.run import Experiment, Measured, Wanted
    from stilts_artifact.experiments.steps import StepBuilder
    from stilts_artifact.pipeline.job import Device
    from stilts_artifact.pipeline.progress import Watch


@dataclass(frozen=True, slots=True)
class Machine:
    """Where things lie and who computes.

    Args:
        store, data: as the options name them.
        workers, scheduler: see :class:`stilts_artifact.pipeline.executor.Options`.
    """

    store: Path
    data: tuple[Path, ...]
    offline: bool
    mirrors: tuple[str, ...]
    workers: int | None
    scheduler: str | None


def blueprint_of(scale: Scale, benchmark: Benchmark, library: Library) -> StepBuilder:
    """The steps of a scale, from what is on this machine; the encoder itself need not be."""
    from stilts_artifact.experiments.steps import StepBuilder
    from stilts_artifact.model.hub import revision_of

    return StepBuilder(
        benchmark, scale, revision_of(scale.encoder.name, scale.encoder.revision), library.pins()
    )


def open_experiment(
    scale: Scale, benchmark: Benchmark, library: Library, machine: Machine
) -> Experiment:
    """The experiment of a scale; the encoder of phase (i) is downloaded if it has to be.

    Raises:
        ResourceError: the scale needs a GPU, and none answers.
        MissingDataError: the encoder is not here, and offline or not reachable.
        IntegrityError: the encoder's folder is damaged.
    """
    from stilts_artifact.experiments.run import Experiment
    from stilts_artifact.model.hub import phase_one
    from stilts_artifact.pipeline.executor import Options
    from stilts_artifact.pipeline.kinds import make_context

    device = _device(scale, machine)
    folder = phase_one(
        scale.encoder.name,
        scale.encoder.revision,
        machine.store / "encoders",
        offline=machine.offline,
    )
    context = make_context(machine.store, list(machine.data), folder, device=device)
    return Experiment(
        blueprint_of(scale, benchmark, library),
        library,
        context,
        Options(machine.workers, machine.scheduler),
    )


def obtain(
    experiment: Experiment, table: int, wanted: Wanted, machine: Machine
) -> list[ArtifactError]:
    """Fetch what the wanted cells need; what cannot be had leaves cells NOT_RUN, so its errors are only collected."""
    from stilts_artifact.cli.progress import download_progress
    from stilts_artifact.data.fetch import fetch
    from stilts_artifact.experiments.run import needed_sources

    with download_progress() as progress:
        report = fetch(
            needed_sources(experiment.builder, table, wanted),
            experiment.library,
            offline=machine.offline,
            mirrors=machine.mirrors,
            openers=options.url_openers(),
            progress=progress,
        )
    return report.failures


def measure(experiment: Experiment, table: int, wanted: Wanted, results: Path) -> Measured:
    """Run what is missing, publish the predictions, compute the cells."""
    folder = results / f"table{table}.{experiment.scale.name}"
    run = experiment.table2 if table == 2 else experiment.table3
    return run(folder, wanted, _progress)


def judge(measured: Measured, experiment: Experiment, why: str, results: Path) -> Results:
    """The results file: cells with their verdicts, claims, inputs and files."""
    from stilts_artifact.checking.claims import claims_path, decisive, judge_claims, load_claims
    from stilts_artifact.checking.judge import joint_verdict, judge_table
    from stilts_artifact.checking.results import FileRecord, InputRecord, Results, cell_records
    from stilts_artifact.experiments.scores import files_below
    from stilts_artifact.reporting.environment import environment

    scale = experiment.scale
    judged = judge_table(measured.cells, expected_table(measured.table, scale))
    outcome = Results(
        table=measured.table,
        scale=scale.name,
        scale_reason=why,
        stamp=scale.stamp,
        verdict=joint_verdict(cell.verdict for cell in judged),
        rows=_rows(measured),
        cells=cell_records(judged),
        claims=[],
        seeds=list(scale.seeds),
        inputs=[
            InputRecord(
                source=used.source,
                bytes=used.bytes,
                sha256=used.sha256,
                satisfied_by=used.satisfied_by,
            )
            for used in measured.inputs
        ],
        files=[
            FileRecord(path=path, bytes=size, sha256=sha256)
            for path, size, sha256 in files_below(results, measured.folder)
        ],
        environment=environment(),
    )
    claims = judge_claims([outcome], load_claims(claims_path()).of_table(measured.table))
    verdict = joint_verdict((cell.verdict for cell in judged), decisive(claims, scale.name))
    return outcome.model_copy(update={"claims": claims, "verdict": verdict})


def verdict_on(outcome: Results, wanted: Wanted, benchmark: Benchmark) -> Verdict:
    """The verdict on the cells that were asked for, and on the claims that they decide.

    An average is asked for with all that it averages. A claim that is NOT_RUN needs cells that
    nobody asked for, or cells that are NOT_RUN themselves, and count as that.
    """
    from stilts_artifact.checking.claims import decisive
    from stilts_artifact.checking.judge import joint_verdict
    from stilts_artifact.domain.cells import Verdict
    from stilts_artifact.metrics.tables import table_columns

    # Table 3 is chosen among all rows: only its columns can be asked for.
    places = {(row.name if outcome.table == 2 else None, task.name) for row, task in wanted}
    tasks = {column.name: column.tasks for column in table_columns(benchmark, outcome.table)}

    def is_asked(cell: CellRecord) -> bool:
        row = cell.row if outcome.table == 2 else None
        return all((row, task.name) in places for task in tasks[cell.column])

    cells = [cell.verdict for cell in outcome.cells if is_asked(cell)]
    claims = decisive(outcome.claims, outcome.scale)
    return joint_verdict(cells, [verdict for verdict in claims if verdict is not Verdict.NOT_RUN])


def expected_table(table: int, scale: Scale) -> ExpectedTable:
    """The expected cells; before anything was recorded, none."""
    from stilts_artifact.checking.expected import ExpectedTable, expected_path, load_expected

    path = expected_path(scale.expected, table)
    if not path.exists():
        return ExpectedTable(table, scale.benchmark, "nothing is recorded yet", {}, {})
    return load_expected(path)


def _rows(measured: Measured) -> list[RowRecord]:
    from stilts_artifact.benchmark.experiments import BEST
    from stilts_artifact.checking.results import RowRecord

    chosen = {task: row.name for task, row in measured.chosen.items()}
    return [
        RowRecord(
            row=row.name,
            title=row.title,
            group=row.group,
            details=chosen if row.name == BEST else {},
        )
        for row in measured.rows
    ]


def _device(scale: Scale, machine: Machine) -> Device:
    """GPUs where the scale is made for them; a cluster is taken to have what the scale needs."""
    if not scale.evidence:
        return "cpu"
    if machine.scheduler is None:
        from stilts_artifact.pipeline.cluster import visible_gpus

        visible_gpus()
    return "cuda"


@contextmanager
def _progress(label: str) -> Iterator[Watch]:
    from stilts_artifact.pipeline.progress import step_progress

    with step_progress(label) as watch:
        yield watch


def failures(measured: Measured) -> Sequence[ArtifactError]:
    """One error for each run with failed steps: what failed, what was thereby not run, and how to go on."""
    found: list[ArtifactError] = []
    for report in measured.reports:
        try:
            report.check("run the same command again; what is done is kept")
        except RunError as error:
            found.append(error)
    return found
