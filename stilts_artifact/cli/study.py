"""``stilts-artifact study``: ask one of the five questions that the paper left open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.cli.family import FamilyRequest, explain_family, run_family
from stilts_artifact.errors import ConfigError, ExitCode

FAMILY = "family"


def study(
    which: Annotated[
        str,
        typer.Argument(
            metavar="000|001|002|003|004|all|family",
            help="Which study, or all of them; or the family of languages, where truth is known.",
            autocompletion=options.completing(lambda: [*options.studies(), "all", FAMILY]),
        ),
    ],
    scale: options.ScaleOption = "auto",
    seeds: options.SeedsOption = None,
    encoder: options.EncoderOption = None,
    prefix: options.PrefixOption = "",
    languages: options.LanguagesOption = None,
    own_data: options.OwnDataOption = None,
    only: options.OnlyOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List the steps that would run, and why; run nothing."),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Show question, hypotheses and thresholds; run and open nothing else."
        ),
    ] = False,
    workers: options.WorkersOption = None,
    scheduler: options.SchedulerOption = None,
    keep_models: options.KeepModelsOption = None,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    offline: options.OfflineOption = False,
    mirror: options.MirrorOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Ask what the paper left open: run what a study needs, and judge its hypotheses."""
    asks_family = which == FAMILY
    chosen = {} if asks_family else options.studies(which, FAMILY)
    if explain:
        if asks_family:
            explain_family()
        for number in chosen:
            _explain(number)
        raise typer.Exit(ExitCode.REPRODUCED)
    from stilts_artifact.experiments.session import Machine

    machine = Machine(
        options.store_folder(results, store),
        tuple(options.data_folders(data)),
        offline,
        tuple(mirror or ()),
        workers,
        scheduler,
        keep_models,
    )
    if asks_family:
        if scale != "auto" or prefix or own_data or as_json:
            raise ConfigError(
                "the family of languages has a scale and data of its own",
                expected="none of --scale, --prefix, --own-data, --json",
                fix="--encoder SIZE or SIZE-SEED, such as 4x96 or 4x96-1, takes only these of it",
            )
        asked = FamilyRequest(encoder, seeds, options.codes(languages), tuple(only or ()))
        raise typer.Exit(run_family(asked, machine, results, dry_run=dry_run))
    from stilts_artifact.cli.reproduce import run_experiment
    from stilts_artifact.experiments.setup import Choices

    choices = Choices(
        scale,
        tuple(only or ()),
        encoder,
        prefix,
        options.codes(languages),
        own_data,
        seeds,
    )
    codes = [
        run_experiment(one, choices, machine, results, dry_run=dry_run, as_json=as_json)
        for one in chosen.values()
    ]
    # What failed first by weight: an invalid pipeline before an open question, success last.
    raise typer.Exit(max(codes, key=_weight))


def _weight(code: ExitCode) -> tuple[bool, bool]:
    """Worse codes are larger: what broke, then what was not found valid, then what is open."""
    return code not in (ExitCode.REPRODUCED, ExitCode.INCOMPLETE), code is ExitCode.INCOMPLETE


def _explain(number: str) -> None:
    from stilts_artifact.checking.studies import load_protocol

    loaded = load_protocol(number)
    protocol = loaded.protocol
    options.say(f"study {number}: {protocol.title}")
    options.say(f"question: {protocol.question}")
    options.say(f"premise: {protocol.premise.statement}")
    for one in protocol.hypotheses:
        rank = "primary" if one.primary else "exploratory"
        claim = f"{one.direction}, smallest effect of interest {one.delta} {one.scales[0]}"
        options.say(f"{one.id} ({rank}): {one.statement}: {claim}")
    options.say(f"seeds: {protocol.seeds.planned} planned, {protocol.seeds.least} at least")
    options.say(f"protocol: {loaded.path}, sha256 {loaded.sha256}")
    if loaded.altered:
        options.say("altered protocol: it is not the one that ships")
