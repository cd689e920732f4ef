"""Cells from files: means over languages, medians over seeds, averages over tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean, median

import pytest

from benchmarks.checking import make_files
from stilts_artifact.benchmark import TARGETS
from stilts_artifact.benchmark.experiments import EXPERIMENTS, GROUPS
from stilts_artifact.domain.cells import CellKey, Flag
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.score import score_folders
from stilts_artifact.metrics.tables import CellValue, table_values
from tests.unit.checking.small import SIZES, small_benchmark

SEEDS = (3, 1, 2)


@pytest.fixture(scope="module")
def mini() -> Benchmark:
    return small_benchmark()


@pytest.fixture(scope="module")
def folder(mini: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files") / "table3.mini"
    make_files(made, mini, "table3", ["none", "best"], SEEDS, SIZES["table3"])
    return made


@pytest.fixture(scope="module")
def cells(folder: Path, mini: Benchmark) -> dict[CellKey, CellValue]:
    return table_values(folder, mini, EXPERIMENTS["table3"], ["none", "best"], SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("row", ["none", "best"])
def test_every_cell_is_the_median_of_what_the_score_command_gives(
    cells: dict[CellKey, CellValue], folder: Path, mini: Benchmark, row: str
) -> None:
    runs = [
        score_folders(
            folder / "predictions" / row / f"seed-{seed}",
            folder / "labels",
            benchmark=mini,
            resamples=2,
        )
        for seed in SEEDS
    ]
    for task in TARGETS:
        scores = [run.tasks[task].score.value for run in runs]
        assert cells[CellKey(row, task)].seeds == pytest.approx(scores)
        assert cells[CellKey(row, task)].value == pytest.approx(median(scores))
        for language in mini.tasks[task].languages:
            for column, metric in (("_f1", "f1"), ("_em", "exact_match")):
                if CellKey(row, task + column) in cells:
                    parts = [run.tasks[task].languages[language][metric].value for run in runs]
                    assert cells[CellKey(row, task + column, language)].value == pytest.approx(
                        median(parts)
                    )
    for group in GROUPS:
        assert cells[CellKey(row, group)].seeds == pytest.approx(
            [run.groups[group].value for run in runs]
        )
    overall = [run.overall.value for run in runs if run.overall is not None]
    assert cells[CellKey(row, "overall")].value == pytest.approx(median(overall))


def test_the_median_of_means_is_not_the_mean_of_medians(
    cells: dict[CellKey, CellValue], mini: Benchmark
) -> None:
    """The order is fixed: first over the languages of one seed, then over the seeds."""
    languages = [cells[CellKey("none", "xquad", code)] for code in mini.tasks["xquad"].languages]
    by_seed = [mean(cell.seeds[number] for cell in languages) for number in range(3)]
    assert cells[CellKey("none", "xquad")].value == pytest.approx(median(by_seed))


def test_cells_come_in_the_order_of_the_table(cells: dict[CellKey, CellValue]) -> None:
    assert list(cells)[:3] == [
        CellKey("none", "xnli"),
        CellKey("none", "xnli", "qaa"),
        CellKey("none", "xnli", "qac"),
    ]
    assert list(dict.fromkeys(key.row for key in cells)) == ["none", "best"]
    assert list(cells)[-1] == CellKey("best", "overall")
    assert (
        cells[CellKey("none", "xnli")].examples
        == 3 * cells[CellKey("none", "xnli", "qaa")].examples
        == 3 * 91
    )


def test_table_2_is_scored_on_development_data_where_there_is_some(
    mini: Benchmark, tmp_path: Path
) -> None:
    make_files(tmp_path, mini, "table2", ["none"], [0], {"xnli": 9, "xquad": 5, "udpos": 4})
    assert (tmp_path / "labels" / "xnli" / "dev-qaa.tsv").is_file()
    assert (tmp_path / "labels" / "xquad" / "test-qaa.json").is_file()
    cells = table_values(tmp_path, mini, EXPERIMENTS["table2"], ["none"], [0])
    assert cells[CellKey("none", "xnli")].value is not None
    assert cells[CellKey("none", "average")] == CellValue(
        None, (), 0, "no file labels/pawsx/dev-qaa.tsv (and 5 more)"
    )


def test_a_missing_file_is_named_and_spoils_what_rests_on_it(
    mini: Benchmark, tmp_path: Path
) -> None:
    make_files(tmp_path, mini, "table2", ["none"], SEEDS, SIZES["table2"])
    (tmp_path / "predictions/none/seed-1/panx/dev-qac.tsv").unlink()
    cells = table_values(tmp_path, mini, EXPERIMENTS["table2"], ["none"], SEEDS)
    reason = "no file predictions/none/seed-1/panx/dev-qac.tsv"
    for key in (
        CellKey("none", "panx", "qac"),
        CellKey("none", "panx"),
        CellKey("none", "average"),
    ):
        assert (cells[key].value, cells[key].reason) == (None, reason)
    assert cells[CellKey("none", "panx", "qaa")].value is not None
    assert sum(cell.value is None for cell in cells.values()) == 3


def test_a_file_that_cannot_be_scored_is_an_error(mini: Benchmark, tmp_path: Path) -> None:
    make_files(tmp_path, mini, "table2", ["none"], [0], {"xnli": 9})
    broken = tmp_path / "predictions/none/seed-0/xnli/dev-qaa.tsv"
    broken.write_text("neutral\n")
    with pytest.raises(DataError, match="length mismatch") as caught:
        table_values(tmp_path, mini, EXPERIMENTS["table2"], ["none"], [0])
    assert str(broken) in str(caught.value)


def test_table_1_is_not_scored(mini: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Table 1 scores nothing"):
        table_values(tmp_path, mini, EXPERIMENTS["table1"], ["none"], [0])


def test_a_mean_without_the_languages_that_have_no_labels_is_partial(
    mini: Benchmark, tmp_path: Path
) -> None:
    """Their data were not there; what has labels and no predictions still spoils the mean."""
    make_files(tmp_path, mini, "table2", ["none"], SEEDS, SIZES["table2"])
    key, average = CellKey("none", "panx"), CellKey("none", "average")
    before = table_values(tmp_path, mini, EXPERIMENTS["table2"], ["none"], SEEDS)
    (tmp_path / "labels/panx/dev-qac.tsv").unlink()
    cells = table_values(tmp_path, mini, EXPERIMENTS["table2"], ["none"], SEEDS)
    languages = ("qaa", "qen")
    assert (cells[key].languages, cells[key].left_out) == (languages, 1)
    assert cells[key].seeds == pytest.approx(
        [
            mean(cells[replace(key, language=code)].seeds[run] for code in languages)
            for run in range(3)
        ]
    )
    assert before[key].languages == ("qaa", "qac", "qen")
    assert cells[average].left_out == 1 and before[average].left_out == 0
    for cell in (cells[key], cells[average]):
        assert (cell.flag(None), cell.flag(Flag.DEGENERATE)) == (Flag.PARTIAL, Flag.DEGENERATE)
    assert before[key].flag(Flag.PARTIAL) is None
    for code in languages:
        (tmp_path / f"labels/panx/dev-{code}.tsv").unlink()
    nothing = table_values(tmp_path, mini, EXPERIMENTS["table2"], ["none"], SEEDS)
    assert (nothing[key].value, nothing[key].flag(None)) == (None, None)
