"""XTREME's own mock submission must get XTREME's own scores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.metrics.score import Scores, score_folders

# google-research/xtreme evaluate_test.py:32-44 at 838c13b. Tuples: F1, precision, recall.
EXPECTED: dict[str, dict[str, float]] = {
    "pawsx": {"accuracy": 51.428571},
    "xnli": {"accuracy": 30.666667},
    "panx": {"f1": 57.507937, "precision": 54.729167, "recall": 62.75},
    "udpos": {"f1": 70.217460, "precision": 71.022326, "recall": 69.549821},
    "bucc2018": {"f1": 55.0},
}


@pytest.fixture(scope="module")
def scores(oracle: Path) -> Scores:
    mock = oracle / "xtreme_mock"
    return score_folders(mock / "predictions", mock / "labels", benchmark=load_benchmark("xtreme"))


@pytest.mark.parametrize("task", sorted(EXPECTED))
def test_averages_equal_those_of_xtreme(scores: Scores, task: str) -> None:
    metrics = {name: scores.tasks[task].metrics[name].value for name in EXPECTED[task]}
    assert metrics == pytest.approx(EXPECTED[task], rel=0, abs=1e-6)
    main = "f1" if "f1" in metrics else "accuracy"
    assert scores.tasks[task].score.value == pytest.approx(EXPECTED[task][main], rel=0, abs=1e-6)


def test_nothing_is_left_out(scores: Scores) -> None:
    assert set(scores.tasks) == set(EXPECTED)
    assert scores.notes == ()
    assert {name: len(task.languages) for name, task in scores.tasks.items()} == {
        "pawsx": 7,
        "xnli": 15,
        "panx": 40,
        "udpos": 33,
        "bucc2018": 4,
    }


def test_groups_and_overall(scores: Scores) -> None:
    found = scores.to_json()
    assert found["groups"] == pytest.approx(
        {"classification": (51.428571 + 30.666667) / 2, "tagging": (57.507937 + 70.217460) / 2},
        rel=0,
        abs=1e-6,
    )
    assert found["overall"] is None


@pytest.mark.slow
def test_a_fresh_process_scores_without_torch(oracle: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from stilts_artifact.benchmark import load_benchmark;"
        "from stilts_artifact.metrics.score import score_folders; mock = Path(sys.argv[1]);"
        "score_folders(mock / 'predictions', mock / 'labels', benchmark=load_benchmark('xtreme'));"
        "print(sorted({'torch', 'transformers', 'sklearn', 'scipy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(oracle / "xtreme_mock")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
