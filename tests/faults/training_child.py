"""Trains in a process of its own, which the test kills.

Usage: python -m tests.faults.training_child ENCODER TRAIN DEV TEXT WORK OUT [SLEEP_WHILE_SAVING]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from stilts_artifact.pipeline.tasks.train import intermediate
from stilts_artifact.training import checkpoints
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData, TextData
from tests.unit.training.helpers import config

CONFIG = config(evaluate_every=8, development_rows=10)


class Loud:
    """Prints every step, so that the test knows when to kill."""

    def step(self, done: int, total: int, loss: float) -> None:
        print(f"step {done}", flush=True)

    def note(self, text: str) -> None:
        print(text, flush=True)


def train(
    encoder: Path, train: Path, dev: Path, text: Path, work: Path, out: Path, progress: Any = None
) -> Path:
    """A mixture of a task and text, in 24 steps."""
    tasks: dict[str, TaskData | TextData] = {
        "ccg": TaskData(train, dev, epochs=2, batch=4, cap=32),
        "mlm": TextData([text], 0.15, epochs=1, batch=4, cap=32),
    }
    return intermediate(
        encoder=encoder,
        tasks=tasks,
        config=CONFIG,
        checkpoints=Checkpointing(work, every=3),
        out=out,
        progress=progress,
    )


def slow_down_saving() -> None:
    """Let the test kill in the middle of a checkpoint: tensors are written, the manifest is not."""
    original = checkpoints.write_manifest

    def slow(folder: Path) -> None:
        print("writing", flush=True)
        time.sleep(0.3)
        original(folder)

    checkpoints.write_manifest = slow  # type: ignore[attr-defined]


if __name__ == "__main__":
    if sys.argv[7:]:
        slow_down_saving()
    train(*map(Path, sys.argv[1:7]), progress=Loud())
