"""``stilts-artifact report``: the results of a folder as one page, and as a research object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError


def report(
    results: options.ResultsOption = Path("results"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Page to write, .html or .md.", show_default="RESULTS/report.html"
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale",
            metavar=options.SCALE_NAMES,
            help="Only this scale.",
            show_default="all in RESULTS",
        ),
    ] = None,
    crate: Annotated[
        Path | None,
        typer.Option(
            "--crate", metavar="FILE.zip", help="Also pack everything as a research object."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DIR", help="Set another results folder beside it."),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Pack labels that belong to others, too: keep such a crate to yourself.",
        ),
    ] = False,
) -> None:
    """Judge the results in a folder again, and write one self-contained page about them.

    Beside it, in a folder of its name, each table as CSV and LaTeX.
    """
    path = out if out is not None else results / "report.html"
    if path.suffix not in (".html", ".md"):
        raise ConfigError(
            "unknown kind of page", where="--out", got=path.name, expected="a name in .html or .md"
        )
    if crate is not None and crate.suffix != ".zip":
        raise ConfigError(
            "unknown kind of crate", where="--crate", got=crate.name, expected="a name in .zip"
        )
    if against is not None and path.suffix == ".md":
        raise ConfigError(
            "two runs stand side by side on the HTML page alone",
            where="--against",
            got=path.name,
            expected="a name in .html",
        )
    from stilts_artifact.files import require_output, write_file

    # No results file has one of these suffixes, so none is replaced.
    require_output(path, (), "--out")
    if crate is not None:
        require_output(crate, (), "--crate")
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.reporting.against import side_by_side
    from stilts_artifact.reporting.comparison import verdict_line
    from stilts_artifact.reporting.markdown import render_markdown
    from stilts_artifact.reporting.page import report_files
    from stilts_artifact.reporting.runs import load_runs

    runs = load_runs(results, scale)
    pairs = [] if against is None else side_by_side(runs, load_runs(against, scale))
    if path.suffix == ".md":
        write_file(path, render_markdown(runs).encode())
        options.say(f"report: {path}")
    else:
        made = report_files(runs, path.name, pairs)
        # The page last: where it is, so is what it links to.
        for name in reversed(made):
            write_file(path.parent / name, made[name])
        options.say(f"report: {path}; tables in {path.stem}-tables")
    if crate is not None:
        from stilts_artifact.reporting.crate import write_crate

        left_out = write_crate(crate, results, runs, labels=labels)
        options.say(f"crate: {crate}" + (f"; {left_out} label files left out" if left_out else ""))
    code = exit_code([run.results.verdict for run in runs])
    options.say(f"verdict: {verdict_line([run.results for run in runs])}; exit {code:d}")
    raise typer.Exit(code)
