"""Small sets of results, made once and copied for each test that spoils one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stilts_artifact.checking import expected, labels
from stilts_artifact.config import load
from tests.unit.checking.small import SmallSet, make_set, small_benchmark


@pytest.fixture(scope="session")
def small_sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SmallSet]:
    """Table 2 with one seed and Table 3 with three, which pass."""
    benchmark = small_benchmark()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "load_benchmark", lambda *_, **__: benchmark)
        return {
            "table2": make_set(tmp_path_factory.mktemp("table2"), "table2"),
            "table3": make_set(tmp_path_factory.mktemp("table3"), "table3", seeds=(0, 1, 2)),
        }


@pytest.fixture(params=["table2", pytest.param("table3", marks=pytest.mark.slow)])
def small(
    request: pytest.FixtureRequest,
    small_sets: dict[str, SmallSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> SmallSet:
    """A copy of a small set, and a package that believes in its world and its expected values."""
    experiment: str = request.param
    base = tmp_path / "set"
    shutil.copytree(small_sets[experiment].folder.parent, base)
    benchmark = small_benchmark()
    monkeypatch.setattr(load, "load_benchmark", lambda *_, **__: benchmark)
    for module in (expected, labels):
        monkeypatch.setattr(module, "expected_root", lambda: base / "expected")
    return SmallSet(base / "results", base / "expected", experiment)
