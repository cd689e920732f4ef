"""``stilts-artifact verify``: judge a research object again, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options

if TYPE_CHECKING:
    from stilts_artifact.reporting.verify import Verification


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
    """Verify every hash of a crate, compute every cell from its predictions, and judge cells and claims again."""
    from stilts_artifact.checking.judge import exit_code, summary
    from stilts_artifact.reporting.comparison import verdict_line
    from stilts_artifact.reporting.verify import verify_crate

    found = verify_crate(crate, labels)
    stream = options.message_stream(as_json)
    if as_json:
        typer.echo(json.dumps(_summary(found), indent=1, ensure_ascii=False))
    stream.write(f"{found.files} files have the hashes of the manifest\n")
    for table in found.tables:
        results = table.results
        stream.write(f"{results.defined.title} at scale {results.stamp}: {results.verdict}; ")
        stream.write(f"{summary(cell.verdict for cell in results.cells)}\n")
        for claim in results.claims:
            stream.write(f"  {claim.verdict} {claim.claim}: {claim.title}: {claim.reason}\n")
    for note in found.notes:
        stream.write(f"note: {note}\n")
    code = exit_code([table.results.verdict for table in found.tables])
    stream.write(
        f"verdict: {verdict_line([table.results for table in found.tables])}; exit {code:d}\n"
    )
    raise typer.Exit(code)


def _summary(found: Verification) -> dict[str, object]:
    tables = [
        {
            "experiment": table.results.experiment,
            "scale": table.results.scale,
            "verdict": table.results.verdict,
            "computed_again": table.run is not None,
            "claims": {claim.claim: claim.verdict for claim in table.results.claims},
        }
        for table in found.tables
    ]
    return {"files": found.files, "tables": tables, "notes": list(found.notes)}
