"""``stilts-artifact sweep``: which layer of an encoder finds translations best."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stilts_artifact.cli import options
from stilts_artifact.cli.mine import BatchOption, DtypeOption, MaxLengthOption, SpecialsOption
from stilts_artifact.cli.progress import work_progress
from stilts_artifact.errors import ConfigError, ResourceError, unknown_name

if TYPE_CHECKING:
    from stilts_artifact.retrieval.sweep import SweepLanguage

Scores = Mapping[tuple[str, int], Mapping[str, float]]
"""(pooling, layer) -> language -> points."""

BAR = 40


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
    """Score layers and poolings of an encoder on translation search or mining; one pass over the sentences."""
    if (src is None) != (trg is None):
        raise ConfigError(
            "one side of the translations is missing", expected="both --src and --trg"
        )
    from stilts_artifact.retrieval.encode import Batching, View
    from stilts_artifact.retrieval.sweep import parse_layers, parse_poolings
    from stilts_artifact.retrieval.sweep import sweep as score_views
    from stilts_artifact.retrieval.transformer import load_transformer

    wanted = parse_layers(layers)
    views = [
        View(layer, kind, specials or kind == "cls")
        for kind in parse_poolings(pool)
        for layer in wanted
    ]
    if src is not None and trg is not None:
        languages = [_own(src, trg)]
    else:
        languages = _languages(task, scale, language or [], (results, store, data))
    loaded = load_transformer(encoder, deepest=wanted[-1], dtype=dtype)
    scores: defaultdict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    total = sum(len(dict.fromkeys(entry.texts)) for entry in languages)
    with work_progress("embedding and scoring", total) as advance:
        batching = Batching(max_length, batch_tokens)
        for name, view, points in score_views(
            loaded, views, languages, batching=batching, advance=advance
        ):
            scores[view.name, view.layer][name] = points
    _show(scores, as_json)
    if plot is not None:
        _draw(scores, plot, title=f"{encoder.resolve().name}: {'own text' if src else task}")


def _own(src: Path, trg: Path) -> SweepLanguage:
    """Anyone's own aligned texts."""
    from stilts_artifact.domain.examples import SentencePair
    from stilts_artifact.errors import DataError
    from stilts_artifact.retrieval.sweep import search_language
    from stilts_artifact.retrieval.texts import read_texts

    source, target = read_texts(src), read_texts(trg)
    if len(source) != len(target):
        got = f"{len(source):,} and {len(target):,} lines"
        raise DataError(
            "the two texts do not have the same number of lines", where=f"{src}, {trg}", got=got
        )
    return search_language("own text", list(map(SentencePair, source, target)), "own")


def _languages(
    task: str, scale: str, only: Sequence[str], places: tuple[Path, Path | None, list[Path] | None]
) -> list[SweepLanguage]:
    """The languages of a task, read from this machine's files."""
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.config.load import load_scale
    from stilts_artifact.domain.tasks import Split
    from stilts_artifact.forms import MINING, SEARCH
    from stilts_artifact.retrieval.sweep import mining_language, search_language

    benchmark = load_benchmark(load_scale(scale).benchmark)
    library = options.open_library(benchmark, *places)
    chosen = benchmark.tasks[task]
    for name in only:
        if name not in chosen.languages:
            raise unknown_name("language", name, chosen.languages)
    names = only or chosen.languages
    if task == "tatoeba":
        return [
            search_language(name, SEARCH.read(chosen, Split.TEST, name, library), scale)
            for name in names
        ]
    return [
        mining_language(name, MINING.read(chosen, Split.DEV, name, library), scale)
        for name in names
    ]


def _show(scores: Scores, as_json: bool) -> None:
    """Mean over languages for each view, with a bar; or every number as JSON."""
    if as_json:
        rows = [
            {
                "pooling": pooling,
                "layer": layer,
                "languages": points,
                "mean": fmean(points.values()),
            }
            for (pooling, layer), points in scores.items()
        ]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for (pooling, layer), points in scores.items():
        mean = fmean(points.values())
        typer.echo(f"{pooling:<22} layer {layer:>2}  {mean:6.2f}  {'#' * round(mean * BAR / 100)}")
    (pooling, layer), best = max(scores.items(), key=lambda item: fmean(item[1].values()))
    languages = f"mean of {len(best)} languages" if len(best) > 1 else next(iter(best))
    typer.echo(
        f"verdict: best is {pooling}, layer {layer}: {fmean(best.values()):.2f} ({languages}); exit 0"
    )


def _draw(scores: Scores, path: Path, title: str) -> None:
    """One line for each pooling: score by layer."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ResourceError(
            "a plot needs matplotlib", got=str(error), fix="pip install matplotlib"
        ) from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for pooling in dict.fromkeys(pooling for pooling, _ in scores):
        points = {
            layer: fmean(found.values())
            for (kind, layer), found in scores.items()
            if kind == pooling
        }
        axes.plot(list(points), list(points.values()), marker="o", label=pooling)
    axes.set(title=title, xlabel="layer (0: embeddings)", ylabel="points, mean over languages")
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(path)
    except ValueError as error:
        raise ConfigError(
            "not a format to draw in", got=path.suffix, expected=".png, .svg or .pdf"
        ) from error
