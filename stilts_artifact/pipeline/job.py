"""What a step's function is given: its parameters, its inputs, and the folders it may write."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stilts_artifact.errors import ResourceError

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a machine has to offer: where things lie and what computes them, never what comes out.

    Args:
        root: the store's folder, shared by all workers.
        folders: further folders by name, such as data brought by hand.
        device: ``cuda`` sends kinds that need a GPU to workers that have one.
        checkpoint_every: optimiser steps between the checkpoints of a training run.
    """

    root: Path
    folders: Mapping[str, Path] = field(default_factory=dict)
    device: Device = "cpu"
    checkpoint_every: int = 200


@dataclass(frozen=True, slots=True)
class Job:
    """One step at work.

    Attributes:
        params: the step's parameters, plain JSON.
        inputs: name -> verified folder of that input. Read only.
        out: empty folder; what lies in it when the function returns is the result.
        work: folder for checkpoints. It outlives a killed run and comes back to the next one,
            possibly at another path: an absolute path saved in it may not be trusted. Gone once the
            result is published.
    """

    params: Mapping[str, Any]
    inputs: Mapping[str, Path]
    out: Path
    work: Path
    context: Context

    def require_device(self) -> None:
        """Refuse to compute on a CPU what the run sends to GPUs: nobody would notice for weeks.

        Raises:
            ResourceError: this worker was said to have a GPU, and none answers in it.
        """
        if self.context.device == "cpu":
            return
        import torch

        if not torch.cuda.is_available():
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            raise ResourceError(
                "no GPU answers in this worker",
                where=socket.gethostname(),
                got="no CUDA_VISIBLE_DEVICES"
                if visible is None
                else f"CUDA_VISIBLE_DEVICES={visible}",
                expected="one GPU that torch can use",
                fix="`nvidia-smi` and `stilts-artifact doctor` there say what it has; give the "
                "resource GPU=1 only to workers with one",
            )
