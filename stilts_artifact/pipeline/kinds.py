"""The kinds of steps: which function makes each, and the version of its code.

A version is raised whenever the same parameters would give another result; then, and only then, old
results are no longer taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from stilts_artifact.pipeline.job import Context, Device
from stilts_artifact.pipeline.step import Kinds, KindSpec
from stilts_artifact.pipeline.tasks import DATA, encoder_folder


def _kind(
    function: str,
    version: int = 1,
    *,
    gpu: bool = False,
    model: Literal["encoder", "target"] | None = None,
) -> KindSpec:
    # By name: whoever plans imports none of the modules that do the work.
    return KindSpec(version, f"{__package__}.tasks.{function}", gpu, model)


KINDS: Kinds = MappingProxyType(
    {
        "encoder": _kind("prepare:encoder_step"),
        "prepare": _kind("prepare:prepare_step", 3),
        "text": _kind("prepare:text_step", 2),
        "labels": _kind("prepare:labels_step"),
        "intermediate": _kind("train:intermediate_step", gpu=True, model="encoder"),
        "target": _kind("train:target_step", gpu=True, model="target"),
        "predict": _kind("predict:predict_step", 2, gpu=True),
        "probabilities": _kind("predict:probabilities_step", gpu=True),
        "retrieve": _kind("predict:retrieve_step", 4, gpu=True),
        "align": _kind("align:align_step", 2, gpu=True),
    }
)


def make_context(
    store: Path,
    data: list[Path],
    encoders: Mapping[str, Path],
    *,
    device: Device,
    checkpoint_every: int,
) -> Context:
    """Where workers find what is not a step's result.

    Args:
        data: folders with files brought by hand.
        encoders: revision -> checkpoint folder of an encoder of phase (i).
        checkpoint_every: optimiser steps between the checkpoints of a training run.
    """
    folders = {f"{DATA}-{number:03}": folder for number, folder in enumerate(data)}
    folders |= {encoder_folder(revision): folder for revision, folder in encoders.items()}
    return Context(store, folders, device, checkpoint_every)
