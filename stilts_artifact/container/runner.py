"""Running one command in the image, with nothing it does not need."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from stilts_artifact.container.engine import connect
from stilts_artifact.container.image import DEFAULT_TAG
from stilts_artifact.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from docker.models.containers import Container

# The image's own folders (Dockerfile).
RESULTS = "/artifact/results"
MINI_WORLD = "/opt/stilts-artifact/mini"
# How long an interrupted command may take to end by itself.
STOP_SECONDS = 10


def run(
    arguments: Sequence[str],
    *,
    results: Path,
    data: Sequence[Path] = (),
    tag: str = DEFAULT_TAG,
    network: str = "none",
) -> int:
    """Run ``stilts-artifact ARGUMENTS`` in the image and return its exit code.

    Its output arrives here as it is written, standard output and standard error each on its own.
    Interrupted, it is interrupted too, and killed if it has not ended :data:`STOP_SECONDS` later.

    Args:
        arguments: the command and its options, such as ``["reproduce", "--table", "1"]``.
        results: folder on this machine for the results and the store; made if need be.
        data: folders on this machine with files at hand; read-only inside.
        tag: name of the image.
        network: ``"none"``, or ``"bridge"`` for a command that downloads.

    Raises:
        ConfigError: a data folder does not exist.
        ResourceError: no engine, or no such image, or the engine refused.
    """
    for folder in data:
        if not folder.is_dir():
            raise ConfigError(
                "data folder does not exist", where=str(folder), fix="name an existing folder"
            )
    results.mkdir(parents=True, exist_ok=True)
    from docker.errors import APIError, ImageNotFound

    client = connect()
    try:
        options = container_options(
            results, data, network, has_gpu="nvidia" in client.info()["Runtimes"]
        )
        container = client.containers.create(tag, list(arguments), **options)
        try:
            return _follow(container)
        finally:
            # Also when it was interrupted before its end: no container stays behind.
            container.remove(force=True)
    except ImageNotFound as error:
        raise ResourceError(
            "no such image", where=tag, fix="stilts-artifact container build"
        ) from error
    except APIError as error:
        raise ResourceError(
            "the Docker engine refused", where=tag, got=str(error.explanation)
        ) from error
    finally:
        client.close()


def container_options(
    results: Path, data: Sequence[Path], network: str, *, has_gpu: bool
) -> dict[str, Any]:
    """What the engine is asked for: a read-only system, no capabilities, this user, its folders."""
    from docker.types import DeviceRequest, Mount

    inside = [f"/artifact/data/{number}" for number in range(len(data))]
    mounts = [Mount(RESULTS, str(results.resolve()), type="bind")]
    mounts += [
        Mount(target, str(folder.resolve()), type="bind", read_only=True)
        for target, folder in zip(inside, data, strict=True)
    ]
    return {
        # The mini world is baked into the image; files brought from outside are looked through
        # first.
        "environment": {"STILTS_ARTIFACT_DATA": os.pathsep.join([*inside, MINI_WORLD])},
        "mounts": mounts,
        "network_mode": network,
        # Results then belong to whoever called, and not to root.
        "user": f"{os.getuid()}:{os.getgid()}",
        "read_only": True,
        # The root is read-only, and temporary files need a place.
        "tmpfs": {"/tmp": "rw,exec,nosuid,nodev"},  # noqa: S108  inside the container
        # Docker's 64 MiB are too little for processes that pass tensors.
        "shm_size": "1g",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])] if has_gpu else [],
        # Reaps orphans and passes signals on, which a first process does not do by itself.
        "init": True,
    }


def _follow(container: Container) -> int:
    """Start a container, copy its output here until it ends, and return its exit code."""
    try:
        # Attached before the start, so that nothing is missed.
        output = container.attach(stream=True, demux=True)
        container.start()
        for out, err in output:
            _copy(out, sys.stdout)
            _copy(err, sys.stderr)
        return int(container.wait()["StatusCode"])
    except KeyboardInterrupt:  # of the command line's, SIGTERM too
        container.stop(timeout=STOP_SECONDS)
        raise


def _copy(piece: bytes | None, stream: TextIO) -> None:
    if piece is not None:
        stream.buffer.write(piece)
        stream.flush()
