"""Another processor gives other last bits and so a slightly other training: no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.arithmetic import ARITHMETIC, farthest, measured_with

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
    tmp_path: Path,
) -> None:
    """All targets: seven are trained, two are searched."""
    cells = measured_with("sse", tmp_path, ["none"])
    assert {cell["verdict"] for cell in cells} == {"REPRODUCED"}, farthest(cells)
    assert {cell["row"] for cell in cells} == {"none"}
    moved = [cell for cell in cells if abs(cell["value"] - cell["expected"]) > 0.001]
    assert moved, "the steps were not told of the other arithmetic"
