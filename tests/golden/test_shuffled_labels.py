"""What the mini targets learn is in their labels: with these shuffled each falls to chance."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.config.load import load_scale
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split, TaskForm
from stilts_artifact.miniworld import serve
from stilts_artifact.model.hub import shipped_encoder

pytestmark = pytest.mark.slow

WORLD = load_benchmark("mini")
SCALE = load_scale("mini")
# Points in the source language that guessing gets: three labels, two labels, tags and places drawn
# from those that occur.
CHANCE = {
    "xnli": (33.3, 10.0),
    "pawsx": (50.0, 10.0),
    "udpos": (0.0, 15.0),
    "panx": (0.0, 15.0),
    "xquad": (8.0, 10.0),
    "tydiqa": (8.0, 10.0),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    library = Library(WORLD.sources, FileStore(tmp_path_factory.mktemp("store")))
    assert not fetch(list(WORLD.sources.values()), library, openers={"miniworld": serve}).failures
    return library


def shuffled(columns: dict[str, list[Any]], kind: TaskForm, seed: int) -> dict[str, list[Any]]:
    """The same inputs and the same labels, but none of them where it belongs."""
    draw = Random(seed)
    if kind is TaskForm.TAGGING:
        told = [tag for tag in chain.from_iterable(columns["tags"]) if tag >= 0]
        draw.shuffle(told)
        rest = iter(told)
        return {
            **columns,
            "tags": [[next(rest) if tag >= 0 else tag for tag in row] for row in columns["tags"]],
        }
    order = draw.sample(range(len(columns["input_ids"])), len(columns["input_ids"]))
    if kind is TaskForm.PAIR:
        return columns | {"label": [columns["label"][at] for at in order]}
    last = [len(ids) - 1 for ids in columns["input_ids"]]
    return columns | {
        name: [min(columns[name][at], end) for at, end in zip(order, last, strict=True)]
        for name in ("start", "end")
    }


def source_language_score(
    name: str, library: Library, folder: Path, shuffle: int | None = None
) -> float:
    """Points in the source language after the mini scale's own training."""
    from stilts_artifact.model.inference import outputs
    from stilts_artifact.model.prepared import load_prepared, save_prepared
    from stilts_artifact.pipeline.tasks.prepare import Preparation, prepare
    from stilts_artifact.pipeline.tasks.train import load_target, target
    from stilts_artifact.training.checkpoints import Checkpointing
    from stilts_artifact.training.data import TaskData

    task, tuning = WORLD.tasks[name], SCALE.tuning(name)
    source_language = (WORLD.source_language,)
    for split, rows, out in (
        (Split.TRAIN, tuning.train_rows, folder / "train"),
        (EXPERIMENTS["table2"].scored_split(task), None, folder / "dev"),
    ):
        prepare(
            task,
            split,
            Preparation(
                WORLD, library, source_language, rows, tuning.max_length, shipped_encoder(), out
            ),
        )
    train = folder / "train" / WORLD.source_language
    if shuffle is not None:
        whole = load_prepared(train)
        train = folder / "spoilt"
        features = shuffled(whole.features.to_dict(), task.form, shuffle)
        save_prepared(
            train,
            task,
            whole.labels,
            features,
            whole.examples.to_dict(),
            max_length=whole.max_length,
        )
    data = TaskData(train, None, tuning.epochs, tuning.batch)
    target(
        encoder=shipped_encoder(),
        data=data,
        config=SCALE.training_config(1, tuning.learning_rate),
        checkpoints=Checkpointing(folder / "work", SCALE.checkpoint_every),
        out=folder / "out",
    )
    encoder, head = load_target(folder / "out")
    held_out = load_prepared(folder / "dev" / WORLD.source_language)
    form = held_out.trained_form
    made = form.decode(held_out, outputs(encoder.model, head, held_out))
    return form.development_score(held_out, made)


@pytest.mark.parametrize("name", CHANCE)
def test_shuffled_labels_drive_a_target_to_chance(
    name: str, library: Library, tmp_path: Path
) -> None:
    chance, slack = CHANCE[name]
    true = source_language_score(name, library, tmp_path / "true")
    # The encoder keeps the labels apart by itself, so that one shuffle may name them right, or
    # wrong, as a whole.
    shuffles = range(6 if WORLD.tasks[name].form is TaskForm.PAIR else 1)
    guessed = mean(
        source_language_score(name, library, tmp_path / f"shuffled {seed}", seed)
        for seed in shuffles
    )
    assert abs(guessed - chance) <= slack
    assert true > chance + slack + 15
