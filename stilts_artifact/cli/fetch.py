"""``stilts-artifact fetch``: bring every file a scale needs into the store, verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ArtifactError, ExitCode, unknown_name

if TYPE_CHECKING:
    from stilts_artifact.data.fetch import FetchReport
    from stilts_artifact.domain.tasks import Benchmark, Source


def fetch(
    scale: Annotated[
        str, typer.Option("--scale", metavar=options.SCALE_NAMES, help="Whose files.")
    ] = "paper",
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task's files. Repeatable.")
    ] = None,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    offline: options.OfflineOption = False,
    mirror: options.MirrorOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Download and verify the files of a scale; with --offline, list everything that is missing."""
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.cli.progress import download_progress
    from stilts_artifact.config.load import load_scale
    from stilts_artifact.data.fetch import fetch as fetch_sources
    from stilts_artifact.experiments.setup import url_openers

    benchmark = load_benchmark(load_scale(scale).benchmark)
    sources = _sources_of(benchmark, task)
    library = options.open_library(benchmark, results, store, data)
    stream = options.message_stream(as_json)
    total = readable_size(sum(source.bytes or 0 for source in sources))
    stream.write(f"{len(sources)} files, {total}, for scale {scale}\n")
    with download_progress() as progress:
        report = fetch_sources(
            sources,
            library,
            offline=offline,
            mirrors=mirror or [],
            openers=url_openers(),
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(_as_json(report), indent=1, ensure_ascii=False))
    for failure in report.failures:
        stream.write(f"{failure}\n")
    code = _exit_code(report.failures)
    word = (
        "complete"
        if not report.failures
        else f"{len(report.failures)} of {len(sources)} files missing"
    )
    stream.write(
        f"verdict: {word}; {len(report.present)} were here, {len(report.downloaded)} obtained now; exit {code:d}\n"
    )
    raise typer.Exit(code)


def _sources_of(benchmark: Benchmark, tasks: list[str] | None) -> list[Source]:
    """The sources of the named tasks, by default of everything, in the world's order."""
    if not tasks:
        return list(benchmark.sources.values())
    for name in tasks:
        if name not in benchmark.tasks:
            raise unknown_name("task", name, benchmark.tasks)
    names = {
        part.source
        for name in tasks
        for parts in benchmark.tasks[name].parts.values()
        for part in parts
    }
    return [source for name, source in benchmark.sources.items() if name in names]


def _exit_code(failures: list[ArtifactError]) -> ExitCode:
    """The gravest failure decides: wrong bytes and full disks before files that are merely absent."""
    codes = {failure.exit_code for failure in failures}
    for code in (ExitCode.INTEGRITY, ExitCode.RESOURCE, ExitCode.DATA):
        if code in codes:
            return code
    return ExitCode.REPRODUCED


def _as_json(report: FetchReport) -> dict[str, object]:
    return {
        "present": [{"source": name, "satisfied_by": how} for name, how in report.present],
        "downloaded": list(report.downloaded),
        "failures": [
            {
                "what": error.what,
                "where": error.where,
                "got": error.got,
                "expected": error.expected,
                "fix": error.fix,
                "exit_code": int(error.exit_code),
            }
            for error in report.failures
        ],
    }
