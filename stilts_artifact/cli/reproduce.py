"""``stilts-artifact reproduce``: measure an experiment, judge it, write and show the result."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ArtifactError, ConfigError, ExitCode, MissingDataError

if TYPE_CHECKING:
    from stilts_artifact.benchmark.experiments import Experiment
    from stilts_artifact.experiments.outcome import Outcome
    from stilts_artifact.experiments.session import Machine, Session
    from stilts_artifact.experiments.setup import Choices


def reproduce(
    table: options.OptionalTableOption = None,
    calibration: options.CalibrationOption = False,
    scale: options.ScaleOption = "auto",
    encoder: options.EncoderOption = None,
    prefix: options.PrefixOption = "",
    languages: options.LanguagesOption = None,
    own_data: options.OwnDataOption = None,
    only: options.OnlyOption = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Tables 2 and 3: list the steps that would run, and why; run nothing."
        ),
    ] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Try all of it with random weights and made-up text, and say what it will need.",
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
    """Measure a table of the paper, compare it with what was reported, and give a verdict."""
    experiment = options.chosen_experiment(table, calibration)
    trained = (only, dry_run, rehearse, workers, scheduler, encoder, prefix)
    if experiment.is_counted and any(trained):
        what = f"{experiment.title} is counted, not trained"
        expected = (
            "none of --only, --dry-run, --rehearse, --workers, --scheduler, --encoder, --prefix"
        )
        raise ConfigError(what, expected=expected)
    if dry_run and rehearse:
        raise ConfigError("--dry-run and --rehearse exclude each other", fix="name one of them")
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.experiments.setup import Choices

    machine = Machine(
        options.store_folder(results, store),
        tuple(options.data_folders(data)),
        offline,
        tuple(mirror or ()),
        workers,
        scheduler,
        keep_models,
    )
    choices = Choices(scale, tuple(only or ()), encoder, prefix, options.codes(languages), own_data)
    if rehearse:
        from stilts_artifact.cli.rehearsal import run_rehearsal

        raise typer.Exit(run_rehearsal(experiment, choices, machine, results, as_json=as_json))
    code = run_experiment(experiment, choices, machine, results, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(code)


def run_experiment(
    experiment: Experiment,
    choices: Choices,
    machine: Machine,
    results: Path,
    *,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Run an experiment, or only say what would run, and show what came of it."""
    from stilts_artifact.checking.results import dump_results
    from stilts_artifact.experiments.outcome import reproduce as run
    from stilts_artifact.experiments.setup import open_session

    session = open_session(experiment, choices, machine, results, display=options.display())
    stream = options.message_stream(as_json)
    options.note(f"scale: {session.scale.stamp} ({session.reason})", stream)
    if choices.encoder is not None:
        options.note(f"encoder: {session.describe_encoder()}", stream)
    if session.scale.own_data:
        from stilts_artifact.experiments.planning import unread_own_data

        for name in unread_own_data(session):
            options.note(f"own data that nothing of this run reads: {name}", stream)
    options.require_writable(results)
    if dry_run:
        return _list_steps(session)
    outcome = run(session)
    if as_json:
        typer.echo(dump_results(outcome.results), nl=False)
    return _report(session, outcome, as_json)


def _list_steps(session: Session) -> ExitCode:
    """What would run, and why; the exit code says whether anything could."""
    from stilts_artifact.experiments.planning import preview

    found = preview(session)
    for reason in found.reasons:
        options.say(f"{'run ' if reason.run else 'done'}  {reason.step.label}: {reason.why}")
    for key, why in sorted(found.impossible.items()):
        options.say(f"cannot run  {key.row} {key.task} seed {key.seed}: {why}")
    if found.obstacle is not None:
        sys.stdout.write(f"{found.obstacle}\n")
    experiment = session.experiment
    later = f"; {experiment.title} then scores each target's best row on test data"
    count = f"{found.to_run} of {len(found.reasons)} steps would run"
    code = ExitCode.REPRODUCED if found.is_possible else ExitCode.INCOMPLETE
    options.say(f"{count}{later if experiment.selected_by else ''}; exit {code:d}")
    return code


def _report(session: Session, outcome: Outcome, as_json: bool) -> ExitCode:
    """Show the tables and the verdict line; the exit code is that of what was asked for."""
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.checking.results import results_path
    from stilts_artifact.reporting.console import make_console, show_table

    results = outcome.results
    stream = options.message_stream(as_json)
    if (detail := options.detail()) is not options.Detail.QUIET:
        verbose = detail is options.Detail.VERBOSE
        show_table(results, make_console(stream), verbose=verbose)
    broken = _broken(outcome.errors)
    for error in broken:
        stream.write(f"error: {error}\n")
    path = results_path(session.results, results.experiment, results.scale)
    options.note(f"results: {path}", stream)
    for only in results.asked[:-1]:
        kept = shlex.join(word for pattern in only for word in ("--only", pattern))
        options.note(f"kept from an earlier run: {kept or 'everything else'}", stream)
    what, verdict = results.title, results.verdict
    # A study has one finding, on whatever rows there are, and says which they are.
    if session.only and results.study is None:
        options.note(f"the whole of {what}: {verdict}", stream)
        what, verdict = f"{what} as far as asked for:", outcome.asked_for
    # What broke tells a script more than a verdict on cells that have no value because of it.
    code = broken[0].exit_code if broken else exit_code([verdict])
    options.say(f"verdict: {what} {verdict} at scale {results.stamp}; exit {code:d}", stream)
    return code


def _broken(errors: Sequence[ArtifactError]) -> list[ArtifactError]:
    """Errors that are more than data which are not on this machine: these only leave cells out."""
    return [error for error in errors if not isinstance(error, MissingDataError)]
