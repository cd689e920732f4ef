"""``stilts-artifact fetch``: bring every file a scale needs into the store, verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.domain.units import readable_size


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
    from stilts_artifact.cli.progress import download_progress
    from stilts_artifact.config.load import benchmark_of, load_scale
    from stilts_artifact.data.fetch import fetch as fetch_sources
    from stilts_artifact.data.fetch import sources_of, take_stock
    from stilts_artifact.experiments.setup import url_openers
    from stilts_artifact.reporting.fetched import missing_lines

    benchmark = benchmark_of(load_scale(scale))
    sources = sources_of(benchmark, task or [])
    library = options.open_library(benchmark, results, store, data)
    stream = options.message_stream(as_json)
    total = readable_size(sum(source.bytes or 0 for source in sources))
    options.say(f"{len(sources)} files, {total}, for scale {scale}", stream)
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
        options.say_json(report.to_json())
    for line in missing_lines(report, benchmark):
        options.say(line, stream)
    stock = take_stock(sources, library)
    word = "complete" if not report.failed else f"{len(report.failed)} files missing"
    options.say(
        f"verdict: {word}: {stock}; {len(report.downloaded)} obtained now; "
        f"exit {report.exit_code:d}",
        stream,
    )
    raise typer.Exit(report.exit_code)
