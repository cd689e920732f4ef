"""``stilts-artifact mine``: find the translations in two corpora of one's own."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer

from stilts_artifact.cli import options
from stilts_artifact.cli.progress import work_progress
from stilts_artifact.errors import ConfigError
from stilts_artifact.files import require_output

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
    encoder: Annotated[
        Path | None, typer.Option("--encoder", help="Folder of a transformers encoder.")
    ] = None,
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
        int, typer.Option("--layer", help="Layer of the encoder, 0 being the embeddings.")
    ] = 14,
    pool: Annotated[
        Literal["mean", "cls"], typer.Option("--pool", help="From tokens to a sentence.")
    ] = "mean",
    specials: SpecialsOption = True,
    max_length: MaxLengthOption = 512,
    batch_tokens: BatchOption = 8192,
    dtype: DtypeOption = "float32",
    engine: EngineOption = "auto",
    memory: MemoryOption = "4GiB",
) -> None:
    """Mine translation pairs from two texts and an encoder, or from embeddings of them."""
    _check_inputs((src, trg), encoder, (src_emb, trg_emb))
    if math.isnan(threshold):
        raise ConfigError("the threshold is not a number", where="--threshold", got=str(threshold))
    require_output(out, (src, trg, encoder, src_emb, trg_emb), "--out")
    from stilts_artifact.retrieval.backends import (
        backend_of,
        choose_engine,
        parse_memory,
        plan_blocks,
    )
    from stilts_artifact.retrieval.encode import Batching, Inspection, TransformerSentences, View
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
    source, target = read_corpus("source", src, src_emb), read_corpus("target", trg, trg_emb)
    mining = Mining(neighbours, margin, retrieval, center)
    encode: TransformerSentences | None = None
    inspection = Inspection(places_of(source, target))
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if encoder is not None:
            loaded = load_transformer(encoder, deepest=layer, dtype=dtype)
            # Refuse too small a budget now, not after hours of embedding.
            shape = (len(source), len(target), int(loaded.model.config.hidden_size))
            plan_blocks(shape, neighbours, budget, both=True)
            # Beside the result: a disk with room for it may have room for the vectors, /tmp not.
            scratch = TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
            folder = Path(stack.enter_context(scratch))
            advance = stack.enter_context(work_progress("embedding", len(source) + len(target)))
            view, batching = View(layer, pool, specials), Batching(max_length, batch_tokens)
            encode = TransformerSentences(loaded, view, batching, folder, advance, inspection)
        search = Search(engine, budget, stack.enter_context(work_progress("searching", 1)))
        pairs, repeated = mine_corpora(
            source, target, encode, mining=mining, duplicates=duplicates, search=search
        )
    pairs = pairs.take(pairs.scores >= threshold)
    write_pairs(out, pairs, source.texts, target.texts)
    options.say(
        f"{len(source):,} x {len(target):,} sentences; k={neighbours}, {mining.name}; {backend}"
    )
    if repeated:
        options.say(f"{repeated:,} sentences occur more than once; duplicates: {duplicates}")
    if note := count_cut(inspection.cut, max_length, source.texts, target.texts):
        options.say(note)
    options.say(f"verdict: {len(pairs):,} pairs, best first, in {out}; exit 0")


def _check_inputs(
    texts: tuple[Path | None, Path | None],
    encoder: Path | None,
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
