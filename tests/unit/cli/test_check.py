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


@pytest.mark.slow
def test_an_altered_score_is_named_and_decides_the_exit_code(
    artifact: Run, copy: Path, bare: Path
) -> None:
    path = copy / "table2.mini.json"
    document = json.loads(path.read_text())
    document["cells"][1]["value"] += 1
    path.write_text(json.dumps(document))
    run = artifact("check", "--table", "2", "--results", copy, cwd=bare)
    assert run.returncode == 1, run.stderr
    assert "for XLM-R, XNLI, qaa; judged NOT_REPRODUCED: the file says" in run.stdout
    assert run.stdout.splitlines()[-1] == "verdict: Table 2 (mini) NOT_REPRODUCED; exit 1"


@pytest.mark.slow
def test_altered_predictions_are_an_integrity_error(artifact: Run, copy: Path, bare: Path) -> None:
    path = copy / "table2.mini" / "predictions" / "mnli" / "seed-0" / "tatoeba" / "test-qaa.tsv"
    path.write_text(path.read_text() + "1\n")
    run = artifact("check", "--results", copy, cwd=bare)
    assert run.returncode == 4
    assert str(path) in run.stderr


@pytest.mark.slow
def test_claims_alone(artifact: Run, results: Path, bare: Path) -> None:
    run = artifact("check", "--claims", "--results", results, cwd=bare)
    assert run.returncode == 6, run.stderr  # at the mini scale no claim is decided
    assert "claims at scale mini:" in run.stdout
    assert "best-gain" in run.stdout


@pytest.mark.slow
def test_everything_at_once_includes_the_sums(artifact: Run, results: Path, bare: Path) -> None:
    run = artifact("check", "--all", "--results", results, "--json", cwd=bare)
    [summary] = json.loads(run.stdout)
    assert (summary["experiment"], summary["scale"]) == ("table2", "mini")
    assert "improves" in summary["claims"]
    assert "files have their recorded sums" in run.stderr


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [[], ["80.1"], ["--cell", "mnli,xnli"], ["--csv", "x", "--cell", "mnli,xnli"]]
)
def test_an_entry_is_a_cell_with_a_value_or_a_file(artifact: Run, arguments: list[str]) -> None:
    run = artifact("expected", "set", "--table", "2", *arguments)
    assert run.returncode == 2
    assert "nothing to enter, or too much" in run.stderr


@pytest.mark.slow
def test_the_progress_is_said_after_an_entry(artifact: Run, tmp_path: Path) -> None:
    shutil.copytree(expected_root(), tmp_path / "expected")
    path = tmp_path / "expected" / "paper" / "table2.yaml"
    asked = ["--table", "2", "--expected", path]
    before = artifact("expected", "template", *asked)
    assert before.stderr.splitlines()[-1] == "2 of 352 cells of Table 2 have a value"
    values = tmp_path / "cells.csv"
    values.write_text(before.stdout.replace("MNLI,POS,,,,", "MNLI,POS,,75.1,p. 5,"))
    run = artifact("expected", "set", *asked, "--csv", values)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[:2] == [
        "entered mnli/udpos",
        "3 of 352 cells of Table 2 have a value",
    ]
    assert "mnli/udpos" not in artifact("expected", "template", *asked).stdout


@pytest.mark.slow
def test_a_table_that_the_paper_does_not_have_has_no_template(artifact: Run) -> None:
    run = artifact("expected", "template", "--table", "2-test")
    assert run.returncode == 2
    assert "no file of expected cells for Table 2 on test data" in run.stderr
    assert run.stdout == ""


@pytest.mark.slow
def test_sums_are_checked_and_written_only_on_request(
    artifact: Run, bare: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(bare, checkout)
    root = checkout / "expected_results"
    assert artifact("expected", "sums", cwd=checkout).returncode == 0
    with (root / "claims.yaml").open("a") as file:
        file.write("# edited\n")
    before = (root / "SHA256SUMS").read_bytes()
    run = artifact("expected", "sums", cwd=checkout)
    assert run.returncode == 4
    assert "claims.yaml: edited" in run.stderr
    assert (root / "SHA256SUMS").read_bytes() == before
    run = artifact("expected", "sums", "--write", cwd=checkout)
    assert run.stdout.splitlines()[0] == "changed claims.yaml"
    assert artifact("expected", "sums", cwd=checkout).returncode == 0


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel installs it: the expected values are inside."""
    folder = tmp_path_factory.mktemp("site-packages")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(expected_root(), folder / PACKAGE.name / "expected_results")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (
            ["expected", "set", "--table", "2", "--cell", "MNLI,POS", "75.1", "--source", "p. 5"],
            "--expected COPY/paper/table2.yaml",
        ),
        (["record", "--table", "2"], "in a checkout"),
    ],
)
def test_an_installed_package_is_not_changed_without_being_asked(
    artifact: Run, installed: Path, arguments: list[str], fix: str
) -> None:
    root = installed / PACKAGE.name / "expected_results"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    run = artifact(*arguments, cwd=installed)
    assert run.returncode == 2, run.stderr
    assert "installed package, which is not changed" in run.stderr
    assert str(root) in run.stderr
    assert fix in run.stderr
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_an_installed_package_enters_values_into_a_copy(
    artifact: Run, installed: Path, tmp_path: Path
) -> None:
    shutil.copytree(installed / PACKAGE.name / "expected_results", tmp_path / "copy")
    path = tmp_path / "copy" / "paper" / "table2.yaml"
    entry = ["--cell", "MNLI,POS", "75.1", "--source", "p. 5", "--expected", path]
    run = artifact("expected", "set", "--table", "2", *entry, cwd=installed)
    assert run.returncode == 0, run.stderr
    assert path.with_name(ENTERED).is_file()
