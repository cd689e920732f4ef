"""``stilts-artifact score`` on XTREME's mock folders, as its user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Run

# The averages XTREME's own scorer gives (oracle README).
AVERAGES = {
    "pawsx": 51.428571,
    "xnli": 30.666667,
    "panx": 57.507937,
    "udpos": 70.217460,
    "bucc2018": 55.0,
}


@pytest.fixture
def mock(oracle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(oracle / "xtreme_mock", tmp_path / "mock"))


def score(artifact: Run, mock: Path, *options: str) -> tuple[int, str, str]:
    answer = artifact(
        "score", "--predictions", mock / "predictions", "--labels", mock / "labels", *options
    )
    return answer.returncode, answer.stdout, answer.stderr


@pytest.mark.slow
def test_json_has_the_averages_of_xtremes_scorer(artifact: Run, mock: Path) -> None:
    code, out, err = score(artifact, mock, "--json")
    document = json.loads(out)
    assert code == 0
    assert {task: found["score"] for task, found in document["tasks"].items()} == pytest.approx(
        AVERAGES, abs=1e-6
    )
    assert document["tasks"]["panx"]["metrics"] == pytest.approx(
        {"f1": 57.507937, "precision": 54.729167, "recall": 62.75}, abs=1e-6
    )
    assert set(document["tasks"]["bucc2018"]["languages"]) == {"de", "fr", "ru", "zh"}
    assert set(document["groups"]) == {"classification", "tagging"}
    assert document["overall"] is None
    assert err.splitlines()[-1] == "verdict: 5 tasks scored, not all nine tasks are there; exit 0"


@pytest.mark.slow
def test_the_table_shows_each_language_and_the_averages(artifact: Run, mock: Path) -> None:
    _, out, _ = score(artifact, mock)
    rows = [line.split() for line in out.splitlines()]
    assert any(row[:4] == ["udpos", "average", "f1", "70.22"] for row in rows)
    assert any(row[:3] == ["xnli", "sw", "accuracy"] for row in rows)


@pytest.mark.slow
def test_a_shortened_file_is_an_error_that_names_it(artifact: Run, mock: Path) -> None:
    path = mock / "predictions" / "xnli" / "test-de.tsv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    code, _, err = score(artifact, mock)
    assert code == 3
    assert "test-de.tsv" in err
    assert err.splitlines()[-1] == "verdict: failed, exit 3 (DATA)"


@pytest.mark.slow
def test_a_label_outside_its_set_is_an_error_that_names_its_line(artifact: Run, mock: Path) -> None:
    path = mock / "predictions" / "xnli" / "test-de.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "maybe", *lines[2:], ""]))
    code, _, err = score(artifact, mock)
    assert code == 3
    assert "test-de.tsv:2" in err


@pytest.mark.slow
def test_with_partial_a_missing_answer_counts_0_and_gaps_are_marked(
    artifact: Run, tmp_path: Path
) -> None:
    # XTREME's evaluate_squad.py: "Unanswered question ... will receive score 0."
    questions = [{"id": name, "answers": [{"text": "Nile"}]} for name in ("a", "b")]
    gold = {"data": [{"paragraphs": [{"qas": questions}]}]}
    for folder, content in (("predictions", {"a": "Nile"}), ("labels", gold)):
        path = tmp_path / folder / "xquad" / "test-de.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    code, out, err = score(artifact, tmp_path)
    assert (code, "missing id" in err) == (3, True)
    code, out, err = score(artifact, tmp_path, "--partial", "--json")
    found = json.loads(out)
    assert (code, found["tasks"]["xquad"]["score"], found["partial"]) == (0, 50.0, ["xquad"])
    assert "xquad, de: 1 of 2 questions have no answer and count 0" in err
    _, out, _ = score(artifact, tmp_path, "--partial")
    assert "average (partial)" in out


@pytest.mark.slow
def test_a_missing_folder_is_an_error(artifact: Run, mock: Path) -> None:
    shutil.rmtree(mock / "labels")
    code, _, err = score(artifact, mock)
    assert code == 3
    assert str(mock / "labels") in err
