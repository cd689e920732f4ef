"""Measure the mini encoder and write the numbers into its card.

    python -m benchmarks.encoder_quality stilts_artifact/miniencoder --store STORE

Untuned: Tatoeba accuracy at every layer. Tuned on the source language alone, by phase (iii) as the
mini scale has it: part-of-speech F1, natural language inference and paraphrase accuracy, and span
question answering F1, on the whole test set of every language.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.config.load import load_scale
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms import SEARCH
from stilts_artifact.forms.labels import write_labels
from stilts_artifact.metrics.score import score_folders
from stilts_artifact.miniworld import serve
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.pipeline.tasks.predict import predict
from stilts_artifact.pipeline.tasks.prepare import Preparation, prepare
from stilts_artifact.pipeline.tasks.train import target
from stilts_artifact.pretraining.card import record_quality
from stilts_artifact.retrieval.encode import View
from stilts_artifact.retrieval.sweep import search_language, sweep
from stilts_artifact.retrieval.transformer import wrap_transformer
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData

SCALE = load_scale("mini")
WORLD = load_benchmark(SCALE.benchmark)
TUNED = {
    "udpos": ("POS F1", "f1"),
    "xnli": ("NLI accuracy", "accuracy"),
    "pawsx": ("paraphrase accuracy", "accuracy"),
    "xquad": ("span QA F1", "f1"),
}
"""Task -> name of the measure, and the metric that it is."""

Points = dict[str, float]
"""Language -> points."""


def open_library(store: Path) -> Library:
    """The mini world, generated into the store."""
    library = Library(WORLD.sources, FileStore(store))
    for failure in fetch(
        list(WORLD.sources.values()), library, openers={"miniworld": serve}
    ).failures:
        raise failure
    return library


def measure_search(encoder: Path, library: Library) -> list[Points]:
    """Tatoeba accuracy in each language, layer by layer."""
    task = WORLD.tasks["tatoeba"]
    loaded = load_encoder(encoder)
    deepest = loaded.model.config.num_hidden_layers
    views = [View(layer=layer) for layer in range(deepest + 1)]
    transformer = wrap_transformer(
        (encoder.name, loaded.revision),
        loaded.model,
        loaded.tokenizer,
        deepest=deepest,
        dtype="float32",
        device="cpu",
    )
    languages = [
        search_language(code, SEARCH.read(task, Split.TEST, code, library), SCALE.name)
        for code in task.languages
    ]
    found: list[Points] = [{} for _ in views]
    for code, view, score in sweep(transformer, views, languages):
        found[view.layer][code] = score
    return found


def measure_tuned(name: str, encoder: Path, library: Library, folder: Path) -> Points:
    """Points in each language after phase (iii) on the source language.

    Args:
        folder: an empty one, for all that is made on the way.
    """
    task, tuning = WORLD.tasks[name], SCALE.tuning(name)

    def prepared(split: Split, languages: Sequence[str], rows: int | None) -> Path:
        out = folder / split
        prepare(
            task,
            split,
            Preparation(WORLD, library, languages, rows, tuning.max_length, encoder, out),
        )
        return out

    train = (
        prepared(Split.TRAIN, [WORLD.source_language], tuning.train_rows) / WORLD.source_language
    )
    test = prepared(Split.TEST, task.languages, None)
    data = TaskData(train, None, tuning.epochs, tuning.batch)
    model = target(
        encoder=encoder,
        data=data,
        config=SCALE.training_config(SCALE.seeds[0], tuning.learning_rate),
        checkpoints=Checkpointing(folder / "work", SCALE.checkpoint_every),
        out=folder / "model",
    )
    predict(
        task=task,
        split=Split.TEST,
        model=model,
        data=test,
        dtype=SCALE.dtype,
        out=folder / "predictions",
    )
    for language in task.languages:
        write_labels(task, Split.TEST, language, None, library, folder / "labels")
    scores = score_folders(folder / "predictions", folder / "labels", benchmark=WORLD)
    metric = TUNED[name][1]
    return {code: metrics[metric].value for code, metrics in scores.tasks[name].languages.items()}


def zero_shot(found: Points) -> float:
    """Mean over the languages other than the source language."""
    return float(np.mean([score for code, score in found.items() if code != WORLD.source_language]))


def measure(encoder: Path, store: Path) -> dict[str, Any]:
    """All measures, as they go into the card."""
    library = open_library(store)
    rows: list[dict[str, Any]] = []

    def add(name: str, found: Points) -> None:
        row = {"measure": name, "scores": {code: round(found[code], 2) for code in sorted(found)}}
        rows.append(row | {"zero_shot": round(zero_shot(found), 2)})
        text = " ".join(f"{code} {score:.1f}" for code, score in sorted(found.items()))
        print(f"{name}: {text}; zero-shot mean {zero_shot(found):.1f}", flush=True)

    searched = measure_search(encoder, library)
    best = max(range(len(searched)), key=lambda layer: zero_shot(searched[layer]))
    for layer, found in enumerate(searched):
        add(f"Tatoeba accuracy, untuned, layer {layer}{' (best)' if layer == best else ''}", found)
    for name, (title, _) in TUNED.items():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="stilts-quality-") as folder:
            add(
                f"{title}, tuned on {SCALE.tuning(name).train_rows} examples",
                measure_tuned(name, encoder, library, Path(folder)),
            )
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    tatoeba = WORLD.tasks["tatoeba"]
    size = len(SEARCH.read(tatoeba, Split.TEST, tatoeba.languages[0], library))
    how = (
        "Measured by `python -m benchmarks.encoder_quality`, in points. Tatoeba: cosine nearest "
        f"neighbour of the mean of the token vectors, {size} pairs a language, chance "
        f"{100 / size:.2f}. The others: phase (iii) of scale {SCALE.name} on "
        f"{WORLD.source_language} alone (seed {SCALE.seeds[0]}), scored on the whole test sets."
    )
    return {"how": how, "languages": sorted(WORLD.languages), "rows": rows}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="leave the card as it is")
    arguments = parser.parse_args()
    quality = measure(arguments.encoder, arguments.store)
    if not arguments.dry_run:
        record_quality(arguments.encoder, quality)


if __name__ == "__main__":
    main()
