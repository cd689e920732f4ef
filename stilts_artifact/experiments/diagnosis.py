"""What this machine has, and what a run on it would lack; nothing is changed or downloaded."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stilts_artifact.config.load import load_scale
from stilts_artifact.data.fetch import take_stock
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ArtifactError
from stilts_artifact.experiments.session import Machine
from stilts_artifact.experiments.setup import RUN_PACKAGES, missing_packages, scale_files

# The mini scale's store and results, rounded up.
MINI_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Args:
        level: ``ok``: as it should be; ``note``: some runs are not possible; ``fail``: none is.
    """

    level: Literal["ok", "note", "fail"]
    subject: str
    detail: str


def diagnose(results: Path, machine: Machine) -> list[Finding]:
    """All findings, in the order in which a run would meet them.

    Args:
        results: folder that results would be published in.
    """
    return [
        _python(),
        _packages(),
        _writable("results folder", results),
        _writable("store", machine.store),
        _disk(machine.store),
        _gpu(),
        *_faiss(),
        _engine(),
        *(_data(scale, machine) for scale in ("mini", "paper")),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "ok" if sys.version_info >= (3, 11) else "fail",
        "python",
        f"{version} (3.11 or newer needed)",
    )


def _packages() -> Finding:
    """Whether the packages that train and search can be loaded.

    Checking and Table 1 need none of them: that all are absent is a smaller installation, that one
    is, or does not load, a broken one.
    """
    subject = "training packages"
    absent = missing_packages()
    if len(absent) == len(RUN_PACKAGES):
        return Finding(
            "note", subject, "not installed: checking and Table 1 only (extras: cpu, gpu)"
        )
    if absent:
        return Finding("fail", subject, f"not installed: {', '.join(absent)} (extras: cpu, gpu)")
    here = []
    for name in RUN_PACKAGES:
        try:
            version = getattr(importlib.import_module(name), "__version__", "")
        # Whatever a package raises while it is loaded, a run would meet it too.
        except Exception as error:  # noqa: BLE001
            return Finding(
                "fail", subject, f"{name} does not load: {type(error).__name__}: {error}"
            )
        here.append(f"{name} {version}".rstrip())
    return Finding("ok", subject, ", ".join(here))


def _writable(subject: str, folder: Path) -> Finding:
    # The folder itself may have yet to be made; looking must not make it.
    existing = _nearest_existing(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            return Finding("ok", subject, f"{folder} can be written")
    except OSError as error:
        return Finding(
            "fail", subject, f"{folder} cannot be written ({error.strerror}) by uid {os.getuid()}"
        )


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(_nearest_existing(folder)).free
    needed = readable_size(MINI_BYTES)
    detail = f"{readable_size(free)} free for the store; the mini scale needs {needed}"
    return Finding("ok" if free >= MINI_BYTES else "fail", "disk", detail)


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _gpu() -> Finding:
    # Not by torch, which need not be installed.
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("note", "gpu", "no NVIDIA driver: CPU only")
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(  # noqa: S603
            query, capture_output=True, text=True, timeout=20, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        return Finding("note", "gpu", f"nvidia-smi fails: {error}")
    return Finding("ok", "gpu", "; ".join(answer.stdout.split("\n")).strip("; "))


def _faiss() -> list[Finding]:
    """The self-test of FAISS on a GPU, where it is installed for one."""
    from stilts_artifact.retrieval.backends import gpu_answers, unused_gpu

    reason = unused_gpu()
    if reason is not None:
        return [Finding("note", "faiss-gpu", f"{reason}: searches run on the CPU")]
    return [Finding("ok", "faiss-gpu", gpu_answers().reason)] if gpu_answers().works else []


def _engine() -> Finding:
    try:
        import docker
        from docker.errors import DockerException
    except ModuleNotFoundError:
        return Finding("note", "container engine", "not looked for (extras: container, cpu, gpu)")
    try:
        client = docker.from_env(timeout=5)
        version = client.version()["Version"]
    except DockerException:
        return Finding(
            "note", "container engine", "none answers: reproduce.sh uses a local environment"
        )
    return Finding("ok", "container engine", f"Docker {version}")


def _data(scale: str, machine: Machine) -> Finding:
    subject = f"data ({scale})"
    try:
        stock = take_stock(*scale_files(load_scale(scale), machine))
    except ArtifactError as error:
        return Finding("note", subject, error.what)
    if not stock.absent:
        return Finding("ok", subject, str(stock))
    size = readable_size(sum(source.bytes or 0 for source in stock.absent))
    if any(source.bytes is None for source in stock.absent):
        size = f"more than {size}"
    how = "made on first use" if scale == "mini" else f"stilts-artifact fetch --scale {scale}"
    return Finding("note", subject, f"{stock}; {size} absent: {how}")
