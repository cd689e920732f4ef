"""``reproduce --calibration``, end to end: measured from files that anyone can score again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.metrics.tables import table_columns
from tests.conftest import Run

pytestmark = pytest.mark.slow

CALIBRATE = ("reproduce", "--calibration", "--offline")
NAME = "calibration.mini"


@pytest.fixture(scope="module")
def calibrated(
    artifact: Run, mini_run: tuple[Path, subprocess.CompletedProcess[str]]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Results folder, whose store has the mini world already, and output."""
    results, _ = mini_run
    return results, artifact(*CALIBRATE, "--scale", "mini", "--results", results)


def verdicts(results: Path) -> set[str]:
    return {cell["verdict"] for cell in json.loads((results / f"{NAME}.json").read_text())["cells"]}


def test_every_cell_is_measured_and_held_against_the_recorded_ones(
    calibrated: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    results, run = calibrated
    assert run.returncode == 0, run.stderr
    assert verdicts(results) == {"REPRODUCED"}
    cells = json.loads((results / f"{NAME}.json").read_text())["cells"]
    keys = {
        (column.name, language)
        for column in table_columns(load_benchmark("mini"), EXPERIMENTS["calibration"])
        for language in (*column.tasks[0].languages, None)
    }
    assert {(cell["column"], cell.get("language")) for cell in cells} == keys
    assert run.stdout.splitlines()[0].startswith("scale: mini: not evidence about the paper")
    assert run.stdout.splitlines()[-1].startswith("verdict: Calibration ")


def test_a_check_computes_the_cells_again_and_sees_an_altered_prediction(
    calibrated: tuple[Path, subprocess.CompletedProcess[str]], artifact: Run
) -> None:
    results, run = calibrated
    assert artifact("check", "--calibration", "--results", results).returncode == run.returncode
    path = next((results / NAME / "predictions").rglob("test-*.tsv"))
    before = path.read_bytes()
    path.write_bytes(before.replace(b"1", b"2", 1))
    try:
        spoilt = artifact("check", "--calibration", "--results", results)
    finally:
        path.write_bytes(before)
    assert (spoilt.returncode, path.name in spoilt.stderr) == (4, True)


def test_a_second_run_gives_the_identical_files(
    calibrated: tuple[Path, subprocess.CompletedProcess[str]], artifact: Run, tmp_path: Path
) -> None:
    results, _ = calibrated
    artifact(*CALIBRATE, "--scale", "mini", "--results", tmp_path, "--store", results / ".store")
    for path in (results / f"{NAME}.json", *(results / NAME).rglob("*.tsv")):
        assert path.read_bytes() == (tmp_path / path.relative_to(results)).read_bytes()


def test_without_the_encoder_every_cell_is_not_run_and_says_why(
    artifact: Run, real_data: Path, tmp_path: Path
) -> None:
    run = artifact(*CALIBRATE, "--scale", "paper", "--results", tmp_path, "--data", real_data)
    assert run.returncode == 6, run.stderr
    missing = "FacebookAI/xlm-roberta-large/config.json is not on this machine"
    assert f"NOT_RUN 37 cells: {missing}" in run.stdout
    assert "NOT_RUN 5 cells: not on this machine: bucc2018" in run.stdout


@pytest.mark.parametrize("extra", [["--table", "1"], ["--only", "mnli"], ["--only", "*,xnli"]])
def test_a_calibration_is_no_table_and_trains_nothing_that_could_be_chosen(
    artifact: Run, extra: list[str]
) -> None:
    assert artifact(*CALIBRATE, *extra).returncode == 2
