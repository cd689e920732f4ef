"""``stilts-artifact score``: XTREME's scores for a submission folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import unknown_name


def score(
    predictions: Annotated[Path, typer.Option("--predictions", help="Folder {task}/test-{language}.{tsv|json}.")],
    labels: Annotated[Path, typer.Option("--labels", help="Folder of the same layout with the true labels.")],
    world: Annotated[
        str, typer.Option("--world", metavar="xtreme|mini", help="Whose languages and labels are valid.")
    ] = "xtreme",
    as_json: options.JsonOption = False,
) -> None:
    """Score every task and language found, with XTREME's averages and each score's sampling error."""
    from stilts_artifact.benchmark import WORLDS
    from stilts_artifact.benchmark import world as load_world

    if world not in WORLDS:
        raise unknown_name("world", world, WORLDS)
    from stilts_artifact.reporting.console import make_console, show_scores
    from stilts_artifact.scoring import score_folders

    scores = score_folders(predictions, labels, world=load_world(world))
    stream = options.message_stream(as_json)
    if as_json:
        typer.echo(json.dumps(scores.to_json(), indent=1, ensure_ascii=False))
    else:
        show_scores(scores, make_console(stream))
    for note in scores.notes:
        stream.write(f"note: {note}\n")
    overall = "not all nine tasks are there" if scores.overall is None else f"overall {scores.overall.value:.2f}"
    stream.write(f"verdict: {len(scores.tasks)} tasks scored, {overall}; exit 0\n")
