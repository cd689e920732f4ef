"""Gains: shown where two rows measure the same thing, and explained where they do not."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from stilts_artifact.checking.intervals import Intervals
from stilts_artifact.checking.results import Results
from stilts_artifact.reporting.console import make_console, show_table
from stilts_artifact.reporting.figures import language_figures
from stilts_artifact.reporting.layout import arrange
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import Run
from tests.unit.reporting.synthetic import UNMEASURED_ROW, table2, table3


def signed_otherwise(results: Results, row: str, columns: tuple[str, ...], item: str) -> Results:
    """The results with a further item in the signatures of some cells of a row."""
    cells = [
        cell.model_copy(update={"signature": cell.signature.replace("|scale:", f"|{item}|scale:")})
        if cell.row == row and cell.column in columns
        else cell
        for cell in results.cells
    ]
    return results.model_copy(update={"cells": cells})


@pytest.mark.slow
def test_a_gain_is_a_difference_of_two_cells() -> None:
    layout = arrange(table2())
    measured, base = layout.value("mnli", "xnli"), layout.value("none", "xnli")
    assert measured is not None and base is not None
    assert layout.gain("mnli", "xnli") == measured - base
    assert layout.gain("none", "xnli") is None
    assert layout.gain_notes() == []


@pytest.mark.slow
def test_there_is_no_gain_over_what_was_measured_otherwise() -> None:
    layout = arrange(signed_otherwise(table2(), "mnli", ("xnli", "pawsx"), "dtype:bfloat16"))
    assert layout.gain("mnli", "xnli") is None
    assert layout.gain("mnli", "xnli", "qaa") is None
    assert layout.gain("mnli", "udpos") is not None
    assert layout.gain("qqp", "xnli") is not None
    assert layout.gain_notes() == [
        "no gain is shown for MNLI, XNLI and 1 more: not measured as XLM-R was "
        "(dtype = 'bfloat16', not dtype = None)"
    ]


@pytest.mark.slow
def test_rows_of_other_seeds_are_compared() -> None:
    layout = arrange(signed_otherwise(table2(), "mnli", ("tatoeba",), "seed:1"))
    assert layout.gain("mnli", "tatoeba") is not None
    assert layout.gain_notes() == []


@pytest.mark.slow
def test_the_row_shown_by_language_is_chosen_by_no_score() -> None:
    results = table2()
    assert example(results) == "multi"
    without = [row for row in results.rows if row.row != "multi"]
    best_last = [
        cell.model_copy(update={"value": 99.0 if cell.row == "squad_v1" else cell.value})
        for cell in results.cells
    ]
    assert (
        example(results.model_copy(update={"rows": without, "cells": best_last})) == without[1].row
    )
    assert example(table3()) == "best"


@pytest.mark.slow
def test_a_row_that_was_measured_otherwise_is_not_shown_beside_the_first() -> None:
    columns = tuple(column.name for column in arrange(table2()).columns)
    results = signed_otherwise(table2(), "multi", columns, "layer:7")
    assert example(results) == results.rows[1].row
    figures = language_figures(arrange(results), Intervals())
    assert {figure.other for figure in figures} == {results.rows[1].title}


@pytest.mark.slow
def test_figures_by_language_have_one_axis() -> None:
    ticks = {figure.ticks for figure in language_figures(arrange(table2()), Intervals())}
    assert len(ticks) == 1


def example(results: Results) -> str | None:
    row = arrange(results).example
    return row and row.row


@pytest.mark.slow
def test_rows_without_any_value_are_told_apart() -> None:
    layout = arrange(table2())
    assert [row.row for row in layout.unmeasured] == [UNMEASURED_ROW]
    kept = [row.row for _, rows in layout.measured for row in rows]
    assert kept == [row.row for row in layout.rows if row.row != UNMEASURED_ROW]


def console(results: Results) -> str:
    stream = io.StringIO()
    show_table(results, make_console(stream))
    return stream.getvalue()


def markdown(results: Results) -> str:
    return render_markdown([Run(results, "table2.mini.json", "0" * 64)])


def page(results: Results) -> str:
    return render_page([Run(results, "table2.mini.json", "0" * 64)])


@pytest.mark.slow
@pytest.mark.parametrize("show", [console, markdown, page])
def test_every_report_says_why_a_gain_is_missing(show: Callable[[Results], str]) -> None:
    note = "no gain is shown for MNLI, XNLI"
    assert note not in show(table2())
    assert note in show(signed_otherwise(table2(), "mnli", ("xnli",), "dtype:bfloat16"))
