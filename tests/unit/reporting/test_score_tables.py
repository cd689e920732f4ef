"""Tables 2 and 3 on the console and as Markdown."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from stilts_artifact.checking.results import Results
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.reporting.console import make_console, show_table
from stilts_artifact.reporting.layout import arrange
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.runs import Run
from tests.unit.reporting.synthetic import (
    DEGENERATE_ROW,
    HOSTILE,
    UNMEASURED_ROW,
    calibration,
    table1,
    table2,
    table3,
)


@pytest.fixture(scope="module")
def results() -> Results:
    return table2()


def shown(results: Results, width: int = 132, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    show_table(
        results,
        Console(file=stream, width=width, markup=False, highlight=False, force_terminal=terminal),
    )
    return stream.getvalue()


def numbers(text: str, start: str) -> list[list[str]]:
    """What follows the title ``start`` on each line of a table that begins with it."""
    lines = (
        line for line in text.splitlines() if re.match(rf"{re.escape(start)} (?!\+ MLM|in q)", line)
    )
    return [line.removeprefix(start).split() for line in lines]


def test_scores_and_gains_are_those_of_the_cells(results: Results) -> None:
    scores, gains, *_ = numbers(shown(results), "MNLI")
    layout = arrange(results)
    columns = [column.name for column in layout.with_role("score", "average")]
    assert scores == [f"{layout.value('mnli', name):.1f}" for name in columns]
    differences = [layout.value("mnli", name) - layout.value("none", name) for name in columns]  # type: ignore[operator]
    assert gains == [f"{gain:+.1f}" for gain in differences]
    assert columns[-1] == "average" and len(columns) == 10


def test_every_row_stands_in_its_group(results: Results) -> None:
    text = shown(results)
    first = text[: text.index("Gains over")]
    order = [
        first.index(title)
        for title in ("English ", "XLM-R", "Multi-task", "English + MLM", "translated")
    ]
    assert order == sorted(order)
    assert all(
        len(re.findall(rf"^{re.escape(row.title)} +[-\d]", first, flags=re.MULTILINE)) == 1
        for row in results.rows
    )


@pytest.mark.parametrize("make", [table1, table2, table3, calibration])
def test_nothing_is_wider_than_80_columns_but_reasons(make: object) -> None:
    assert callable(make)
    text = shown(make(), 80)
    tables = [
        line
        for line in text.splitlines()
        if not re.match(r"[A-Z_]+ |! | {15}|cells:|\d+ cells", line)
    ]
    assert max(map(len, tables)) <= 80
    assert "…" not in text


def test_piped_output_has_no_colour_and_a_terminal_has(results: Results) -> None:
    stream = io.StringIO()
    show_table(results, make_console(stream))
    assert "\x1b" not in stream.getvalue()
    assert "\x1b" in shown(results, terminal=True)


def test_the_console_shows_plain_ascii(results: Results) -> None:
    assert shown(results).isascii()


def test_what_failed_is_marked_and_what_collapsed_is_named(results: Results) -> None:
    text = shown(results)
    assert re.search(r"^XLM-R .* \d\d\.\d\*", text, flags=re.MULTILINE)
    assert "! DEGENERATE CCG + MLM, xnli" in text
    assert numbers(text, "CCG + MLM")[0][0].endswith("!")
    assert DEGENERATE_ROW == "ccg+mlm"


def test_what_was_not_run_is_a_dash_with_a_reason(results: Results) -> None:
    text = shown(results)
    assert UNMEASURED_ROW == "hellaswag@qaf"
    assert numbers(text, "HellaSwag in qaf")[:2] == [["-"] * 10] * 2
    assert (
        f"NOT_RUN 130 cells (such as HellaSwag in qaf, xnli): no file predictions/{HOSTILE}" in text
    )


def test_a_reported_cell_is_compared(results: Results) -> None:
    line = next(words for words in numbers(shown(results), "XLM-R") if words[0] == "bucc2018")
    measured = arrange(results).value("none", "bucc2018")
    assert measured is not None
    assert line[1:] == [
        f"{measured:.1f}",
        "71.5",
        f"{measured - 71.5:+.1f}",
        "4.00",
        "NOT_REPRODUCED",
    ]


def test_claims_are_shown_with_verdict_and_numbers(results: Results) -> None:
    text = shown(results)
    assert "NOT_REPRODUCED SQuAD gains 8.2 points on average" in text
    assert "gain 2.1, reported 8.2; holds in 97.1%" in text


def test_a_long_comparison_names_the_failures_and_counts_the_rest(results: Results) -> None:
    cells = [
        cell.model_copy(update={"expected": cell.value, "verdict": Verdict.REPRODUCED})
        if cell.expected is None and cell.value is not None
        else cell
        for cell in results.cells
    ]
    text = shown(results.model_copy(update={"cells": cells}))
    assert "480 cells compared, 478 REPRODUCED; `stilts-artifact report` shows every one" in text
    assert [words[0] for words in numbers(text, "XLM-R")[2:]] == ["bucc2018", "tatoeba"]


def test_table_3_has_its_averages_in_a_block_of_their_own() -> None:
    rows = numbers(shown(table3()), "Best for each target")
    assert [len(row) for row in rows] == [9, 9, 5, 5]


def test_the_calibration_has_one_row_no_gains_and_every_language() -> None:
    text = render_markdown([Run(calibration(), "calibration.mini.json", "0" * 64)])
    assert "## Calibration (" in text
    assert "Gains" not in text
    comparison = text[text.index("### Measured and reported") :]
    assert comparison.count("| mini encoder |") == len(calibration().cells)
    assert "| tatoeba qag |" in comparison


def test_markdown_holds_the_same_numbers_and_no_live_markup(results: Results) -> None:
    text = render_markdown(
        [Run(results, "table2.mini.json", "0" * 64), Run(table1(), "table1.mini.json", "1" * 64)]
    )
    line = next(line for line in text.splitlines() if line.startswith("| MNLI |"))
    assert line.split(" | ")[1:4] == numbers(shown(results), "MNLI")[0][:3]
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    widths = {
        line.count("|") - line.count("\\|")
        for line in text.splitlines()
        if line.startswith(("| MNLI", "| XLM"))
    }
    assert widths <= {12, 8, 6}
