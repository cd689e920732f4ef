"""The calibration: published cells of the untuned encoder, by the definition they are of."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.asked import wanted_cells
from stilts_artifact.benchmark.experiments import EXPERIMENTS, NONE, row_named
from stilts_artifact.checking.expected import load_expected
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.experiments.scored import request
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.metrics.tables import table_columns
from stilts_artifact.model.hub import PhaseOne
from tests.unit.experiments.conftest import nothing_missing

CALIBRATION = EXPERIMENTS["calibration"]
XTREME = load_benchmark("xtreme")


@pytest.fixture(scope="module")
def published(repository: Path) -> dict[CellKey, float | None]:
    table = load_expected(repository / "expected_results" / "paper" / "calibration.yaml")
    return {key: cell.value for key, cell in table.cells.items()}


@pytest.mark.parametrize("column", ["bucc2018", "tatoeba"])
def test_the_published_means_are_those_of_the_published_cells(
    published: dict[CellKey, float | None], column: str
) -> None:
    of_languages = [
        value for key, value in published.items() if key.column == column and key.language and value
    ]
    assert published[CellKey(NONE, column)] == pytest.approx(fmean(of_languages), abs=0.05)


def test_measured_and_published_cells_are_the_same(
    published: dict[CellKey, float | None],
) -> None:
    cells = {
        CellKey(NONE, column.name, language)
        for column in table_columns(XTREME, CALIBRATION)
        for language in (None, *column.languages(CALIBRATION))
    }
    assert cells == set(published)
    assert len(cells) == 42


def test_the_definition_is_the_published_one() -> None:
    builder = StepBuilder(
        XTREME,
        load_scale("paper"),
        PhaseOne("any", "a" * 40, {}),
        dict.fromkeys(XTREME.sources, "0" * 64),
    )
    wanted = wanted_cells(XTREME, CALIBRATION, [])
    assert {row for row, _ in wanted} == {row_named(XTREME, NONE)}
    asked = request(builder, CALIBRATION, wanted, nothing_missing)
    assert {step.inputs["encoder"].kind for step in asked.predictions.values()} == {"encoder"}
    splits = {key.task: step.params["split"] for key, step in asked.predictions.items()}
    assert splits == {"bucc2018": "dev", "tatoeba": "test"}
    for step in asked.predictions.values():
        options = step.params["options"]
        kept = {name: options[name] for name in ("layer", "pooling", "max_length", "dtype")}
        assert kept == {"layer": 14, "pooling": "mean", "max_length": 256, "dtype": "float32"}
        assert (options["neighbours"], options["margin"]) == (4, "ratio")
