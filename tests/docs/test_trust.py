"""What a check proves, and what it does not, is said in the same words wherever verdicts are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stilts_artifact.checking.recheck import CONSISTENT, TRUST
from stilts_artifact.cli.app import app
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import Run
from tests.conftest import Stock
from tests.unit.reporting.synthetic import table1

ROOT = Path(__file__).resolve().parents[2]


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("&#39;", "'"))


@pytest.mark.parametrize("name", ["docs/verdicts.md", "docs/library.md"])
def test_documents_say_that_a_check_proves_consistency_only(name: str) -> None:
    assert f"{CONSISTENT} {TRUST}" in words((ROOT / name).read_text(encoding="utf-8"))


def test_reports_say_that_a_check_proves_consistency_only() -> None:
    runs = [Run(table1(), "table1.mini.json", "0" * 64)]
    for text in (render_page(runs), render_markdown(runs)):
        assert f"{CONSISTENT} {TRUST}" in words(text)


@pytest.mark.slow
def test_check_and_verify_say_that_they_prove_consistency_only(
    stocked: Stock, tmp_path: Path
) -> None:
    stocked(tmp_path / ".store")
    run = CliRunner()
    results, crate = str(tmp_path), tmp_path / "crate.zip"
    made = run.invoke(app, ["reproduce", "--table", "1", "--scale", "mini", "--results", results])
    assert made.exit_code == 0, made.output
    checked = run.invoke(app, ["check", "--results", results])
    run.invoke(app, ["report", "--results", results, "--crate", str(crate)])
    verified = run.invoke(app, ["verify", str(crate)])
    for answer in (checked, verified):
        assert f"{CONSISTENT} {TRUST}" in words(answer.output)
        assert answer.output.splitlines()[-1].startswith("verdict:")
