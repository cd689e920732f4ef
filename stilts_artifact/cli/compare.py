"""``stilts-artifact compare``: two rows of a table, with intervals and p-values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options


def compare(
    row_a: Annotated[str, typer.Argument(metavar="ROW_A", help="The row to start from: none.")],
    row_b: Annotated[str, typer.Argument(metavar="ROW_B", help="The row that may be better.")],
    table: options.TableOption,
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale",
            metavar=options.SCALE_NAMES,
            help="Whose results.",
            show_default="the one in RESULTS",
        ),
    ] = None,
    results: options.ResultsOption = Path("results"),
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME,...", help="Only these; * is any. Repeatable."),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            "--language",
            metavar="CODE,...",
            help="These languages too, beside the mean; * is any. Repeatable.",
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """How far ROW_B is above ROW_A in every column, and whether chance would do as much."""
    experiment = options.chosen_experiment(table, scored=True)
    from stilts_artifact.checking.compare import compare_rows
    from stilts_artifact.checking.results import results_file
    from stilts_artifact.reporting.console import make_console, show_gains

    path = results_file(results, experiment, scale)
    compared = compare_rows(path, (row_a, row_b), options.codes(column), options.codes(language))
    stream = options.message_stream(as_json)
    if as_json:
        options.say_json(compared.to_json())
    else:
        show_gains(compared, make_console(stream))
    for name, why in compared.absent.items():
        titles = compared.results.titles.columns
        options.say(f"not compared: {titles.get(name, name)}: {why}", stream)
    for note in (*compared.method(), *compared.notes):
        options.say(f"note: {note}", stream)
    clear = sum(gain.corrected < 0.05 for gain in compared.gains)
    counted = f"{len(compared.gains)} differences, {clear} with a corrected p below 0.05"
    options.say(f"verdict: {counted}; exit 0", stream)
