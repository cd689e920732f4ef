"""Which rows an effect takes: those that were run; and what it says of those that were not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.checking import make_files
from stilts_artifact.benchmark.experiments import experiment_named
from stilts_artifact.studies.effects import Effects, Measures, Runs
from stilts_artifact.studies.protocol import EffectDefinition
from tests.unit.checking.small import small_benchmark

ROWS, SEEDS = ("none", "mnli", "ccg"), (1, 2)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Of three rows that were asked for; each may be taken away."""
    benchmark, study = small_benchmark(), experiment_named("study-000")
    make_files(tmp_path, benchmark, study.name, ROWS, SEEDS, {"panx": 20})
    return Runs(tmp_path, benchmark, study, ROWS, SEEDS)


def gain(runs: Runs, *, some: bool) -> Effects:
    terms = [{"rows": ["mnli", "ccg"], "any": some}, {"rows": ["none"], "weight": -1}]
    told = {"measures": [["panx"]], "terms": terms}
    return Measures(runs, 50).effects(EffectDefinition.model_validate(told), "points")


def without(runs: Runs, *rows: str) -> None:
    for row in rows:
        shutil.rmtree(runs.folder / "predictions" / row)


def test_a_licensed_task_that_could_not_be_trained_on_is_left_out(runs: Runs) -> None:
    """Its row was asked for, with all others, and so stands in the results."""
    whole = gain(runs, some=True)
    assert whole.averaged == (("mnli", "ccg"),)
    without(runs, "ccg")
    found = gain(runs, some=True)
    assert (found.missing, found.averaged) == ((), (("mnli",),))
    assert found.languages() == whole.languages() == ("qaa", "qac")
    assert found.mean("qaa").value != whole.mean("qaa").value


def test_a_row_that_cannot_be_done_without_is_named(runs: Runs) -> None:
    without(runs, "ccg")
    [missing] = gain(runs, some=False).missing
    assert missing == "panx in any language (panx: no predictions of ccg)"
    without(runs, "mnli")
    assert gain(runs, some=True).missing == ("row mnli, ccg",)
    without(runs, "none")
    [missing] = gain(runs, some=True).missing
    assert missing == "panx in any language (no predictions there)"


def test_data_that_are_not_here_are_named_and_not_the_rows(runs: Runs) -> None:
    shutil.rmtree(runs.folder / "labels")
    [missing] = gain(runs, some=False).missing
    assert missing == "panx in any language (its data were not on this machine)"


def test_a_language_that_a_row_has_not_is_left_out_by_itself(runs: Runs) -> None:
    [file] = (runs.folder / "predictions" / "mnli" / "seed-2").rglob("*qac*")
    file.unlink()
    found = gain(runs, some=False)
    assert found.languages() == ("qaa",)
    assert found.lacking == {"qac": "panx: no predictions of mnli"}
