"""Regression mode: a run's values and the hashes of its labels become what later runs must meet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stilts_artifact.checking.baseline import (
    AVERAGE,
    LANGUAGE,
    UNTRAINED,
    load_measured,
    recorded_labels,
)
from stilts_artifact.checking.expected import load_expected
from stilts_artifact.checking.labels import load_labels
from stilts_artifact.checking.results import load_results
from stilts_artifact.config import load
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import ArtifactError, ConfigError, DataError, IntegrityError
from stilts_artifact.forms import MINING, PAIR
from tests.unit.checking.small import SmallSet, small_benchmark


@pytest.fixture(autouse=True)
def _small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "load_benchmark", lambda *_, **__: small_benchmark())


def edit(small: SmallSet, **values: Any) -> None:
    document = json.loads(small.results_file.read_text())
    document["cells"][1].update(values)
    small.results_file.write_text(json.dumps(document))


def test_every_cell_is_recorded_with_tolerance_seeds_and_signature(small: SmallSet) -> None:
    table = load_expected(small.expected / "mini" / f"{small.experiment}.yaml")
    results = load_results(small.results_file)
    assert (table.scale, table.benchmark) == ("mini", "mini")
    assert list(table.cells) == [cell.key for cell in results.cells]
    for cell in results.cells:
        recorded = table.cells[cell.key]
        assert recorded.value == pytest.approx(cell.value, abs=0.5e-4)
        assert (recorded.decimals, recorded.signature, recorded.n) == (
            4,
            cell.signature,
            len(results.seeds),
        )


def test_tolerances_are_declared_once_by_form_of_task(small: SmallSet) -> None:
    table = load_expected(small.expected / "mini" / f"{small.experiment}.yaml")
    trained = "mnli" if small.experiment == "table2" else "best"
    assert table.tolerances["bucc2018"] == MINING.regression_tolerance
    for key, tolerance in {
        CellKey(trained, "bucc2018"): MINING.regression_tolerance,
        CellKey(trained, "bucc2018", "qaa"): LANGUAGE * MINING.regression_tolerance,
        CellKey("none", "bucc2018"): UNTRAINED,
        CellKey("none", "tatoeba", "qaa"): LANGUAGE * UNTRAINED,
        CellKey("none", "xnli"): PAIR.regression_tolerance,
        CellKey("none", "average" if small.experiment == "table2" else "overall"): AVERAGE,
    }.items():
        assert table.tolerance_of(table.cells[key]) == tolerance


def test_the_environment_stands_in_the_file(small: SmallSet) -> None:
    text = (small.expected / "mini" / f"{small.experiment}.yaml").read_text()
    assert "# environment: python any\n" in text


def test_the_labels_of_other_tables_are_kept(small: SmallSet) -> None:
    results = load_results(small.results_file)
    own = "dev-qaa.tsv" if small.experiment == "table2" else "test-qaa.tsv"
    before = {("120", "xnli/x.tsv"): "0" * 64, ("120", f"xnli/{own}"): "1" * 64}
    lines = recorded_labels(results, before).decode().splitlines()
    assert f"{'0' * 64}\t120\txnli/x.tsv" in lines
    assert not [line for line in lines if line.startswith("1" * 64)]
    assert len(lines) == 1 + len(load_labels(load_scale("mini"))) == 1 + 25


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"value": 1.5}, IntegrityError),
        ({"value": None}, DataError),
        (
            {
                "signature": "xnli|split:train|lang:qaa|metric:m|mv:xtreme-838c13b|seed:0"
                "|scale:mini|v:0"
            },
            ConfigError,
        ),
    ],
)
def test_a_number_that_its_predictions_do_not_give_is_not_recorded(
    small: SmallSet, values: dict[str, Any], error: type[ArtifactError]
) -> None:
    edit(small, **values)
    with pytest.raises(error, match="none/xnli/qaa"):
        load_measured(small.results_file)


def test_a_table_with_cells_left_out_is_not_recorded(small: SmallSet) -> None:
    document = json.loads(small.results_file.read_text())
    del document["cells"][1]
    small.results_file.write_text(json.dumps(document))
    with pytest.raises(DataError, match="leave out"):
        load_measured(small.results_file)


def test_altered_predictions_are_not_recorded(small: SmallSet) -> None:
    path = next((small.run / "predictions").rglob("*.tsv"))
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(IntegrityError):
        load_measured(small.results_file)
