"""Embedding sentences of mixed length: batches of like length against the usual loops.

    python -m benchmarks.embedding stilts_artifact/miniencoder DATA/tatoeba/*.eng

The textbook loop takes sentences as they come, a fixed number at a time, and pads all of them to
the maximum: what --max-length says, or the longest sentence if that is shorter. For comparison the
same loop with padding to the longest of each batch, and, where sentence-transformers is installed,
its ``encode``, which sorts by length (only with all layers: ``--layer last``). All give the same
vectors, by the same layers. Sides run in turn, round after round; ratios are those of the medians:
of the processors' time on a CPU, which other programs on the machine change less.

The share of the matrix rate is what one float32 product after the other takes for the weights of
the layers and the tokens without padding, at the rate of a large product, of what was taken.

Measured at load 15 on 2 cores of a Xeon with AMX (family 6, model 207), one thread, a real encoder
of 12 layers of 384, 1,500 sentences of Tatoeba in 60 languages (10 tokens in the median, 51 at
most): 7.8 s of processor, 61 % of the rate; sentence-transformers 6.2.0 12.9 s, 37 %: 1.65 times as
fast, vectors within 7e-7.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.model.manifest import depth_of
from stilts_artifact.retrieval.encode import Batching, View, embed, pool
from stilts_artifact.retrieval.transformer import Transformer, load_transformer, parse_layer

SENTENCES = 5000
BATCH = 32
TARGETS = {"padded to the maximum": 2.0, "sentence-transformers": 1.5}
"""Side -> how many times its speed this package has to reach."""

Vectors = NDArray[np.float32]


def read_sentences(paths: list[Path], count: int) -> list[str]:
    """Distinct sentences of all files, shuffled: lines, or columns of tables."""
    texts: set[str] = set()
    for path in paths:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        texts.update(
            cell.strip() for line in data.decode().split("\n") for cell in line.split("\t")
        )
    found = Stream(1, "sentences").shuffled(sorted(texts - {""}))
    if len(found) < count:
        raise SystemExit(f"{len(found)} distinct sentences, {count} wanted: name more files")
    return found[:count]


@torch.inference_mode()
def textbook(
    encoder: Transformer, texts: list[str], view: View, maximum: int, *, always: bool
) -> Vectors:
    """A fixed number of sentences at a time, padded to the maximum, or to the longest of them."""
    found = []
    for start in range(0, len(texts), BATCH):
        made = encoder.tokenizer(
            texts[start : start + BATCH],
            truncation=True,
            max_length=maximum,
            return_tensors="pt",
            padding="max_length" if always else "longest",
        )
        ids, attended = (
            made["input_ids"].to(encoder.device),
            made["attention_mask"].to(encoder.device),
        )
        states = encoder.model(
            input_ids=ids, attention_mask=attended, output_hidden_states=True
        ).hidden_states
        found.append(pool(states[view.layer], attended.bool(), attended.bool(), view).cpu().numpy())
    return np.concatenate(found)


def ours(encoder: Transformer, texts: list[str], view: View, maximum: int) -> Vectors:
    """What the package does."""
    with tempfile.TemporaryDirectory() as folder:
        made = embed(
            encoder, texts, {view: Path(folder) / "vectors.npy"}, batching=Batching(maximum)
        )
        return np.array(made[view])


def library(folder: Path, view: View, maximum: int, device: str) -> Callable[[list[str]], Any]:
    """Sentence-transformers' ``encode``.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    # By name: it is no dependency, and no type checker knows it.
    made: Any = importlib.import_module("sentence_transformers")
    models: Any = importlib.import_module("sentence_transformers.models")
    words = models.Transformer(str(folder), max_seq_length=maximum)
    pooling = models.Pooling(words.auto_model.config.hidden_size, view.pooling)
    model = made.SentenceTransformer(modules=[words, pooling], device=device)
    return lambda texts: model.encode(texts, batch_size=BATCH, show_progress_bar=False)


def matrix_rate(device: str, clock: Callable[[], float]) -> float:
    """Float32 operations a second of a large product."""
    left, right = torch.ones(4096, 1024, device=device), torch.ones(1024, 4096, device=device)

    def once() -> float:
        began = clock()
        (left @ right)[0, 0].item()
        return clock() - began

    return 2 * 4096 * 1024 * 4096 / min(once() for _ in range(6))


def machine(device: str) -> str:
    """Where it was measured."""
    where = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else f"{platform.machine()}, {os.cpu_count()} cores"
    )
    return f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("encoder", type=Path, help="checkpoint folder")
    parser.add_argument("texts", type=Path, nargs="+", help="files of sentences, one a line")
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    parser.add_argument("--max-length", type=int, default=128, help="tokens kept of a sentence")
    parser.add_argument("--layer", default="2", help="a number, or last")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    texts = read_sentences(arguments.texts, arguments.sentences)
    layer = parse_layer(arguments.layer, depth_of(arguments.encoder))
    encoder, view = load_transformer(arguments.encoder, deepest=layer), View(layer=layer)
    limit = min(arguments.max_length, encoder.longest)
    lengths = sorted(min(len(ids), limit) for ids in encoder.tokenizer(texts)["input_ids"])
    maximum = lengths[-1]
    sides: dict[str, Callable[[], Vectors]] = {
        "padded to the maximum": lambda: textbook(encoder, texts, view, maximum, always=True),
        "padded to the batch's longest": lambda: textbook(
            encoder, texts, view, maximum, always=False
        ),
        "this package": lambda: ours(encoder, texts, view, maximum),
    }
    if layer == encoder.layers:
        try:
            encode = library(arguments.encoder, view, maximum, encoder.device)
        except ModuleNotFoundError as absent:
            print(f"without sentence-transformers: {absent}")
        else:
            sides["sentence-transformers"] = lambda: encode(texts)
    clock = time.process_time if encoder.device == "cpu" else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    vectors = {}
    for _ in range(arguments.rounds):
        for name, run in sides.items():
            began = clock()
            vectors[name] = run()
            seconds[name].append(clock() - began)
    print(
        f"{len(texts):,} sentences, {lengths[len(lengths) // 2]} tokens in the median, "
        f"{maximum} at most"
    )
    print(f"{encoder.name}, layer {layer}; {machine(encoder.device)}")
    weights = sum(part.numel() for part in encoder.model.encoder.parameters() if part.ndim > 1)
    least = 2 * weights * sum(lengths) / matrix_rate(encoder.device, clock)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, taken in median.items():
        error = float(np.abs(vectors[name] - vectors["this package"]).max())
        print(
            f"{name:<30} {taken:7.2f} s {len(texts) / taken:9,.0f} sentences/s, "
            f"{least / taken:4.0%} of the matrix rate, off by {error:.1e}"
        )
    for name, target in TARGETS.items():
        if name in median:
            ratio = median[name] / median["this package"]
            print(
                f"verdict: {ratio:.2f} times as fast as {name} (target {target:g}): "
                f"{'met' if ratio >= target else 'MISSED'}"
            )


if __name__ == "__main__":
    main()
