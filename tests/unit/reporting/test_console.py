"""What the console shows of each experiment."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from stilts_artifact.benchmark.experiments import EXPERIMENTS, counted_places, counted_tasks
from stilts_artifact.checking.results import CellRecord, Results, RowRecord, row_records
from stilts_artifact.config.load import as_own, definition, load_scale
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.reporting.comparison import gaps, listing
from stilts_artifact.reporting.console import make_console, show_table
from stilts_artifact.reporting.layout import arrange
from tests.unit.reporting.synthetic import (
    DEGENERATE_ROW,
    HOSTILE,
    MINI,
    STAMP,
    UNMEASURED_ROW,
    calibration,
    table1,
    table2,
    table3,
)


def cell(
    row: str, column: str, language: str | None, value: int | None, expected: int | None
) -> CellRecord:
    measured = Verdict.REPRODUCED if value == expected else Verdict.NOT_REPRODUCED
    verdict = Verdict.NOT_RUN if value is None else measured
    return CellRecord(
        row=row,
        column=column,
        language=language,
        value=value,
        expected=expected,
        limit=0.0,
        verdict=verdict,
        reason="the reason",
        signature="s",
    )


def counted() -> Results:
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
    return Results(
        experiment="table1",
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


@pytest.fixture
def sizes() -> str:
    stream = io.StringIO()
    show_table(counted(), make_console(stream))
    return stream.getvalue()


def line_of(sizes: str, *starts: str) -> list[str]:
    return next(
        line.split() for line in sizes.splitlines() if line.split()[: len(starts)] == list(starts)
    )


def test_each_row_has_one_line_with_its_mark(sizes: str) -> None:
    first = sizes[: sizes.index("Measured and")]
    assert line_of(first, "XNLI") == [
        *("XNLI", "392,702", "2,489-2,490", "5,010", "(1", "of", "2)", "-", "DIFFERS"),
        *("pairs", "[bold]odd[/bold]"),
    ]


def test_what_is_as_expected_is_not_listed_unless_asked_for(sizes: str) -> None:
    assert "392,702 " not in sizes[sizes.index("Measured and") :]
    stream = io.StringIO()
    show_table(counted(), make_console(stream), verbose=True)
    assert line_of(stream.getvalue(), "XNLI", "train") == [
        "XNLI",
        "train",
        "392,702",
        "392,702",
        "0",
        "REPRODUCED",
    ]


def test_counts_add_up_to_what_is_shown() -> None:
    """Each row has one mark, each number stands for its languages, and the sums are of all."""
    results = table1()
    text = shown(results)
    marks = re.search(r"^rows: (.*)$", text, flags=re.MULTILINE)
    assert marks is not None
    assert sum(map(int, re.findall(r"\d+", marks[1]))) == len(results.rows)
    table = text[: text.index("Measured and")].splitlines()[2:]
    numbers = sum(word != "-" for line in table if line for word in line.split()[1:5])
    counts = re.search(
        r"^(\d+) numbers stand for (\d+) cells, .*?: (.*)$", text, flags=re.MULTILINE
    )
    assert counts is not None
    assert int(counts[1]) == len({(cell.row, cell.column) for cell in results.cells})
    assert int(counts[2]) == len(results.cells) == sum(map(int, re.findall(r"\d+", counts[3])))
    assert numbers >= int(counts[1])


def test_a_table_that_holds_has_18_lines_of_rows_and_two_of_counts() -> None:
    counts = {
        (task.name, split, language): 100
        for task in counted_tasks(MINI)
        for split, language in counted_places(task, MINI)
    }
    cells = [
        cell(row, split, language, value, value) for (row, split, language), value in counts.items()
    ]
    records = row_records(EXPERIMENTS["table1"], MINI)
    results = counted().model_copy(update={"rows": records, "cells": cells, "scale": "mini"})
    for width in (80, 200):
        lines = shown(results, width).splitlines()
        title, heading, *rows, blank, marks, summed = lines
        assert title.startswith("Table 1, measured") and heading.split()[0] == "Task"
        rows = [line for line in rows if line.strip()]
        assert len(rows) == 18 and all(re.search(r" ok( |$)", line) for line in rows)
        assert blank == "" and marks == "rows: 18 ok"
        assert summed.endswith(
            f"for {len(cells)} cells, one for each language: {len(cells)} REPRODUCED"
        )


def test_counts_nobody_expects_are_said_once() -> None:
    results = table1()
    unknown = {"expected": None, "verdict": Verdict.NOT_CHECKABLE, "reason": "nothing is recorded"}
    cells = [one.model_copy(update={"value": 1, **unknown}) for one in results.cells]
    text = shown(results.model_copy(update={"cells": cells}))
    assert "NOT_CHECKABLE MNLI, XNLI (5 cells): nothing is recorded\n" in text
    assert text.count("NOT_CHECKABLE") == 2 and "rows: 2 not checkable" in text


@pytest.mark.slow
def test_values_are_called_what_they_are() -> None:
    """Of the paper reported, of an earlier run of our own recorded."""
    assert "Measured and recorded (mini" in shown(table1())
    assert re.search(r"measured +recorded +difference", shown(table2()))
    of_paper = counted()
    assert re.search(r"measured +reported +difference", shown(of_paper))
    own = as_own(load_scale("small").model_copy(update={"name": "mine"}), "mine.yaml")
    update = {"scale": "mine", "stamp": own.stamp, "definition": definition(own)}
    assert re.search(r"measured +reported +diff", shown(of_paper.model_copy(update=update)))


def test_a_range_shows_the_largest_difference_and_every_verdict(sizes: str) -> None:
    expected = "XNLI dev 2,489-2,490 2,490 -1 REPRODUCED 1 of 2, NOT_REPRODUCED 1 of 2"
    assert line_of(sizes, "XNLI", "dev") == expected.split()


def test_what_was_not_measured_is_counted(sizes: str) -> None:
    assert "5,010 (1 of 2)" in sizes


def test_reasons_are_given_for_counts_that_differ_or_are_absent(sizes: str) -> None:
    assert "NOT_REPRODUCED XNLI dev fr: the reason" in sizes
    assert "NOT_RUN XNLI (1 cell): the reason" in sizes


def test_counts_that_differ_alike_are_one_line_and_a_count_of_languages_only_follows() -> None:
    results = counted()
    other = cell("xnli", "dev", "tr", 2_480, 2_490)
    follows = cell("xnli", "languages", None, None, 15).model_copy(update={"reason": "of others"})
    text = shown(results.model_copy(update={"cells": [*results.cells, other, follows]}))
    assert "NOT_REPRODUCED XNLI dev fr (and 1 more language): the reason" in text
    assert "NOT_RUN XNLI (2 cells): the reason\n" in text


def test_the_reason_of_most_cells_stands_first(results: Results) -> None:
    cells = [
        one.model_copy(update={"reason": "a few" if one.row == "qqp" else "of most"})
        if one.verdict is Verdict.NOT_CHECKABLE
        else one
        for one in results.cells
    ]
    found = gaps(results.model_copy(update={"cells": cells}))
    open_ = [one.reason for one in found if one.verdict is Verdict.NOT_CHECKABLE]
    assert open_ == ["of most", "a few"]


def test_text_from_data_is_never_markup(sizes: str) -> None:
    assert "[bold]odd[/bold]" in sizes


def test_both_tables_carry_the_stamp_and_no_colour_when_piped(sizes: str) -> None:
    assert sizes.count("paper: stamp") == 2
    assert "\x1b" not in sizes


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("make", [table1, table2, table3, calibration])
def test_nothing_is_wider_than_80_columns_but_reasons(make: object) -> None:
    assert callable(make)
    text = shown(make(), 80)
    tables = [
        line
        for line in text.splitlines()
        if not re.match(r"[A-Z_]+ |! | {15}|cells:|\d+ cells|\d+ numbers", line)
    ]
    assert max(map(len, tables)) <= 80
    assert "…" not in text


@pytest.mark.slow
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
    assert "! DEGENERATE CCG + MLM, XNLI: " in text
    assert text.count("! DEGENERATE") == 1, "its languages only follow it"
    assert numbers(text, "CCG + MLM")[0][0].endswith("!")
    assert DEGENERATE_ROW == "ccg+mlm"


def test_what_was_not_run_is_a_dash_with_a_reason(results: Results) -> None:
    text = shown(results)
    assert UNMEASURED_ROW == "hellaswag@qaf"
    assert numbers(text, "HellaSwag in qaf")[:2] == [["-"] * 10] * 2
    assert (
        f"NOT_RUN 130 cells (such as HellaSwag in qaf, XNLI): no file predictions/{HOSTILE}" in text
    )


def test_a_cell_with_an_expected_value_is_compared(results: Results) -> None:
    line = next(words for words in numbers(shown(results), "XLM-R") if words[0] == "BUCC")
    measured = arrange(results).value("none", "bucc2018")
    assert measured is not None
    assert line[1:] == [
        f"{measured:.1f}",
        "71.5",
        f"{measured - 71.5:+.1f}",
        "4.00",
        "NOT_REPRODUCED",
    ]


@pytest.mark.slow
def test_claims_held_against_nothing_are_one_line() -> None:
    results = table2()
    aside = {"verdict": Verdict.NOT_CHECKABLE, "reason": "each has its own"}
    claims = [
        one.model_copy(update={**aside, "reason": f"{number}"})
        for number, one in enumerate(results.claims)
    ]
    assert len(claims) > 1
    results = results.model_copy(update={"claims": claims})
    text = shown(results)
    after = text[text.index("\nClaims") :].split("\n")
    assert after[2] == f"{len(claims)} claims are not judged: {STAMP}"
    assert after[3] == ""
    assert after[4].startswith("cells: ")
    stream = io.StringIO()
    show_table(results, make_console(stream), verbose=True)
    assert all(claim.title in stream.getvalue() for claim in claims)


def test_claims_are_shown_with_verdict_and_numbers(results: Results) -> None:
    text = shown(results)
    assert "NOT_REPRODUCED SQuAD gains 8.2 points on average" in text
    assert "gain 2.1, reported 8.2; holds in 97.1%" in text


@pytest.mark.slow
def test_a_long_comparison_names_the_failures_and_counts_the_rest(results: Results) -> None:
    cells = [
        cell.model_copy(
            update={"expected": cell.value, "limit": 4.0, "verdict": Verdict.REPRODUCED}
        )
        if cell.expected is None and cell.value is not None
        else cell
        for cell in results.cells
    ]
    text = shown(results.model_copy(update={"cells": cells}))
    counts = "3,900 cells compared: 3,898 REPRODUCED, 1 NOT_REPRODUCED, 1 INCONCLUSIVE"
    assert f"{counts}; table2.mini.json has every cell" in text
    assert [words[0] for words in numbers(text, "XLM-R")[2:4]] == ["BUCC", "Tatoeba"]
    assert "has every cell" not in shown(results)
    stream = io.StringIO()
    show_table(results.model_copy(update={"cells": cells}), make_console(stream), verbose=True)
    compared = [
        line for line in stream.getvalue().splitlines() if re.search(r" (RE|INCON)\w+ *$", line)
    ]
    means = sum(one.language is None and one.value is not None for one in cells)
    assert len(compared) == means - 1, "all but the one that is NOT_REPRODUCED"


@pytest.mark.slow
def test_a_gain_that_seeds_could_give_has_no_colour(results: Results) -> None:
    layout = arrange(results)
    for points, colour in ((0.4, False), (0.6, True), (-0.4, False), (-0.6, True)):
        cells = [
            one.model_copy(update={"value": (layout.value("none", one.column) or 0) + points})
            if (one.row, one.language) == ("mnli", None)
            else one
            for one in results.cells
        ]
        text = shown(results.model_copy(update={"cells": cells}), terminal=True)
        gained = text[text.index("Gains over") :].splitlines()
        line = next(line for line in gained if line.startswith("MNLI  "))
        assert f"{points:+.1f}" in line
        assert ("\x1b[3" in line) is colour, (points, line)


def of_a_column(results: Results, verdict: Verdict, **values: object) -> Results:
    """The results with every cell of a single language as given."""
    cells = [
        cell.model_copy(update={"verdict": verdict, **values})
        if cell.language is not None and cell.value is not None
        else cell
        for cell in results.cells
    ]
    return results.model_copy(update={"cells": cells})


def test_no_failing_cell_is_cut_from_a_list(results: Results) -> None:
    """Neither behind what passes, nor behind other failures, nor for want of an expected value."""
    failing = of_a_column(results, Verdict.NOT_REPRODUCED, limit=1.0)
    count = sum(cell.verdict is Verdict.NOT_REPRODUCED for cell in failing.cells)
    assert count > 3000
    found = listing(failing, 40)
    assert len(found.lines) == count
    assert {line.verdict for line in found.lines} == {"NOT_REPRODUCED"}
    assert found.is_cut and f"{count:,} NOT_REPRODUCED" in found.summary


def test_failures_stand_first(results: Results) -> None:
    lines = listing(results).lines
    verdicts = [line.verdict for line in lines]
    order = ["NOT_REPRODUCED", "INCONCLUSIVE", "NOT_RUN", "NOT_CHECKABLE", "REPRODUCED"]
    assert len(set(verdicts)) >= 3
    assert verdicts == sorted(verdicts, key=order.index)


@pytest.mark.slow
def test_cells_nobody_asked_for_are_counted_and_not_listed(results: Results) -> None:
    """A failing cell is not lost among the cells of other rows that a run with --only left out."""
    cells = [
        cell
        if cell.row == "none"
        else cell.model_copy(
            update={"value": None, "expected": 50.0, "limit": None, "verdict": Verdict.NOT_RUN}
        )
        for cell in results.cells
    ]
    text = shown(results.model_copy(update={"cells": cells, "asked": [["none"]]}))
    comparison = text[text.index("Measured and recorded") : text.index("\nClaims")]
    assert re.search(r"XLM-R +BUCC .* NOT_REPRODUCED", comparison)
    assert "NOT_RUN" not in comparison
    assert f"; {30 * 130:,} were not asked for" in text
    both = listing(results.model_copy(update={"cells": cells, "asked": [["none"], ["mnli"]]}))
    assert {line.row for line in both.lines} == {"XLM-R", "MNLI"}
    assert both.others == 130


def test_what_is_not_comparable_has_no_difference(results: Results) -> None:
    cells = [
        cell.model_copy(update={"limit": None, "verdict": Verdict.INCONCLUSIVE})
        if cell.expected is not None
        else cell
        for cell in results.cells
    ]
    found = listing(results.model_copy(update={"cells": cells}))
    assert {line.difference for line in found.lines} == {"-"}
    assert found.summary == f"0 cells compared; not compared: {len(found.lines)} cells"


def test_table_3_has_its_averages_in_a_block_of_their_own() -> None:
    rows = numbers(shown(table3()), "Best for each target")
    assert [len(row) for row in rows] == [9, 9, 5, 5]


@pytest.mark.slow
def test_a_title_says_what_was_scored_and_how_often() -> None:
    assert shown(table3()).startswith("Table 3, test scores in points, one seed (mini")
    assert shown(table2()).startswith("Table 2, development scores in points, median of 3 seeds")


def test_the_calibration_lists_tasks_by_their_titles() -> None:
    text = shown(calibration())
    assert re.search(r"^BUCC +mean ", text, flags=re.MULTILINE)
    assert re.search(r"^Tatoeba +qaa ", text, flags=re.MULTILINE)
    assert "tatoeba" not in text and "bucc2018" not in text


def test_table_3_names_the_chosen_task_of_every_target() -> None:
    """By its title, whichever of its names the file has."""
    results = table3()
    named = {"XNLI": "xnli", "Tatoeba": "tatoeba"}
    best = results.rows[1].model_copy(
        update={"details": {**results.rows[1].details, "xnli": "hellaswag"}}
    )
    text = shown(results.model_copy(update={"rows": [results.rows[0], best]}))
    chosen = text[text.index("Best for each target, chosen") : text.index("Measured and")]
    assert set(named) <= set(re.findall(r"^(\w+)", chosen, flags=re.MULTILINE))
    assert re.search(r"^XNLI +HellaSwag *$", chosen, flags=re.MULTILINE)
    assert re.search(r"^Tatoeba +MNLI *$", chosen, flags=re.MULTILINE)
    assert len(chosen.strip().splitlines()) == 2 + len(best.details)
