"""``reproduce --table 2 --scale mini`` on some of its cells, end to end, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.checking.learning_curves import parse_curves
from tests.conftest import Run

pytestmark = pytest.mark.slow

# One row of each group, one column of each kind; two trained targets and both retrieval tasks.
CELLS = (
    "none,udpos",
    "mnli,udpos",
    "none,xnli",
    "none,tatoeba",
    "mlm,tatoeba",
    "mnli@qab,bucc2018",
)
ASK = (
    "reproduce",
    "--table",
    "2",
    "--scale",
    "mini",
    "--offline",
    *(part for cell in CELLS for part in ("--only", cell)),
)
NAME = "table2.mini"


def ask(artifact: Run, results: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    return artifact(*ASK, "--results", results, *more)


def files(results: Path) -> dict[str, bytes]:
    """Every published file and the results file, without the environment: the machine's."""
    found = {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted((results / NAME).rglob("*"))
        if path.is_file()
    }
    return found | {"results": json.dumps(document(results) | {"environment": {}}).encode()}


def document(results: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / f"{NAME}.json").read_text())
    return found


def values(results: Path) -> dict[tuple[str, str], float]:
    return {
        (cell["row"], cell["column"]): cell["value"]
        for cell in document(results)["cells"]
        if "language" not in cell and cell["value"] is not None
    }


@pytest.fixture(scope="module")
def run(artifact: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    results = tmp_path_factory.mktemp("table2") / "results"
    yield results, ask(artifact, results)


def test_the_cells_are_measured_and_nothing_else_is(run: tuple[Path, Any]) -> None:
    results, answer = run
    assert answer.returncode == 0, answer.stderr  # that of what was asked for
    assert set(values(results)) == {tuple(cell.split(",")) for cell in CELLS}
    assert "mini: not evidence about the paper" in answer.stdout.splitlines()[0]
    whole, verdict = answer.stdout.splitlines()[-2:]
    assert (
        whole == "the whole of Table 2: INCONCLUSIVE"
    )  # as its file says: the other cells are NOT_RUN
    assert verdict.startswith("verdict: Table 2 as far as asked for: REPRODUCED at scale mini")


def test_the_results_name_every_file_they_rest_on(run: tuple[Path, Any]) -> None:
    from stilts_artifact.benchmark import load_benchmark

    inputs = {used["source"]: used["sha256"] for used in document(run[0])["inputs"]}
    assert {
        "MNLI.zip",
        "MNLI-qab.zip",
        "XNLI-1.0.zip",
        "ud-treebanks-v2.5.tgz",
        "wikipedia.qaf.txt",
    } <= set(inputs)
    assert "QQP-clean.zip" not in inputs, "nothing that was asked for reads it"
    assert all(
        load_benchmark("mini").sources[name].sha256 == sha256 for name, sha256 in inputs.items()
    )


def test_every_training_run_has_a_learning_curve_up_to_its_last_step(run: tuple[Path, Any]) -> None:
    path = run[0] / NAME / "training.csv"
    curves = parse_curves(path.read_bytes(), str(path))
    assert f"{NAME}/training.csv" in {file["path"] for file in document(run[0])["files"]}
    trained = {(key.row, key.target) for key in curves if key.phase == "target"}
    searched = {"bucc2018", "tatoeba"}
    assert trained == {cell for cell in values(run[0]) if cell[1] not in searched}
    intermediate = {key.row for key in curves if key.phase == "intermediate"}
    assert intermediate == {row for row, _ in values(run[0])} - {"none"}
    for curve in curves.values():
        step, _ = curve.losses[-1]
        assert step == curve.planned
        assert all(step == curve.planned for step, _ in curve.scores), "evaluated at its end only"
    # The source language's development set is what weights are chosen on, so XNLI has a score.
    assert any(curve.scores for key, curve in curves.items() if key.task == "xnli")


def test_progress_is_shown_for_the_whole_table(run: tuple[Path, Any]) -> None:
    lines = [line for line in run[1].stderr.splitlines() if line.startswith("Table 2: ")]
    assert "steps done" in lines[0]
    assert "leaked" not in run[1].stderr
    done = re.fullmatch(r"Table 2: (\d+) of (\d+) steps done", lines[-1])
    assert done is not None and done[1] == done[2]


def test_the_encoder_carries_something_over(run: tuple[Path, Any]) -> None:
    # Parts of speech are learnt in the source language and read in seven other languages; chance
    # is far below.
    assert values(run[0])["none", "udpos"] > 40


def test_a_second_run_reruns_nothing_and_gives_the_same_files(
    run: tuple[Path, Any], artifact: Run
) -> None:
    before = files(run[0])
    answer = ask(artifact, run[0])
    assert "steps done" not in answer.stderr, "there was nothing to do"
    assert files(run[0]) == before


def test_dry_run_says_that_everything_is_done_and_what_a_new_row_needs(
    run: tuple[Path, Any], artifact: Run
) -> None:
    done = ask(artifact, run[0], "--dry-run")
    assert done.stdout.splitlines()[-1].startswith("0 of ")
    more = artifact(
        "reproduce",
        "--table",
        "2",
        "--scale",
        "mini",
        "--results",
        run[0],
        "--only",
        "qqp,udpos",
        "--dry-run",
    )
    assert "run   intermediate" in more.stdout
    assert "done  prepare benchmark=mini task=udpos split=train" in more.stdout


def test_check_computes_every_cell_again_without_torch(
    run: tuple[Path, Any], artifact: Run
) -> None:
    answer = artifact("check", "--table", "2", "--results", run[0])
    assert answer.returncode == 6
    assert "the file says" not in answer.stdout, answer.stdout


def test_check_names_the_cell_whose_predictions_were_altered(
    run: tuple[Path, Any], artifact: Run, tmp_path: Path
) -> None:
    copy = tmp_path / "results"
    shutil.copytree(run[0], copy, ignore=shutil.ignore_patterns(".store"))
    path = copy / NAME / "predictions" / "none" / "seed-1" / "xnli" / "dev-qaa.tsv"
    path.write_text(path.read_text().replace("neutral", "entailment", 1))
    answer = artifact("check", "--table", "2", "--results", copy)
    assert answer.returncode == 4
    assert str(path) in answer.stderr + answer.stdout


def test_one_worker_and_an_empty_store_give_the_same_files(
    run: tuple[Path, Any], artifact: Run, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    ask(artifact, results, "--workers", "1")
    assert files(results) == files(run[0])


def test_killed_and_resumed_it_gives_the_same_files(
    run: tuple[Path, Any], artifact: Run, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    command = [sys.executable, "-m", "stilts_artifact", *ASK, "--results", str(results)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    targets = results / ".store" / "store" / "target"
    deadline = time.monotonic() + 300
    while not (targets.is_dir() and any(targets.iterdir())) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert process.poll() is None, "it must be killed while there is work left"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (results / f"{NAME}.json").exists()
    ask(artifact, results)
    assert files(results) == files(run[0])
