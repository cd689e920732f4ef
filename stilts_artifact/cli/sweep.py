"""``stilts-artifact sweep``: which layer of an encoder finds translations best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stilts_artifact.cli import options
from stilts_artifact.cli.mine import BatchOption, DtypeOption, MaxLengthOption, SpecialsOption
from stilts_artifact.cli.progress import work_progress
from stilts_artifact.errors import ConfigError
from stilts_artifact.files import require_output

if TYPE_CHECKING:
    from stilts_artifact.retrieval.sweep import SweepScores

_BAR = 40  # characters that stand for 100 points


def sweep(
    encoder: Annotated[Path, typer.Option("--encoder", help="Folder of a transformers encoder.")],
    layers: Annotated[
        str, typer.Option("--layers", help="Layers, as 1-24 or 7,13-15; 0 is the embeddings.")
    ] = "1-24",
    pool: Annotated[
        str, typer.Option("--pool", help="Poolings: mean, cls, or both with a comma.")
    ] = "mean",
    specials: SpecialsOption = True,
    task: Annotated[
        Literal["tatoeba", "bucc2018"],
        typer.Option("--task", help="tatoeba: accuracy; bucc2018: development F1."),
    ] = "tatoeba",
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Only this one. Repeatable.")
    ] = None,
    scale: Annotated[
        str, typer.Option("--scale", metavar=options.SCALE_NAMES, help="Whose data.")
    ] = "paper",
    src: Annotated[
        Path | None, typer.Option("--src", help="Own text in place of a task's.")
    ] = None,
    trg: Annotated[
        Path | None, typer.Option("--trg", help="Its translation, line by line.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also draw the scores to a .png, .svg or .pdf.")
    ] = None,
    max_length: MaxLengthOption = 512,
    batch_tokens: BatchOption = 8192,
    dtype: DtypeOption = "float32",
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Score layers and poolings of an encoder on translation search or mining, in one pass."""
    if (src is None) != (trg is None):
        raise ConfigError(
            "one side of the translations is missing", expected="both --src and --trg"
        )
    if plot is not None:
        require_output(plot, (src, trg, encoder), "--plot")
    from stilts_artifact.config.load import benchmark_of, load_scale
    from stilts_artifact.retrieval.encode import Batching, View
    from stilts_artifact.retrieval.sweep import (
        SweepScores,
        own_language,
        parse_layers,
        parse_poolings,
        task_languages,
    )
    from stilts_artifact.retrieval.sweep import sweep as score_views
    from stilts_artifact.retrieval.texts import count_cut
    from stilts_artifact.retrieval.transformer import load_transformer

    wanted = parse_layers(layers)
    views = [
        # The first token is itself a special one, so --no-specials is about the mean only.
        View(layer, kind, specials or kind == "cls")
        for kind in parse_poolings(pool)
        for layer in wanted
    ]
    if src is not None and trg is not None:
        languages = [own_language(src, trg)]
    else:
        benchmark = benchmark_of(load_scale(scale))
        library = options.open_library(benchmark, results, store, data)
        languages = task_languages(benchmark.tasks[task], library, scale, language or ())
    loaded = load_transformer(encoder, deepest=wanted[-1], dtype=dtype)
    total = sum(len(dict.fromkeys(one.texts)) for one in languages)
    with work_progress("embedding and scoring", total) as advance:
        batching = Batching(max_length, batch_tokens)
        cut: set[str] = set()
        scored = score_views(loaded, views, languages, batching=batching, advance=advance, cut=cut)
        # Within the bar: what scores is a generator, and works only while it is read.
        scores = SweepScores.of(scored)
    if note := count_cut(cut, max_length, *(one.texts for one in languages)):
        options.message_stream(as_json).write(note + "\n")
    _show(scores, as_json)
    if plot is not None:
        from stilts_artifact.reporting.figures import draw_sweep

        draw_sweep(
            scores, plot, title=f"{loaded.name} ({loaded.revision}): {'own text' if src else task}"
        )


def _show(scores: SweepScores, as_json: bool) -> None:
    """Mean over languages for each view, with a bar; or every number as JSON."""
    if as_json:
        options.say_json(scores.to_json())
        return
    for (pooling, layer), mean in scores.means.items():
        options.say(
            f"{pooling:<22} layer {layer:>2}  {mean:6.2f}  {'#' * round(mean * _BAR / 100)}"
        )
    pooling, layer = scores.best
    languages = list(scores.points[scores.best])
    what = f"mean of {len(languages)} languages" if len(languages) > 1 else languages[0]
    best = f"{pooling}, layer {layer}: {scores.means[scores.best]:.2f}"
    options.say(f"verdict: best is {best} ({what}); exit 0")
