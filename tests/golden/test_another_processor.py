"""Another processor gives other last bits and so a slightly other training: no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.arithmetic import ARITHMETIC, farthest, measured_with
from tests.conftest import Run

pytestmark = pytest.mark.slow

BITS = (
    "import torch; torch.manual_seed(1); "
    "print((torch.randn(1280, 96) @ torch.randn(96, 384)).numpy().tobytes().hex())"
)


def test_the_simplest_arithmetic_is_another_one() -> None:
    def bits(environment: dict[str, str]) -> str:
        command = [sys.executable, "-c", BITS]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | environment
        ).stdout

    assert bits({}) != bits(ARITHMETIC["sse"])


def test_the_row_without_intermediate_task_is_reproduced_by_the_simplest_arithmetic(
    artifact: Run, tmp_path: Path
) -> None:
    """All targets: seven are trained, two are searched."""
    cells = measured_with("sse", tmp_path / "sse", ["none"])
    assert {cell["verdict"] for cell in cells} == {"REPRODUCED"}, farthest(cells)
    assert {cell["row"] for cell in cells} == {"none"}
    usual = ["reproduce", "--table", "2", "--scale", "mini", "--only", "none,pawsx"]
    assert artifact(*usual, "--offline", "--results", tmp_path / "usual").returncode == 0
    ((step, weights),) = trained(tmp_path / "usual").items()
    assert trained(tmp_path / "sse")[step] != weights, "the steps did not know"


def trained(results: Path) -> dict[str, bytes]:
    """Weights of each target model in a store, by the key of its step."""
    models = (results / ".store" / "store" / "target").glob("*/files/encoder/model.safetensors")
    return {path.parents[2].name: path.read_bytes() for path in models}
