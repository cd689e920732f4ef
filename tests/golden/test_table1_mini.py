"""``reproduce --table 1 --scale mini``, end to end, as a user runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from stilts_artifact.benchmark import TASKS
from tests.conftest import Run

MiniRun = tuple[Path, "subprocess.CompletedProcess[str]"]


@pytest.fixture
def copy(mini_run: MiniRun, tmp_path: Path) -> Path:
    """A results folder to spoil, with the file of the mini run."""
    shutil.copy(mini_run[0] / "table1.mini.json", tmp_path / "table1.mini.json")
    return tmp_path


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "table1.mini.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_from_an_empty_store_every_cell_is_reproduced(mini_run: MiniRun) -> None:
    results, run = mini_run
    assert run.returncode == 0, run.stderr
    document = json.loads((results / "table1.mini.json").read_text())
    assert Counter(cell["verdict"] for cell in document["cells"]) == {
        "REPRODUCED": len(document["cells"])
    }
    assert list(dict.fromkeys(cell["row"] for cell in document["cells"])) == list(TASKS)
    assert document["verdict"] == "REPRODUCED"


def test_the_output_says_scale_first_and_verdict_last(mini_run: MiniRun) -> None:
    lines = mini_run[1].stdout.splitlines()
    assert lines[0] == "scale: mini: not evidence about the paper (asked for with --scale mini)"
    assert (
        lines[-1]
        == "verdict: Table 1 REPRODUCED at scale mini: not evidence about the paper; exit 0"
    )
    # The caption as well; nothing is listed, as nothing differs.
    assert sum("not evidence about the paper" in line for line in lines) == 3
    assert sum(" ok " in line for line in lines) == len(TASKS) == 18
    assert len(lines) < 30


def test_the_readme_shows_what_is_seen(mini_run: MiniRun, repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index("```text\n") :].split("```")[1].splitlines()
    table = shown[shown.index("Table 1, measured (mini: not evidence about the paper)") : -1]
    seen = [line.rstrip() for line in mini_run[1].stdout.splitlines()]
    due = [line for line in table if line != "..." and not line.startswith("results: ")]
    assert len(due) >= 9
    assert [line for line in due if line not in seen] == []
    assert shown[-1] == seen[-1]


@pytest.mark.slow
def test_a_second_run_writes_the_identical_file(
    mini_run: MiniRun, artifact: Run, tmp_path: Path
) -> None:
    first = (mini_run[0] / "table1.mini.json").read_bytes()
    run = artifact("reproduce", "--table", "1", "--scale", "mini", "--results", tmp_path)
    assert run.returncode == 0
    assert (tmp_path / "table1.mini.json").read_bytes() == first


def test_every_input_is_listed_with_its_pin(mini_run: MiniRun) -> None:
    from stilts_artifact.benchmark import load_benchmark

    inputs = json.loads((mini_run[0] / "table1.mini.json").read_text())["inputs"]
    pins = {source.name: source.sha256 for source in load_benchmark("mini").sources.values()}
    assert inputs
    assert all(pins[used["source"]] == used["sha256"] for used in inputs)


@pytest.mark.slow
def test_json_goes_alone_to_standard_output(
    artifact: Run, mini_run: MiniRun, tmp_path: Path
) -> None:
    store = mini_run[0] / ".store"
    run = artifact(
        "reproduce",
        "--table",
        "1",
        "--scale",
        "mini",
        "--results",
        tmp_path,
        "--store",
        store,
        "--json",
    )
    assert json.loads(run.stdout) == json.loads((tmp_path / "table1.mini.json").read_text())
    assert run.stderr.splitlines()[-1].startswith("verdict: ")


@pytest.mark.slow
def test_check_gives_the_same_verdict(mini_run: MiniRun, artifact: Run) -> None:
    run = artifact("check", "--table", "1", "--results", mini_run[0])
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[-1] == "verdict: Table 1 (mini) REPRODUCED; exit 0"


@pytest.mark.slow
def test_check_notices_a_changed_number_and_names_the_cell(copy: Path, artifact: Run) -> None:
    value = json.loads((copy / "table1.mini.json").read_text())["cells"][0]["value"]
    edit(copy, f'"value": {value},', f'"value": {value + 1},')
    run = artifact("check", "--results", copy)
    assert run.returncode == 1
    assert "the file says REPRODUCED for ANLI+, train, qen; judged NOT_REPRODUCED" in run.stdout


@pytest.mark.slow
def test_check_notices_a_dropped_cell(copy: Path, artifact: Run) -> None:
    path = copy / "table1.mini.json"
    document = json.loads(path.read_text())
    del document["cells"][3]
    path.write_text(json.dumps(document))
    run = artifact("check", "--results", copy)
    assert run.returncode == 6
    assert "NOT_RUN" in run.stdout


@pytest.mark.slow
def test_no_cells_at_all_is_not_a_pass(copy: Path, artifact: Run) -> None:
    path = copy / "table1.mini.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"cells": []}))
    assert artifact("check", "--results", copy).returncode == 6


@pytest.mark.slow
def test_a_mini_result_is_refused_as_evidence(copy: Path, artifact: Run, repository: Path) -> None:
    paper = repository / "expected_results" / "paper" / "table1.yaml"
    run = artifact("check", "--results", copy, "--expected", paper)
    assert run.returncode == 2
    assert "a mini result cannot be held against these expected values" in run.stderr


@pytest.mark.slow
def test_a_mini_result_relabelled_as_paper_is_refused(copy: Path, artifact: Run) -> None:
    edit(copy, '"scale": "mini"', '"scale": "paper"')
    (copy / "table1.mini.json").rename(copy / "table1.paper.json")
    run = artifact("check", "--results", copy)
    assert run.returncode == 2
    # The real benchmark has no such language.
    assert "the table has no such cell" in run.stderr
    assert "anli_plus/train/qen" in run.stderr


@pytest.mark.slow
def test_check_refuses_an_input_that_is_not_the_pinned_one(copy: Path, artifact: Run) -> None:
    first = json.loads((copy / "table1.mini.json").read_text())["inputs"][0]["sha256"]
    edit(copy, first, "0" * 64)
    run = artifact("check", "--results", copy)
    assert run.returncode == 4
    assert "not the pinned one" in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"value"', '"valeu"', 2),
        ('"scale": "mini"', '"scale": "mini", "scale": "mini"', 3),
        ('"experiment": "table1"', '"experiment": NaN', 3),
        ('"experiment": "table1"', '"experiment": "table9"', 2),
        ('"verdict": "REPRODUCED"', '"verdict": "PASSED"', 2),
        ('"signature": "', '"signature": "colour:red|', 2),
    ],
)
def test_a_malformed_results_file_is_refused(
    copy: Path, artifact: Run, old: str, new: str, code: int
) -> None:
    edit(copy, old, new)
    run = artifact("check", "--results", copy)
    assert run.returncode == code
    assert "table1.mini.json" in run.stderr


@pytest.mark.slow
def test_checking_nothing_is_an_error(artifact: Run, tmp_path: Path) -> None:
    run = artifact("check", "--results", tmp_path)
    assert run.returncode == 3
    assert "stilts-artifact reproduce --table 1" in run.stderr


def test_recording_the_run_gives_the_shipped_expected_file(
    mini_run: MiniRun, repository: Path
) -> None:
    from stilts_artifact.checking.baseline import baseline_yaml
    from stilts_artifact.checking.results import load_results

    recorded = baseline_yaml(load_results(mini_run[0] / "table1.mini.json"), "mini")
    assert recorded == (repository / "expected_results" / "mini" / "table1.yaml").read_bytes()


@pytest.mark.slow
def test_a_paper_result_cannot_be_recorded(artifact: Run, tmp_path: Path) -> None:
    run = artifact("record", "--table", "1", "--scale", "paper", "--results", tmp_path)
    assert run.returncode == 2
    assert "never from a run" in run.stderr
