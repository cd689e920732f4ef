"""A whole mini run, shared by the golden tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Run

# Run by another environment's Python, whose packages are not here.
collect_ignore = ["crate_validator.py", "kubernetes_validator.py"]


@pytest.fixture(scope="session")
def mini_run(
    artifact: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Results folder and output of ``reproduce --table 1 --scale mini`` from an empty store."""
    results = tmp_path_factory.mktemp("golden") / "results with spaces"
    return results, artifact(
        "reproduce", "--table", "1", "--scale", "mini", "--results", results, "--offline"
    )
