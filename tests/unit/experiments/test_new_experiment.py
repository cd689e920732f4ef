"""A new experiment is one row, one file and expected values: no product code knows its name."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import MappingProxyType

import pytest

from stilts_artifact.benchmark import experiments
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking import expected, sums
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import results_path
from stilts_artifact.checking.sums import refresh_sums
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import DataError
from stilts_artifact.experiments.outcome import reproduce
from stilts_artifact.experiments.session import Machine
from stilts_artifact.experiments.setup import Choices, open_session
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.runs import load_runs
from tests.unit.experiments.example import EXPECTED, ROW


@pytest.fixture
def with_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repository: Path) -> Path:
    """The row in the benchmark's table, and a copy of the expected values to add to."""
    rows = MappingProxyType({**EXPERIMENTS, ROW.name: ROW})
    monkeypatch.setattr(experiments, "EXPERIMENTS", rows)
    monkeypatch.setattr("stilts_artifact.checking.results.EXPERIMENTS", rows)
    root = tmp_path / "expected_results"
    shutil.copytree(repository / "expected_results", root)
    for module in (expected, sums):
        monkeypatch.setattr(module, "expected_root", lambda: root)
    return root


@pytest.mark.parametrize(
    ("off", "verdict"),
    [(None, Verdict.INCONCLUSIVE), (0, Verdict.REPRODUCED), (1, Verdict.NOT_REPRODUCED)],
)
def test_it_is_measured_judged_checked_and_reported(
    with_example: Path, tmp_path: Path, off: int | None, verdict: Verdict
) -> None:
    machine = Machine(tmp_path / "results" / ".store", offline=True)
    session = open_session(ROW, Choices("mini"), machine, tmp_path / "results")
    if off is not None:
        counted = reproduce(session).results.cells[0].value
        assert counted is not None and counted > 100
        text = EXPECTED.replace("VALUE", str(counted + off))
        (with_example / "mini" / "example.yaml").write_text(text)
        refresh_sums(with_example)
    outcome = reproduce(session)
    assert outcome.results.verdict is outcome.asked_for is verdict
    path = results_path(tmp_path / "results", "example", "mini")
    again = recheck(path)
    assert again.results.verdict is verdict and not again.disagreements
    text = render_markdown(load_runs(tmp_path / "results", None))
    assert f"## Example (mini: not evidence about the paper): {verdict}" in text


def test_expected_values_that_are_refused_are_met_before_anything_is_measured(
    with_example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_example / "mini" / "example.yaml"
    path.write_text(EXPECTED.replace("VALUE", "1"))
    refresh_sums(with_example)
    path.unlink()
    monkeypatch.setattr("tests.unit.experiments.example.measure", pytest.fail)
    session = open_session(
        ROW, Choices("mini"), Machine(tmp_path / ".store", offline=True), tmp_path
    )
    with pytest.raises(DataError, match=r"example\.yaml"):
        reproduce(session)
