"""pyproject.toml, the locks and environment.yml say the same."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

LOCKS = ("cpu", "gpu", "dev", "build", "judges")
# The extras of pyproject.toml that each lock is made from.
EXTRAS = {
    "cpu": ("run", "container", "cpu"),
    "gpu": ("run", "container", "gpu"),
    "dev": ("run", "container", "cpu", "dev"),
}


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    with (repository / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def normal(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(repository: Path, name: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of each requirement; a line is one of the two, or a comment."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in (repository / "locks" / f"{name}.txt").read_text("utf-8").splitlines():
        if re.fullmatch(r" *(#.*)?", line):
            continue
        requirement = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+) \\", line)
        if requirement:
            hashes: list[str] = []
            found[requirement[1]] = (requirement[2], hashes)
            continue
        digest = re.fullmatch(r"    --hash=sha256:([0-9a-f]{64})( \\)?", line)
        assert digest is not None, line
        hashes.append(digest[1])
    return found


def direct(project: dict[str, Any], extras: tuple[str, ...]) -> list[list[str]]:
    """Name, ``==`` or ``>=``, and version of direct dependencies, ours among them left out."""
    table = project["project"]
    lines = [
        *table["dependencies"],
        *(line for extra in extras for line in table["optional-dependencies"][extra]),
    ]
    return [re.split("(==|>=)", line) for line in lines if not line.startswith("stilts-artifact[")]


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.removesuffix("+cpu").split(".")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_has_a_hash(repository: Path, lock: str) -> None:
    requirements = read_lock(repository, lock)
    assert requirements
    assert [
        name
        for name, (_, hashes) in requirements.items()
        if not hashes or len(set(hashes)) < len(hashes)
    ] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_place(repository: Path, lock: str) -> None:
    text = (repository / "locks" / f"{lock}.txt").read_text("utf-8")
    assert re.findall(r"\w+://\S*|--(?:find-links|index|extra)\S*|(?<![\w.])/\w\S*", text) == []


@pytest.mark.parametrize("lock", EXTRAS)
def test_locks_pin_what_pyproject_asks_for(
    repository: Path, project: dict[str, Any], lock: str
) -> None:
    locked = read_lock(repository, lock)
    for name, relation, version in direct(project, EXTRAS[lock]):
        found, wanted = numbers(locked[normal(name)][0]), numbers(version)
        assert found == wanted if relation == "==" else found >= wanted, name


def test_dev_is_cpu_and_tools(repository: Path) -> None:
    cpu, dev = read_lock(repository, "cpu"), read_lock(repository, "dev")
    assert {name: dev.get(name) for name in cpu} == cpu


def test_build_tools_are_those_of_the_project_and_of_the_other_locks(
    repository: Path, project: dict[str, Any]
) -> None:
    build, dev = read_lock(repository, "build"), read_lock(repository, "dev")
    backend = dict(line.split("==") for line in project["build-system"]["requires"])
    assert {name: build[name][0] for name in backend} == backend
    shared = build.keys() & dev.keys()
    assert "setuptools" in shared
    assert {name: build[name] for name in shared} == {name: dev[name] for name in shared}


def test_the_judges_are_pinned_and_share_the_environment_of_the_build_tools(
    repository: Path,
) -> None:
    judges, build = read_lock(repository, "judges"), read_lock(repository, "build")
    lines = (repository / "locks" / "judges.in").read_text("utf-8").splitlines()
    wanted = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {name: judges[name][0] for name in wanted} == wanted
    shared = judges.keys() & build.keys()
    assert "packaging" in shared
    assert {name: judges[name] for name in shared} == {name: build[name] for name in shared}


def test_cpu_lock_has_no_cuda(repository: Path) -> None:
    locked = read_lock(repository, "cpu")
    assert locked["torch"][0] == "2.13.0+cpu"
    assert "faiss-cpu" in locked
    assert [name for name in locked if re.match(r"nvidia|cuda|triton|faiss-gpu", name)] == []


def test_gpu_lock_is_one_cuda_12_stack(repository: Path) -> None:
    locked = read_lock(repository, "gpu")
    assert locked["torch"][0] == "2.10.0"
    assert "faiss-gpu" in locked
    assert "faiss-cpu" not in locked
    cuda = [name for name in locked if name.startswith("nvidia-")]
    assert "nvidia-cublas-cu12" in cuda
    assert [name for name in cuda if not name.endswith("-cu12")] == []


def test_the_image_and_conda_install_the_locks(repository: Path) -> None:
    conda = yaml.safe_load((repository / "environment.yml").read_text("utf-8"))
    python, pip, requirements = conda["dependencies"]
    assert python == "python=3.11"
    assert pip == "pip"
    files = [line.removeprefix("--requirement ") for line in requirements["pip"]]
    assert files == ["locks/pytorch-cpu.txt", "locks/build.txt", "locks/cpu.txt"]
    assert [file for file in files if not (repository / file).is_file()] == []
    dockerfile = (repository / "Dockerfile").read_text("utf-8")
    assert re.search(
        r"^ARG BASE=python:3\.11\.\d+-\S+@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE
    )
    assert '/tmp/locks/install.sh /opt/venv "$VARIANT"' in dockerfile


def test_versions_named_outside_pyproject(repository: Path) -> None:
    citation = yaml.safe_load((repository / "CITATION.cff").read_text("utf-8"))
    from stilts_artifact import __version__

    assert citation["version"] == __version__


# What is set on clusters and Debian machines, or by a virtual environment manager.
HOSTILE = """
[global]
user = true
target = /nowhere
prefix = /nowhere
require-virtualenv = true
constraint = /nowhere/constraints.txt
quiet = 3
no-index = false
find-links =
    /first wheels
    /more
[install]
no-binary = :all:
index-url = https://mirror.invalid/simple
"""


def in_pip_sh(
    repository: Path, tmp_path: Path, script: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script that has sourced pip.sh, on a machine whose pip is configured for others."""
    (tmp_path / "pip.conf").write_text(HOSTILE, "utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        ["bash", "-euc", f'source "{repository}/locks/pip.sh"\n{script}'],
        env={
            **inherited,
            "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
            "PIP_USER": "1",
            "PIP_TARGET": "/nowhere",
            "PIP_INDEX_URL": "https://nearer.invalid/simple",
            "PYTHONPATH": "/nowhere",
            "PYTHONHOME": "/nowhere",
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.slow
def test_pip_is_told_where_packages_come_from_and_nothing_else(
    repository: Path, tmp_path: Path
) -> None:
    script = f'keep_sources "{sys.executable}"; env -0'
    variables = dict(
        line.split("=", 1)
        for line in in_pip_sh(repository, tmp_path, script).stdout.split("\0")
        if line.startswith(("PIP_", "PYTHON"))
    )
    own = {name: variables.pop(name) for name in list(variables) if name not in SOURCES}
    assert variables["PIP_INDEX_URL"] == "https://nearer.invalid/simple", "a variable over a file"
    assert variables["PIP_FIND_LINKS"].split()[-1] == "/more"
    assert own == {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_QUIET": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }


SOURCES = {"PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL", "PIP_CERT"}


@pytest.mark.slow
def test_a_pip_configured_for_others_installs_here(repository: Path, tmp_path: Path) -> None:
    """PIP_USER=1 alone ended it with "Can not perform a '--user' install"."""
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    wheels.mkdir()
    wheel = wheels / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr(
            "tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1"
        )
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny-1.dist-info/RECORD", "tiny.py,,\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "lock.txt").write_text(f"tiny==1 \\\n    --hash=sha256:{digest}\n", "utf-8")
    script = f"""
        "{sys.executable}" -I -m venv "{venv}"
        keep_sources "{venv}/bin/python"
        install_lock "{venv}" "{venv}" "{tmp_path}/lock.txt" "{wheels}"
    """
    in_pip_sh(repository, tmp_path, script)
    assert list(venv.glob("lib/*/site-packages/tiny.py"))
