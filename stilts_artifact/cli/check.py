"""``stilts-artifact check``: judge results files again, without any of the code that made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import MissingDataError

if TYPE_CHECKING:
    from stilts_artifact.checking.recheck import Recheck


def check(
    table: Annotated[str | None, typer.Option("--table", help="Only this table. [default: all in RESULTS]")] = None,
    scale: Annotated[
        str | None,
        typer.Option("--scale", metavar="mini|base|paper", help="Only this scale. [default: all in RESULTS]"),
    ] = None,
    results: options.ResultsOption = Path("results"),
    expected: Annotated[
        Path | None, typer.Option("--expected", help="File of expected cells. [default: the scale's own]")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Judge the results in a folder again: same cells, expected values of today, every pin compared."""
    number = None if table is None else options.parse_table(table)
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.checking.recheck import recheck

    paths = _results_files(results, number, scale)
    rechecks = [recheck(path, expected) for path in paths]
    stream = options.message_stream(as_json)
    if as_json:
        typer.echo(json.dumps([found.summary() for found in rechecks], indent=1, ensure_ascii=False))
    for found in rechecks:
        _show(found, as_json)
    code = exit_code([found.results.verdict for found in rechecks])
    verdicts = ", ".join(
        f"Table {found.results.table} ({found.results.scale}) {found.results.verdict}" for found in rechecks
    )
    stream.write(f"verdict: {verdicts}; exit {code:d}\n")
    raise typer.Exit(code)


def _results_files(folder: Path, number: int | None, scale: str | None) -> list[Path]:
    from stilts_artifact.checking.results import results_path
    from stilts_artifact.scales import SCALES, load_scale

    if scale is not None:
        load_scale(scale)
    tables = options.TABLES if number is None else (number,)
    scales = SCALES if scale is None else (scale,)
    paths = [results_path(folder, table, name) for table in tables for name in scales]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise MissingDataError(
            "no results to check", where=str(folder), expected=" or ".join(path.name for path in paths),
            fix=f"stilts-artifact reproduce --table {tables[0]} --results {folder}",
        )  # fmt: skip
    return found


def _show(found: Recheck, as_json: bool) -> None:
    from stilts_artifact.reporting.console import make_console, show_table1

    stream = options.message_stream(as_json)
    show_table1(found.results, make_console(stream))
    for disagreement in found.disagreements:
        stream.write(
            f"note: the file says {disagreement.stored} for {disagreement.key}; judged {disagreement.judged}\n"
        )
