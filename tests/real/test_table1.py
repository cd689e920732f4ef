"""Table 1 of the paper on real files: what is here is measured, the rest NOT_RUN, nothing wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

# Sentences of XTREME's Tatoeba files (facebookresearch/LASER, data/tatoeba/v1, counted); every
# other language has 1,000.
SHORT_TATOEBA = {
    "jv": 205,
    "ka": 746,
    "kk": 575,
    "ml": 687,
    "sw": 390,
    "ta": 307,
    "te": 234,
    "th": 548,
}


@pytest.fixture(scope="module")
def run(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Any]:
    results = tmp_path_factory.mktemp("real")
    command = [
        sys.executable,
        "-m",
        "stilts_artifact",
        "reproduce",
        "--table",
        "1",
        "--scale",
        "paper",
        "--data",
        str(real_data),
        "--results",
        str(results),
        "--offline",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer, json.loads((results / "table1.paper.json").read_text())


def cells(document: Any, row: str, column: str) -> dict[str, Any]:
    return {
        cell["language"]: cell
        for cell in document["cells"]
        if (cell["row"], cell["column"]) == (row, column)
    }


def test_the_run_is_incomplete_and_says_so(
    run: tuple[subprocess.CompletedProcess[str], Any],
) -> None:
    answer, document = run
    assert answer.returncode == 6, answer.stderr
    assert document["verdict"] == "INCONCLUSIVE"
    assert "Traceback" not in answer.stderr


def test_no_cell_is_wrong_and_each_unmeasured_one_names_its_file(run: tuple[Any, Any]) -> None:
    _, document = run
    verdicts = {cell["verdict"] for cell in document["cells"]}
    assert "NOT_REPRODUCED" not in verdicts
    unmeasured = [cell for cell in document["cells"] if cell["verdict"] == "NOT_RUN"]
    assert unmeasured
    assert all("not on this machine" in cell["reason"] for cell in unmeasured)


@pytest.mark.parametrize(
    ("row", "column", "sizes"),
    [
        ("udpos", "train", {"en": 21_253}),
        ("cosmosqa", "dev", {"en": 2_985}),
        (
            "xquad",
            "test",
            dict.fromkeys(
                ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"], 1_190
            ),
        ),
    ],
)
def test_files_that_are_here_are_reproduced(
    run: tuple[Any, Any], row: str, column: str, sizes: dict[str, int]
) -> None:
    found = cells(run[1], row, column)
    assert {language: cell["value"] for language, cell in found.items()} == sizes
    assert {cell["verdict"] for cell in found.values()} == {"REPRODUCED"}


def test_english_pos_dev_and_test_are_reproduced_from_members(run: tuple[Any, Any]) -> None:
    dev, test = cells(run[1], "udpos", "dev"), cells(run[1], "udpos", "test")
    assert (dev["en"]["value"], dev["en"]["verdict"]) == (3_974, "REPRODUCED")
    assert (test["en"]["value"], test["en"]["verdict"]) == (5_440, "REPRODUCED")
    # One treebank is the whole test set of these; of the others only some treebanks are here.
    whole = {language for language, cell in test.items() if cell["verdict"] == "REPRODUCED"}
    assert whole == {"en", "bg", "eu", "he", "hu", "kk", "ta", "te", "th", "vi"}
    assert {cell["verdict"] for language, cell in test.items() if language not in whole} == {
        "NOT_RUN"
    }


def test_all_tatoeba_languages_are_reproduced(run: tuple[Any, Any]) -> None:
    found = cells(run[1], "tatoeba", "test")
    assert len(found) == 36
    assert {language: cell["value"] for language, cell in found.items()} == {
        language: SHORT_TATOEBA.get(language, 1_000) for language in found
    }
    assert {cell["verdict"] for cell in found.values()} == {"REPRODUCED"}
    assert (
        next(
            cell
            for cell in run[1]["cells"]
            if (cell["row"], cell["column"]) == ("tatoeba", "languages")
        )["value"]
        == 36
    )


def test_inputs_are_the_files_that_were_read(run: tuple[Any, Any]) -> None:
    inputs = {used["source"].partition("!")[0] for used in run[1]["inputs"]}
    assert {"xquad.ar.json", "cosmosqa/valid.csv", "ud-treebanks-v2.5.tgz"} <= inputs
    assert not any("squad/" in name for name in inputs)


def test_counts_of_some_files_of_a_split_are_marked(real_data: Path, tmp_path: Path) -> None:
    """At a scale that is held against nothing: at the paper's they are not counted at all."""
    own = tmp_path / "own.yaml"
    own.write_text("{name: own, extends: paper}")
    places = ["--scale", own, "--data", real_data, "--results", tmp_path, "--offline"]
    command = ["-m", "stilts_artifact", "reproduce", "--table", "1", *places]
    subprocess.run([sys.executable, *map(str, command)], capture_output=True, check=False)
    document = json.loads((tmp_path / "table1.own.json").read_text())
    found = {
        cell.get("language"): cell
        for cell in document["cells"]
        if (cell["row"], cell["column"]) == ("udpos", "test")
    }
    assert sum(cell["value"] is not None for cell in found.values()) == 25
    assert found["tr"]["verdict"] == "INCONCLUSIVE"
    assert "many files it has tr_imst-ud-test.conllu and 1 more" in found["tr"]["reason"]
    assert found["th"]["verdict"] == "NOT_CHECKABLE"
