"""``stilts-artifact check``: judge results files again, without any of the code that made them."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from stilts_artifact.checking.recheck import Recheck
    from stilts_artifact.checking.results import ClaimRecord


def check(
    table: Annotated[
        str | None, typer.Option("--table", help="Only this table.", show_default="all in RESULTS")
    ] = None,
    calibration: options.CalibrationOption = False,
    study: options.StudyOption = None,
    claims: Annotated[
        bool, typer.Option("--claims", help="Only the paper's claims, of the tables in RESULTS.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="All tables in RESULTS, all claims, and the sums of the expected values."
        ),
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale",
            metavar=options.SCALE_NAMES,
            help="Only this scale.",
            show_default="all in RESULTS",
        ),
    ] = None,
    results: options.ResultsOption = Path("results"),
    expected: Annotated[
        Path | None,
        typer.Option("--expected", help="File of expected cells.", show_default="the scale's own"),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Judge the results in a folder again: every cell from its predictions, every hash compared."""
    if sum((table is not None, calibration, study is not None, claims, everything)) > 1:
        what = "--table, --calibration, --study, --claims and --all exclude each other"
        raise ConfigError(what, fix="name one of them, or none")
    asked = table is not None or calibration or study is not None
    experiment = options.chosen_experiment(table, calibration, study) if asked else None
    # Tens of thousands of records, none of them garbage: looking for cycles costs a tenth of the
    # time.
    gc.disable()
    from stilts_artifact.benchmark.experiments import EXPERIMENTS
    from stilts_artifact.checking.recheck import judge_all_claims, recheck
    from stilts_artifact.checking.results import results_files
    from stilts_artifact.checking.sums import expected_root, verify_sums

    # First: no verdict is given on expected values that are not those on record.
    summed = verify_sums(expected_root()) if everything else 0
    every = [one for one in EXPERIMENTS.values() if one.decides_claims or not claims]
    # A scale's own calibration has a name of its own; the option asks for any of them.
    wanted = [one for one in every if experiment is None or one.command == experiment.command]
    files = results_files(results, wanted, scale)
    rechecks = [recheck(path, expected) for path in files]
    judged = judge_all_claims(rechecks) if claims or everything else {}
    stream = options.message_stream(as_json)
    if as_json:
        options.say_json([found.summary() for found in rechecks])
    for found in () if claims else rechecks:
        _show(found, as_json)
    for name, records in judged.items():
        _show_claims(name, records, as_json)
    if everything:
        options.say(f"expected values: {summed} files have their recorded sums", stream)
    raise typer.Exit(_conclude([] if claims else rechecks, judged, as_json))


def _show(found: Recheck, as_json: bool) -> None:
    from stilts_artifact.reporting.console import make_console, show_table

    if (detail := options.detail()) is options.Detail.QUIET:
        return
    stream = options.message_stream(as_json)
    verbose = detail is options.Detail.VERBOSE
    show_table(found.results, make_console(stream), verbose=verbose)
    if found.answers:
        from stilts_artifact.reporting.family import family_table

        for line in family_table(found.answers):
            options.say(line, stream)
    for note in found.notes:
        options.say(f"note: {note}", stream)
    for said in found.disagreements:
        options.say(f"note: {said.in_words(found.results.titles)}", stream)


def _show_claims(scale: str, records: Sequence[ClaimRecord], as_json: bool) -> None:
    stream = options.message_stream(as_json)
    options.say(f"claims at scale {scale}:", stream)
    for record in records:
        options.say(f"  {record.verdict} {record.claim}: {record.title}: {record.reason}", stream)


def _conclude(
    rechecks: Sequence[Recheck], judged: dict[str, list[ClaimRecord]], as_json: bool
) -> ExitCode:
    """Say the verdicts in one last line; the worst of them decides the exit code."""
    from stilts_artifact.checking.claims import decisive
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.checking.recheck import CONSISTENT, TRUST

    verdicts = [found.results.verdict for found in rechecks]
    said = [
        f"{found.results.title} ({found.results.scale}) {found.results.verdict}"
        for found in rechecks
    ]
    for scale, records in judged.items():
        verdicts += decisive(records, scale)
        said.append(f"claims ({scale}) {_counts(records)}")
    code = exit_code(verdicts)
    options.note(f"{CONSISTENT} {TRUST}", options.message_stream(as_json))
    options.say(f"verdict: {', '.join(said)}; exit {code:d}", options.message_stream(as_json))
    return code


def _counts(records: Sequence[ClaimRecord]) -> str:
    """Such as ``3 REPRODUCED 1 NOT_RUN``."""
    counts = Counter(record.verdict for record in records)
    return " ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
