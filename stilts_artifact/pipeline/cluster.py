"""Where steps run: a cluster of this machine's processes, or any Dask cluster by its address."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.errors import ResourceError
from stilts_artifact.files import LockedFolder, disk_errors
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.worker import THREADS

if TYPE_CHECKING:
    from distributed import Client

# Dask opens a web server even without its dashboard; port 0 keeps two runs from meeting at the same
# one.
_LOOPBACK: dict[str, Any] = {
    "host": "127.0.0.1",
    "dashboard": False,
    "dashboard_address": "127.0.0.1:0",
}
_CONNECT_SECONDS = 5
_CLOSE_SECONDS = 5.0
# A worker that trains the mini encoder holds about 1 GiB, most of it libraries.
_WORKER_BYTES = 3 << 29
_SETTINGS: dict[str, Any] = {
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.nanny.pre-spawn-environ": {},
    # A step may hold Python's lock for minutes: a silent worker is not a dead one. A dead one is
    # known by its socket.
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.allowed-failures": 3,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.multiprocessing-method": "spawn",
}


@contextmanager
def local_client(folder: Path, workers: int | None, device: Device) -> Iterator[Client]:
    """A client of a new cluster of single-threaded processes that only this machine can reach.

    Args:
        folder: for the workers' scratch files.
        workers: processes; default one for each core, or one for each GPU.
        device: ``cuda`` gives every worker one GPU and the resource ``GPU=1``.

    Raises:
        ResourceError: no GPU, or the processes do not start.
    """
    import dask
    from distributed import Client, Scheduler, SpecCluster

    # Undone from the end: the client, the workers, and only then the folder they write to.
    with ExitStack() as stack:
        # Python's own process for this frees what Dask leaves of its queues, and would print that
        # it did.
        sys.warnoptions.append("ignore:resource_tracker:UserWarning")
        with disk_errors(folder, instead="another --store"):
            scratch = LockedFolder.take(folder, "dask")
        stack.callback(scratch.remove)
        stack.enter_context(
            dask.config.set({**_SETTINGS, "temporary-directory": str(scratch.path)})
        )
        stack.enter_context(quiet())
        try:
            cluster = SpecCluster(  # type: ignore[no-untyped-call]  # Dask is not typed
                workers=_worker_specs(
                    scratch.path, workers, visible_gpus() if device == "cuda" else []
                ),
                scheduler={"cls": Scheduler, "options": {**_LOOPBACK, "port": 0}},
                silence_logs=logging.CRITICAL,
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            fix = "use fewer --workers, or free memory and processes on this machine"
            raise ResourceError("the workers do not start", got=str(error), fix=fix) from error
        stack.callback(_close, cluster)
        # Not the default: Dask code of the caller's own must not run here.
        client = Client(cluster, set_as_default=False)  # type: ignore[no-untyped-call]
        yield stack.enter_context(client)


@contextmanager
def remote_client(address: str) -> Iterator[Client]:
    """A client of a running Dask scheduler.

    Raises:
        ResourceError: nothing answers there within seconds.
    """
    from distributed import Client

    with quiet():
        try:
            client = Client(  # type: ignore[no-untyped-call]
                address, timeout=_CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            raise ResourceError(
                "no Dask scheduler answers",
                where=address,
                got=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
                expected="the address of a running scheduler, such as tcp://login-node:8786",
                fix="start one with `dask scheduler`, or leave --scheduler out to use this machine",
            ) from error
        with client:
            yield client


def default_workers() -> int:
    """One for each core this process may use, but no more than its memory holds.

    A container's own limits count.
    """
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    return max(1, min(CPU_COUNT, MEMORY_LIMIT // _WORKER_BYTES))


def visible_gpus() -> list[str]:
    """The GPUs this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Raises:
        ResourceError: none.
    """
    import torch

    count = torch.cuda.device_count()
    if count == 0:
        fix = "use --scale mini, or a machine with an NVIDIA GPU and its driver"
        raise ResourceError(
            "no CUDA GPU on this machine", got="0 GPUs", expected="at least one", fix=fix
        )
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    # CUDA stops counting at the first name that it does not know: the names after it are cut off.
    return named[:count] if len(named) >= count else [str(index) for index in range(count)]


def _worker_specs(scratch: Path, workers: int | None, gpus: list[str]) -> dict[int, dict[str, Any]]:
    from distributed import Nanny

    options = {
        **_LOOPBACK,
        "nthreads": 1,
        # Dask would pause or kill a worker by a limit of its own; the system's is enough.
        "memory_limit": 0,
        "local_directory": str(scratch),
        "silence_logs": logging.CRITICAL,
        # A scale that is made for the CPU computes there, whatever else the machine has.
        "env": {**THREADS, "CUDA_VISIBLE_DEVICES": ""},
    }
    if not gpus:
        return {
            index: {"cls": Nanny, "options": options}
            for index in range(workers or default_workers())
        }
    specs = {}
    for index in range(workers or len(gpus)):
        # More workers than GPUs share them in turn.
        environment = {**THREADS, "CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]}
        specs[index] = {
            "cls": Nanny,
            "options": {**options, "env": environment, "resources": {"GPU": 1}},
        }
    return specs


def _close(cluster: Any) -> None:
    """Stop the workers at once: a step may be killed at any instant, and waiting costs time."""
    for nanny in cluster.workers.values():
        process = getattr(nanny, "process", None)
        if process is not None and process.process is not None:
            # Else the nanny starts another process in place of the killed one.
            nanny.auto_restart = False
            process.process.kill()
    cluster.close(timeout=_CLOSE_SECONDS)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Dask's own messages: what happens to a step is told by the engine."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
