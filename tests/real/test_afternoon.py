"""docs/one-afternoon.md, its very commands, at a size of minutes: real encoder, real languages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stilts_artifact.errors import ExitCode

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "one-afternoon.md"
NLI = ("entailment", "neutral", "contradiction")
# Telugu and Tamil have a hundred and some test sentences of UD each, and few pairs in Tatoeba; of
# Turkish some treebanks are there.
SMALLER = {
    "languages": ["ta", "te", "tr"],
    "evaluation_rows": 60,
    "training": {"development_rows": 60},
}
ROWS = {"mnli": 128, "udpos": 640}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)


def smaller(text: str) -> str:
    """The page's scale with fewer rows and languages."""
    scale = yaml.safe_load(text) | SMALLER
    for section in ("intermediate", "targets"):
        for name in scale[section]:
            scale[section][name]["train_rows"] = ROWS[name]
    return json.dumps(scale)


def write_pairs(sample: Path, path: Path) -> None:
    rows = json.loads(sample.read_text("utf-8"))
    lines = ["\t".join([row["premise"], row["hypothesis"], NLI[row["label"]]]) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), "utf-8")


@pytest.fixture(scope="module")
def folder(real_data: Path, real_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page asks for: encoder, data, own data, and the scale."""
    made = tmp_path_factory.mktemp("afternoon")
    (made / "my-encoder").symlink_to(real_encoder)
    (made / "data").symlink_to(real_data)
    own = made / "own-data"
    own.mkdir()
    write_pairs(real_data / "mnli" / "train.sample3000.json", own / "mnli.train-en.tsv")
    write_pairs(real_data / "mnli" / "dev.sample256.json", own / "mnli.dev-en.tsv")
    (scale,) = blocks("yaml")
    (made / "afternoon.yaml").write_text(smaller(scale))
    return made


@pytest.fixture(scope="module")
def answers(folder: Path) -> list[subprocess.CompletedProcess[str]]:
    """Of the page's commands, in a plain shell."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return [
        subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for block in blocks("sh")
        for line in block.splitlines()
    ]


def test_the_commands_of_the_page_do_what_it_says(
    answers: list[subprocess.CompletedProcess[str]],
) -> None:
    plan, dry, run, report = answers
    assert plan.returncode == ExitCode.REPRODUCED, plan.stderr
    assert dry.returncode == ExitCode.REPRODUCED, dry.stderr
    assert "15 of 15 steps would run" in dry.stdout
    assert run.returncode == ExitCode.INCOMPLETE, run.stderr
    assert "own choices, not evidence about the paper" in run.stdout
    assert report.returncode == ExitCode.INCOMPLETE, report.stderr


@pytest.fixture(scope="module")
def cells(folder: Path, answers: list[subprocess.CompletedProcess[str]]) -> dict[str, Any]:
    assert len(answers) == 4
    document = json.loads((folder / "results" / "table2-test.afternoon.json").read_text())
    return {
        "/".join(filter(None, (cell["row"], cell["column"], cell.get("language")))): cell
        for cell in document["cells"]
    }


def test_english_training_data_transfer_to_languages_that_were_never_tagged(
    cells: dict[str, Any],
) -> None:
    """Eighteen tags: the commonest of them alone gives less than thirty points of F1."""
    for row in ("none", "mnli"):
        for language in ("ta", "te"):
            assert cells[f"{row}/udpos/{language}"]["value"] > 40
            assert cells[f"{row}/tatoeba/{language}"]["value"] > 60


def test_nothing_of_it_is_compared_and_what_is_of_some_files_only_is_marked(
    cells: dict[str, Any],
) -> None:
    assert {cell["verdict"] for cell in cells.values()} <= {
        "NOT_CHECKABLE",
        "INCONCLUSIVE",
        "NOT_RUN",
    }
    for place in ("none/udpos/tr", "none/udpos"):
        assert cells[place]["verdict"] == "INCONCLUSIVE"
        assert "many files it has tr_imst-ud-test.conllu and 1 more" in cells[place]["reason"]
    assert cells["none/udpos/ta"]["verdict"] == "NOT_CHECKABLE"
