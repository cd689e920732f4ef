"""What the console shows."""

from __future__ import annotations

import io

import pytest

from stilts_artifact.checking.results import CellRecord, Results, RowRecord
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.reporting.console import make_console, show_table1


def cell(
    row: str, column: str, language: str | None, value: int | None, reported: int | None
) -> CellRecord:
    measured = Verdict.REPRODUCED if value == reported else Verdict.NOT_REPRODUCED
    verdict = Verdict.NOT_RUN if value is None else measured
    return CellRecord(
        row=row,
        column=column,
        language=language,
        value=value,
        expected=reported,
        limit=0.0,
        verdict=verdict,
        reason="the reason",
        signature="s",
    )


@pytest.fixture
def shown() -> str:
    rows = [
        RowRecord(
            row="xnli",
            title="XNLI",
            group="target",
            details={"kind": "pairs", "licence": "[bold]odd[/bold]"},
        )
    ]
    cells = [
        cell("xnli", "train", "en", 392_702, 392_702),
        cell("xnli", "dev", "de", 2_490, 2_490),
        cell("xnli", "dev", "fr", 2_489, 2_490),
        cell("xnli", "test", "de", 5_010, 5_010),
        cell("xnli", "test", "fr", None, 5_010),
    ]
    results = Results(
        table=1,
        scale="paper",
        scale_reason="",
        stamp="paper: stamp",
        verdict=Verdict.NOT_REPRODUCED,
        rows=rows,
        cells=cells,
        claims=[],
        inputs=[],
        environment={},
    )
    stream = io.StringIO()
    show_table1(results, make_console(stream))
    return stream.getvalue()


def line_of(shown: str, *starts: str) -> list[str]:
    return next(
        line.split() for line in shown.splitlines() if line.split()[: len(starts)] == list(starts)
    )


def test_equal_numbers_of_all_languages_are_shown_once(shown: str) -> None:
    assert line_of(shown, "XNLI", "train") == [
        "XNLI",
        "train",
        "392,702",
        "392,702",
        "0",
        "REPRODUCED",
    ]


def test_a_range_shows_the_largest_difference_and_every_verdict(shown: str) -> None:
    expected = "XNLI dev 2,489-2,490 2,490 -1 REPRODUCED 1 of 2, NOT_REPRODUCED 1 of 2"
    assert line_of(shown, "XNLI", "dev") == expected.split()


def test_what_was_not_measured_is_counted(shown: str) -> None:
    assert line_of(shown, "XNLI", "test")[2:5] == ["5,010", "(1", "of"]


def test_reasons_are_given_for_what_differs_or_is_absent(shown: str) -> None:
    assert "NOT_REPRODUCED XNLI dev fr: the reason" in shown
    assert "NOT_RUN XNLI test fr: the reason" in shown


def test_text_from_data_is_never_markup(shown: str) -> None:
    assert "[bold]odd[/bold]" in shown


def test_both_tables_carry_the_stamp_and_no_colour_when_piped(shown: str) -> None:
    assert shown.count("paper: stamp") == 2
    assert "\x1b" not in shown
