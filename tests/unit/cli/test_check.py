"""``check``, ``record`` and ``expected`` as a user runs them, on a folder of a made-up Table 2."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import stilts_artifact
from benchmarks.checking import SIZES, make_run
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.expected import ENTERED, expected_root
from tests.conftest import Run

PACKAGE = Path(stilts_artifact.__file__).parent


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole Table 2 of two rows with small files."""
    folder = tmp_path_factory.mktemp("run") / "results"
    make_run(
        folder,
        load_benchmark("mini"),
        "table2",
        ["none", "mnli"],
        (0,),
        {name: 30 for name in SIZES},
    )
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which nothing is recorded of Table 2: made-up labels are as good as any."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(expected_root(), folder / "expected_results")
    expected = folder / "expected_results"
    recorded = [path for path in (expected / "mini").iterdir() if path.name != "table1.yaml"]
    recorded.append(expected / "labels" / "mini.tsv")
    for path in recorded:
        path.unlink()
    sums = expected / "SHA256SUMS"
    kept = [
        line
        for line in sums.read_text().splitlines()
        if not line.endswith(tuple(str(path.relative_to(expected)) for path in recorded))
    ]
    sums.write_text("".join(f"{line}\n" for line in kept))
    return folder


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    shutil.copytree(results, tmp_path / "results")
    return tmp_path / "results"


def test_an_altered_score_is_named_and_decides_the_exit_code(
    artifact: Run, copy: Path, bare: Path
) -> None:
    path = copy / "table2.mini.json"
    document = json.loads(path.read_text())
    document["cells"][1]["value"] += 1
    path.write_text(json.dumps(document))
    run = artifact("check", "--table", "2", "--results", copy, cwd=bare)
    assert run.returncode == 1, run.stderr
    assert "for none/xnli/qaa; judged NOT_REPRODUCED: the file says" in run.stdout
    assert run.stdout.splitlines()[-1] == "verdict: Table 2 (mini) NOT_REPRODUCED; exit 1"


def test_altered_predictions_are_an_integrity_error(artifact: Run, copy: Path, bare: Path) -> None:
    path = copy / "table2.mini" / "predictions" / "mnli" / "seed-0" / "tatoeba" / "test-qaa.tsv"
    path.write_text(path.read_text() + "1\n")
    run = artifact("check", "--results", copy, cwd=bare)
    assert run.returncode == 4
    assert str(path) in run.stderr


def test_claims_alone(artifact: Run, results: Path, bare: Path) -> None:
    run = artifact("check", "--claims", "--results", results, cwd=bare)
    assert run.returncode == 6, run.stderr  # at the mini scale no claim is decided
    assert "claims at scale mini:" in run.stdout
    assert "best-gain" in run.stdout


def test_everything_at_once_includes_the_sums(artifact: Run, results: Path, bare: Path) -> None:
    run = artifact("check", "--all", "--results", results, "--json", cwd=bare)
    [summary] = json.loads(run.stdout)
    assert (summary["experiment"], summary["scale"]) == ("table2", "mini")
    assert "improves" in summary["claims"]
    assert "files have their recorded sums" in run.stderr


def test_neither_torch_nor_the_trainer_is_imported(
    artifact: Run, results: Path, bare: Path
) -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom pathlib import Path\n"
        "from stilts_artifact.checking.recheck import recheck\n"
        f"recheck(Path({str(results / 'table2.mini.json')!r}))\n"
        "heavy = ('torch', 'transformers', 'datasets', 'faiss', 'scipy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=bare
    )
    assert finished.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all", "--claims"],
        ["--table", "2", "--all"],
        ["--table", "2", "--claims"],
        ["--table", "4"],
    ],
)
def test_options_that_exclude_each_other(
    artifact: Run, results: Path, arguments: list[str]
) -> None:
    assert artifact("check", "--results", results, *arguments).returncode == 2


def test_a_value_is_entered_and_the_sums_follow(artifact: Run, tmp_path: Path) -> None:
    shutil.copytree(expected_root(), tmp_path / "expected")
    path = tmp_path / "expected" / "paper" / "table2.yaml"
    arguments = [
        "expected",
        "set",
        "--table",
        "2",
        "--cell",
        "mnli,xnli",
        "--source",
        "p. 5",
        "--expected",
        path,
    ]
    run = artifact(*arguments, "80.1")
    assert run.returncode == 0, run.stderr
    beside = path.with_name(ENTERED)
    assert run.stdout.splitlines()[-1] == f"verdict: 1 of 1 cells changed in {beside}"
    assert artifact(*arguments, "80.2").returncode == 2
    beside.write_text(beside.read_text().replace("80.1", "80.9"))
    assert artifact(*arguments, "80.9").returncode == 4


@pytest.mark.parametrize(
    "arguments", [[], ["80.1"], ["--cell", "mnli,xnli"], ["--csv", "x", "--cell", "mnli,xnli"]]
)
def test_an_entry_is_a_cell_with_a_value_or_a_file(artifact: Run, arguments: list[str]) -> None:
    run = artifact("expected", "set", "--table", "2", *arguments)
    assert run.returncode == 2
    assert "nothing to enter, or too much" in run.stderr


def test_the_shipped_sums_hold(artifact: Run) -> None:
    run = artifact("expected", "sums", "--check")
    assert run.returncode == 0, run.stderr
