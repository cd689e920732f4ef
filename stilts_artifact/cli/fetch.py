"""``stilts-artifact fetch``: bring every file a scale needs into the store, verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.domain.units import readable_size


def fetch(
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            metavar=options.SCALE_NAMES,
            help="Whose files.",
            autocompletion=options.scale_names,
        ),
    ] = "paper",
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            help="Only this task's files. Repeatable.",
            autocompletion=options.task_names,
        ),
    ] = None,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    offline: options.OfflineOption = False,
    mirror: options.MirrorOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Download and verify a scale's files, its encoder too; --offline says what is missing."""
    from stilts_artifact.cli.progress import download_progress
    from stilts_artifact.config.load import benchmark_of, load_scale
    from stilts_artifact.data.fetch import fetch as fetch_sources
    from stilts_artifact.data.fetch import sources_of, take_stock
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.experiments.setup import scale_files, url_openers
    from stilts_artifact.model.hub import Delivery, PhaseOne, fetch_encoder
    from stilts_artifact.reporting.fetched import missing_lines

    chosen = load_scale(scale)
    benchmark = benchmark_of(chosen)
    machine = Machine(options.store_folder(results, store), tuple(options.data_folders(data)))
    mirrors = tuple(mirror or ())
    sources, library = scale_files(chosen, machine)
    of_tasks = sources_of(benchmark, task or [])
    stream = options.message_stream(as_json)
    listed = of_tasks if task else sources
    total = readable_size(sum(source.bytes or 0 for source in listed))
    options.note(f"{len(listed)} files, {total} as far as sizes are known, for {scale}", stream)
    with download_progress() as progress:
        report = fetch_sources(
            of_tasks,
            library,
            offline=offline,
            mirrors=mirrors,
            openers=url_openers(),
            progress=progress,
        )
        if not task:
            delivery = Delivery(machine.data, offline, mirrors, progress)
            encoder = PhaseOne.of(chosen.encoder)
            report = report.including(fetch_encoder(encoder, machine.store, delivery))
    if as_json:
        options.say_json(report.to_json())
    for line in missing_lines(report, benchmark):
        options.say(line, stream)
    stock = take_stock(of_tasks, library) if task else take_stock(*scale_files(chosen, machine))
    word = "complete" if not report.failed else f"{len(report.failed)} files missing"
    options.say(
        f"verdict: {word}: {stock}; {len(report.downloaded)} obtained now; "
        f"exit {report.exit_code:d}",
        stream,
    )
    raise typer.Exit(report.exit_code)
