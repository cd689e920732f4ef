"""``reproduce --own-data``, end to end, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split
from stilts_artifact.files import hash_file
from stilts_artifact.forms import PAIR
from stilts_artifact.miniworld import build
from tests.conftest import Run

pytestmark = pytest.mark.slow

TRAIN, DEV = "mnli.train-qen.tsv", "xnli.dev-qaa.tsv"
NAME = "table2.mini-own"
Reproduced = tuple[Path, "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mini world's own examples, as somebody would bring them: fewer, and in plain files."""
    base, mini = tmp_path_factory.mktemp("own"), load_benchmark("mini")
    folder, brought = base / "data", base / "brought"
    for made in (folder, brought):
        made.mkdir()
    for name in ("MNLI.zip", "XNLI-1.0.zip"):
        (brought / name).write_bytes(build(name))
    library = Library(mini.sources, FileStore(base / "store"), [brought])
    for name, split, language, count in (
        ("mnli", Split.TRAIN, "qen", 300),
        ("xnli", Split.DEV, "qaa", 60),
    ):
        examples = PAIR.read(mini.tasks[name], split, language, library)[:count]
        lines = (f"{one.first}\t{one.second}\t{one.label}\n" for one in examples)
        (folder / f"{name}.{split}-{language}.tsv").write_text("".join(lines), encoding="utf-8")
    (folder / "README.md").write_text("What these files are.\n")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def ask(
    artifact: Run, own: Path, results: Path, store: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    asked = ("--table", "2", "--scale", "mini", "--only", "none,xnli", *more)
    places = ("--own-data", own, "--results", results, "--store", store)
    return artifact("reproduce", *asked, *places, "--offline")


@pytest.fixture(scope="module")
def reproduced(
    artifact: Run, own: Path, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Reproduced:
    results = tmp_path_factory.mktemp("results")
    more = ("--only", "none,tatoeba", "--only", "mnli,tatoeba")
    return results, ask(artifact, own, results, store, *more)


def document(results: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / f"{NAME}.json").read_text())
    return found


def test_a_run_on_own_data_says_so_of_every_cell_and_ends_with_6(
    reproduced: Reproduced, own: Path
) -> None:
    results, run = reproduced
    assert run.returncode == 6, run.stderr
    assert run.stdout.startswith("scale: mini-own: own choices, not evidence about the paper")
    found = document(results)
    cells = {
        (cell["row"], cell["column"], cell.get("language")): cell
        for cell in found["cells"]
        if cell["value"] is not None
    }
    assert {cell["verdict"] for cell in cells.values()} == {"NOT_CHECKABLE"}
    assert {cell["expected"] for cell in cells.values()} == {None}
    reasons = {place: cell["reason"] for place, cell in cells.items()}
    assert reasons["none", "xnli", "qab"] == f"it rests on own data, unpinned: {TRAIN}"
    assert reasons["mnli", "tatoeba", "qab"] == f"it rests on own data, unpinned: {TRAIN}"
    assert "own data" not in reasons["none", "tatoeba", "qab"]
    inputs = {used["source"]: used for used in found["inputs"]}
    for name in (TRAIN, DEV):
        assert inputs[name]["satisfied_by"] == "data folder, by name (unpinned)"
        assert inputs[name]["sha256"] == hash_file(own / name).sha256
    # Nothing of MNLI itself was read; what XNLI's checkpoint is chosen on is the benchmark's.
    assert "MNLI.zip" not in inputs and "XNLI-1.0.zip" in inputs
    assert found["definition"]["own_data"] == [TRAIN, DEV]


def test_the_labels_are_those_of_the_own_file(reproduced: Reproduced, own: Path) -> None:
    labels = reproduced[0] / NAME / "labels" / "xnli" / "dev-qaa.tsv"
    written = (own / DEV).read_text().splitlines()
    assert labels.read_text().splitlines() == [line.split("\t")[2] for line in written]


def test_check_recomputes_it_without_torch_and_without_the_files(
    reproduced: Reproduced, artifact: Run
) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from stilts_artifact.cli.app import app; app()"
    )
    results = str(reproduced[0])
    command = [sys.executable, "-c", program, "check", "--results", results]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 6, checked.stderr
    note = f"note: unpinned: own data in place of the benchmark's: {TRAIN}, {DEV}; nothing"
    assert note in checked.stdout
    assert f"it rests on own data, unpinned: {TRAIN}" in checked.stdout
    # Whatever it is asked to hold it against.
    baseline = "expected_results/mini/table2.yaml"
    held = artifact("check", "--results", results, "--expected", baseline, "--json")
    [summary] = json.loads(held.stdout)
    assert set(summary["cells"]) == {"NOT_CHECKABLE", "NOT_RUN"}


def test_the_same_bytes_share_their_steps_and_others_do_not(
    reproduced: Reproduced, artifact: Run, own: Path, store: Path, tmp_path: Path
) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    for folder in (same, other):
        folder.mkdir()
        for name in (TRAIN, DEV):
            (folder / name).write_bytes((own / name).read_bytes())
    (other / DEV).write_text("\n".join((own / DEV).read_text().splitlines()[:30]) + "\n")
    listed = ask(artifact, same, tmp_path / "results", store, "--dry-run").stdout
    assert "0 of " in listed.splitlines()[-1]
    listed = ask(artifact, other, tmp_path / "results", store, "--dry-run").stdout
    ran = {line.split()[1] for line in listed.splitlines() if line.startswith("run ")}
    assert ran == {"prepare", "predict", "labels"}


def test_a_bad_line_is_named_and_ends_the_run_with_3(
    artifact: Run, own: Path, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / DEV).write_text("a\tb\tneutral\nc\td\tmaybe\n")
    run = ask(artifact, folder, tmp_path / "results", store)
    assert run.returncode == 3
    assert f"{DEV}:2" in run.stdout + run.stderr
    assert "'maybe'" in run.stdout + run.stderr


def test_a_file_that_stands_for_nothing_is_refused_before_anything_runs(
    artifact: Run, own: Path, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "xnli.dev-qax.tsv").write_text("a\tb\tneutral\n")
    run = ask(artifact, folder, tmp_path / "results", store)
    assert run.returncode == 2
    assert "did you mean 'xnli.dev-qa" in run.stderr
    assert not (tmp_path / "results").exists()
