"""Finding a Docker engine, and a client that can build for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from stilts_artifact.errors import ResourceError

if TYPE_CHECKING:
    from docker import DockerClient

START = (
    "start Docker and see that `docker info` answers, or run stilts-artifact without a container"
)


def connect() -> DockerClient:
    """A client of the engine that the environment names (``DOCKER_HOST``), else of the local one.

    Raises:
        ResourceError: no engine answers.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        where = os.environ.get("DOCKER_HOST", "the default socket")
        raise ResourceError(
            "no Docker engine answers", where=where, got=str(error), fix=START
        ) from error
    return client


def find_builder() -> str:
    """Path of a ``docker`` command that can build with BuildKit, which the API cannot.

    More than one may be on ``PATH``; the newer ones build only where their buildx plugin is
    installed.

    Raises:
        ResourceError: there is none.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = [
        path for folder in folders if (path := shutil.which("docker", path=folder)) is not None
    ]
    for path in found:
        # Its own help is refused by a client that lacks the plugin.
        probe = [path, "build", "--help"]
        tried = subprocess.run(  # noqa: S603
            probe, env=buildkit_environment(), capture_output=True, check=False
        )
        if tried.returncode == 0:
            return path
    raise ResourceError(
        "no docker command here can build with BuildKit",
        got=", ".join(found) or "no docker command on PATH",
        expected="docker with its buildx plugin",
        fix="install docker-buildx (package docker-buildx or docker-buildx-plugin)",
    )


def buildkit_environment() -> dict[str, str]:
    """This process's environment with BuildKit chosen."""
    return {**os.environ, "DOCKER_BUILDKIT": "1"}
