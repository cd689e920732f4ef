"""Checkpoints of a run: tensors in safetensors, the rest in JSON, published by one rename.

The two newest are kept; while one is written, only the one before it. A run resumes from the newest
that is sound; one that is not is set aside by name, and the one before it serves. No pickle is ever
written or read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError, ResourceError
from stilts_artifact.files import MANIFEST, publish_folder, write_file
from stilts_artifact.model.manifest import WEIGHTS, verify_folder, write_manifest
from stilts_artifact.model.weights import State, fill, read_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

STATE = "state.json"
FORMAT = 2
_PREFIX = "step-"
_MODEL = "model"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps for each parameter; a head that was not trained yet has none of it."""


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """Where runs keep their checkpoints until they end, and how often they write one.

    Neither has any influence on a result.

    Args:
        folder: of all runs; each has a folder of its own in it, which is gone at its end.
        every: optimiser steps.
    """

    folder: Path
    every: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run after a number of steps.

    Args:
        run: identifies settings and data; a checkpoint of another run is refused.
        step: optimiser steps done.
        facts: whatever else the run needs to go on; JSON.
    """

    run: str
    step: int
    facts: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, tensors: State) -> Path:
    """Publish a checkpoint under ``folder`` beside the one before it.

    Older ones make room first: with the moments, each is three times as large as the model.

    Raises:
        ResourceError: the disk is full or the folder cannot be written; earlier checkpoints stay.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = folder / f"{_PREFIX}{checkpoint.step:08d}"
    state = {
        "format": FORMAT,
        "run": checkpoint.run,
        "step": checkpoint.step,
        "facts": checkpoint.facts,
    }
    for old in _complete(folder)[1:]:
        shutil.rmtree(old, ignore_errors=True)
    with publish_folder(target) as made:
        try:
            save_file(tensors, made / WEIGHTS)
            write_file(made / STATE, dump_json(state))
            write_manifest(made)
        except (OSError, SafetensorError) as error:
            size = sum(tensor.nbytes for tensor in tensors.values())
            raise ResourceError(
                "cannot write a checkpoint",
                where=str(folder),
                got=str(error),
                fix=f"free {size:,} bytes there",
            ) from error
    return target


def restore(
    folder: Path,
    run: str,
    use: Callable[[Checkpoint, State, str], None],
    note: Callable[[str], None],
) -> Checkpoint | None:
    """Take up the newest sound checkpoint.

    Args:
        run: that the checkpoint must belong to.
        use: loads its tensors; it may refuse them with an :class:`IntegrityError`. The text says
            where they are from.
        note: told of every checkpoint that is set aside, and why.

    Returns:
        The checkpoint, or ``None`` if there is none to resume from.
    """
    for path in _complete(folder):
        try:
            checkpoint = _read(path, run)
            use(checkpoint, read_tensors(path / WEIGHTS), str(path / WEIGHTS))
        except IntegrityError as error:
            aside = path.with_name(f"refused-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            note(f"checkpoint refused, an earlier one or the start is taken instead: {error}")
        else:
            return checkpoint
    return None


def training_state(module: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """The tensors that a module and its AdamW need to go on."""
    tensors = {f"{_MODEL}.{name}": tensor.detach() for name, tensor in module.state_dict().items()}
    for name, parameter in _trained(module).items():
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{moment}.{name}"] = value
    # safetensors refuses tensors that are not contiguous.
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def load_training_state(
    tensors: State, module: nn.Module, optimizer: torch.optim.Optimizer, where: str
) -> None:
    """Put :func:`training_state` back.

    Raises:
        IntegrityError: a tensor too many, too few, or of another shape; then nothing of the
            optimiser was changed.
    """
    groups: dict[str, State] = {kind: {} for kind in (_MODEL, *_MOMENTS)}
    for name, tensor in tensors.items():
        kind, _, own = name.partition(".")
        if kind not in groups:
            raise IntegrityError(
                f"checkpoint has weights of something else: {name}", where=where, got=name
            )
        groups[kind][own] = tensor
    parameters = _trained(module)
    stepped = groups["step"].keys()
    for moment in _MOMENTS:
        shapes = {
            name: () if moment == "step" else parameters[name].shape
            for name in stepped & parameters.keys()
        }
        if {name: tensor.shape for name, tensor in groups[moment].items()} != shapes:
            raise IntegrityError(f"checkpoint without the optimiser's {moment}", where=where)
    fill(module, groups[_MODEL], where)
    optimizer.state.clear()
    for name in sorted(stepped):
        device = parameters[name].device
        # Fused AdamW wants its step counts where the parameters are.
        optimizer.state[parameters[name]] = {
            moment: groups[moment][name].to(device) for moment in _MOMENTS
        }


def _complete(folder: Path) -> list[Path]:
    """Complete checkpoints, the newest first."""
    return sorted((path.parent for path in folder.glob(f"{_PREFIX}*/{MANIFEST}")), reverse=True)


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {
        name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad
    }


def _read(path: Path, run: str) -> Checkpoint:
    verify_folder(path)
    try:
        content = parse_json(read_document(path / STATE), str(path / STATE))
        if content.pop("format") != FORMAT or type(content["step"]) is not int:
            raise ValueError
        checkpoint = Checkpoint(**content)
        if not isinstance(checkpoint.run, str) or not isinstance(checkpoint.facts, dict):
            raise TypeError("another type than a state has")
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            "not the state of a run", where=str(path / STATE), got=str(error)
        ) from error
    if checkpoint.run != run:
        raise IntegrityError(
            "checkpoint of another run", where=str(path), got=checkpoint.run, expected=run
        )
    return checkpoint
