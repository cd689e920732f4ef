"""Whenever a publisher is killed, ``check``, reports and crates find the old results or the new."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.checking import cell_of, file_records
from stilts_artifact import files
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import Results, dump_results, load_results
from stilts_artifact.files import publish_together
from stilts_artifact.metrics.tables import table_values
from stilts_artifact.reporting.crate import write_crate
from stilts_artifact.reporting.runs import load_runs
from stilts_artifact.reporting.verify import verify_crate
from tests.unit.checking.conftest import small_sets  # noqa: F401  (a fixture)
from tests.unit.checking.small import small_benchmark
from tests.unit.reporting.conftest import passing  # noqa: F401  (a fixture)
from tests.unit.test_files import instants, killed, names

NAME, TASK = "table2.mini", "tatoeba"


@dataclass(frozen=True)
class Version:
    """A results file and the folder of its files."""

    results: Results
    folder: Path

    def publish(self, results: Path) -> None:
        with publish_together(results / f"{NAME}.json", results / NAME) as publication:
            shutil.copytree(self.folder, publication.made, dirs_exist_ok=True)
            publication.commit(dump_results(self.results))


@pytest.fixture
def versions(passing: Callable[[str], Path], tmp_path: Path) -> dict[str, Version]:  # noqa: F811
    """Two results of one column whose predictions differ."""
    whole = passing("table2")
    stored = load_results(whole / f"{NAME}.json")
    return {row: _version(row, whole, stored, tmp_path / row) for row in ("none", "mnli")}


def _version(row: str, whole: Path, stored: Results, base: Path) -> Version:
    """Results of the untrained row with the predictions of any row."""
    folder = base / NAME
    shutil.copytree(whole / NAME / "labels" / TASK, folder / "labels" / TASK)
    source = whole / NAME / "predictions" / row / "seed-0" / TASK
    shutil.copytree(source, folder / "predictions" / "none" / "seed-0" / TASK)
    benchmark, experiment = small_benchmark(), EXPERIMENTS["table2"]
    values = table_values(folder, benchmark, experiment, ["none"], stored.seeds)
    cells = [
        cell_of(benchmark, "table2", key, value, stored.seeds)
        for key, value in values.items()
        if value.value is not None
    ]
    changed = {"cells": cells, "rows": stored.rows[:1], "files": file_records(base, folder)}
    return Version(stored.model_copy(update={**changed, "asked": [[row]]}), folder)


@pytest.mark.slow
def test_check_finds_whole_results_whenever_their_publisher_was_killed(
    versions: dict[str, Version], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    found = set()

    def run(instant: int) -> bool:
        shutil.rmtree(results, ignore_errors=True)
        versions["none"].publish(results)
        dead = killed(lambda: versions["mnli"].publish(results), instant)
        judged = recheck(results / f"{NAME}.json")
        ((row,),) = judged.results.asked
        found.add(row)
        own = {cell.key: cell.value for cell in versions[row].results.cells}
        judged_values = {cell.key: cell.value for cell in judged.results.cells}
        assert {key: judged_values[key] for key in own} == own
        return dead

    assert instants(run) > 50
    assert found == {"none", "mnli"}


@pytest.mark.slow
def test_reports_and_crates_find_the_files_of_results_that_were_cut_short(
    versions: dict[str, Version], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    versions["none"].publish(results)
    with monkeypatch.context() as patch:
        patch.setattr(files, "_settle", lambda *_: None)  # as if killed after the file's rename
        versions["mnli"].publish(results)
    hidden = [name for name in names(results) if name.startswith(f".{NAME}.")]
    assert len(hidden) == 1
    runs = load_runs(results)
    assert runs[0].results.asked == [["mnli"]]
    assert runs[0].intervals.scores
    write_crate(tmp_path / "crate.zip", results, runs)
    assert verify_crate(tmp_path / "crate.zip").tables[0].results.asked == [["mnli"]]
    assert hidden[0] in names(results), "who only reads changes nothing"
    versions["none"].publish(results)
    assert names(results) == [NAME, f"{NAME}.json"]


@pytest.mark.slow
def test_a_check_during_a_publication_looks_again(
    versions: dict[str, Version], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stilts_artifact.checking import recheck as module

    results = tmp_path / "results"
    versions["none"].publish(results)
    original, late = module.recompute, ["mnli"]

    def overtaken(*arguments: object) -> object:
        if late:
            versions[late.pop()].publish(results)
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "recompute", overtaken)
    assert recheck(results / f"{NAME}.json").results.asked == [["mnli"]]
    assert not late
