"""``stilts-artifact plan``: what a table would cost, before anything is run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import not_installed

if TYPE_CHECKING:
    from stilts_artifact.domain.tasks import Source
    from stilts_artifact.pipeline.plan import Plan


def plan(
    table: options.OptionalTableOption = None,
    calibration: options.CalibrationOption = False,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="000|all",
            help="A study, or all of them.",
            show_default=False,
            autocompletion=options.completing(lambda: [*options.studies(), "all"]),
        ),
    ] = None,
    seeds: options.SeedsOption = None,
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            metavar=f"{options.SCALE_NAMES}|OWN.yaml",
            help="How large a run.",
            autocompletion=options.scale_names,
        ),
    ] = "paper",
    encoder: options.EncoderOption = None,
    languages: options.LanguagesOption = None,
    own_data: options.OwnDataOption = None,
    only: options.OnlyOption = None,
    keep_models: options.KeepModelsOption = None,
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
    """Steps, hours, wall time by number of workers, downloads and disk of Table 2 or 3, of the
    calibration, or of a study; of all studies, what they share counts once.
    """
    if study is not None:
        options.studies(study)  # where there is no such one, ``all`` is among those it names
    chosen = (
        tuple(options.studies().values())
        if (table, calibration, study) == (None, False, "all")
        else (options.chosen_experiment(table, calibration, study, scored=True),)
    )
    from stilts_artifact.experiments.planning import plan as plan_cost
    from stilts_artifact.experiments.planning import sources_of, steps_of
    from stilts_artifact.experiments.scored import Scored
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.experiments.setup import Choices, open_session
    from stilts_artifact.pipeline.costs import load_costs
    from stilts_artifact.pipeline.costs import probe as probe_machine
    from stilts_artifact.pipeline.store import Store

    machine = Machine(
        options.store_folder(results, store),
        tuple(options.data_folders(data)),
        keep_models=keep_models,
    )
    choices = Choices(
        scale,
        tuple(only or ()),
        encoder,
        languages=options.codes(languages),
        own_data=own_data,
        seeds=seeds,
    )
    parts = [Scored.open(open_session(one, choices, machine, results)) for one in chosen]
    first = parts[0].session
    gpu = probe and _gpu_answers()
    costs = load_costs(first.scale.extends or first.scale.name, "cuda" if gpu else "cpu")
    # Where no GPU answers, a plan for GPUs keeps the times of the table's own machine.
    if probe and (gpu or costs.device == "cpu"):
        costs = costs.at(probe_machine(costs.device))
    asked = [(one, (one.builder, one.session.experiment, one.wanted)) for one in parts]
    needed = [(one.session.library, sources_of(*what)) for one, what in asked]
    absent = {one.name: one for library, sources in needed for one in library.absent(sources)}
    steps = [step for _, what in asked for step in steps_of(*what)]
    found = plan_cost(steps, Store(machine.store), costs, absent.values(), first.keep_models)
    # A calibration is the scale's own, and only the session knows which.
    experiment = first.experiment
    name, title = ("studies", "Studies") if len(parts) > 1 else (experiment.name, experiment.title)
    if as_json:
        content = {
            "experiment": name,
            "scale": first.scale.name,
            **asdict(found),
        }
        options.say_json(content)
        return
    _show(found, title, first.scale.stamp, list(absent.values()))


def _gpu_answers() -> bool:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise not_installed("a plan without --no-probe", ["torch"]) from error
    return torch.cuda.is_available()


def _show(found: Plan, title: str, stamp: str, absent: list[Source]) -> None:
    from stilts_artifact.domain.units import readable_size, readable_time
    from stilts_artifact.reporting.console import make_console, new_table

    console = make_console()
    steps = new_table(f"{title}: steps ({stamp})")
    for name, justify in (
        ("kind", "left"),
        ("steps", "right"),
        ("to run", "right"),
        ("time", "right"),
        ("disk", "right"),
        ("basis", "left"),
    ):
        steps.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for kind in found.kinds:
        steps.add_row(
            kind.kind,
            f"{kind.steps:,}",
            f"{kind.to_run:,}",
            readable_time(kind.seconds),
            readable_size(kind.bytes),
            kind.basis,
        )
    console.print(steps)
    what = "GPU" if found.device == "cuda" else "CPU worker"
    for workers, seconds in found.wall.items():
        console.print(
            f"wall time with {workers} {what}{'s' if workers > 1 else ''}: {readable_time(seconds)}"
        )
    if found.device == "cuda":
        console.print(f"GPU-hours: {found.gpu_seconds / 3600:,.1f}")
    unsized = [source.name for source in absent if source.urls and source.bytes is None]
    downloads = " and ".join([readable_size(found.download_bytes), *unsized])
    note = " (of unpublished size)" if unsized else ""
    console.print(f"downloads: {downloads}{note}")
    peaks = ", ".join(
        f"{readable_size(size)} with {workers}" for workers, size in found.disk.items()
    )
    console.print(f"disk at its peak: {peaks} {what}s")
    end = readable_size(found.end_disk_bytes)
    console.print(f"disk at the end: {end}, with --keep-models {found.keep_models}")
    basis = "scaled to this machine by a probe" if found.probed else f"for {found.machine}"
    console.print(f"times {basis}{', partly estimated' if found.estimated else ', measured'}")
    unobtainable = [source.name for source in absent if not source.urls]
    if unobtainable:
        more = f" and {len(unobtainable) - 3} more" if len(unobtainable) > 3 else ""
        console.print(
            f"not on this machine, and to be brought by hand: {', '.join(unobtainable[:3])}{more}"
        )
