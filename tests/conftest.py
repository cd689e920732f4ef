"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# First calls import and compile, which no deadline should count; CI must not fail by the luck of a
# draw.
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("project")

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).resolve().parent.parent


def _shared(name: str) -> Path:
    """A folder of the shared material that may lie beside the checkout."""
    folder = ROOT.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(
            f"no ../shared/{name} beside the checkout: real data is not part of the repository"
        )
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real public data files."""
    return _shared("data")


@pytest.fixture(scope="session")
def packed_encoder() -> Path:
    """Folder of a real encoder's tokenizer and weights, packed, and of what unpacks them."""
    return _shared("encoder")


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Folder of XTREME's mock predictions and labels."""
    return _shared("oracle")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def artifact() -> Run:
    """Runs the command line in a process of its own."""

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stilts_artifact", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)

    return run
