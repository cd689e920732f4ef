"""Measure the mini encoder and write the numbers into its card.

    python -m benchmarks.encoder_quality stilts_artifact/miniencoder --store STORE

Untuned: Tatoeba accuracy at every layer. After short fine-tuning on the pivot language alone: part-of-speech F1,
natural language inference and paraphrase accuracy, and span question answering F1, in every language.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stilts_artifact.benchmark import world as load_world
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.files import FileStore
from stilts_artifact.data.library import Library
from stilts_artifact.data.splits import read_split
from stilts_artifact.domain.tasks import Split, World
from stilts_artifact.miniworld import serve
from stilts_artifact.model.batching import pad, token_batches
from stilts_artifact.model.features import pair_features
from stilts_artifact.model.heads import IGNORED, TaskHead, task_head
from stilts_artifact.model.loading import Encoder, load_encoder
from stilts_artifact.model.spans import answers, span_windows
from stilts_artifact.model.tags import join_tags, tag_chunks, tag_labels
from stilts_artifact.model.tokenizer import PAD
from stilts_artifact.phases.card import record_quality
from stilts_artifact.scoring.answers import answer_counts, squad_tokens
from stilts_artifact.scoring.chunks import chunk_counts
from stilts_artifact.scoring.metrics import exact_match_f1, precision_recall_f1
from stilts_artifact.training.arithmetic import arithmetic, schedule

LENGTH = 256
BATCH_TOKENS = 1024
EVALUATION_TOKENS = 16384


@dataclass(frozen=True)
class Tuning:
    """A fine-tuning recipe."""

    epochs: int
    learning_rate: float
    seed: int = 1
    threads: int = 1


TUNINGS = {"udpos": Tuning(3, 5e-4), "xnli": Tuning(3, 5e-4), "pawsx": Tuning(3, 5e-4), "xquad": Tuning(3, 5e-4)}

Rows = list[list[int]]


def open_world(store: Path) -> tuple[World, Library]:
    """The mini world, generated into the store."""
    world = load_world("mini")
    library = Library(world.sources, FileStore(store))
    for failure in fetch(list(world.sources.values()), library, openers={"miniworld": serve}).failures:
        raise failure
    return world, library


def tune(
    encoder: Encoder, kind: Any, labels: int, rows: Rows, targets: Sequence[Any], tuning: Tuning
) -> tuple[Any, TaskHead]:
    """A copy of the encoder and a fresh head, trained on the rows. ``targets``: labels of each row, int or list."""
    torch.manual_seed(tuning.seed)
    model = copy.deepcopy(encoder.model).train()
    head = task_head(kind, model.config, labels).train()
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=tuning.learning_rate, weight_decay=0.01, fused=True)
    order = [
        batch
        for epoch in range(tuning.epochs)
        for batch in token_batches(list(map(len, rows)), BATCH_TOKENS, seed=epoch)
    ]
    for step, batch in enumerate(order):
        for group in optimizer.param_groups:
            group["lr"] = tuning.learning_rate * schedule(step, len(order), 0.1)
        ids = pad([rows[index] for index in batch], PAD)
        gold = [targets[index] for index in batch]
        wanted = torch.tensor(gold) if kind.name != "TAGGING" else pad(gold, IGNORED)
        loss = head.loss(head(model(input_ids=ids, attention_mask=(ids != PAD).long())), wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    return model.eval(), head.eval()


@torch.inference_mode()
def scores(model: Any, head: TaskHead, rows: Rows) -> list[np.ndarray]:
    """The head's output for each row, in order."""
    found: list[Any] = [None] * len(rows)
    for batch in token_batches(list(map(len, rows)), EVALUATION_TOKENS):
        ids = pad([rows[index] for index in batch], PAD)
        made = head(model(input_ids=ids, attention_mask=(ids != PAD).long())).numpy()
        for index, row in zip(batch, made, strict=True):
            found[index] = row
    return found


def measure_tags(encoder: Encoder, world: World, library: Library) -> dict[str, float]:
    """Part-of-speech F1 in each language, trained on the pivot."""
    task = world.tasks["udpos"]
    train = read_split(task, Split.TRAIN, world.pivot, library)
    index = {tag: at for at, tag in enumerate(task.labels)}
    chunks = tag_chunks(encoder.tokenizer, [example.words for example in train], LENGTH)
    labels = tag_labels(chunks, [[index[tag] for tag in example.tags] for example in train], IGNORED)
    model, head = tune(encoder, task.kind, len(index), [chunk.input_ids for chunk in chunks], labels, TUNINGS["udpos"])
    found = {}
    for code in task.languages:
        test = read_split(task, Split.TEST, code, library)
        chunks = tag_chunks(encoder.tokenizer, [example.words for example in test], LENGTH)
        made = [row.argmax(-1).tolist() for row in scores(model, head, [chunk.input_ids for chunk in chunks])]
        tags = [[task.labels[at] for at in row] for row in join_tags(chunks, made, len(test))]
        counts = chunk_counts(tags, [example.tags for example in test])
        found[code] = float(precision_recall_f1(counts.sum(0))["f1"])
    return found


def measure_pairs(encoder: Encoder, world: World, library: Library, name: str) -> dict[str, float]:
    """Accuracy on pairs of sentences in each language, trained on the pivot.

    Args:
        name: of the task, xnli or pawsx.
    """
    task = world.tasks[name]

    def features(split: Split, code: str) -> tuple[Rows, list[int]]:
        made = pair_features(encoder.tokenizer, read_split(task, split, code, library), task.labels, LENGTH)
        return [feature.input_ids for feature in made], [feature.label for feature in made]

    model, head = tune(encoder, task.kind, len(task.labels), *features(Split.TRAIN, world.pivot), TUNINGS[name])
    found = {}
    for code in task.languages:
        rows, gold = features(Split.TEST, code)
        made = [int(row.argmax()) for row in scores(model, head, rows)]
        found[code] = 100 * float(np.mean(np.array(made) == np.array(gold)))
    return found


def measure_answers(encoder: Encoder, world: World, library: Library) -> dict[str, float]:
    """Answer F1 in each language, trained on the pivot."""
    task = world.tasks["xquad"]
    train = span_windows(encoder.tokenizer, read_split(task, Split.TRAIN, world.pivot, library))
    labels = [[window.start, window.end] for window in train]
    model, head = tune(encoder, task.kind, 2, [window.input_ids for window in train], labels, TUNINGS["xquad"])
    found = {}
    for code in task.languages:
        test = read_split(task, Split.TEST, code, library)
        windows = span_windows(encoder.tokenizer, test)
        texts = answers(windows, scores(model, head, [window.input_ids for window in windows]), test)
        counts = answer_counts(texts, [[answer.text for answer in example.answers] for example in test], squad_tokens)
        found[code] = float(exact_match_f1(counts.sum(0))["f1"])
    return found


def measure_search(folder: Path, world: World, library: Library) -> list[dict[str, float]]:
    """Tatoeba accuracy in each language, layer by layer; untuned."""
    from stilts_artifact.retrieval.embed import View, embed
    from stilts_artifact.retrieval.transformer import load_transformer

    task = world.tasks["tatoeba"]
    layers = load_encoder(folder).model.config.num_hidden_layers
    loaded = load_transformer(folder, deepest=layers, device="cpu")
    views = [View(layer=layer) for layer in range(layers + 1)]
    found: list[dict[str, float]] = [{} for _ in views]
    with tempfile.TemporaryDirectory() as temporary:
        for code in task.languages:
            pairs = read_split(task, Split.TEST, code, library)
            sides = []
            for name, texts in (("source", [p.source for p in pairs]), ("target", [p.target for p in pairs])):
                outputs = {view: Path(temporary) / f"{name}{view.layer}.npy" for view in views}
                sides.append(embed(loaded, texts, outputs))
            for view in views:
                source, target = (side[view] / np.linalg.norm(side[view], axis=1, keepdims=True) for side in sides)
                # FACTS 3: the index is the other language, the queries are the pivot's sentences.
                nearest = (target @ source.T).argmax(1)
                found[view.layer][code] = 100 * float(np.mean(nearest == np.arange(len(pairs))))
    return found


def zero_shot(found: dict[str, float], pivot: str) -> float:
    """Mean over the languages other than the pivot."""
    return float(np.mean([score for code, score in found.items() if code != pivot]))


def measure(folder: Path, store: Path) -> dict[str, Any]:
    """All measures, as they go into the card."""
    world, library = open_world(store)
    rows: list[dict[str, Any]] = []

    def add(measure: str, found: dict[str, float]) -> None:
        row = {"measure": measure, "scores": {code: round(found[code], 2) for code in sorted(found)}}
        rows.append(row | {"zero_shot": round(zero_shot(found, world.pivot), 2)})
        text = " ".join(f"{code} {score:.1f}" for code, score in sorted(found.items()))
        print(f"{measure}: {text}; zero-shot mean {rows[-1]['zero_shot']:.1f}", flush=True)

    with arithmetic(TUNINGS["xnli"].threads):
        searched = measure_search(folder, world, library)
        best = max(range(len(searched)), key=lambda layer: zero_shot(searched[layer], world.pivot))
        for layer, found in enumerate(searched):
            add(f"Tatoeba accuracy, untuned, layer {layer}{' (best)' if layer == best else ''}", found)
        encoder = load_encoder(folder)
        tuned: dict[str, tuple[str, Callable[..., dict[str, float]]]] = {
            "udpos": ("POS F1", measure_tags),
            "xnli": ("NLI accuracy", partial(measure_pairs, name="xnli")),
            "pawsx": ("paraphrase accuracy", partial(measure_pairs, name="pawsx")),
            "xquad": ("span QA F1", measure_answers),
        }
        for name, (title, measuring) in tuned.items():
            began = time.monotonic()
            add(f"{title}, {TUNINGS[name].epochs} epochs", measuring(encoder, world, library))
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
    size = len(read_split(world.tasks["tatoeba"], Split.TEST, world.tasks["tatoeba"].languages[0], library))
    how = (
        "Measured by `python -m benchmarks.encoder_quality`, in points. Tatoeba: cosine nearest neighbour of the mean "
        f"of the token vectors, {size} pairs a language, chance {100 / size:.2f}. The others: fine-tuned on "
        f"{world.pivot} alone (seed {TUNINGS['udpos'].seed}), scored on the test sets."
    )
    return {"how": how, "languages": sorted(world.languages), "rows": rows}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="leave the card as it is")
    arguments = parser.parse_args()
    quality = measure(arguments.folder, arguments.store)
    if not arguments.dry_run:
        record_quality(arguments.folder, quality)
    sys.exit(0)


if __name__ == "__main__":
    main()
