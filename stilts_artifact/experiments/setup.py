"""From what a person asks for to a session: which scale, which files, which machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import Experiment
from stilts_artifact.config.load import benchmark_of, load_scale
from stilts_artifact.data.library import Library
from stilts_artifact.data.progress import Silent
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import not_installed
from stilts_artifact.experiments.session import Display, Machine, Session
from stilts_artifact.experiments.table1 import needed_sources

if TYPE_CHECKING:
    from stilts_artifact.config.schema import Scale

MEMORY = 24 << 30
"""Bytes of GPU memory that fine-tuning XLM-R large takes: 16 for each of 0.56 billion weights, and
activations."""


RUN_PACKAGES = ("torch", "transformers", "datasets", "faiss", "distributed", "seqeval")
"""What trains and searches: packages of the extras ``cpu`` and ``gpu``, as they are imported."""


def missing_packages() -> list[str]:
    """Those of :data:`RUN_PACKAGES` that are not installed; loads none of them."""
    return [name for name in RUN_PACKAGES if find_spec(name) is None]


def require_packages(experiment: Experiment) -> None:
    """See that what an experiment runs on is installed, before anything is downloaded for it.

    Raises:
        ResourceError: naming every package that is missing.
    """
    missing = [] if experiment.is_counted else missing_packages()
    if missing:
        raise not_installed(experiment.title, missing)


def open_session(
    experiment: Experiment,
    scale: str,
    machine: Machine,
    results: Path,
    *,
    only: Sequence[str] = (),
    display: Display | None = None,
) -> Session:
    """An experiment at a scale on this machine; nothing is downloaded or run yet.

    Args:
        scale: its name, or ``auto``.

    Raises:
        ConfigError: no such scale.
    """
    display = display or Display()
    chosen, reason = choose_scale(scale, experiment, machine, display)
    benchmark = benchmark_of(chosen)
    return Session(
        experiment=experiment,
        scale=chosen,
        reason=reason,
        benchmark=benchmark,
        library=open_library(benchmark, machine),
        machine=machine,
        results=results,
        only=tuple(only),
        openers=url_openers(),
        display=display,
    )


def open_library(benchmark: Benchmark, machine: Machine) -> Library:
    """The files of a benchmark that are on this machine, and the store where new ones go."""
    return Library(benchmark.sources, FileStore(machine.store), machine.data)


def url_openers() -> Mapping[str, Callable[[str], bytes]]:
    """How files that no network serves are made: the mini world, by the scheme of its URLs."""
    from stilts_artifact import miniworld

    return {"miniworld": miniworld.serve}


def choose_scale(
    name: str, experiment: Experiment, machine: Machine, display: Display
) -> tuple[Scale, str]:
    """The scale to run and the reason for it, in words.

    ``auto`` is ``paper`` when every source of Table 1 that anyone can download is on this machine
    (a licensed corpus may be absent: its cells are then NOT_RUN) and, where anything is computed, a
    CUDA GPU with enough memory; and ``mini`` otherwise.

    Raises:
        ConfigError: no such scale.
    """
    if name != "auto":
        return load_scale(name), f"asked for with --scale {name}"
    paper = load_scale("paper")
    real = load_benchmark(paper.benchmark)
    obtainable = [source for source in needed_sources(real) if source.urls]
    library = open_library(real, machine)
    # A display is opened only where it may be of use: files that were brought are hashed.
    shown = display.downloads() if machine.data else nullcontext(Silent())
    with shown as progress, library.shown(progress):
        absent = library.absent(obtainable)
    # A cluster's GPUs cannot be seen from here: it is taken to have what the scale needs.
    needs_gpu = not experiment.is_counted and machine.scheduler is None
    # This loads torch, so it is asked only where it decides: without the data it is mini anyway.
    lacking = _lacking_gpu() if needs_gpu and not absent else None
    if lacking is not None:
        return load_scale("mini"), f"auto: {lacking}"
    if not absent:
        what = "every source of the paper scale that can be downloaded is on this machine"
        return paper, f"auto: {what}"
    count = f"{len(absent)} of {len(obtainable)} sources of the paper scale are not on this machine"
    how = "stilts-artifact fetch --scale paper gets them"
    if library.folders.unreadable():
        how += ", and says what of --data cannot be read"
    return load_scale("mini"), f"auto: {count} ({how})"


def _lacking_gpu() -> str | None:
    """Why this machine cannot train XLM-R large, or ``None`` if it can."""
    try:
        import torch
    except ModuleNotFoundError:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return "the paper scale of this table needs a CUDA GPU, and none answers"
    devices = range(torch.cuda.device_count())
    largest = max(torch.cuda.get_device_properties(index).total_memory for index in devices)
    if largest >= MEMORY:
        return None
    return f"the largest GPU has {readable_size(largest)}, {readable_size(MEMORY)} are needed"
