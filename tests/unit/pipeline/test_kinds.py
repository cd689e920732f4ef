"""The registry of kinds names functions that are there, and costs whoever reads it nothing."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from stilts_artifact.pipeline.kinds import KINDS, make_context


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_made_by_a_function_of_one_job(kind: str) -> None:
    function = pkgutil.resolve_name(KINDS[kind].target)
    assert function.__name__ == f"{kind}_step"
    assert list(inspect.signature(function).parameters) == ["job"]


@pytest.mark.slow
def test_planning_imports_nothing_that_does_the_work() -> None:
    code = (
        "import sys\n"
        "import stilts_artifact.pipeline.kinds, stilts_artifact.pipeline.tasks.params\n"
        "print(sorted({'torch', 'numpy', 'transformers'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_folders_brought_by_hand_are_told_from_the_encoders(tmp_path: Path) -> None:
    brought, encoders = [tmp_path / "b", tmp_path / "a"], {"ab": tmp_path / "1", "cd": tmp_path}
    context = make_context(tmp_path, brought, encoders, device="cpu", checkpoint_every=7)
    data = {"data-000": brought[0], "data-001": brought[1]}
    assert context.folders == {**data, "encoder-ab": tmp_path / "1", "encoder-cd": tmp_path}
    assert (context.device, context.checkpoint_every) == ("cpu", 7)
