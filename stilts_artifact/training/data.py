"""What a phase is told about the data of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TaskData:
    """One labelled task: its prepared folders, each of one language, and how it is trained.

    Args:
        development: ``None`` if it has none; then it has no say in which weights are kept.
        cap: most examples that count in a mixture.
    """

    train: Path
    development: Path | None
    epochs: int
    batch: int
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class TextData:
    """Text for masked language modelling: prepared folders, one for each language.

    Args:
        probability: share of tokens to predict.
        cap: most texts that count in a mixture.
    """

    folders: Sequence[Path]
    probability: float
    epochs: int
    batch: int
    cap: int | None = None
