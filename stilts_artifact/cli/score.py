"""``stilts-artifact score``: XTREME's scores for a submission folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import unknown_name


def score(
    predictions: Annotated[
        Path, typer.Option("--predictions", help="Folder {task}/test-{language}.{tsv|json}.")
    ],
    labels: Annotated[
        Path, typer.Option("--labels", help="Folder of the same layout with the true labels.")
    ],
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark", metavar="xtreme|mini", help="Whose languages and labels are valid."
        ),
    ] = "xtreme",
    partial: Annotated[
        bool,
        typer.Option("--partial", help="A question without an answer counts 0, as XTREME has it."),
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Score every task and language found, with XTREME's averages and each sampling error."""
    from stilts_artifact.benchmark import BENCHMARKS, load_benchmark

    if benchmark not in BENCHMARKS:
        raise unknown_name("benchmark", benchmark, BENCHMARKS)
    from stilts_artifact.metrics.score import OVERALL, score_folders
    from stilts_artifact.reporting.console import make_console, show_scores

    scores = score_folders(
        predictions, labels, benchmark=load_benchmark(benchmark), partial=partial
    )
    stream = options.message_stream(as_json)
    if as_json:
        options.say_json(scores.to_json())
    else:
        show_scores(scores, make_console(stream))
    for note in scores.notes:
        options.say(f"note: {note}", stream)
    overall = "not all nine tasks are there"
    if scores.overall is not None:
        overall = f"overall {scores.overall.value:.2f}"
        overall += " (partial)" if OVERALL in scores.partial else ""
    options.say(f"verdict: {len(scores.tasks)} tasks scored, {overall}; exit 0", stream)
