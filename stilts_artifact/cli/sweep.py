"""``stilts-artifact sweep``: which layer of an encoder finds translations best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import typer

from stilts_artifact.cli import options
from stilts_artifact.cli.mine import (
    BatchOption,
    DtypeOption,
    FoundEncoder,
    MaxLengthOption,
    SpecialsOption,
    encoder_folder,
    open_encoder,
)
from stilts_artifact.errors import ConfigError

if TYPE_CHECKING:
    from stilts_artifact.retrieval.sweep import SweepLanguage, SweepScores
    from stilts_artifact.retrieval.sweep_file import Record, SweepFile, SweepSettings

_BAR = 40  # characters that stand for 100 points
_FILE = "sweep.jsonl"


def sweep(
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            metavar="FOLDER|NAME@COMMIT",
            help="A folder, a model on the Hugging Face hub, or a cached one.",
        ),
    ],
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            help="Layers, as 1-24 or 7,13-15 or last; 0 is the embeddings.",
            show_default="all",
        ),
    ] = None,
    pool: Annotated[
        str, typer.Option("--pool", help="Poolings: mean, cls, or both with a comma.")
    ] = "mean",
    specials: SpecialsOption = True,
    prefix: options.PrefixOption = "",
    task: Annotated[
        Literal["tatoeba", "bucc2018"],
        typer.Option("--task", help="tatoeba: accuracy; bucc2018: development F1."),
    ] = "tatoeba",
    direction: Annotated[
        Literal["from-english", "to-english"] | None,
        typer.Option(
            "--direction",
            help="Which side of tatoeba asks: English (of own texts: --trg), as XTREME has it, or "
            "the other.",
            show_default="from-english",
        ),
    ] = None,
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
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File that each language's result is added to, and taken from where it is there "
            "already.",
            show_default=f"RESULTS/{_FILE}",
        ),
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
    from stilts_artifact.files import require_output

    if (src is None) != (trg is None):
        raise ConfigError(
            "one side of the translations is missing", expected="both --src and --trg"
        )
    if task == "bucc2018" and direction is not None:
        raise ConfigError("mining looks both ways", where="--direction", expected="--task tatoeba")
    inputs = (src, trg, encoder_folder(encoder))
    file = out or results / _FILE
    require_output(file, inputs, "--out")
    if plot is not None:
        require_output(plot, (*inputs, file), "--plot")
    from stilts_artifact.config.load import benchmark_of, load_scale
    from stilts_artifact.model.manifest import Origin
    from stilts_artifact.retrieval.encode import Batching, View
    from stilts_artifact.retrieval.sweep import (
        own_language,
        parse_layers,
        parse_poolings,
        task_languages,
    )
    from stilts_artifact.retrieval.sweep_file import SweepFile, SweepSettings, scores_of
    from stilts_artifact.retrieval.tatoeba import FROM_ENGLISH
    from stilts_artifact.retrieval.transformer import LAST

    stream = options.message_stream(as_json)
    found = open_encoder(encoder, options.store_folder(results, store))
    wanted = parse_layers(layers or f"1-{LAST}", found.depth)
    options.note(f"{len(wanted)} of the {found.depth} layers of {found.name}", stream)
    views = [
        # The first token is itself a special one, so --no-specials is about the mean only.
        View(layer, kind, specials or kind == "cls")
        for kind in parse_poolings(pool)
        for layer in wanted
    ]
    asking = direction or FROM_ENGLISH
    if src is not None and trg is not None:
        languages = [own_language(src, trg, asking)]
    else:
        benchmark = benchmark_of(load_scale(scale))
        library = options.open_library(benchmark, results, store, data)
        languages = task_languages(benchmark.tasks[task], library, scale, language or (), asking)
    settings = SweepSettings(
        found.name,
        Origin.of(found.files),
        task="own text" if src else task,
        metric="F1 of gold pairs at the best threshold"
        if task == "bucc2018"
        else f"accuracy {asking}",
        direction=None if task == "bucc2018" else asking,
        views=tuple(views),
        batching=Batching(max_length, batch_tokens, prefix),
        dtype=dtype,
    )
    records = _records(found, settings, languages, SweepFile(file), stream)
    scores = scores_of(records)
    if as_json:
        options.say_json({"encoder": found.name, **settings.to_json(), **scores.to_json()})
    else:
        _show(scores)
    if plot is not None:
        from stilts_artifact.reporting.figures import draw_sweep

        draw_sweep(
            scores, plot, title=f"{found.name} ({settings.origin.weights[:12]}): {settings.task}"
        )


def _records(
    encoder: FoundEncoder,
    settings: SweepSettings,
    languages: Sequence[SweepLanguage],
    file: SweepFile,
    stream: IO[str],
) -> list[Record]:
    """The record of each language: from the file, or computed, added to it and shown."""
    from stilts_artifact.retrieval.sweep_file import find_record

    known, records = file.read(), []
    score: Callable[[SweepLanguage], Record] | None = None
    for language in languages:
        record = find_record(known, settings.identity(language))
        kept = record is not None
        if record is None:
            # Loaded when a language needs it: where all are there, torch is not imported.
            score = score or _scorer(encoder, settings)
            record = score(language)
            file.add(record)
        records.append(record)
        options.say(_line(record) + (f", from {file.path}" if kept else ""), stream)
    return records


def _scorer(encoder: FoundEncoder, settings: SweepSettings) -> Callable[[SweepLanguage], Record]:
    """What computes the record of a language."""
    from stilts_artifact.cli.progress import work_progress
    from stilts_artifact.retrieval.sweep import sweep as score_views
    from stilts_artifact.retrieval.texts import count_cut
    from stilts_artifact.retrieval.transformer import load_transformer

    deepest = max(view.layer for view in settings.views)
    loaded = load_transformer(
        encoder.folder,
        deepest=deepest,
        dtype=settings.dtype,
        name=encoder.name,
        files=encoder.files,
    )

    def score(language: SweepLanguage) -> Record:
        cut: set[str] = set()
        total = len(set(language.texts))
        with work_progress(f"embedding and scoring {language.language}", total) as advance:
            scored = score_views(
                loaded,
                settings.views,
                [language],
                batching=settings.batching,
                advance=advance,
                cut=cut,
            )
            points = [value for _, _, value in scored]
        return settings.record(language, points, count_cut(cut, language.texts))

    return score


def _line(record: Record) -> str:
    """A language's result in words: its one view, or the best of several."""
    views, points = record["views"], record["points"]
    best = max(points)
    view = views[points.index(best)]
    of = f"best of {len(views)} views, " if len(views) > 1 else ""
    cut = f", {record['cut']:,} sentences cut" if record["cut"] else ""
    where = f"{of}{view['pooling']}, layer {view['layer']}"
    return (
        f"{record['language']}: {best:.2f} {record['metric']}, n = {record['n']:,} ({where}){cut}"
    )


def _show(scores: SweepScores) -> None:
    """Mean over languages for each view, with a bar."""
    for (pooling, layer), mean in scores.means.items():
        options.say(
            f"{pooling:<22} layer {layer:>2}  {mean:6.2f}  {'#' * round(mean * _BAR / 100)}"
        )
    pooling, layer = scores.best
    best = f"{pooling}, layer {layer}: {scores.means[scores.best]:.2f}"
    options.say(f"verdict: best is {best} ({scores.measured}); exit 0")
