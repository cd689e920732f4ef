"""Training throughput: token-budget batches against padding all to the maximum, at the same loss.

    python -m benchmarks.training DATA

Masked language modelling on the real lengths of SQuAD windows and HellaSwag choices, by a small
XLM-R on the CPU. Where CUDA answers, also XLM-R large's shapes in bfloat16, in tokens/s and as a
share of the matrix peak measured on the same device (that part has never been run: no GPU was at
hand).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from stilts_artifact.data.readers import READERS
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.model.batching import padded, token_batches
from stilts_artifact.model.forms.choice import choice_features
from stilts_artifact.model.forms.span import span_windows
from stilts_artifact.model.heads import MaskedLanguageHead
from stilts_artifact.model.masking import mask_tokens
from stilts_artifact.pretraining.batches import PAD, train_tokenizer, words_and_specials
from stilts_artifact.pretraining.pretrain import new_trainee
from stilts_artifact.pretraining.recipe import SHIPPED

PIECES = 8000
POINTS = 4  # of the loss curve
LEARNING_RATE = 1e-3

Batch = tuple[list[int], int]
"""Indices of rows, and the width they are padded to."""


@dataclass(frozen=True)
class Rows:
    """Encoded inputs of one task, and the task's maximum length."""

    name: str
    maximum: int
    ids: list[list[int]]


def load_rows(data: Path, size: int) -> tuple[list[Rows], int]:
    """``size`` rows of SQuAD and of HellaSwag, and the size of their vocabulary."""
    document = json.loads((data / "squad" / "train-v1.1.first50articles.json").read_text())
    squad = READERS["squad"](json.dumps({"version": "1.1", **document}).encode(), "squad")
    items = json.loads(
        gzip.decompress((data / "hellaswag" / "train.sample3000.json.gz").read_bytes())
    )
    # The publisher of this sample turned the labels into text.
    lines = "".join(
        json.dumps({**item, "label": int(item["label"])}) + "\n" for item in items
    ).encode()
    hellaswag = READERS["hellaswag"](lines, "hellaswag")
    squad, hellaswag = (
        Stream(1, "squad").shuffled(squad),
        Stream(1, "hellaswag").shuffled(hellaswag),
    )
    texts = [example.context for example in squad] + [
        choice for example in hellaswag for choice in example.choices
    ]
    tokenizer = train_tokenizer(texts, PIECES)
    windows = span_windows(tokenizer, squad[:size])
    choices = choice_features(tokenizer, hellaswag[: size // 4], 256)
    return [
        Rows("SQuAD", 384, [window.input_ids for window in windows]),
        Rows("HellaSwag", 256, [row for feature in choices for row in feature.choices]),
    ], len(tokenizer)


def fixed_batches(rows: Rows, indices: Sequence[int], size: int) -> list[Batch]:
    """The usual loop: shuffled, a fixed number of rows, all padded to the maximum length."""
    order = Stream(1, "order").shuffled(indices)
    return [(order[at : at + size], rows.maximum) for at in range(0, len(order), size)]


def budget_batches(rows: Rows, indices: Sequence[int], size: int) -> list[Batch]:
    """Ours, with a budget that gives as many rows a step on average."""
    lengths = [len(rows.ids[index]) for index in indices]
    budget = round(size * statistics.mean(map(padded, lengths)))
    made = [[indices[at] for at in batch] for batch in token_batches(lengths, budget, seed=1)]
    return [(batch, padded(max(len(rows.ids[index]) for index in batch))) for batch in made]


def loss_of(
    encoder: XLMRobertaModel, head: MaskedLanguageHead, rows: Rows, batch: Batch, seed: int
) -> tuple[torch.Tensor, int]:
    """Loss of one batch, and how many tokens had to be predicted."""
    indices, width = batch
    ids = torch.tensor(
        [rows.ids[index] + [PAD] * (width - len(rows.ids[index])) for index in indices]
    )
    generator = torch.Generator().manual_seed(seed)
    masked = mask_tokens(
        ids,
        rate=0.15,
        vocabulary=words_and_specials(encoder.config.vocab_size),
        generator=generator,
    )
    device = next(encoder.parameters()).device
    seen, chosen, targets = (tensor.to(device) for tensor in masked)
    states = encoder(
        input_ids=seen, attention_mask=(ids != PAD).long().to(device)
    ).last_hidden_state
    return head.loss(head(states[chosen]), targets), len(targets)


def held_out_loss(
    encoder: XLMRobertaModel, head: MaskedLanguageHead, rows: Rows, indices: Sequence[int]
) -> float:
    """Loss per predicted token over rows that are not trained on; the same masks every time."""
    with torch.inference_mode():
        parts = [
            loss_of(encoder, head, rows, batch, seed)
            for seed, batch in enumerate(budget_batches(rows, indices, 16))
        ]
    return sum(count * loss.item() for loss, count in parts) / sum(count for _, count in parts)


def train(
    rows: Rows, batches: list[Batch], test: Sequence[int], vocabulary: int
) -> tuple[float, list[float]]:
    """Train through the batches: rows/s of the training alone, and held-out losses on the way."""
    trainee = new_trainee(SHIPPED, vocabulary)
    for group in trainee.optimizer.param_groups:
        group["lr"] = LEARNING_RATE
    total = sum(len(indices) for indices, _ in batches)
    seconds, done = 0.0, 0
    curve: list[float] = []
    for seed, batch in enumerate(batches):
        began = time.perf_counter()
        loss, _ = loss_of(trainee.encoder, trainee.head, rows, batch, seed)
        trainee.optimizer.zero_grad()
        torch.autograd.backward(loss)
        trainee.optimizer.step()
        seconds += time.perf_counter() - began
        done += len(batch[0])
        if done * POINTS >= total * (len(curve) + 1):
            curve.append(held_out_loss(trainee.encoder, trainee.head, rows, test))
    return total / seconds, curve


def compare(rows: Rows, vocabulary: int, size: int) -> float:
    """Print both loops' speed and loss curve; the ratio of the speeds."""
    count = len(rows.ids)
    test, training = range(count // 10), list(range(count // 10, count))
    lengths = sorted(map(len, rows.ids))
    print(
        f"{rows.name}: {count} rows, length median {lengths[count // 2]}, "
        f"90 % {lengths[count * 9 // 10]}, "
        f"padded to {rows.maximum} or to a multiple of 8"
    )
    speeds = []
    for name, make in (("pad to maximum", fixed_batches), ("token budget", budget_batches)):
        speed, curve = train(rows, make(rows, training, size), test, vocabulary)
        speeds.append(speed)
        losses = " ".join(f"{loss:.3f}" for loss in curve)
        print(f"  {name:<15} {speed:8.1f} rows/s, held-out loss {losses}", flush=True)
    print(f"  ratio           {speeds[1] / speeds[0]:8.2f}")
    return speeds[1] / speeds[0]


def matrix_peak(size: int = 8192, repeats: int = 30) -> float:
    """Operations per second of a large bfloat16 product on the GPU."""
    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        left @ right
    torch.cuda.synchronize()
    return 2 * size**3 * repeats / (time.perf_counter() - began)


def large_config() -> XLMRobertaConfig:
    """XLM-R large, after config.json of FacebookAI/xlm-roberta-large at c23d21b."""
    return XLMRobertaConfig(
        vocab_size=250_002,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )


def on_gpu(rows: Rows, budget: int = 32768, steps: int = 40, warming: int = 5) -> None:
    """XLM-R large in bfloat16 on the rows' lengths: tokens/s and share of the matrix peak."""
    peak = matrix_peak()
    torch.manual_seed(1)
    config = large_config()
    encoder = XLMRobertaModel(config).train()
    encoder.to("cuda")
    head = MaskedLanguageHead(encoder).to("cuda").train()
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-5, fused=True)
    weights = sum(p.numel() for p in encoder.encoder.parameters() if p.ndim > 1)
    lengths = list(map(len, rows.ids))
    batches = [
        (batch, padded(max(lengths[at] for at in batch)))
        for batch in token_batches(lengths, budget, seed=1)
    ]
    tokens, work, began = 0, 0.0, 0.0
    for step in range(steps):
        if step == warming:
            torch.cuda.synchronize()
            tokens, work, began = 0, 0.0, time.perf_counter()
        indices, width = batch = batches[step % len(batches)]
        with torch.autocast("cuda", torch.bfloat16):
            loss, predicted = loss_of(encoder, head, rows, batch, step)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        tokens += sum(lengths[at] for at in indices)
        # Forward and backward: 6 for each weight and token, 12 x layers x hidden x length for
        # attention (Kaplan et al. 2020, table 1), and 6 for each output weight and predicted token.
        attention = 12 * config.num_hidden_layers * config.hidden_size * width
        work += (
            len(indices) * width * (6 * weights + attention)
            + 6 * predicted * config.hidden_size * config.vocab_size
        )
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    rate = work / seconds
    print(
        f"  XLM-R large, bfloat16: {tokens / seconds:,.0f} tokens/s (padding not counted), "
        f"{rate / 1e12:.0f} of {peak / 1e12:.0f} TFLOP/s measured = {100 * rate / peak:.0f} %"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=2000, help="of each task")
    parser.add_argument("--step", type=int, default=16, help="rows a step")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}, {device}")
    tasks, vocabulary = load_rows(arguments.data, arguments.rows)
    for rows in tasks:
        compare(rows, vocabulary, arguments.step)
        if torch.cuda.is_available():
            on_gpu(rows)


if __name__ == "__main__":
    main()
