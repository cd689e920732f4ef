"""An edit of an expected value is noticed, whoever makes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from stilts_artifact.checking.expected import load_expected
from stilts_artifact.checking.sums import (
    SUMS,
    expected_root,
    read_protected,
    read_sums,
    refresh_sums,
    sums_root,
    verify_sums,
)
from stilts_artifact.errors import ArtifactError, DataError, IntegrityError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "expected_results"
    shutil.copytree(expected_root(), folder)
    refresh_sums(folder)
    return folder


def test_the_shipped_sums_are_those_of_the_shipped_files() -> None:
    """After an edit that is meant: ``stilts-artifact expected sums --write``."""
    assert verify_sums(expected_root()) >= 5


def test_sha256sum_checks_them(root: Path) -> None:
    finished = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=root, capture_output=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_one_edited_digit_is_noticed(root: Path) -> None:
    path = root / "paper" / "table1.yaml"
    load_expected(path)
    text = path.read_text()
    path.write_text(text.replace("value: 5010", "value: 5011", 1))
    assert path.read_text() != text
    with pytest.raises(IntegrityError, match="not the recorded ones") as caught:
        load_expected(path)
    assert caught.value.where == str(path)
    with pytest.raises(IntegrityError):
        verify_sums(root)


def test_a_link_to_an_edited_copy_elsewhere_is_noticed(root: Path, tmp_path: Path) -> None:
    path, copy = root / "paper" / "table2.yaml", tmp_path / "table2.yaml"
    copy.write_bytes(path.read_bytes().replace(b"71.5", b"71.6", 1))
    path.unlink()
    path.symlink_to(copy)
    with pytest.raises(IntegrityError, match=r"table2\.yaml"):
        read_protected(path)


def test_a_file_without_a_sum_is_refused(root: Path) -> None:
    path = root / "mini" / "new.yaml"
    path.write_text("a: 1\n")
    with pytest.raises(IntegrityError):
        read_protected(path)
    with pytest.raises(IntegrityError):
        verify_sums(root)


def test_a_removed_file_is_noticed(root: Path) -> None:
    (root / "claims.yaml").unlink()
    with pytest.raises(IntegrityError, match="gone"):
        verify_sums(root)


def test_every_file_that_differs_is_named(root: Path) -> None:
    with (root / "paper" / "table2.yaml").open("a") as file:
        file.write("# edited\n")
    (root / "claims.yaml").unlink()
    (root / "mini" / "new.yaml").write_text("a: 1\n")
    with pytest.raises(IntegrityError) as caught:
        verify_sums(root)
    said = ["claims.yaml: gone", "mini/new.yaml: added", "paper/table2.yaml: edited"]
    assert (caught.value.got or "").splitlines() == said


def test_removing_the_sums_does_not_help(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stilts_artifact.checking import sums

    monkeypatch.setattr(sums, "expected_root", lambda: root.resolve())
    (root / SUMS).unlink()
    with pytest.raises(IntegrityError, match="no sums"):
        read_protected(root / "paper" / "table1.yaml")


def test_a_file_elsewhere_is_its_owners_business(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("a: 1\n")
    assert sums_root(path) is None
    assert read_protected(path) == b"a: 1\n"


def test_refreshing_one_file_does_not_excuse_another(root: Path) -> None:
    for name in ("claims.yaml", "paper/table1.yaml"):
        with (root / name).open("a") as file:
            file.write("# edited\n")
    assert refresh_sums(root, [root / "claims.yaml"]) == ["claims.yaml"]
    read_protected(root / "claims.yaml")
    with pytest.raises(IntegrityError):
        read_protected(root / "paper" / "table1.yaml")
    assert refresh_sums(root) == ["paper/table1.yaml"]
    assert refresh_sums(root) == []


@pytest.mark.parametrize(
    "text", ["abc  claims.yaml\n", "{0}  a\n{0}  a\n", "{0} claims.yaml\n", "{0}  /etc/passwd\n"]
)
def test_malformed_sums_are_refused_by_line(root: Path, text: str) -> None:
    (root / SUMS).write_text(text.format("0" * 64))
    with pytest.raises(DataError, match=rf"{SUMS}:\d"):
        read_sums(root)


def test_an_error_names_the_command_that_mends_it(root: Path) -> None:
    with (root / "claims.yaml").open("a") as file:
        file.write("# edited\n")
    with pytest.raises(ArtifactError) as caught:
        read_protected(root / "claims.yaml")
    assert "stilts-artifact expected sums --write" in (caught.value.fix or "")
