"""``--scale auto``: which scale this machine can run, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.units import readable_size

if TYPE_CHECKING:
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.tasks import Benchmark


MEMORY = 24 << 30
"""Bytes of GPU memory that fine-tuning XLM-R large takes: 16 for each of 0.56 billion weights, and activations."""


def choose_scale(
    name: str, table: int, library_of: Callable[[Benchmark], Library], *, anywhere: bool
) -> tuple[Scale, str]:
    """The scale to run and the reason for it, in words.

    ``auto`` is ``paper`` when every source of Table 1 that anyone can download is on this machine
    (a licensed corpus may be absent: its cells are then NOT_RUN) and, for Tables 2 and 3, a CUDA
    GPU with enough memory; and ``mini`` otherwise.

    Args:
        anywhere: steps run on a cluster, whose GPUs this machine cannot see.

    Raises:
        ConfigError: no such scale.
    """
    if name != "auto":
        return load_scale(name), f"asked for with --scale {name}"
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.experiments.table1 import needed_sources

    paper = load_scale("paper")
    real = load_benchmark(paper.benchmark)
    obtainable = [source for source in needed_sources(real) if source.urls]
    absent = library_of(real).absent(obtainable)
    lacking = None if table == 1 or anywhere or absent else _lacking_gpu()
    if lacking is not None:
        return load_scale("mini"), f"auto: {lacking}"
    if not absent:
        return (
            paper,
            "auto: every source of the paper scale that can be downloaded is on this machine",
        )
    count = f"{len(absent)} of {len(obtainable)} sources of the paper scale are not on this machine"
    return load_scale("mini"), f"auto: {count} (stilts-artifact fetch --scale paper gets them)"


def _lacking_gpu() -> str | None:
    """Why this machine cannot train XLM-R large, or ``None`` if it can."""
    try:
        import torch
    except ModuleNotFoundError:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return "the paper scale of this table needs a CUDA GPU, and none answers"
    free = max(
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    )
    return (
        None
        if free >= MEMORY
        else f"the largest GPU has {readable_size(free)}, {readable_size(MEMORY)} are needed"
    )
