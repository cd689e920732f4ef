"""``stilts-artifact reproduce``: measure a table, judge it, write and show the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ArtifactError, ExitCode, MissingDataError

if TYPE_CHECKING:
    from stilts_artifact.checking.expected import ExpectedTable
    from stilts_artifact.checking.results import Results
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.tasks import World
    from stilts_artifact.scales.schema import Scale


def reproduce(
    table: options.TableOption,
    scale: options.ScaleOption = "auto",
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    offline: options.OfflineOption = False,
    mirror: options.MirrorOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure a table of the paper, compare it with what was reported, and give a verdict."""
    number = options.parse_table(table)
    from stilts_artifact.benchmark import world as load_world
    from stilts_artifact.checking.expected import expected_path, load_expected
    from stilts_artifact.checking.results import dump_results, results_path
    from stilts_artifact.cli.scale_choice import choose_scale
    from stilts_artifact.documents import write_atomically

    def library_of(world: World) -> Library:
        return options.open_library(world, results, store, data)

    chosen, why = choose_scale(scale, library_of)
    stream = options.message_stream(as_json)
    stream.write(f"scale: {chosen.stamp} ({why})\n")
    expected = load_expected(expected_path(chosen.expected, number))
    world = load_world(chosen.world)
    library = library_of(world)
    failures = _obtain(world, library, offline, mirror or [])
    outcome, unread = _measure(expected, chosen, why, world, library)
    path = results_path(results, number, chosen.name)
    content = dump_results(outcome)
    write_atomically(path, content)
    if as_json:
        typer.echo(content, nl=False)
    raise typer.Exit(_report(outcome, path, [*failures, *unread], as_json))


def _obtain(world: World, library: Library, offline: bool, mirrors: Sequence[str]) -> list[ArtifactError]:
    """Fetch what the table needs; what cannot be had leaves cells NOT_RUN, so its errors are only collected."""
    from stilts_artifact.cli.progress import download_progress
    from stilts_artifact.data.fetch import fetch
    from stilts_artifact.tables.table1 import needed_sources

    with download_progress() as progress:
        report = fetch(
            needed_sources(world), library, offline=offline, mirrors=mirrors,
            openers=options.url_openers(), progress=progress,
        )  # fmt: skip
    return report.failures


def _measure(
    expected: ExpectedTable, scale: Scale, why: str, world: World, library: Library
) -> tuple[Results, list[ArtifactError]]:
    from stilts_artifact import __version__
    from stilts_artifact.checking.judge import judge_table, table_verdict
    from stilts_artifact.checking.results import InputRecord, Results, RowRecord, cell_records
    from stilts_artifact.cli.progress import row_progress
    from stilts_artifact.reporting.environment import environment
    from stilts_artifact.tables.table1 import Counter, measure

    counter = Counter(world, library, scale.name, __version__)
    tasks = list(world.tasks.values())
    with row_progress(len(tasks)) as started:
        cells = measure(counter, tasks, started)
    judged = judge_table(cells, expected)
    outcome = Results(
        table=expected.table,
        scale=scale.name,
        scale_reason=why,
        stamp=scale.stamp,
        verdict=table_verdict(judged),
        rows=[RowRecord(row=task.name, title=task.title, group=task.role,
                        details={"kind": task.kind, "licence": task.licence}) for task in tasks],
        cells=cell_records(judged),
        claims=[],
        inputs=[InputRecord(source=used.source, bytes=used.bytes, sha256=used.sha256, satisfied_by=used.satisfied_by)
                for used in library.used()],
        environment=environment(),
    )  # fmt: skip
    return outcome, counter.failures


def _report(outcome: Results, path: Path, errors: Sequence[ArtifactError], as_json: bool) -> ExitCode:
    """Show the tables and the verdict line; the exit code of the run."""
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.reporting.console import make_console, show_table1

    stream = options.message_stream(as_json)
    show_table1(outcome, make_console(stream))
    broken = [error for error in errors if not isinstance(error, MissingDataError)]
    for error in broken:
        stream.write(f"error: {error}\n")
    code = broken[0].exit_code if broken else exit_code([outcome.verdict])
    stream.write(f"results: {path}\n")
    stream.write(f"verdict: Table {outcome.table} {outcome.verdict} at scale {outcome.stamp}; exit {code:d}\n")
    return code
