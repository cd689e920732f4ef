"""``stilts-artifact report``: the results of a folder as one page, and as a research object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError
from stilts_artifact.files import require_output


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
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Pack labels that belong to others, too: keep such a crate to yourself.",
        ),
    ] = False,
) -> None:
    """Judge the results in a folder again, and write one self-contained page about them."""
    path = out if out is not None else results / "report.html"
    if path.suffix not in (".html", ".md"):
        raise ConfigError(
            "unknown kind of page", where="--out", got=path.name, expected="a name in .html or .md"
        )
    if crate is not None and crate.suffix != ".zip":
        raise ConfigError(
            "unknown kind of crate", where="--crate", got=crate.name, expected="a name in .zip"
        )
    # No results file has one of these suffixes, so none is replaced.
    require_output(path, (), "--out")
    if crate is not None:
        require_output(crate, (), "--crate")
    from stilts_artifact.checking.claims import claims_path, load_claims
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.files import write_file
    from stilts_artifact.reporting.comparison import verdict_line
    from stilts_artifact.reporting.markdown import render_markdown
    from stilts_artifact.reporting.page import render_page
    from stilts_artifact.reporting.runs import load_runs

    runs = load_runs(results, scale)
    # The crate holds this page, also where --out asks for Markdown.
    page = render_page(runs, load_claims(claims_path())).encode()
    write_file(path, page if path.suffix == ".html" else render_markdown(runs).encode())
    options.say(f"report: {path}")
    if crate is not None:
        from stilts_artifact.reporting.crate import write_crate

        left_out = write_crate(crate, results, runs, page, labels=labels)
        options.say(f"crate: {crate}" + (f"; {left_out} label files left out" if left_out else ""))
    code = exit_code([run.results.verdict for run in runs])
    options.say(f"verdict: {verdict_line([run.results for run in runs])}; exit {code:d}")
    raise typer.Exit(code)
