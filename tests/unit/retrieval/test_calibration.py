"""The calibration's cells, and that they are measured by the definition they were published under."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import CALIBRATION, NONE
from stilts_artifact.checking.expected import load_expected
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.examples import ComparableCorpus, SentencePair
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import MissingDataError
from stilts_artifact.metrics.tables import table_values
from stilts_artifact.retrieval import calibration
from tests.unit.retrieval.conftest import HashEncoder
from tests.unit.retrieval.test_tasks import PAIRS, corpus


def expected_cells(repository: Path) -> dict[CellKey, float | None]:
    table = load_expected(repository / "expected_results" / "paper" / "calibration.yaml")
    return {key: cell.value for key, cell in table.cells.items()}


def measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, absent: str | None = None
) -> list[Measurement]:
    """The calibration of trigrams on the same two problems in every language."""

    def read_corpus(*_: object) -> ComparableCorpus:
        return corpus(noise=" x y z")

    def read_pairs(
        task: object, split: object, language: str, library: object
    ) -> list[SentencePair]:
        if language == absent:
            raise MissingDataError("tatoeba.cmn-eng.cmn is not on this machine")
        return [*PAIRS, SentencePair(PAIRS[0].source + " also", "nothing like it")]

    monkeypatch.setattr(calibration, "read_corpus", read_corpus)
    monkeypatch.setattr(calibration, "read_pairs", read_pairs)
    benchmark = load_benchmark("xtreme")
    library = Library(benchmark.sources, FileStore(tmp_path / "store"))
    return list(
        calibration.calibrate(
            HashEncoder(), benchmark, library, scale="paper", out=tmp_path / "out"
        )
    )


@pytest.mark.parametrize("column", ["bucc2018", "tatoeba"])
def test_the_published_means_are_those_of_the_published_cells(
    repository: Path, column: str
) -> None:
    cells = expected_cells(repository)
    of_languages = [
        value for key, value in cells.items() if key.column == column and key.language and value
    ]
    assert cells[CellKey(NONE, column)] == pytest.approx(fmean(of_languages), abs=0.05)


def test_measured_and_published_cells_are_the_same(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = measured(tmp_path, monkeypatch, absent="zh")
    assert {cell.key for cell in cells} == set(expected_cells(repository))
    assert [cell.key for cell in cells] == calibration.calibrated_cells(load_benchmark("xtreme"))
    assert len(cells) == 42
    absent = [
        (cell.key.column, cell.key.language, cell.reason) for cell in cells if cell.value is None
    ]
    assert absent == [
        ("tatoeba", "zh", "tatoeba.cmn-eng.cmn is not on this machine"),
        ("tatoeba", None, "1 of 36 languages: tatoeba.cmn-eng.cmn is not on this machine"),
    ]


def test_the_definition_is_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = {cell.key: Signature.parse(cell.signature) for cell in measured(tmp_path, monkeypatch)}
    mining, search = cells[CellKey(NONE, "bucc2018", "zh")], cells[CellKey(NONE, "tatoeba")]
    found = (mining.split, mining.threshold, mining.duplicates, mining.margin, mining.neighbours)
    assert found == ("dev", "oracle", "product", "ratio-max", 4)
    assert (search.split, search.margin, search.neighbours, len(search.languages)) == (
        "test",
        "absolute",
        1,
        36,
    )


def test_the_cells_are_what_the_written_files_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = measured(tmp_path, monkeypatch)
    values = table_values(
        tmp_path / "out", load_benchmark("xtreme"), CALIBRATION, [NONE], [calibration.SEED]
    )
    assert all(
        0 < cell.value < 100
        for cell in cells
        if cell.key.column == "tatoeba" and cell.value is not None
    )
    assert {cell.key: cell.value for cell in cells} == {
        key: pytest.approx(cell.value) for key, cell in values.items()
    }
