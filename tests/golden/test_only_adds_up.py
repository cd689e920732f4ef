"""Runs with ``--only``, as a user makes them one after the other in one results folder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.upkeep import published
from tests.conftest import Run

pytestmark = pytest.mark.slow

FIRST, SECOND = ("--only", "none,tatoeba"), ("--only", "none,bucc2018")
NAME = "table2.mini"


def ask(artifact: Run, results: Path, store: Path, *only: str) -> subprocess.CompletedProcess[str]:
    places = ("--results", results, "--store", store)
    return artifact("reproduce", "--table", "2", "--scale", "mini", "--offline", *places, *only)


def files(results: Path) -> dict[str, bytes]:
    """Predictions and labels."""
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted((results / NAME).rglob("*.tsv"))
    }


def document(results: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / f"{NAME}.json").read_text())
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("only") / "store"


def test_runs_of_disjoint_cells_add_up_to_the_run_of_all_of_them(
    artifact: Run, store: Path, tmp_path: Path
) -> None:
    at_once, in_turn = tmp_path / "at once", tmp_path / "in turn"
    assert ask(artifact, at_once, store, *FIRST, *SECOND).returncode == 0
    assert ask(artifact, in_turn, store, *FIRST).returncode == 0
    answer = ask(artifact, in_turn, store, *SECOND)
    assert answer.returncode == 0, answer.stderr
    assert "kept from an earlier run: --only none,tatoeba" in answer.stdout
    assert files(in_turn) == files(at_once)
    whole, parts = document(at_once), document(in_turn)
    assert whole.pop("asked") == [["none,tatoeba", "none,bucc2018"]]
    assert parts.pop("asked") == [["none,tatoeba"], ["none,bucc2018"]]
    assert parts == whole
    first, second = published(Store(store))
    assert first.addresses == second.addresses != frozenset(), "store prune spares them all"
    assert artifact("check", "--results", in_turn).returncode == 6  # the other cells are NOT_RUN


def test_results_that_do_not_fit_are_named_before_anything_is_measured(
    artifact: Run, store: Path, tmp_path: Path
) -> None:
    ask(artifact, tmp_path, store, *FIRST)
    path = tmp_path / f"{NAME}.json"
    text = path.read_text()
    path.write_text(text.replace('"torch": "', '"torch": "0.'))
    before = {**files(tmp_path), "results": path.read_bytes()}
    answer = ask(artifact, tmp_path, store, *SECOND)
    assert answer.returncode == 2
    assert "torch 0." in answer.stderr and "--results" in answer.stderr
    assert "steps" not in answer.stderr
    assert {**files(tmp_path), "results": path.read_bytes()} == before
    # What is asked for again is replaced, whatever it was.
    assert ask(artifact, tmp_path, store, *FIRST).returncode == 0
    assert path.read_text() == text
