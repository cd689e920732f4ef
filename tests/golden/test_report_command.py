"""``report`` and ``verify`` on a whole mini run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(
    artifact: Run,
    mini_run: tuple[Path, subprocess.CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Results folder with a page and a crate in it, and what ``report`` said."""
    results = tmp_path_factory.mktemp("report") / "results"
    results.mkdir()
    shutil.copy2(mini_run[0] / "table1.mini.json", results)
    return results, artifact("report", "--results", results, "--crate", results / "crate.zip")


def test_a_page_and_a_crate_are_written(
    made: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    results, answer = made
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "verdict: Table 1 (mini) REPRODUCED; exit 0"
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    linked = re.findall(r'href="(report-tables/[^"]+)"', page)
    assert sorted(linked) == ["report-tables/table1.mini.csv", "report-tables/table1.mini.tex"]
    assert all((results / name).stat().st_size for name in linked)
    with zipfile.ZipFile(results / "crate.zip") as crate:
        assert set(linked) <= set(crate.namelist())


def test_another_run_stands_beside_it(
    artifact: Run, made: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy2(made[0] / "table1.mini.json", other)
    out = tmp_path / "page.html"
    answer = artifact("report", "--results", made[0], "--against", other, "--out", out)
    assert answer.returncode == 0, answer.stderr
    assert "153 cells in both, 153 of them equal" in out.read_text(encoding="utf-8")


def test_the_crate_is_verified_from_elsewhere(
    artifact: Run, made: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    crate = shutil.copy(made[0] / "crate.zip", tmp_path / "a crate.zip")
    answer = artifact("verify", crate, "--json")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    judged = [(table["experiment"], table["verdict"]) for table in found["tables"]]
    assert judged == [("table1", "REPRODUCED")]
    with zipfile.ZipFile(crate) as archive:
        files = [name for name in archive.namelist() if not name.endswith("/")]
    assert found["files"] == len(files) - 1


def test_a_changed_crate_is_an_integrity_error(
    artifact: Run, made: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    with (
        zipfile.ZipFile(made[0] / "crate.zip") as old,
        zipfile.ZipFile(tmp_path / "new.zip", "w") as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            new.writestr(
                name,
                data.replace(b'"value": 7749', b'"value": 7750')
                if name.endswith(".mini.json")
                else data,
            )
    answer = artifact("verify", tmp_path / "new.zip")
    assert answer.returncode == 4
    assert "table1.mini.json" in answer.stderr


def test_markdown_and_wrong_names(
    artifact: Run, made: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    answer = artifact("report", "--results", made[0], "--out", tmp_path / "report.md")
    assert answer.returncode == 0
    assert (
        (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# Reproduction report\n")
    )
    assert (
        artifact("report", "--results", made[0], "--out", tmp_path / "report.pdf").returncode == 2
    )
    both = ("--against", made[0], "--out", tmp_path / "report.md")
    assert artifact("report", "--results", made[0], *both).returncode == 2
    empty = artifact("report", "--results", tmp_path / "none")
    assert empty.returncode == 3
    assert "stilts-artifact reproduce --table 1" in empty.stderr
    assert artifact("verify", tmp_path / "none.zip").returncode == 3


def test_what_was_not_reproduced_is_told_by_the_exit_code(
    artifact: Run, made: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    text = (made[0] / "table1.mini.json").read_text(encoding="utf-8")
    (results / "table1.mini.json").write_text(
        text.replace('"value": 7749', '"value": 7750', 1), encoding="utf-8"
    )
    answer = artifact("report", "--results", results)
    assert answer.returncode == 1
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Not reproduced</span>" in page
    assert "the file says REPRODUCED for ANLI+, train, qen" in page
