"""The calibration's 40 cells, and that they are measured by the definition they were published under."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from stilts_artifact.benchmark import world as load_world
from stilts_artifact.checking.expected import load_expected
from stilts_artifact.data.files import FileStore
from stilts_artifact.data.library import Library
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.examples import ComparableCorpus, SentencePair
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import MissingDataError
from stilts_artifact.retrieval import calibration
from tests.unit.retrieval.conftest import HashEncoder
from tests.unit.retrieval.test_tasks import PAIRS, corpus


def expected_cells(repository: Path) -> dict[CellKey, float | None]:
    table = load_expected(repository / "expected_results" / "paper" / "calibration.yaml")
    return {key: cell.value for key, cell in table.cells.items()}


def test_the_published_cells_have_the_published_means(repository: Path) -> None:
    cells = expected_cells(repository)
    means = {
        column: fmean(value for key, value in cells.items() if key.column == column and value is not None)
        for column in ("bucc2018", "tatoeba")
    }
    assert means["bucc2018"] == pytest.approx(71.5, abs=0.05)
    assert means["tatoeba"] == pytest.approx(31.0, abs=0.05)


def test_measured_and_published_cells_are_the_same_forty(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_corpus(*_: object) -> ComparableCorpus:
        return corpus()

    def read_pairs(task: object, split: object, language: str, library: object) -> list[SentencePair]:
        if language == "zh":
            raise MissingDataError("tatoeba.cmn-eng.cmn is not on this machine")
        return PAIRS

    monkeypatch.setattr(calibration, "read_corpus", read_corpus)
    monkeypatch.setattr(calibration, "read_pairs", read_pairs)
    world = load_world("xtreme")
    library = Library(world.sources, FileStore(tmp_path))
    measured = calibration.calibrate(HashEncoder(), world, library, scale="paper")
    assert {cell.key for cell in measured} == set(expected_cells(repository))
    assert len(measured) == 40
    absent = [cell for cell in measured if cell.value is None]
    assert [(cell.key.language, cell.reason) for cell in absent] == [
        ("zh", "tatoeba.cmn-eng.cmn is not on this machine")
    ]
    assert {cell.value for cell in measured if cell.key.column == "tatoeba"} == {100.0, None}
    bucc = Signature.parse(next(cell.signature for cell in measured if cell.key.column == "bucc2018"))
    assert (bucc.split, bucc.threshold, bucc.duplicates, bucc.margin, bucc.neighbours) == (
        "dev", "oracle", "product", "ratio-max", 4)  # fmt: skip
