"""Embedding sentences of mixed length: batches of like length against the usual loops.

    python -m benchmarks.embedding stilts_artifact/miniencoder DATA/tatoeba/*.eng

The textbook loop takes sentences as they come, a fixed number at a time, and pads all of them to
the maximum: what --max-length says, or the longest sentence if that is shorter. For comparison the
same loop with padding to the longest of each batch. All give the same vectors, by the same layers.
The target is at least twice the textbook loop's speed. Sides run in turn, round after
round; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.retrieval.encode import Batching, View, embed, pool
from stilts_artifact.retrieval.transformer import Transformer, load_transformer

SENTENCES = 5000
BATCH = 32
TARGET = 2.0

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
    parser.add_argument("--layer", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    texts = read_sentences(arguments.texts, arguments.sentences)
    encoder, view = (
        load_transformer(arguments.encoder, deepest=arguments.layer),
        View(layer=arguments.layer),
    )
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
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    vectors = {}
    for _ in range(arguments.rounds):
        for name, run in sides.items():
            began = time.perf_counter()
            vectors[name] = run()
            seconds[name].append(time.perf_counter() - began)
    print(
        f"{len(texts):,} sentences, {lengths[len(lengths) // 2]} tokens in the median, "
        f"{maximum} at most"
    )
    print(f"{encoder.name}, layer {view.layer}; {machine(encoder.device)}")
    reference = vectors["this package"]
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, taken in median.items():
        error = float(np.abs(vectors[name] - reference).max())
        print(
            f"{name:<30} {taken:7.2f} s {len(texts) / taken:9,.0f} sentences/s, off by {error:.1e}"
        )
    ratio = median["padded to the maximum"] / median["this package"]
    print(
        f"verdict: {ratio:.2f} times the textbook loop (target {TARGET:g}): "
        f"{'met' if ratio >= TARGET else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
