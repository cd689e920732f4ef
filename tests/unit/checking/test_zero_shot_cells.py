"""Published scores of trained encoders: each has its source, and is held against its own alone."""

from __future__ import annotations

from statistics import fmean

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.encoders import PINNED
from stilts_artifact.benchmark.experiments import EXPERIMENTS, NONE
from stilts_artifact.checking.expected import (
    ExpectedTable,
    expected_cells,
    expected_path,
    load_expected,
)
from stilts_artifact.checking.judge import judge_table
from stilts_artifact.checking.results import CellRecord
from stilts_artifact.config import SCALES
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import CellKey, Measurement, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.metrics.tables import table_columns
from tests.unit.checking.signed import made_by_pinned

XTREME = load_benchmark("xtreme")
ZERO_SHOT = EXPERIMENTS["zero-shot"]
PAPERS_COUNTS = load_expected(expected_path("paper", "table1"))
FOLDERS = ("base", "multilingual-minilm", "small")
MINILM = {
    "encoder": "microsoft/Multilingual-MiniLM-L12-H384",
    "revision": "e" * 12,
    "weights": "f" * 64,
    "checkpoint": "a" * 12,
}


def published(folder: str) -> ExpectedTable:
    return load_expected(expected_path(folder, "zero-shot"))


def judged(table: ExpectedTable, scale: str, made_by: dict[str, str]) -> CellRecord:
    """The average over XNLI, measured exactly as it is published."""
    key = CellKey(NONE, "xnli")
    signature = Signature(
        task="xnli",
        split="test",
        languages=XTREME.tasks["xnli"].languages,
        metric="accuracy",
        seeds=(1,),
        scale=scale,
        version="1",
        **made_by,
    ).short()
    cell = Measurement(key, table.cells[key].value, None, signature)
    return next(record for record in judge_table([cell], table) if record.key == key)


@pytest.mark.parametrize("folder", FOLDERS)
def test_languages_that_share_questions_do_not_count_as_test_sets_of_their_own(folder: str) -> None:
    """MLQA has its English questions in other languages too: sampling errors do not average out.

    Error of a mean <= mean of errors <= that of the mean score on as many examples as the fewest.
    """
    declared = published(folder).noise
    assert {name: noise.examples for name, noise in declared.items() if noise.examples} == {
        "xnli": (5010,),
        "mlqa_f1": (4517,),
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_published_and_measured_cells_are_the_same(folder: str) -> None:
    measured = [
        CellKey(NONE, column.name, language)
        for column in table_columns(XTREME, ZERO_SHOT)
        for language in (None, *column.languages(ZERO_SHOT))
    ]
    assert list(published(folder).cells) == measured


@pytest.mark.parametrize(
    ("folder", "averages", "some"),
    [
        ("base", (74.5, 64.9), {("xnli", "sw"): 65.2, ("mlqa_f1", "zh"): 62.3}),
        ("multilingual-minilm", (71.1, 63.2), {("xnli", "th"): 67.8, ("mlqa_f1", "hi"): 58.5}),
        ("small", (72.9, 64.9), {("xnli", "en"): None, ("mlqa_f1", "en"): None}),
    ],
)
def test_published_averages_are_those_of_the_published_languages(
    folder: str, averages: tuple[float, float], some: dict[tuple[str, str], float | None]
) -> None:
    cells = {(key.column, key.language): cell for key, cell in published(folder).cells.items()}
    for (column, count), average in zip((("xnli", 15), ("mlqa_f1", 7)), averages, strict=True):
        assert cells[column, None].value == average
        values = [
            cell.value
            for (own, language), cell in cells.items()
            if own == column and language is not None and cell.value is not None
        ]
        assert len(values) == (0 if folder == "small" else count)
        # Both are rounded.
        assert not values or fmean(values) == pytest.approx(average, abs=0.1)
    assert {place: cells[place].value for place in some} == some
    for (column, _), cell in cells.items():
        if column in ("mlqa", "mlqa_em"):
            assert cell.value is None and "only F1 is published" in (cell.reason or "")


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_is_calibrated_on_what_is_published_of_its_encoder(name: str) -> None:
    scale = load_scale(name)
    chosen = scale.meant(EXPERIMENTS["calibration"])
    table = load_expected(expected_path(scale.expected[0], chosen.name))
    assert table.encoder in (None, scale.encoder.name)
    assert table.scale == name
    assert scale.meant(EXPERIMENTS["table2"]) is EXPERIMENTS["table2"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in SCALES if load_scale(one).evidence])
def test_counts_of_real_data_are_held_against_the_papers_at_every_real_scale(name: str) -> None:
    """Whatever the encoder, they are the same; scores of another encoder are not."""
    folders = load_scale(name).expected
    counts = expected_cells(folders, EXPERIMENTS["table1"], "xtreme")
    scores = expected_cells(folders, EXPERIMENTS["table2"], "xtreme")
    assert counts.scale is None and counts.cells == PAPERS_COUNTS.cells
    assert scores.scale == "paper"


def test_a_pinned_encoder_reproduces_its_own_published_cell() -> None:
    record = judged(published("base"), "base", made_by_pinned("base"))
    assert (record.verdict, record.expected) == (Verdict.REPRODUCED, 74.5)


OWNERS = {"small": "small", "base": "base", "multilingual-minilm": "own"}
RUNS = {"own": MINILM} | {name: made_by_pinned(name) for name in ("small", "base", "paper")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "runs"),
    [(folder, runs) for folder in FOLDERS for runs in RUNS if runs != OWNERS[folder]],
)
def test_no_published_cell_of_one_encoder_is_held_against_another_one(
    folder: str, runs: str
) -> None:
    table = published(folder)
    # At the table's own scale, too: the name of a scale says nothing of what ran.
    for scale in {runs, table.scale or "own"}:
        record = judged(table, scale, RUNS[runs])
        assert (record.verdict, record.expected) == (Verdict.NOT_CHECKABLE, None)


@pytest.mark.parametrize("field", ["revision", "weights", "checkpoint"])
def test_other_bytes_under_the_name_of_an_encoder_are_not_held_against_its_cells(
    field: str,
) -> None:
    other = {**made_by_pinned("base"), field: "0" * len(made_by_pinned("base")[field])}
    record = judged(published("base"), "base", other)
    assert (record.verdict, record.expected) == (Verdict.NOT_CHECKABLE, None)
    assert f"{field} 000" in record.reason


@pytest.mark.parametrize("folder", ["small", "multilingual-minilm"])
def test_without_a_public_sha256_a_published_cell_is_shown_and_not_decided(folder: str) -> None:
    table = published(folder)
    scale, made_by = ("small", made_by_pinned("small")) if folder == "small" else ("own", MINILM)
    record = judged(table, scale, made_by)
    assert (record.verdict, record.limit) == (Verdict.INCONCLUSIVE, None)
    assert record.expected == table.cells[record.key].value
    assert made_by["weights"] in record.reason and "no public sha256" in record.reason


def test_what_is_not_pinned_is_said_where_the_pins_are() -> None:
    unknown = {name for name, pin in PINNED.items() if not pin.files}
    assert unknown == {"mminilmv2-l12"}
    with pytest.raises(KeyError):
        _ = PINNED["mminilmv2-l12"].weights
