"""``stilts-artifact plan``: what a table would cost, before anything is run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError

if TYPE_CHECKING:
    from stilts_artifact.pipeline.plan import Plan


def plan(
    table: options.TableOption,
    scale: Annotated[
        str, typer.Option("--scale", metavar="mini|base|paper", help="How large a run.")
    ] = "paper",
    only: options.OnlyOption = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe/--no-probe", help="Measure this machine for half a second and scale the times."
        ),
    ] = True,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Steps, hours, wall time by number of workers, downloads and disk of Table 2 or 3."""
    number = options.parse_table(table, options.SCORE_TABLES)
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.cli.score_tables import blueprint_of
    from stilts_artifact.config.load import load_scale
    from stilts_artifact.documents import dump_json
    from stilts_artifact.experiments.run import needed_sources, wanted_cells
    from stilts_artifact.experiments.scores import request
    from stilts_artifact.pipeline.costs import load_costs
    from stilts_artifact.pipeline.costs import probe as probe_machine
    from stilts_artifact.pipeline.kinds import KINDS
    from stilts_artifact.pipeline.plan import make_plan
    from stilts_artifact.pipeline.step import Graph
    from stilts_artifact.pipeline.store import Store

    chosen = load_scale(scale)
    benchmark = load_benchmark(chosen.benchmark)
    library = options.open_library(benchmark, results, store, data)
    # Whatever is not here would be: a plan is of the whole table.
    pins = dict.fromkeys(benchmark.sources, "not here yet") | library.pins()
    builder = replace(blueprint_of(chosen, benchmark, library), pins=pins)
    wanted = wanted_cells(benchmark, number, only or [])
    # Table 3 first needs its candidates on development data; its own test predictions come on top.
    requests = [request(builder, needed, wanted, lambda _: []) for needed in sorted({2, number})]
    graph = Graph([step for asked in requests for step in asked.steps], KINDS)
    costs = load_costs(chosen.name)
    if probe and (costs.device == "cpu" or _gpu_answers()):
        costs = costs.at(probe_machine(costs.device))
    absent = library.absent(needed_sources(builder, number, wanted))
    downloads = sum(source.bytes or 0 for source in absent if source.urls)
    found = make_plan(graph, Store(options.store_folder(results, store)), costs, downloads)
    if as_json:
        typer.echo(
            dump_json({"table": number, "scale": chosen.name, **asdict(found)}).decode(), nl=False
        )
        return
    unobtainable = [source.name for source in absent if not source.urls]
    _show(found, number, chosen.stamp, unobtainable)


def _gpu_answers() -> bool:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ConfigError(
            "a probe needs torch", got=str(error), fix="--no-probe, or install the extra run"
        ) from error
    return torch.cuda.is_available()


def _show(found: Plan, table: int, stamp: str, unobtainable: list[str]) -> None:
    from stilts_artifact.domain.units import readable_size
    from stilts_artifact.reporting.console import make_console, new_table

    console = make_console()
    steps = new_table(f"Table {table}: steps ({stamp})")
    for name, justify in (
        ("kind", "left"),
        ("steps", "right"),
        ("to run", "right"),
        ("hours", "right"),
        ("disk", "right"),
        ("basis", "left"),
    ):
        steps.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for kind in found.kinds:
        hours = f"{kind.seconds / 3600:,.2f}"
        steps.add_row(
            kind.kind,
            f"{kind.steps:,}",
            f"{kind.to_run:,}",
            hours,
            readable_size(kind.bytes),
            kind.basis,
        )
    console.print(steps)
    what = "GPU" if found.device == "cuda" else "CPU worker"
    for workers, seconds in found.wall.items():
        console.print(
            f"wall time with {workers} {what}{'s' if workers > 1 else ''}: {seconds / 3600:,.2f} h"
        )
    if found.device == "cuda":
        console.print(f"GPU-hours: {found.gpu_seconds / 3600:,.1f}")
    console.print(
        f"downloads: {readable_size(found.download_bytes)}; disk: {readable_size(found.disk_bytes)}"
    )
    basis = "scaled to this machine by a probe" if found.probed else f"for {found.machine}"
    console.print(f"times {basis}{', partly estimated' if found.estimated else ', measured'}")
    if unobtainable:
        more = f" and {len(unobtainable) - 3} more" if len(unobtainable) > 3 else ""
        console.print(
            f"not on this machine, and to be brought by hand: {', '.join(unobtainable[:3])}{more}"
        )
