"""``stilts-artifact verify``: judge a research object again, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options


def verify(
    crate: Annotated[
        Path, typer.Argument(metavar="CRATE.zip", help="What `report --crate` wrote.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Results folder with the labels that the crate leaves out."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Verify every hash of a crate, compute every cell again, and judge cells and claims."""
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.checking.recheck import CONSISTENT, TRUST
    from stilts_artifact.reporting.comparison import cell_counts, verdict_line
    from stilts_artifact.reporting.verify import verify_crate

    verified = verify_crate(crate, labels)
    stream = options.message_stream(as_json)
    if as_json:
        options.say_json(verified.summary())
    options.say(f"{verified.files} files have the hashes of the manifest", stream)
    for table in verified.tables:
        results = table.results
        counts = cell_counts(results)
        title = f"{results.title} at scale {results.stamp}"
        options.say(f"{title}: {results.verdict}; {counts}", stream)
        for claim in results.claims:
            options.say(f"  {claim.verdict} {claim.claim}: {claim.title}: {claim.reason}", stream)
    for note in verified.notes:
        options.say(f"note: {note}", stream)
    options.say(f"{CONSISTENT} {TRUST}", stream)
    judged = [table.results for table in verified.tables]
    code = exit_code([results.verdict for results in judged])
    options.say(f"verdict: {verdict_line(judged)}; exit {code:d}", stream)
    raise typer.Exit(code)
