"""``stilts-artifact plan``: what a table would cost, before anything is run."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options

if TYPE_CHECKING:
    from stilts_artifact.domain.tasks import Source
    from stilts_artifact.pipeline.plan import Plan
    from stilts_artifact.pipeline.rates import ProbeRecord


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
            "--probe",
            help="First measure this machine with an encoder of the scale's size, for minutes; "
            "later plans on it with the same --store find the times.",
        ),
    ] = False,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Steps, hours, downloads and disk of Table 2 or 3, of the calibration, or of studies.

    Wall time for several numbers of workers, too; what studies share counts once.
    """
    if study is not None:
        options.studies(study)  # where there is no such one, ``all`` is among those it names
    chosen = (
        tuple(options.studies().values())
        if (table, calibration, study) == (None, False, "all")
        else (options.chosen_experiment(table, calibration, study, scored=True),)
    )
    from stilts_artifact.experiments.planning import (
        costs_of,
        known_probe,
        probe_machine,
        sources_of,
        steps_of,
    )
    from stilts_artifact.experiments.planning import plan as plan_cost
    from stilts_artifact.experiments.scored import Scored
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.experiments.setup import Choices, open_session
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
    measured = probe_machine(first, _note) if probe else known_probe(first)
    costs = costs_of(first, measured)
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
            "measured": None if measured is None else measured.to_json(),
        }
        options.say_json(content)
        return
    if probe and measured is not None:
        _show_probe(measured)
    _show(found, title, first.scale.stamp, list(absent.values()))
    if first.scale.device == "gpu" and found.device == "cpu":
        options.say("this scale trains on GPUs alone: a run would refuse this machine")


def _note(text: str) -> None:
    options.say(f"probe: {text}", sys.stderr)


def _show_probe(record: ProbeRecord) -> None:
    from stilts_artifact.domain.units import readable_size, readable_time
    from stilts_artifact.reporting.console import make_console, new_table

    console = make_console()
    table = new_table(f"Probe: {record.encoder} on {record.machine}, {record.dtype}")
    for name, justify in (("pass", "left"), ("rows x tokens", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in ("seconds", "examples/s", "memory"):
        table.add_column(name, justify="right", overflow="fold")
    for own in record.passes:
        memory = "-" if own.memory is None else readable_size(own.memory)
        table.add_row(
            f"{own.kind}, {own.mode}",
            f"{own.rows:,} x {own.width:,}",
            f"{own.seconds:.3g}",
            f"{own.examples_per_second:,.3g}",
            memory,
        )
    console.print(table)
    speeds = record.speeds
    console.print(
        f"matrix products: {speeds['float32'] / 1e9:,.0f} GFLOP/s in float32, "
        f"{speeds['bfloat16'] / 1e9:,.0f} in bfloat16; "
        f"disk: {readable_size(speeds['write'])}/s written, {readable_size(speeds['read'])}/s read"
    )
    rates = record.rates
    console.print(
        f"encoder: loaded in {readable_time(rates.load)}, written in {readable_time(rates.save)}; "
        f"update of its weights: {rates.update:.3g} s, with all embeddings "
        f"{rates.whole_update:.3g} s"
    )
    for text in record.left_out:
        console.print(f"not measured: {text}")


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
    each = f" of {found.threads} threads" if found.threads > 1 else ""
    for workers, seconds in found.wall.items():
        least, most = seconds / found.uncertain, seconds * found.uncertain
        console.print(
            f"wall time with {workers} {what}{'s' if workers > 1 else ''}{each}: "
            f"{readable_time(seconds)} ({readable_time(least)} to {readable_time(most)})"
        )
    if found.device == "cuda":
        console.print(f"GPU time in all: {readable_time(found.gpu_seconds)}")
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
    console.print(_certainty(found))
    unobtainable = [source.name for source in absent if not source.urls]
    if unobtainable:
        more = f" and {len(unobtainable) - 3} more" if len(unobtainable) > 3 else ""
        console.print(
            f"not on this machine, and to be brought by hand: {', '.join(unobtainable[:3])}{more}"
        )


def _certainty(found: Plan) -> str:
    """Whose times these are, and how sure."""
    if found.probe is not None:
        return (
            f"times measured on this machine, {found.probe.date}, load {found.probe.load:.1f}: "
            f"right within a factor of {found.uncertain:g} while it does nothing else"
        )
    how = {
        "tabled": "those of another machine",
        "guessed": "guessed by counted operations",
    }[found.basis]
    return (
        f"times {how}, {found.machine}: right within a factor of {found.uncertain:g}; "
        "--probe measures this machine"
    )
