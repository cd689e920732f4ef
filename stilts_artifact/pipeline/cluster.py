"""Where steps run: on this machine, or on any Dask cluster by its address.

Nobody else can reach this machine's cluster: its scheduler and workers are threads of this process
that talk in its memory, and open no port. What they run goes to processes of their own.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import logging
import os
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.files import LockedFolder, disk_errors
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.process import forget_process, own_process

if TYPE_CHECKING:
    from distributed import Client

# A worker that trains the mini encoder holds about 1 GiB, most of it libraries.
_WORKER_BYTES = 3 << 29
_SETTINGS: dict[str, Any] = {
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
}
# In one process all parts of a cluster live or none, however long that was stopped, or had to wait
# for a crowded machine.
_IN_ONE_PROCESS = {"distributed.comm.timeouts.connect": "1000d"}
# Something that accepts a connection and says nothing for so long is no scheduler.
_ANSWER_SECONDS = 120
# All is done and every process dead by then; what is left are threads, which end with this process.
_CLOSE_SECONDS = 10
# All that is taken from Dask's own files and variables: how to reach a cluster that asks for TLS.
_FOREIGN = ("distributed.comm.require-encryption", "distributed.comm.tls")


@contextmanager
def local_client(folder: Path, workers: int | None, device: Device) -> Iterator[Client]:
    """A client of a new cluster in this process, whose workers run one step at a time each.

    Args:
        folder: for scratch files.
        workers: default one for each core, or one for each GPU.
        device: ``cuda`` gives every worker one GPU and the resource ``GPU=1``.

    Raises:
        ResourceError: no GPU, or not even threads can be started.
    """
    _import_dask()
    gpus = visible_gpus() if device == "cuda" else []
    count = workers or len(gpus) or default_workers()
    # Undone from the end: the processes, the client, the workers, and only then their folder.
    with ExitStack() as stack:
        with disk_errors(folder, instead="another --store"):
            scratch = LockedFolder.take(folder, "dask")
        stack.callback(scratch.remove)
        stack.enter_context(_configured(_IN_ONE_PROCESS))
        stack.enter_context(quiet())
        try:
            loop = stack.enter_context(_event_loop())
            cluster = _cluster_of_threads(scratch.path, count, bool(gpus), loop)
        except (OSError, RuntimeError) as error:
            fix = "use fewer --workers, or free memory and processes on this machine"
            raise ResourceError("the workers do not start", got=str(error), fix=fix) from error
        stack.callback(_close, cluster)
        from distributed import Client

        # Not the default: Dask code of the caller's own must not run here.
        client = Client(cluster, loop=loop, set_as_default=False)  # type: ignore[no-untyped-call]
        stack.callback(_close, client)
        for index, worker in cluster.workers.items():
            # A scale that is made for the CPU computes there, whatever else the machine has. More
            # workers than GPUs share them in turn.
            gpu = gpus[index % len(gpus)] if gpus else ""
            own_process(worker.id, {"CUDA_VISIBLE_DEVICES": gpu})
            stack.callback(forget_process, worker.id)
        yield client


def _close(part: Any) -> None:
    """Close a client or a cluster; what does not close in order is left behind."""
    with suppress(TimeoutError):
        part.close(timeout=_CLOSE_SECONDS)


def _cluster_of_threads(scratch: Path, count: int, gpu: bool, loop: Any) -> Any:
    from distributed import Scheduler, SpecCluster, Worker

    def silent(kind: type[Any]) -> type[Any]:
        """The class without the web server that it opens even when told not to."""
        return type(kind.__name__, (kind,), {"start_http_server": lambda *_, **__: None})

    options = {"protocol": "inproc://", "dashboard": False}
    worker = {
        **options,
        "nthreads": 1,
        # Dask would pause or kill a worker by a limit of its own; the system's is enough.
        "memory_limit": 0,
        "local_directory": str(scratch),
        "resources": {"GPU": 1} if gpu else {},
    }
    return SpecCluster(  # type: ignore[no-untyped-call]  # Dask is not typed
        workers={index: {"cls": silent(Worker), "options": worker} for index in range(count)},
        scheduler={"cls": silent(Scheduler), "options": options},
        loop=loop,
        silence_logs=logging.CRITICAL,
    )


@contextmanager
def _event_loop() -> Iterator[Any]:
    """Dask's event loop in a thread of its own, however slow that is to start: Dask gives up."""
    from tornado.ioloop import IOLoop  # Dask's own

    started: queue.SimpleQueue[tuple[IOLoop, asyncio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        stop = asyncio.Event()
        started.put((IOLoop.current(), stop))
        await stop.wait()

    threading.Thread(target=lambda: asyncio.run(serve()), name="Dask", daemon=True).start()
    loop, stop = started.get()
    yield loop
    # Not after an error: a client that did not come about is closed on this loop, whenever Python
    # finds it. It ends with the process.
    loop.add_callback(stop.set)


@contextmanager
def remote_client(address: str) -> Iterator[Client]:
    """A client of a running Dask scheduler, over TLS where Dask's configuration says how.

    Raises:
        ResourceError: nothing answers there.
        ConfigError: Dask's configuration cannot be read.
    """
    with _configured(_foreign_settings()), quiet(), _event_loop() as loop:
        from distributed import Client

        try:
            _require_listener(address)
            client = Client(  # type: ignore[no-untyped-call]
                address, loop=loop, timeout=_ANSWER_SECONDS, set_as_default=False
            )
        # Without a certificate that tls:// asks for, Dask raises a RuntimeError or TypeError.
        except (OSError, RuntimeError, TimeoutError, ValueError, TypeError) as error:
            raise ResourceError(
                "no Dask scheduler answers",
                where=address,
                got=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
                expected="the address of a running scheduler, such as tls://login-node:8786, and "
                "in Dask's configuration the certificate that it asks for",
                fix="start one with `dask scheduler`, or leave --scheduler out to use this machine",
            ) from error
        try:
            yield client
        finally:
            _close(client)


def _require_listener(address: str) -> None:
    """Raise OSError at once where nothing listens: Dask itself would go on trying."""
    from distributed.comm.addressing import parse_address, parse_host_port

    scheme, place = parse_address(address)
    if scheme in ("tcp", "tls"):
        socket.create_connection(parse_host_port(place), _ANSWER_SECONDS).close()


def _import_dask() -> None:
    """Import Dask, which reads its files of configuration as it is imported, without any of them.

    One that is no YAML would end a run that has no use for it.
    """
    names = ("HOME", "DASK_CONFIG", "DASK_ROOT_CONFIG")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        importlib.import_module("distributed")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _foreign_settings() -> dict[str, Any]:
    try:
        import dask
        import distributed  # noqa: F401  # its defaults are among Dask's from then on
    except ValueError as error:  # a file of its configuration is no YAML
        fix = "mend it, or move it away"
        raise ConfigError("Dask's configuration cannot be read", got=str(error), fix=fix) from error
    return {name: dask.config.get(name) for name in _FOREIGN}


@contextmanager
def _configured(settings: Mapping[str, Any]) -> Iterator[None]:
    """Dask as this package needs it, whatever its files and variables on this machine say."""
    import dask

    theirs = copy.deepcopy(dask.config.config)
    dask.config.refresh(paths=[], env={})
    try:
        with dask.config.set({**_SETTINGS, **settings}):
            yield
    finally:
        # Never empty in between: threads that still close look into it.
        dask.config.config.update(theirs)
        for name in dask.config.config.keys() - theirs.keys():
            del dask.config.config[name]


def default_workers() -> int:
    """One for each core this process may use, but no more than its memory holds.

    A container's own limits count.
    """
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    return max(1, min(CPU_COUNT, MEMORY_LIMIT // _WORKER_BYTES))


def visible_gpus() -> list[str]:
    """The GPUs this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Of GPUs that are cut in slices (MIG), the slices that it names.

    Raises:
        ResourceError: none.
    """
    import torch

    # No context of CUDA's is made here, which would take its share of the first GPU's memory.
    count = torch.cuda.device_count()
    if count == 0:
        fix = "use --scale mini, or a machine with an NVIDIA GPU and its driver"
        raise ResourceError(
            "no CUDA GPU on this machine", got="0 GPUs", expected="at least one", fix=fix
        )
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    if named[0].startswith("MIG-"):
        # CUDA shows a process one slice at most: each worker is to have its own.
        return [name for name in named if name.startswith("MIG-")]
    # CUDA stops counting at the first name that it does not know: the names after it are cut off.
    return named[:count] if named != [""] else [str(index) for index in range(count)]


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
