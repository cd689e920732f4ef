"""Checkpoints of a training run: tensors in safetensors, the rest in JSON, each folder published by one rename.

The two newest are kept. A run resumes from the newest that is sound; one that is not is set aside by name, and the
one before it serves.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.documents import dump_json, parse_json, read_document, write_atomically
from stilts_artifact.errors import DataError, IntegrityError, ResourceError
from stilts_artifact.model.manifest import MANIFEST, WEIGHTS, verify_folder, write_manifest
from stilts_artifact.model.weights import State, fill, read_tensors
from stilts_artifact.phases.batches import Place

if TYPE_CHECKING:
    import torch
    from torch import nn

STATE = "state.json"
FORMAT = 1
_KEPT = 2
_PREFIX = "step-"
_MOMENTS = ("exp_avg", "exp_avg_sq")


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
    place: Place
    losses: tuple[float, ...]


def save(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, state: RunState) -> Path:
    """Publish a checkpoint under ``folder`` and drop all but the newest two.

    Raises:
        ResourceError: the disk is full or the folder cannot be written; earlier checkpoints stay.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = folder / f"{_PREFIX}{state.step:08d}"
    tensors = _tensors(module, optimizer)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
        try:
            save_file(tensors, made / WEIGHTS)
            write_atomically(made / STATE, dump_json({"format": FORMAT, **asdict(state)}))
            write_manifest(made)
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        for old in _checkpoints(folder)[_KEPT:]:
            shutil.rmtree(old)
    except (OSError, SafetensorError) as error:
        size = sum(tensor.nbytes for tensor in tensors.values())
        raise ResourceError(
            "cannot write a checkpoint", where=str(folder), got=str(error), fix=f"free {size:,} bytes there"
        ) from error
    return target


def restore(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, run: str, note: Callable[[str], None]
) -> RunState | None:
    """Load the newest sound checkpoint into module and optimizer.

    Args:
        run: that the checkpoint must belong to.
        note: told of every checkpoint that is set aside, and why.

    Returns:
        The state, or ``None`` if there is no checkpoint to resume from; then nothing was loaded.
    """
    for path in _checkpoints(folder):
        try:
            state = _read_state(path, run)
            _load(read_tensors(path / WEIGHTS), module, optimizer, state.step, str(path / WEIGHTS))
        except IntegrityError as error:
            aside = path.with_name(f"refused-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            note(f"checkpoint refused, an earlier one or the start is taken instead: {error}")
        else:
            return state
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, the newest first."""
    return sorted((path.parent for path in folder.glob(f"{_PREFIX}*/{MANIFEST}")), reverse=True)


def _tensors(module: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    tensors = {f"model.{name}": tensor.detach() for name, tensor in module.state_dict().items()}
    for name, parameter in _trained(module).items():
        for moment in _MOMENTS:
            tensors[f"{moment}.{name}"] = optimizer.state[parameter][moment]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def _load(tensors: State, module: nn.Module, optimizer: torch.optim.Optimizer, step: int, where: str) -> None:
    import torch

    groups: dict[str, State] = {kind: {} for kind in ("model", *_MOMENTS)}
    for name, tensor in tensors.items():
        kind, _, own = name.partition(".")
        groups.setdefault(kind, {})[own] = tensor
    parameters = _trained(module)
    for moment in _MOMENTS:
        if {name: found.shape for name, found in groups[moment].items()} != {
            name: parameter.shape for name, parameter in parameters.items()
        }:
            raise IntegrityError(f"checkpoint without the optimiser's {moment}", where=where)
    fill(module, groups["model"], where)
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {"step": torch.tensor(float(step))} | {
            moment: groups[moment][name] for moment in _MOMENTS
        }


def _read_state(path: Path, run: str) -> RunState:
    verify_folder(path)
    try:
        content = parse_json(read_document(path / STATE), str(path / STATE))
        if content.pop("format") != FORMAT:
            raise ValueError
        state = RunState(**content | {"place": Place(*content["place"]), "losses": tuple(content["losses"])})
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        got = json.dumps(str(error))
        raise IntegrityError("not the state of a run", where=str(path / STATE), got=got) from error
    if state.run != run:
        raise IntegrityError("checkpoint of another run", where=str(path), got=state.run, expected=run)
    return state
