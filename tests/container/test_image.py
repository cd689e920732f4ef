"""What the image is: read from the engine and from its files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stilts_artifact import __version__
from stilts_artifact.container import runner

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.container


@pytest.fixture(scope="session")
def config(engine: DockerClient, image: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.images.get(image).attrs["Config"]
    return found


def listing(engine: DockerClient, image: str, shell: str) -> list[str]:
    """Lines that a shell command prints in an image, as root and without a network."""
    output = engine.containers.run(
        image, ["-c", shell], entrypoint="/bin/sh", user="0:0", network_mode="none", remove=True
    )
    return sorted(output.decode().splitlines())


def test_runs_the_command_as_a_numeric_user_that_is_not_root(config: dict[str, Any]) -> None:
    assert config["Entrypoint"] == ["stilts-artifact"]
    user, group = config["User"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert config["WorkingDir"] == "/artifact"


def test_labels_say_what_it_was_made_from(
    config: dict[str, Any], repository: Path, base: str
) -> None:
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"]
    assert re.match(r"\d{4}-\d\d-\d\dT", labels["org.opencontainers.image.created"])
    assert labels["org.opencontainers.image.base.name"] == base
    lock = (repository / "locks" / "cpu.txt").read_bytes()
    assert labels["stilts-artifact.lock.sha256"] == hashlib.sha256(lock).hexdigest()
    assert labels["stilts-artifact.variant"] == "cpu"


def test_its_bill_and_provenance_are_those_of_this_image(
    engine: DockerClient, image: str, beside: Path
) -> None:
    provenance = json.loads((beside / "cpu.provenance.json").read_text())
    (subject,) = provenance["subject"]
    assert f"sha256:{subject['digest']['sha256']}" == engine.images.get(image).id
    bill = json.loads((beside / "cpu.cdx.json").read_text())
    listed = {f"{one['name']}=={one['version']}" for one in bill["components"]}
    names = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    for line in listing(engine, image, f'/opt/venv/bin/python -c "{names}"'):
        name, version = line.split()
        normal = re.sub(r"[-_.]+", "-", name).lower()
        assert f"{normal}=={version}" in listed | {f"stilts-artifact=={__version__}"}


def test_its_folders_are_those_the_runner_mounts(config: dict[str, Any]) -> None:
    environment = dict(pair.split("=", 1) for pair in config["Env"])
    assert environment["STILTS_ARTIFACT_DATA"] == runner.MINI_WORLD
    assert config["WorkingDir"] + "/results" == runner.RESULTS


def test_adds_no_setuid_file_to_its_base(engine: DockerClient, image: str, base: str) -> None:
    find = "find / -xdev -type f -perm /6000"
    assert listing(engine, image, find) == listing(engine, base, find)


def test_nothing_but_the_scratch_folders_is_writable_by_all(
    engine: DockerClient, image: str
) -> None:
    writable = listing(engine, image, r"find / -xdev \( -type f -o -type d \) -perm -0002")
    assert [
        path
        for path in writable
        if not path.startswith(("/tmp", "/var/tmp", "/run/lock", "/artifact"))
    ] == []
    assert "/artifact/results" in writable


def test_holds_exactly_the_lock(engine: DockerClient, image: str, repository: Path) -> None:
    lock = (repository / "locks" / "cpu.txt").read_text("utf-8")
    pinned = {line.split(" ")[0] for line in lock.splitlines() if line[:1].isalnum()}
    script = (
        "from importlib.metadata import distributions as d\n"
        "for i in d(): print(i.name.lower() + '==' + i.version)"
    )
    found = set(listing(engine, image, f'/opt/venv/bin/python -c "{script}"'))
    normal = {
        name.replace("_", "-").replace(".", "-", name.count(".", 0, name.index("=")))
        for name in found
    }
    assert normal - {f"stilts-artifact=={__version__}"} == pinned


def test_bytecode_is_compiled(engine: DockerClient, image: str) -> None:
    for package in ("torch", "transformers", "typer", "stilts_artifact"):
        assert listing(
            engine,
            image,
            f"ls /opt/venv/lib/python3.*/site-packages/{package}/__pycache__/__init__.*.pyc",
        )
