"""A small Table 2 with files that pass, and made-up results of every kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stilts_artifact.checking import expected, labels
from stilts_artifact.config import load
from tests.unit.checking.conftest import small_sets  # noqa: F401  (a fixture)
from tests.unit.checking.small import SmallSet, small_benchmark


@pytest.fixture
def passing(
    small_sets: dict[str, SmallSet],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Path]:
    """Makes results that pass, of Table 2 or 3, and a package that believes their values."""

    def make(experiment: str) -> Path:
        base = tmp_path / f"set {experiment}"
        shutil.copytree(small_sets[experiment].folder.parent, base)
        benchmark = small_benchmark()
        monkeypatch.setattr(load, "load_benchmark", lambda *_, **__: benchmark)
        for module in (expected, labels):
            monkeypatch.setattr(module, "expected_root", lambda: base / "expected")
        return base / "results"

    return make
