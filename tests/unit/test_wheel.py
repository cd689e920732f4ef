"""A wheel in an empty environment, of each Python that is here: it measures Table 1 and checks it.

With a Python that the locks are not for, daily tests that need no more than the base follow: those
of reading, of configuration and of errors, where versions of Python and of libraries differ.
The packages come from wheelhouse/ where that is filled, else from the index that pip is told.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stilts_artifact import __version__
from stilts_artifact.errors import ExitCode

pytestmark = pytest.mark.slow

PYTHONS = ("3.11", "3.12", "3.13")
BASE_TESTS = [
    f"tests/unit/{name}"
    for name in ("config", "data", "domain", "test_documents.py", "test_errors.py", "test_texts.py")
]
"""Of the daily tests those that are run once more: about 20 s of a core, and none needs torch."""


def interpreter(version: str) -> str | None:
    """A Python of this version that really starts: a version manager's stand-in may not."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    managed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in [shutil.which(f"python{version}"), *map(str, managed)]:
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    pip(sys.executable, *build, "--wheel-dir", folder, repository)
    (made,) = folder.glob("*.whl")
    return made


def pip(python: str, *arguments: str | Path) -> None:
    command = [python, "-I", "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("version", PYTHONS)
def test_an_installed_wheel_reproduces_table_1_and_checks_it(
    repository: Path, wheel: Path, tmp_path: Path, version: str
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    subprocess.run([python, "-I", "-m", "venv", tmp_path / "env"], check=True)
    here = tmp_path / "env" / "bin"
    install = ["install", "--quiet", "--no-compile", "--find-links", repository / "wheelhouse"]
    pip(str(here / "python"), *install, wheel)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [here / "stilts-artifact", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )

    assert run("--version").stdout.split()[-1] == __version__
    made = run("reproduce", "--table", "1", "--scale", "mini", "--offline")
    assert made.returncode == ExitCode.REPRODUCED, made.stdout + made.stderr
    assert run("check", "--table", "1").returncode == ExitCode.REPRODUCED
    assert run("expected", "sums").returncode == ExitCode.REPRODUCED
    lacking = run("reproduce", "--table", "2", "--scale", "mini", "--offline")
    assert lacking.returncode == ExitCode.RESOURCE
    assert "pip install 'stilts-artifact[cpu]'" in lacking.stderr
    if python != sys.executable:
        pip(str(here / "python"), *install, *testing_tools(repository))
        quiet = ["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
        subprocess.run([here / "python", *quiet, *BASE_TESTS], cwd=repository, check=True)


def testing_tools(repository: Path) -> list[str]:
    """pytest and what tests import of the others, as pyproject.toml pins them."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    names = ("hypothesis==", "pytest==", "pytest-timeout==")
    return [one for one in project["optional-dependencies"]["dev"] if one.startswith(names)]
