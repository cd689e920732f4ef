"""The paper's Tables 2 and 3 as shipped: every cell is there, each value with its public source."""

from __future__ import annotations

import math

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import (
    AVERAGE,
    BEST,
    GROUPS,
    NONE,
    OVERALL,
    experiment_named,
    rows,
)
from stilts_artifact.checking.expected import ExpectedTable, expected_path, load_expected
from stilts_artifact.checking.statistics import (
    Spread,
    binomial_error,
    difference_noise,
    mean_error,
    probabilities,
)
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.forms import form_of

XTREME = load_benchmark("xtreme")
SCORES = [
    column
    for task in experiment_named("table2").targets(XTREME)
    for column in form_of(task).columns(task)
]
LAYOUT = {
    "table2": [CellKey(row.name, column) for row in rows(XTREME) for column in (*SCORES, AVERAGE)],
    "table3": [
        CellKey(row, column) for row in (NONE, BEST) for column in (*SCORES, *GROUPS, OVERALL)
    ],
}


def shipped(experiment: str) -> ExpectedTable:
    return load_expected(expected_path("paper", experiment))


@pytest.mark.parametrize("experiment", ["table2", "table3"])
def test_the_cells_are_exactly_rows_times_columns(experiment: str) -> None:
    expected = shipped(experiment)
    assert (expected.experiment, expected.benchmark, expected.scale) == (
        experiment,
        "xtreme",
        "paper",
    )
    assert list(expected.cells) == LAYOUT[experiment]
    assert (
        set(expected.noise)
        == set(expected.tolerances)
        == {key.column for key in LAYOUT[experiment]}
    )


def test_table_2_has_the_two_values_that_a_public_source_has() -> None:
    values = {
        str(key): cell.value
        for key, cell in shipped("table2").cells.items()
        if cell.value is not None
    }
    assert values == {"none/bucc2018": 71.5, "none/tatoeba": 31.0}


def test_the_baseline_of_table_2_is_the_mean_of_the_calibration_cells() -> None:
    calibration = load_expected(expected_path("paper", "calibration"))
    for column, decimals in (("bucc2018", 1), ("tatoeba", 1)):
        values = [
            cell.value or 0 for key, cell in calibration.cells.items() if key.column == column
        ]
        reported = shipped("table2").cells[CellKey(NONE, column)].value
        assert reported == pytest.approx(sum(values) / len(values), abs=0.5 * 10**-decimals + 1e-9)


def test_table_3_has_the_values_of_the_public_copies_and_no_recalled_one() -> None:
    cells = shipped("table3").cells
    rounded = {"xquad": (68.7, 71.0), "mlqa": (62.4, 63.05), "tydiqa": (55.05, 67.75)}
    for task, (none, best) in rounded.items():
        for row, value in ((NONE, none), (BEST, best)):
            parts = [cells[CellKey(row, f"{task}_{part}")].value or 0 for part in ("f1", "em")]
            assert cells[CellKey(row, task)].value == pytest.approx(value) == sum(parts) / 2
    nulls = {str(key) for key, cell in cells.items() if cell.value is None}
    assert nulls == {
        f"{row}/{column}"
        for row in (NONE, BEST)
        for column in ("bucc2018", "tatoeba", "retrieval", OVERALL)
    }


@pytest.mark.parametrize("row", [NONE, BEST])
@pytest.mark.parametrize("group", ["classification", "tagging", "qa"])
def test_printed_groups_are_the_means_of_their_tasks_or_within_their_wider_tolerance(
    row: str, group: str
) -> None:
    expected = shipped("table3")
    reported = expected.cells[CellKey(row, group)]
    tasks = [expected.cells[CellKey(row, task)].value or 0 for task in GROUPS[group]]
    difference = abs((reported.value or 0) - sum(tasks) / len(tasks))
    widened = expected.tolerance_of(reported) - expected.tolerances[group]
    assert difference <= max(0.1, widened + 1e-9)
    assert bool(widened) is (difference > 0.1)


@pytest.mark.parametrize("experiment", ["table2", "table3"])
def test_bands_are_wide_enough_for_a_perfect_reproduction_to_pass(experiment: str) -> None:
    """Three seeds, the declared noise, every cell filled in: all REPRODUCED in 95 % of tables."""
    expected = shipped(experiment)
    chance = 0.0
    for key, cell in expected.cells.items():
        noise = expected.noise[key.column]
        spread = Spread(noise.seed_sd)
        sampling = (
            mean_error([binomial_error(80.0, n) for n in noise.examples]) if noise.examples else 0.0
        )
        error = difference_noise(spread, 3, cell.n, sampling)
        chances = probabilities(
            0.0, expected.tolerances[key.column], 0.05, error, len(expected.cells)
        )
        chance += math.log(chances[Verdict.REPRODUCED])
    assert math.exp(chance) >= 0.95
