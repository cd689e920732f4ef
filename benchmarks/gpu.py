"""What a GPU reaches with XLM-R large's shapes: to be run by the first who has one.

    python -m benchmarks.gpu                  # one GPU, about ten minutes; none of it was run yet
    python -m benchmarks.gpu --tiny           # the same code on any machine, in seconds

Random weights and random words, at the paper scale's own lengths and batches. Printed are, for each
kind of batch, tokens/s and the share of the matrix peak that was measured on the same card just
before; how far bfloat16 is from float32, beside its bound (training/numerics.py); embedding 100,000
sentences; mining 100,000 x 100,000; and the `rates` of the card, as pipeline/throughput.yaml has
them: a plan for this encoder then rests on them wherever no probe was made.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from stilts_artifact.config.load import load_scale
from stilts_artifact.model.hub import shipped_encoder
from stilts_artifact.model.inference import computed_dtype
from stilts_artifact.model.loading import load_encoder_tokenizer
from stilts_artifact.pipeline.costs import load_costs
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.probe import Subject, probe, shapes_of
from stilts_artifact.pipeline.rates import TEXT, Architecture, Measured, ProbeRecord
from stilts_artifact.retrieval.backends import gpu_answers
from stilts_artifact.retrieval.encode import Batching, View, embed
from stilts_artifact.retrieval.knn import Search
from stilts_artifact.retrieval.mine import mine
from stilts_artifact.retrieval.transformer import default_layer, wrap_transformer
from stilts_artifact.training.numerics import compare_forms

# FacebookAI/xlm-roberta-large at c23d21b.
LARGE: Mapping[str, Any] = {
    "model_type": "xlm-roberta",
    "vocab_size": 250_002,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
TINY = {
    **LARGE,
    "vocab_size": 8002,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
MASKED = 0.15


def architecture_of(sizes: Mapping[str, Any]) -> Architecture:
    """What of it decides how long it takes."""
    return Architecture(
        layers=sizes["num_hidden_layers"],
        hidden=sizes["hidden_size"],
        inner=sizes["intermediate_size"],
        vocabulary=sizes["vocab_size"],
    )


def operations(own: Measured, of: Architecture) -> float:
    """Of a pass, padding included: 2 for each weight and token forward, 4 layers x hidden x length
    for attention, and 4 and 8 backward (Kaplan et al. 2020, arXiv 2001.08361, table 1)."""
    token: float = 2 * of.body + 4 * of.layers * of.hidden * own.width
    if own.kind == TEXT:
        token += 2 * MASKED * of.embeddings
    return own.rows * own.width * token * (3 if own.mode == "train" else 1)


def show_passes(record: ProbeRecord) -> None:
    """Tokens/s and share of the peak of every pass that was timed."""
    # What products are computed in decides which peak they are held against.
    peak = record.speeds[record.dtype]
    print(f"matrix peak, {record.dtype}: {peak / 1e12:.2f} TFLOP/s")
    for own in record.passes:
        tokens = own.rows * own.width / own.seconds
        share = operations(own, record.architecture) / own.seconds / peak
        memory = "" if own.memory is None else f", {own.memory / 2**30:.1f} GiB"
        print(
            f"  {own.kind:<9} {own.mode:<7} {own.rows:>4} x {own.width:<4}"
            f"{tokens:12,.0f} tokens/s  {share:6.1%} of the peak{memory}"
        )


def show_rates(record: ProbeRecord) -> None:
    """For pipeline/throughput.yaml, under this scale's device."""
    rates = record.rates.dump()
    print(f"rates, for pipeline/throughput.yaml; machine: {record.machine}, {record.dtype}")
    print("      rates:")
    for mode in ("train", "predict"):
        print(f"        {mode}:")
        for kind, numbers in rates.pop(mode).items():
            print(f"          {kind}: [{', '.join(f'{number:.2e}' for number in numbers)}]")
    for name, number in rates.items():
        print(f"        {name}: {number:.2e}")


def show_numerics(config: XLMRobertaConfig, device: Device) -> None:
    """bfloat16 against float32 for each form, on a few rows."""
    torch.manual_seed(1)
    for found in compare_forms(XLMRobertaModel(config), device):
        print(f"  {found}{'' if found.within else '  NOT WITHIN'}")


def sentences(tokenizer: Any, count: int) -> list[str]:
    """Of words drawn by chance, as many tokens as BUCC's: 35 in the mean."""
    draw = np.random.default_rng(1)
    words = [word for word in tokenizer.get_vocab() if word.startswith("▁") and word[1:].isalpha()]
    words.sort()
    lengths = np.clip(draw.lognormal(3.4, 0.5, count), 3, 200).astype(int)
    return ["".join(draw.choice(words, length)).replace("▁", " ") for length in lengths]


def show_embedding(config: XLMRobertaConfig, device: Device, count: int) -> None:
    """Sentences a second, as retrieval embeds them."""
    tokenizer = load_encoder_tokenizer(shipped_encoder())
    texts = sentences(tokenizer, count)
    torch.manual_seed(1)
    layer = default_layer(config.num_hidden_layers)
    dtype = computed_dtype(device, "bfloat16")
    encoder = wrap_transformer(
        ("random", "0"),
        XLMRobertaModel(config),
        tokenizer,
        deepest=layer,
        dtype=dtype,
        device=device,
    )
    with tempfile.TemporaryDirectory() as folder:
        where = {View(layer): Path(folder) / "vectors.npy"}
        embed(encoder, texts[:64], where, batching=Batching(256))  # a first use costs more
        began = time.perf_counter()
        embed(encoder, texts, where, batching=Batching(256))
        seconds = time.perf_counter() - began
    print(f"embedding: {count:,} sentences, layer {layer}, {dtype}: {seconds:.1f} s, ", end="")
    print(f"{count / seconds:,.0f} sentences/s")


def show_mining(count: int, dimensions: int) -> float:
    """Pairs of two corpora; the share of planted ones that is found."""
    draw = np.random.default_rng(1)
    source = draw.standard_normal((count, dimensions), dtype=np.float32)
    order = draw.permutation(count)
    noise = draw.standard_normal((count, dimensions), dtype=np.float32)
    target = source[order] + np.float32(0.5) * noise
    answer = gpu_answers()
    search = Search("faiss-gpu" if answer.works else "auto").chosen(both=True)
    began = time.perf_counter()
    pairs = mine(source, target, search=search)
    seconds = time.perf_counter() - began
    found = float((order[pairs.target] == pairs.source).mean())
    rate = 2 * 2 * count**2 * dimensions / seconds
    print(
        f"mining: {count:,} x {count:,} x {dimensions}, {search.engine} ({answer.reason}): ", end=""
    )
    print(f"{seconds:.1f} s, {rate / 1e12:.2f} TFLOP/s, {found:.1%} of the planted pairs")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="two small layers: does it run?")
    parser.add_argument("--seconds", type=float, default=90, help="for the passes")
    parser.add_argument("--sentences", type=int, help="default 100,000; tiny 200")
    asked = parser.parse_args(arguments)
    device: Device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not asked.tiny:
        raise SystemExit("no CUDA GPU answers; --tiny runs anywhere")
    sizes, scale = (TINY if asked.tiny else LARGE), load_scale("paper")
    architecture = architecture_of(sizes)
    card = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, no GPU"
    print(f"{card}; torch {torch.__version__}; {'tiny' if asked.tiny else 'XLM-R large'}")
    shapes = shapes_of(scale, load_costs(scale, device="cuda"))
    subject = Subject(sizes, card, architecture, scale, shapes, device, 1)
    with tempfile.TemporaryDirectory() as folder:
        record = probe(subject, Path(folder), bound=asked.seconds)
    show_passes(record)
    for left_out in record.left_out:
        print(f"  left out: {left_out}")
    config = XLMRobertaConfig(**{name: own for name, own in sizes.items() if name != "model_type"})
    print("bfloat16 against float32:")
    show_numerics(config, device)
    count = asked.sentences or (200 if asked.tiny else 100_000)
    show_embedding(config, device, count)
    show_mining(count, architecture.hidden)
    show_rates(record)


if __name__ == "__main__":
    main()
