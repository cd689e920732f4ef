"""One real image for all tests here, and the engine it lives in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from stilts_artifact import container
from stilts_artifact.container.engine import connect
from stilts_artifact.errors import ResourceError

if TYPE_CHECKING:
    from docker import DockerClient

TAG = "stilts-artifact-test"


def _cannot(reason: str) -> NoReturn:
    """Skip on a developer's machine; fail where CI promised an engine."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    try:
        client = connect()
    except ResourceError as error:
        _cannot(f"no Docker engine answers: {error.got}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def base(engine: DockerClient, repository: Path) -> str:
    """The stand-in that CI made, else the Dockerfile's own base."""
    from docker.errors import DockerException

    stand_in = os.environ.get("STILTS_ARTIFACT_TEST_BASE")
    if stand_in:
        return stand_in
    pinned = re.search(
        r"^ARG BASE=(\S+)$", (repository / "Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    assert pinned is not None
    try:
        engine.images.pull(pinned[1])
    except DockerException as error:
        _cannot(
            f"STILTS_ARTIFACT_TEST_BASE is not set and the pinned base cannot be pulled: {error}"
        )
    return pinned[1]


@pytest.fixture(scope="session")
def network(repository: Path) -> str:
    """With the wheels at hand the image is built without a network: it needs none."""
    return "none" if any((repository / "wheelhouse").glob("torch-*.whl")) else "default"


@pytest.fixture(scope="session")
def beside(base: str, network: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the image from this clone, by ``stilts-artifact container build``'s function.

    Returns:
        The folder of its bill of materials and provenance.
    """
    folder = tmp_path_factory.mktemp("beside")
    container.build(variant="cpu", base=base, tag=TAG, network=network, beside=folder)
    return folder


@pytest.fixture(scope="session")
def image(beside: Path) -> str:
    """Tag of the image."""
    return TAG


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder that any user may write, with a blank in its path."""
    folder = tmp_path / "the results"
    folder.mkdir()
    folder.chmod(0o777)
    return folder
