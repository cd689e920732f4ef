"""An untrained encoder, made in a second or two: the right files and ids, and no knowledge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stilts_artifact.pretraining.pretrain import pretrain
from stilts_artifact.pretraining.recipe import QUICK

TINY = replace(QUICK, steps=0, pieces=400, vocabulary_documents=100, hidden=32, feed_forward=64)


def make_tiny(folder: Path) -> Path:
    """A checkpoint folder under ``folder``."""
    return pretrain(TINY, folder / "tiny", folder / "work", ())
