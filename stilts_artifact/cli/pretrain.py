"""``stilts-artifact pretrain``: phase (i), the mini encoder that ships, made anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options


def pretrain(
    out: Annotated[Path, typer.Option("--out", help="Folder to be made.", show_default=False)],
    quick: Annotated[
        bool, typer.Option("--quick", help="Seconds instead of minutes: a test of the machinery.")
    ] = False,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
) -> None:
    """Pretrain the mini encoder and its tokenizer on generated text; killed, it resumes."""
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.cli.progress import training_progress
    from stilts_artifact.experiments.setup import url_openers
    from stilts_artifact.pretraining.card import compare_with_shipped
    from stilts_artifact.pretraining.corpus import held_out_sentences
    from stilts_artifact.pretraining.pretrain import pretrain as run
    from stilts_artifact.pretraining.recipe import recipe

    chosen = recipe("quick" if quick else "shipped")
    benchmark = load_benchmark("mini")
    library = options.open_library(benchmark, results, store, data)
    forbidden = held_out_sentences(benchmark, library, url_openers())
    sys.stderr.write(
        f"{len(forbidden):,} sentences of development and test sets kept out of the text\n"
    )
    work = options.store_folder(results, store) / "pretraining"
    with training_progress(f"pretraining, {chosen.steps:,} steps") as progress:
        run(chosen, out, work, forbidden, progress=progress)
    if not quick:
        typer.echo(compare_with_shipped(out))
    options.say(f"verdict: encoder in {out}, its card in {out / 'README.md'}; exit 0")
