"""All of Tables 2 and 3 at mini scale against the recorded values."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, rows
from tests.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2700)]


def document(results: Path, table: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / f"table{table}.mini.json").read_text())
    return found


def reproduce(
    artifact: Run, table: str, folder: Path, store: Path
) -> subprocess.CompletedProcess[str]:
    places = ("--results", folder, "--store", store)
    return artifact("reproduce", "--table", table, "--scale", "mini", *places, "--offline")


@pytest.fixture(scope="module")
def results(artifact: Run, mini_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with Table 2 and then Table 3 in it."""
    folder = tmp_path_factory.mktemp("whole") / "results"
    for table in ("2", "3"):
        answer = reproduce(artifact, table, folder, mini_store)
        assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]
    return folder


def test_every_cell_of_table2_is_measured_and_reproduced(results: Path) -> None:
    cells = document(results, 2)["cells"]
    assert Counter(cell["verdict"] for cell in cells) == {"REPRODUCED": len(cells)}
    mini = load_benchmark("mini")
    columns = {task.name for task in EXPERIMENTS["table2"].targets(mini)}
    assert {cell["row"] for cell in cells} == {row.name for row in rows(mini)}
    assert columns < {cell["column"] for cell in cells}


def test_trained_targets_are_above_chance_and_transfer_is_graded(results: Path) -> None:
    scores = {
        (cell["row"], cell["column"], cell.get("language")): cell["value"]
        for cell in document(results, 2)["cells"]
    }
    source_language = load_benchmark("mini").source_language
    chance = {"xnli": 100 / 3, "pawsx": 50.0}
    for column, floor in chance.items():
        assert scores["none", column, source_language] > floor + 5
    for column in ("udpos", "panx", "xquad"):
        assert scores["none", column, source_language] > scores["none", column, "qaf"] + 5, (
            "a far language is harder"
        )
    assert scores["none", "tatoeba", "qaa"] > scores["none", "tatoeba", "qaf"] + 5


def test_table3_takes_the_best_row_on_development_data(results: Path) -> None:
    chosen = next(row for row in document(results, 3)["rows"] if row["row"] == "best")["details"]
    scores = {
        (cell["row"], cell["column"]): cell["value"]
        for cell in document(results, 2)["cells"]
        if "language" not in cell
    }
    plain = [
        row.name
        for row in rows(load_benchmark("mini"))
        if row.group == "English" and row.name != "none"
    ]
    for task in EXPERIMENTS["table3"].targets(load_benchmark("mini")):
        best = max(scores[row, task.name] for row in plain)
        assert scores[chosen[task.name], task.name] == best


def test_nothing_is_run_again(results: Path, artifact: Run, mini_store: Path) -> None:
    for table in ("2", "3"):
        before = (results / f"table{table}.mini.json").read_bytes()
        answer = reproduce(artifact, table, results, mini_store)
        assert (answer.returncode, "steps done" in answer.stderr) == (0, False)
        assert (results / f"table{table}.mini.json").read_bytes() == before
        usage = json.loads((results / f"table{table}.mini.usage.json").read_text())
        assert {one["run"] for one in usage["steps"]} == {"earlier"}
        assert {"target", "predict", "retrieve"} <= {one["kind"] for one in usage["steps"]}
        assert usage["unknown"] == 0 and all(
            one["cpu_seconds"] is not None for one in usage["steps"]
        )


def test_check_judges_all_of_it_again(results: Path, artifact: Run) -> None:
    answer = artifact("check", "--all", "--results", results)
    assert answer.returncode == 0, answer.stdout[-3000:]
    assert "Table 2 (mini) REPRODUCED" in answer.stdout
    assert "Table 3 (mini) REPRODUCED" in answer.stdout


def test_the_crate_of_the_run_is_verified_elsewhere(
    results: Path, artifact: Run, tmp_path: Path
) -> None:
    crate = tmp_path / "crate.zip"
    made = artifact(
        "report", "--results", results, "--out", tmp_path / "report.html", "--crate", crate
    )
    assert made.returncode == 0, made.stderr
    answer = artifact("verify", crate)
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr
