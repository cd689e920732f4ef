"""``stilts-artifact mine``: find the translations in two corpora of one's own."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Annotated, Any, Literal, NamedTuple

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError

MaxLengthOption = Annotated[
    int, typer.Option("--max-length", min=3, help="Tokens kept of a sentence.")
]
BatchOption = Annotated[
    int, typer.Option("--batch-tokens", min=1, help="Padded tokens in a batch.")
]
SpecialsOption = Annotated[
    bool, typer.Option("--specials/--no-specials", help="Special tokens in the mean.")
]
DtypeOption = Annotated[
    Literal["float32", "bfloat16", "float16"],
    typer.Option("--dtype", help="Arithmetic of the encoder."),
]
EngineOption = Annotated[
    Literal["auto", "shared", "faiss", "faiss-gpu"],
    typer.Option(
        "--engine", help="Search library. auto: a GPU that answers, else the fastest on the CPU."
    ),
]
MemoryOption = Annotated[
    str, typer.Option("--memory", help="What a search may take beside the embeddings.")
]
TextOption = Annotated[Path | None, typer.Option(help="Text of one side, one sentence a line.")]
RowsOption = Annotated[
    Path | None, typer.Option(help="Its embeddings (.npy), in place of an encoder.")
]


def mine(
    out: Annotated[
        Path,
        typer.Option("--out", help="File of pairs: score, both indices (0-based), both sentences."),
    ],
    src: TextOption = None,
    trg: TextOption = None,
    encoder: options.EncoderOption = None,
    src_emb: RowsOption = None,
    trg_emb: RowsOption = None,
    neighbours: Annotated[
        int, typer.Option("--k", min=1, help="Neighbours in each direction.")
    ] = 4,
    margin: Annotated[
        Literal["ratio", "distance", "absolute"], typer.Option("--margin", help="Score of a pair.")
    ] = "ratio",
    retrieval: Annotated[
        Literal["forward", "backward", "intersect", "max"],
        typer.Option(
            "--retrieval", help="Best of each source, of each target, what is both, or greedily."
        ),
    ] = "max",
    center: Annotated[
        bool,
        typer.Option("--center", help="Take out the difference of the two sides' means first."),
    ] = False,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Lowest score that is kept.")
    ] = float("-inf"),
    duplicates: Annotated[
        Literal["drop", "product"],
        typer.Option("--duplicates", help="Pairs of repeated sentences: none, or all."),
    ] = "product",
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer",
            help="Layer of the encoder, 0 being the embeddings, or last.",
            show_default="at the paper's share of the depth, 14 of 24",
        ),
    ] = None,
    prefix: options.PrefixOption = "",
    pool: Annotated[
        Literal["mean", "cls"], typer.Option("--pool", help="From tokens to a sentence.")
    ] = "mean",
    specials: SpecialsOption = True,
    max_length: MaxLengthOption = 512,
    batch_tokens: BatchOption = 8192,
    dtype: DtypeOption = "float32",
    engine: EngineOption = "auto",
    memory: MemoryOption = "4GiB",
    gold: Annotated[
        Path | None,
        typer.Option(
            "--gold", help="Known pairs: two line numbers (0-based) with a tab between them."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="Draw precision, recall and F1 over the threshold: .png, .svg or .pdf."
        ),
    ] = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Mine translation pairs from two texts and an encoder, or from embeddings of them."""
    from stilts_artifact.cli.progress import work_progress
    from stilts_artifact.files import require_output

    _check_inputs((src, trg), encoder, (src_emb, trg_emb))
    if math.isnan(threshold):
        raise ConfigError("the threshold is not a number", where="--threshold", got=str(threshold))
    inputs = (src, trg, encoder_folder(encoder), src_emb, trg_emb, gold)
    require_output(out, inputs, "--out")
    if plot is not None:
        if gold is None:
            raise ConfigError("nothing to draw", where="--plot", expected="--gold FILE")
        require_output(plot, (*inputs, out), "--plot")
    from stilts_artifact.retrieval.backends import (
        backend_of,
        choose_engine,
        parse_memory,
        plan_blocks,
        unused_gpu,
    )
    from stilts_artifact.retrieval.encode import Batching, Inspection, TransformerSentences, View
    from stilts_artifact.retrieval.gold import read_gold, score_pairs
    from stilts_artifact.retrieval.knn import Search
    from stilts_artifact.retrieval.mine import Mining
    from stilts_artifact.retrieval.texts import (
        count_cut,
        mine_corpora,
        places_of,
        read_corpus,
        write_pairs,
    )
    from stilts_artifact.retrieval.transformer import load_transformer

    budget, backend = parse_memory(memory), backend_of(choose_engine(engine, both=True))
    if engine == "auto" and (reason := unused_gpu()) is not None:
        options.note(f"searching on the CPU: FAISS on the GPU does not serve: {reason}", sys.stderr)
    source, target = read_corpus("source", src, src_emb), read_corpus("target", trg, trg_emb)
    sides = {"source": source, "target": target}
    known = None if gold is None else read_gold(gold, (len(source), len(target)))
    mining = Mining(neighbours, margin, retrieval, center)
    encode: TransformerSentences | None = None
    inspection = Inspection(places_of(source, target))
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if encoder is not None:
            found = open_encoder(encoder, options.store_folder(Path("results"), store))
            chosen = chosen_layer(layer, found, options.message_stream(as_json))
            loaded = load_transformer(
                found.folder, deepest=chosen, dtype=dtype, name=found.name, files=found.files
            )
            # Refuse too small a budget now, not after hours of embedding.
            shape = (len(source), len(target), int(loaded.model.config.hidden_size))
            plan_blocks(shape, neighbours, budget, both=True)
            # Beside the result: a disk with room for it may have room for the vectors, /tmp not.
            scratch = TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
            folder = Path(stack.enter_context(scratch))
            advance = stack.enter_context(work_progress("embedding", len(source) + len(target)))
            view, batching = (
                View(chosen, pool, specials),
                Batching(max_length, batch_tokens, prefix),
            )
            encode = TransformerSentences(loaded, view, batching, folder, advance, inspection)
        search = Search(engine, budget, stack.enter_context(work_progress("searching", 1)))
        pairs, repeated = mine_corpora(
            source, target, encode, mining=mining, duplicates=duplicates, search=search
        )
    kept = pairs.take(pairs.scores >= threshold)
    write_pairs(out, kept, source.texts, target.texts)
    scores = None if known is None else score_pairs(pairs, known, threshold)
    if scores is not None and plot is not None:
        from stilts_artifact.reporting.figures import draw_cuts

        draw_cuts(scores, plot, f"{mining.name}, k={neighbours}; {scores.given.gold:,} gold pairs")
    cut = {name: count_cut(inspection.cut, side.texts) for name, side in sides.items()}
    run = {
        "sentences": {name: len(side) for name, side in sides.items()},
        "encoder": None if encode is None else encode.description.to_json(),
        "cut": None if encode is None else cut,
        "mining": {**asdict(mining), "duplicates": duplicates, "backend": backend},
        "repeated": repeated,
        "gold": None if scores is None else scores.to_json(),
        "pairs": len(kept),
        "out": str(out),
    }
    if as_json:
        options.say_json(run)
        return
    settings = f"k={neighbours}, {mining.name}; {backend}"
    _show(run, settings if encode is None else f"{settings}; {encode.description}")


def _show(run: Mapping[str, Any], settings: str) -> None:
    """A run in words."""
    sizes, cut, gold = run["sentences"], run["cut"], run["gold"]
    options.note(f"{sizes['source']:,} x {sizes['target']:,} sentences; {settings}")
    if repeated := run["repeated"]:
        policy = run["mining"]["duplicates"]
        options.note(f"{repeated:,} sentences occur more than once; duplicates: {policy}")
    if cut is not None:
        numbers = " and ".join(f"{cut[side]:,} of {sizes[side]:,} {side}" for side in sizes)
        options.say(f"{numbers} sentences were cut to {run['encoder']['max_length']} tokens")
    if gold is not None:
        best = f"best threshold, {gold['best_is']}"
        for name, what in (("at_threshold", "threshold"), ("best", best)):
            options.say(f"{what}: {_in_points(gold[name], gold['pairs'])}")
    options.say(f"verdict: {run['pairs']:,} pairs, best first, in {run['out']}; exit 0")


def _in_points(cut: Mapping[str, Any], gold: int) -> str:
    """What a threshold accepts, and how much of it is right."""
    return (
        f"{cut['threshold']}: F1 {cut['f1']:.1f}, precision {cut['precision']:.1f}, "
        f"recall {cut['recall']:.1f} ({cut['correct']:,} right of {cut['accepted']:,}, "
        f"{gold:,} gold)"
    )


class FoundEncoder(NamedTuple):
    """An encoder on this machine, before anything heavy is loaded.

    ``files`` has the sha256 of each that decides what it computes, ``depth`` is the number of
    layers as its configuration has it.
    """

    name: str
    folder: Path
    files: Mapping[str, str]
    depth: int


def open_encoder(text: str, store: Path) -> FoundEncoder:
    """What ``--encoder`` names, downloaded into the store unless it is here.

    Raises:
        ConfigError: it names nothing.
        MissingDataError, IntegrityError: no whole encoder is there.
    """
    from stilts_artifact.model.hub import find_encoder, obtain
    from stilts_artifact.model.manifest import brought_files, depth_of

    found = find_encoder(text)
    folder = obtain(found, store)
    files = found.files or brought_files(folder)
    return FoundEncoder(found.name, folder, files, depth_of(folder))


def encoder_folder(text: str | None) -> Path | None:
    """The folder that ``--encoder`` names, if it is one, which no output may lie in."""
    from stilts_artifact.model.hub import SHIPPED

    return None if text is None or text == SHIPPED else Path(text)


def chosen_layer(text: str | None, encoder: FoundEncoder, stream: IO[str]) -> int:
    """The layer of ``--layer``, or the default, which is said before torch is loaded.

    Raises:
        ConfigError: not a layer of this encoder.
    """
    from stilts_artifact.retrieval.transformer import default_layer, parse_layer

    if text is None:
        layer, why = default_layer(encoder.depth), "; the paper's share of the depth, 14 of 24"
    else:
        layer, why = parse_layer(text, encoder.depth), ""
    options.say(f"layer {layer} of {encoder.depth} of {encoder.name}{why}", stream)
    return layer


def _check_inputs(
    texts: tuple[Path | None, Path | None],
    encoder: str | None,
    rows: tuple[Path | None, Path | None],
) -> None:
    """Refuse combinations that do not say where the vectors come from."""
    if encoder is not None and None in texts:
        raise ConfigError("an encoder needs texts", expected="--src and --trg")
    if encoder is not None and rows != (None, None):
        raise ConfigError(
            "both an encoder and embeddings", expected="--encoder, or --src-emb and --trg-emb"
        )
    if encoder is None and None in rows:
        raise ConfigError(
            "nothing says where the vectors come from",
            expected="--src, --trg and --encoder; "
            "or --src-emb and --trg-emb (and the texts to see them)",
        )
