"""``stilts-artifact reproduce``: measure a table, judge it, write and show the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ArtifactError, ConfigError, ExitCode, MissingDataError

if TYPE_CHECKING:
    from stilts_artifact.checking.results import Results
    from stilts_artifact.cli.score_tables import Machine
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.cells import Verdict
    from stilts_artifact.domain.tasks import Benchmark, Part, Source

_Outcome = tuple["Results", list[ArtifactError]]


@dataclass(frozen=True, slots=True)
class _Run:
    """What was asked for, and what there is to do it with."""

    table: int
    scale: Scale
    why: str
    benchmark: Benchmark
    library: Library
    machine: Machine
    results: Path
    only: Sequence[str]


def reproduce(
    table: options.OptionalTableOption = None,
    calibration: options.CalibrationOption = False,
    scale: options.ScaleOption = "auto",
    only: options.OnlyOption = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Tables 2 and 3: list the steps that would run, and why; run nothing."
        ),
    ] = False,
    workers: options.WorkersOption = None,
    scheduler: options.SchedulerOption = None,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    offline: options.OfflineOption = False,
    mirror: options.MirrorOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure a table of the paper, compare it with what was reported, and give a verdict."""
    number = options.chosen_table(table, calibration)
    if number not in options.SCORE_TABLES and (only or dry_run or workers or scheduler):
        what = (
            "the calibration trains nothing" if calibration else "Table 1 is counted, not trained"
        )
        raise ConfigError(what, fix="leave out --only, --dry-run, --workers, --scheduler")
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.checking.results import dump_results, results_path
    from stilts_artifact.cli.scale_choice import choose_scale
    from stilts_artifact.cli.score_tables import Machine
    from stilts_artifact.files import write_file

    def library_of(benchmark: Benchmark) -> Library:
        return options.open_library(benchmark, results, store, data)

    chosen, why = choose_scale(scale, number, library_of, anywhere=scheduler is not None)
    stream = options.message_stream(as_json)
    stream.write(f"scale: {chosen.stamp} ({why})\n")
    benchmark = load_benchmark(chosen.benchmark)
    library = library_of(benchmark)
    machine = Machine(
        options.store_folder(results, store),
        tuple(options.data_folders(data)),
        offline,
        tuple(mirror or ()),
        workers,
        scheduler,
    )
    options.require_writable(results)
    run = _Run(number, chosen, why, benchmark, library, machine, results, only or [])
    if dry_run:
        _list_steps(run)
        raise typer.Exit
    measure = {0: _calibration, 1: _sizes}.get(number, _scores)
    outcome, errors = measure(run)
    path = results_path(results, number, chosen.name)
    content = dump_results(outcome)
    write_file(path, content)
    if as_json:
        typer.echo(content, nl=False)
    raise typer.Exit(_report(run, outcome, errors, as_json))


def _sizes(run: _Run) -> _Outcome:
    """Table 1."""
    from stilts_artifact import __version__
    from stilts_artifact.checking.expected import expected_path, load_expected
    from stilts_artifact.checking.judge import joint_verdict, judge_table
    from stilts_artifact.checking.results import InputRecord, Results, RowRecord, cell_records
    from stilts_artifact.cli.progress import download_progress, row_progress
    from stilts_artifact.data.fetch import fetch
    from stilts_artifact.experiments.table1 import Counter, measure, needed_sources
    from stilts_artifact.reporting.environment import environment

    expected = load_expected(expected_path(run.scale.expected, run.table))
    with download_progress() as progress:
        # What cannot be had leaves cells NOT_RUN, so its errors are only collected.
        report = fetch(
            needed_sources(run.benchmark),
            run.library,
            offline=run.machine.offline,
            mirrors=run.machine.mirrors,
            openers=options.url_openers(),
            progress=progress,
        )
    counter = Counter(run.benchmark, run.library, run.scale.name, __version__)
    tasks = list(run.benchmark.tasks.values())
    with row_progress(len(tasks)) as started:
        cells = measure(counter, tasks, started)
    judged = judge_table(cells, expected)
    outcome = Results(
        table=run.table,
        scale=run.scale.name,
        scale_reason=run.why,
        stamp=run.scale.stamp,
        verdict=joint_verdict(cell.verdict for cell in judged),
        rows=[
            RowRecord(
                row=task.name,
                title=task.title,
                group=task.role,
                details={"kind": task.form, "licence": task.licence},
            )
            for task in tasks
        ],
        cells=cell_records(judged),
        claims=[],
        inputs=[
            InputRecord(
                source=used.source,
                bytes=used.bytes,
                sha256=used.sha256,
                satisfied_by=used.satisfied_by,
            )
            for used in run.library.used()
        ],
        environment=environment(),
    )
    return outcome, [*report.failures, *counter.failures]


def _calibration(run: _Run) -> _Outcome:
    """The untuned encoder."""
    from stilts_artifact.cli import calibration

    return calibration.measure(
        run.scale, run.why, run.benchmark, run.library, run.machine, run.results
    )


def _scores(run: _Run) -> _Outcome:
    """Tables 2 and 3."""
    from stilts_artifact.cli import score_tables
    from stilts_artifact.experiments.run import wanted_cells

    wanted = wanted_cells(run.benchmark, run.table, run.only)
    experiment = score_tables.open_experiment(run.scale, run.benchmark, run.library, run.machine)
    absent = score_tables.obtain(experiment, run.table, wanted, run.machine)
    measured = score_tables.measure(experiment, run.table, wanted, run.results)
    outcome = score_tables.judge(measured, experiment, run.why, run.results)
    return outcome, [*absent, *score_tables.failures(measured)]


def _list_steps(run: _Run) -> None:
    """What would run, and why."""
    from stilts_artifact.cli.score_tables import blueprint_of
    from stilts_artifact.experiments.run import wanted_cells
    from stilts_artifact.experiments.scores import request
    from stilts_artifact.pipeline.explain import reasons
    from stilts_artifact.pipeline.kinds import KINDS
    from stilts_artifact.pipeline.step import Graph
    from stilts_artifact.pipeline.store import Store

    builder = blueprint_of(run.scale, run.benchmark, run.library)

    def missing(parts: Iterable[Part]) -> list[Source]:
        """What a run could not get either."""
        return [
            source
            for source in run.library.missing(parts)
            if run.machine.offline or not source.urls
        ]

    asked = request(builder, 2, wanted_cells(run.benchmark, run.table, run.only), missing)
    graph = Graph(asked.steps, KINDS)
    found = reasons(graph, Store(run.machine.store))
    for reason in found:
        typer.echo(f"{'run ' if reason.run else 'done'}  {reason.step.label}: {reason.why}")
    for place, why in sorted(asked.impossible.items()):
        typer.echo(f"cannot run  {place.row} {place.task} seed {place.seed}: {why}")
    count = sum(reason.run for reason in found)
    later = "; Table 3 then scores each target's best row on test data" if run.table == 3 else ""
    typer.echo(f"{count} of {len(found)} steps would run{later}")


def _report(
    run: _Run, outcome: Results, errors: Sequence[ArtifactError], as_json: bool
) -> ExitCode:
    """Show the tables and the verdict line; the exit code of the run, which is that of what was asked for."""
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.checking.results import results_path
    from stilts_artifact.reporting.console import make_console, show_table

    stream = options.message_stream(as_json)
    show_table(outcome, make_console(stream))
    broken = [error for error in errors if not isinstance(error, MissingDataError)]
    for error in broken:
        stream.write(f"error: {error}\n")
    stream.write(f"results: {results_path(run.results, run.table, run.scale.name)}\n")
    what, verdict = options.table_title(outcome.table), outcome.verdict
    if run.only:
        stream.write(f"the whole of {what}: {verdict}\n")
        what += " as far as asked for:"
        verdict = _verdict_asked_for(run, outcome)
    code = broken[0].exit_code if broken else exit_code([verdict])
    stream.write(f"verdict: {what} {verdict} at scale {outcome.stamp}; exit {code:d}\n")
    return code


def _verdict_asked_for(run: _Run, outcome: Results) -> Verdict:
    from stilts_artifact.cli.score_tables import verdict_on
    from stilts_artifact.experiments.run import wanted_cells

    return verdict_on(outcome, wanted_cells(run.benchmark, run.table, run.only), run.benchmark)
