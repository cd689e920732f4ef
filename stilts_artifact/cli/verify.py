"""``stilts-artifact verify``: judge a research object again, offline."""

from __future__ import annotations

import json
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
        typer.echo(json.dumps(verified.summary(), indent=1, ensure_ascii=False))
    stream.write(f"{verified.files} files have the hashes of the manifest\n")
    for table in verified.tables:
        results = table.results
        stream.write(f"{results.defined.title} at scale {results.stamp}: {results.verdict}; ")
        stream.write(f"{cell_counts(results)}\n")
        for claim in results.claims:
            stream.write(f"  {claim.verdict} {claim.claim}: {claim.title}: {claim.reason}\n")
    for note in verified.notes:
        stream.write(f"note: {note}\n")
    stream.write(f"{CONSISTENT} {TRUST}\n")
    judged = [table.results for table in verified.tables]
    code = exit_code([results.verdict for results in judged])
    stream.write(f"verdict: {verdict_line(judged)}; exit {code:d}\n")
    raise typer.Exit(code)
