"""expected_results/paper/table1.yaml: the cells of the benchmark, with a source or a reason."""

from __future__ import annotations

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import counted_tasks
from stilts_artifact.checking.expected import ExpectedTable, expected_path, load_expected
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.tasks import Split


@pytest.fixture(scope="module")
def table() -> ExpectedTable:
    return load_expected(expected_path("paper", "table1"))


def test_it_covers_exactly_the_cells_of_the_world(table: ExpectedTable) -> None:
    expected = set()
    for task in counted_tasks(load_benchmark("xtreme")):
        expected |= {CellKey(task.name, split, language) for split, language in task.parts}
        expected.add(CellKey(task.name, "languages"))
    assert set(table.cells) == expected
    assert (table.experiment, table.benchmark) == ("table1", "xtreme")
    assert set(table.tolerances) == {*Split, "languages"}
    assert set(table.tolerances.values()) == {0.0}, "a count is right or wrong"


def test_languages_are_counted_as_the_world_has_them(table: ExpectedTable) -> None:
    for task in counted_tasks(load_benchmark("xtreme")):
        assert table.cells[CellKey(task.name, "languages")].value == len(task.languages)


def test_only_what_has_no_public_source_is_null(table: ExpectedTable) -> None:
    nulls = {(key.row, key.column) for key, cell in table.cells.items() if cell.value is None}
    assert nulls == {
        ("ccg", "train"),
        ("ccg", "dev"),
        ("udpos", "dev"),
        ("udpos", "test"),
        ("tydiqa", "test"),
    }
    english = [table.cells[CellKey("udpos", split, "en")].value for split in Split]
    assert english == [21_253, 3_974, 5_440]


def test_one_training_set_has_one_size(table: ExpectedTable) -> None:
    """Splits read from the same parts must be expected to have the same size."""
    sizes: dict[object, set[float | None]] = {}
    for task in counted_tasks(load_benchmark("xtreme")):
        for (split, language), parts in task.parts.items():
            sizes.setdefault(parts, set()).add(
                table.cells[CellKey(task.name, split, language)].value
            )
    assert all(len(found) == 1 for found in sizes.values())


@pytest.mark.parametrize(
    ("row", "column", "total"),
    [
        ("xnli", "test", 15 * 5_010),
        ("pawsx", "dev", 7 * 2_000),
        ("xquad", "test", 11 * 1_190),
        ("mlqa", "test", 42_245),
        ("bucc2018", "test", 35_000),
        ("tatoeba", "test", 31_692),
    ],
)
def test_totals_over_languages(table: ExpectedTable, row: str, column: str, total: int) -> None:
    values = [
        cell.value for key, cell in table.cells.items() if (key.row, key.column) == (row, column)
    ]
    assert sum(value or 0 for value in values) == total
