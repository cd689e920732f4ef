"""``study 000|001|003 --scale mini`` on some of their rows, end to end, as a user runs them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import stilts_artifact
from benchmarks.arithmetic import ARITHMETIC
from stilts_artifact.checking.results import load_results
from stilts_artifact.domain.cells import Finding
from tests.conftest import Run
from tests.golden.browser import browse, missing_program

pytestmark = pytest.mark.slow

# What decides their primary hypotheses; of study 001 one arm is left out.
ROWS: Mapping[str, tuple[str, ...]] = {
    "000": ("none", "mnli"),
    "001": ("none", "feats"),
    "003": ("none", "mnli", "squad_v1", "hellaswag", "cpt"),
}
TABLES = ("covariates.csv", "effects.csv", "specifications.csv")
Answer = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Studies:
    """A results folder, and what each command said."""

    results: Path
    answers: Mapping[str, Answer]

    def document(self, study: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(file(self.results, study).read_text())
        return found


def file(results: Path, study: str) -> Path:
    return results / f"study-{study}.mini.json"


def ask(artifact: Run, study: str, results: Path, store: Path, *more: str) -> Answer:
    only = (part for row in ROWS[study] for part in ("--only", row))
    options = ("--scale", "mini", "--offline", "--results", results, "--store", store)
    return artifact("study", study, *only, *options, *more)


@pytest.fixture(scope="module")
def made(artifact: Run, mini_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    results = tmp_path_factory.mktemp("studies") / "results"
    return Studies(results, {one: ask(artifact, one, results, mini_store) for one in ROWS})


@pytest.mark.parametrize("study", ROWS)
def test_premise_first_then_every_hypothesis_and_no_number_of_invented_languages(
    made: Studies, study: str
) -> None:
    answer = made.answers[study]
    code, finding = (6, "NOT RUN") if study == "001" else (0, "PIPELINE VALID")
    assert answer.returncode == code, answer.stderr
    first, premise, *lines = answer.stdout.splitlines()
    assert first.startswith("scale: mini: not evidence about the paper")
    assert premise.startswith("PREMISE NOT EVALUATED. ")
    found = made.document(study)["study"]
    said = [line for line in lines if line.startswith(f"{study} H")]
    assert len(said) == len(found["hypotheses"])
    assert not any(word in line for line in said for word in ("SUPPORTED", "INCONCLUSIVE"))
    assert "No number of this may be cited" in answer.stdout
    assert "2 of 5 planned seeds: a seed moves all languages at once" in answer.stdout
    assert lines[-1].startswith(f"verdict: Study {study} {finding} at scale mini")


@pytest.mark.parametrize("study", ROWS)
def test_everything_is_published_that_the_findings_rest_on(made: Studies, study: str) -> None:
    document = made.document(study)
    folder = made.results / f"study-{study}.mini"
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {*TABLES, "labels", "predictions", "training.csv"}
    assert {path.name for path in (folder / "predictions").iterdir()} == set(ROWS[study])
    listed = {one["path"] for one in document["files"]}
    assert listed == {
        path.relative_to(made.results).as_posix()
        for path in folder.rglob("[!.]*")
        if path.is_file()
    }
    results = load_results(file(made.results, study))
    languages = {
        code
        for task in results.defined.targets(results.benchmark)
        for code in task.languages
        if code != results.benchmark.source_language
    }
    with (folder / "effects.csv").open(newline="") as table:
        effects = list(csv.DictReader(table))
    assert {line["language"] for line in effects} == languages
    for line in effects:
        seeds = [float(value) for value in line["seeds"].split()]
        assert float(line["value"]) == pytest.approx(sum(seeds) / len(seeds), abs=1e-6)
        assert len(seeds) == 2 and float(line["standard_error"]) > 0


def test_a_row_that_was_not_run_is_named_by_the_hypothesis_that_needs_it(made: Studies) -> None:
    answer = made.answers["001"]
    [line] = [line for line in answer.stdout.splitlines() if line.startswith("001 H3")]
    assert "NOT RUN" in line and "missing: row feats-shuffled" in line
    [other] = [line for line in answer.stdout.splitlines() if line.startswith("001 H1")]
    assert "NOT EVALUATED" in other


def test_a_second_run_trains_nothing_and_writes_the_same_bytes(
    made: Studies, artifact: Run, mini_store: Path, tmp_path: Path
) -> None:
    answer = ask(artifact, "000", tmp_path, mini_store)
    assert "steps done" not in answer.stderr, "there was nothing to do"
    assert file(tmp_path, "000").read_bytes() == file(made.results, "000").read_bytes()
    for table in TABLES:
        name = f"study-000.mini/{table}"
        assert (tmp_path / name).read_bytes() == (made.results / name).read_bytes()


def test_one_seed_is_not_enough_and_why(artifact: Run, mini_store: Path, tmp_path: Path) -> None:
    answer = ask(artifact, "000", tmp_path, mini_store, "--seeds", "1")
    assert answer.returncode == 6, answer.stderr
    lines = answer.stdout.splitlines()
    assert sum("1 of at least 2 seeds: a seed moves all languages" in line for line in lines) >= 2
    assert load_results(file(tmp_path, "000")).verdict is Finding.NOT_RUN


# Checked by whoever has the files alone

# Not sys.modules["torch"] = None, which scipy takes for torch.
WATCHED = """
import atexit, sys
atexit.register(lambda: "torch" in sys.modules and sys.stderr.write("torch was imported"))
from stilts_artifact.cli import main
main()
"""


@pytest.mark.parametrize(
    ("study", "arithmetic"), [*((study, "usual") for study in ROWS), ("000", "sse")]
)
def test_check_without_torch_finds_the_same_with_any_arithmetic(
    made: Studies, study: str, arithmetic: str
) -> None:
    # As of an older processor: numpy and the library below it obey these.
    older = {"OPENBLAS_CORETYPE": "Prescott", **ARITHMETIC["sse"]}
    arguments = ["check", "--study", study, "--results", str(made.results)]
    answer = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | (older if arithmetic == "sse" else {}),
    )
    assert answer.returncode == made.answers[study].returncode, answer.stderr
    assert "torch was imported" not in answer.stderr
    assert "note: " not in answer.stdout
    assert said(answer) == said(made.answers[study])


def said(answer: Answer) -> list[str]:
    """Premise and hypotheses."""
    lines = answer.stdout.splitlines()
    return [line for line in lines if line.startswith(("PREMISE", "000", "001", "003"))]


Forge = Callable[[dict[str, Any], Path], None]


def a_number_of_the_analysis(document: dict[str, Any], folder: Path) -> None:
    document["study"]["premise"]["estimate"] += 1


def a_finding(document: dict[str, Any], folder: Path) -> None:
    document["study"]["hypotheses"][0]["finding"] = "SUPPORTED"


def an_effect(document: dict[str, Any], folder: Path) -> None:
    path = folder / "effects.csv"
    lines = path.read_text().splitlines(keepends=True)
    cells = lines[1].split(",")
    cells[5] = f"{float(cells[5]) + 1:.6g}"
    path.write_text("".join([lines[0], ",".join(cells), *lines[2:]]))


def a_covariate(document: dict[str, Any], folder: Path) -> None:
    path = folder / "covariates.csv"
    path.write_text(
        path.read_text().replace("qaa,Aanic,Aanic,Aanic,complexity,2", "qaa,A,A,A,complexity,3")
    )


def a_prediction(document: dict[str, Any], folder: Path) -> None:
    path = folder / "predictions" / "mnli" / "seed-1" / "panx" / "test-qaa.tsv"
    lines = path.read_text().splitlines(keepends=True)
    place = next(at for at, line in enumerate(lines) if line.startswith("B-"))
    lines[place] = "O\n"
    path.write_text("".join(lines))


@pytest.fixture
def copy(made: Studies, tmp_path: Path) -> Path:
    """Study 000 alone, to be altered."""
    shutil.copytree(made.results / "study-000.mini", tmp_path / "study-000.mini")
    shutil.copy2(file(made.results, "000"), tmp_path)
    return tmp_path


def forge(results: Path, alter: Forge, *, listed: bool) -> None:
    """Alter something; ``listed``: and write its new hash into the results file."""
    path, folder = file(results, "000"), results / "study-000.mini"
    document = json.loads(path.read_text())
    alter(document, folder)
    for record in document["files"] if listed else ():
        data = (results / record["path"]).read_bytes()
        record |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(document))


def several(document: dict[str, Any], folder: Path) -> None:
    for alter in (a_number_of_the_analysis, a_finding, an_effect, a_covariate):
        alter(document, folder)


@pytest.mark.parametrize(
    ("alter", "named"),
    [
        (
            several,
            (
                "note: analysis: premise.estimate: the file says",
                "note: the file says SUPPORTED for H1; judged NOT EVALUATED",
                "note: effects.csv: not what the predictions give: line 2",
                "note: covariates.csv: not what the predictions give: line 2",
            ),
        ),
        (
            a_prediction,
            ("note: the file says NOT_CHECKABLE for MNLI, NER, qaa; judged NOT_REPRODUCED",),
        ),
    ],
)
def test_what_the_predictions_do_not_give_is_named_and_decides_the_verdict(
    copy: Path, artifact: Run, alter: Forge, named: tuple[str, ...]
) -> None:
    forge(copy, alter, listed=True)
    answer = artifact("check", "--study", "000", "--results", copy)
    assert [text for text in named if text not in answer.stdout] == []
    assert answer.stdout.splitlines()[-1] == "verdict: Study 000 (mini) NOT_REPRODUCED; exit 1"
    assert answer.returncode == 1


@pytest.mark.parametrize(
    ("alter", "name"), [(an_effect, "effects.csv"), (a_prediction, "mnli/seed-1/panx/test-qaa.tsv")]
)
def test_a_file_that_the_results_do_not_list_is_an_integrity_error(
    copy: Path, artifact: Run, alter: Forge, name: str
) -> None:
    forge(copy, alter, listed=False)
    answer = artifact("check", "--results", copy)
    assert answer.returncode == 4
    assert name in answer.stderr


# By another protocol


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this package in which a threshold of study 000 was altered."""
    folder = tmp_path_factory.mktemp("altered")
    package = Path(stilts_artifact.__file__).parent
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(package.parent / "expected_results", folder / "expected_results")
    protocol = folder / "expected_results" / "studies" / "000.yaml"
    text = protocol.read_text()
    assert "delta: 1.0 # F1" in text
    protocol.write_text(text.replace("delta: 1.0 # F1", "delta: 0.1 # F1"))
    return folder


def test_an_altered_protocol_is_named_in_verdict_and_page(
    checkout: Path, made: Studies, artifact: Run, mini_store: Path, tmp_path: Path
) -> None:
    only = (part for row in ROWS["000"] for part in ("--only", row))
    places = ("--results", tmp_path, "--store", mini_store)
    asked = ("study", "000", *only, "--scale", "mini", "--offline", *places)
    answer = artifact(*asked, cwd=checkout)
    assert answer.stdout.splitlines()[1].startswith("ALTERED PROTOCOL. ")
    assert answer.stdout.splitlines()[-1].startswith("verdict: Study 000, altered protocol ")
    assert "steps done" not in answer.stderr, "thresholds train nothing anew"
    assert artifact("report", "--results", tmp_path, cwd=checkout).returncode == answer.returncode
    page = (tmp_path / "report.html").read_text()
    assert "<strong>Altered protocol.</strong>" in page
    explained = artifact("study", "000", "--explain", cwd=checkout)
    assert "altered protocol: it is not the one that ships" in explained.stdout
    # Where the protocol is the one that ships, these findings are not those of the study.
    answer = artifact("check", "--results", tmp_path)
    assert "note: analysis: altered protocol: the file followed one of sha256" in answer.stdout
    assert answer.returncode == 1


# Shown and packed


@pytest.fixture
def shown(copy: Path, artifact: Run) -> tuple[Path, Answer]:
    """A results folder with a page and a crate, and what was said of it."""
    return copy, artifact("report", "--results", copy, "--crate", copy / "crate.zip")


def test_page_and_crate_hold_the_study_and_no_number_of_invented_languages(
    shown: tuple[Path, Answer], artifact: Run
) -> None:
    results, answer = shown
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "verdict: Study 000 (mini) PIPELINE VALID; exit 0"
    verified = artifact("verify", results / "crate.zip")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "note: Study" not in verified.stdout
    if missing_program() is None:
        look_at(results / "report.html")


def look_at(page: Path) -> None:
    """In a browser: nothing fetched, wrong, or wider than the screen."""
    with browse() as browser:
        browser.open(page)
        assert browser.log("browser") == []
        assert {url for url in browser.requested() if url != page.resolve().as_uri()} == set()
        for width in (320, 1200):
            browser.resize(width)
            assert browser.script("return document.documentElement.scrollWidth") <= width
        text = browser.script("return document.body.innerText")
        drawn = browser.script("return document.querySelectorAll('svg[role=img]').length")
    assert "Pipeline valid" in text and "Not evaluated" in text
    assert "No number of this may be cited" in text
    assert drawn > 5
