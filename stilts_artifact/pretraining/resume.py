"""Checkpoints of the pretraining run: those of every training run, with a place in the stream of batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.errors import IntegrityError
from stilts_artifact.model.weights import State
from stilts_artifact.pretraining.batches import StreamPosition
from stilts_artifact.training import checkpoints
from stilts_artifact.training.checkpoints import Checkpoint, load_training_state, training_state

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything about a run but its tensors.

    Args:
        run: identifies recipe and data; a checkpoint of another run is refused.
        step: optimiser steps done.
        place: in the stream of batches.
        losses: of the last steps, for the report.
    """

    run: str
    step: int
    place: StreamPosition
    losses: tuple[float, ...]


def save(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, state: RunState
) -> Path:
    """Publish a checkpoint; see :func:`checkpoints.save`."""
    facts = {"place": state.place, "losses": state.losses}
    return checkpoints.save(
        folder, Checkpoint(state.run, state.step, facts), training_state(module, optimizer)
    )


def restore(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: str,
    note: Callable[[str], None],
) -> RunState | None:
    """Load the newest sound checkpoint into module and optimizer; see :func:`checkpoints.restore`.

    Returns:
        The state, or ``None`` if there is no checkpoint to resume from; then nothing was loaded.
    """

    def use(checkpoint: Checkpoint, tensors: State, where: str) -> None:
        _state(checkpoint, where)
        load_training_state(tensors, module, optimizer, where)

    found = checkpoints.restore(folder, run, use, note)
    return None if found is None else _state(found, str(folder))


def _state(checkpoint: Checkpoint, where: str) -> RunState:
    try:
        place, losses = (
            StreamPosition(*checkpoint.facts["place"]),
            tuple(checkpoint.facts["losses"]),
        )
    except (KeyError, TypeError) as error:
        raise IntegrityError("not the state of a run", where=where, got=str(error)) from error
    return RunState(checkpoint.run, checkpoint.step, place, losses)
