"""Tables for others' programs: every cell as it is, and LaTeX that stays LaTeX."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest

from stilts_artifact.reporting.exports import CSV_HEADER, cells_csv, export, latex, table_latex
from stilts_artifact.reporting.layout import arrange
from stilts_artifact.reporting.page import report_files
from stilts_artifact.reporting.runs import Run
from tests.unit.reporting.synthetic import HOSTILE, STAMP, UNMEASURED_ROW, table1, table2
from tests.unit.reporting.test_layout import signed_otherwise
from tests.unit.reporting.test_page import intervals, usage


@pytest.fixture(scope="module")
def run() -> Run:
    results = table2()
    return Run(results, "table2.mini.json", "2" * 64, intervals(results))


@pytest.mark.slow
def test_every_cell_is_a_line_with_its_numbers(run: Run) -> None:
    lines = list(csv.DictReader(io.StringIO(cells_csv(run))))
    layout = arrange(run.results)
    assert len(lines) == len(run.results.cells)
    for line, cell in zip(lines, run.results.cells, strict=True):
        assert tuple(line) == CSV_HEADER
        assert (line["row"], line["column"], line["language"]) == (
            cell.row,
            cell.column,
            cell.language or "",
        )
        titles = run.results.titles
        assert line["row_title"] == titles.rows[cell.row]
        assert line["column_title"] == titles.columns[cell.column]
        assert line["stamp"] == STAMP
        assert (line["verdict"], line["flag"]) == (cell.verdict, cell.flag or "")
        assert line["limit"] == ("" if cell.limit is None else "4")
        gain = layout.gain(cell.row, cell.column, cell.language)
        for name, number in (("value", cell.value), ("expected", cell.expected), ("gain", gain)):
            assert (
                line[name] == "" if number is None else float(line[name]) == pytest.approx(number)
            )
        if cell.value is not None:
            assert float(line["low"]) < float(line["value"]) < float(line["high"])
            assert line["standard_error"] == "2"
            assert len(line["seeds"].split()) == 3
        if gain is not None:
            assert float(line["gain_low"]) < gain < float(line["gain_high"])


def test_latex_has_the_rows_that_were_measured_under_the_stamp(run: Run) -> None:
    text = table_latex(run)
    layout = arrange(run.results)
    scores, gains = re.findall(r"\\begin{tabular}.*?\\end{tabular}", text, flags=re.DOTALL)
    columns = layout.with_role("score", "average")
    for table in (scores, gains):
        assert f"\\begin{{tabular}}{{l{'r' * len(columns)}}}" in table
        assert STAMP in table
        assert "\\emph{English intermediate task}" in table
        assert "HellaSwag in qaf" not in table  # UNMEASURED_ROW
    line = next(line for line in scores.splitlines() if line.startswith("MNLI &"))
    values = [f"${layout.value('mnli', column.name):.1f}$" for column in columns]
    assert line == " & ".join(["MNLI", *values]) + r" \\"
    assert next(line for line in gains.splitlines() if line.startswith("MNLI &")).count("$+") > 5
    assert not any(line.startswith("XLM-R &") for line in gains.splitlines())
    assert layout.unmeasured[0].row == UNMEASURED_ROW


def test_what_is_no_gain_has_no_interval_of_one(run: Run) -> None:
    """Whatever was drawn for it: the two rows did not measure the same thing."""
    other = signed_otherwise(run.results, "mnli", ("xnli",), "layer:7")
    lines = csv.DictReader(io.StringIO(cells_csv(replace(run, results=other))))
    apart = [line for line in lines if (line["row"], line["column"]) == ("mnli", "xnli")]
    assert {(line["gain"], line["gain_low"], line["gain_high"]) for line in apart} == {("",) * 3}


def test_counts_are_a_table_too() -> None:
    results = table1()
    cells = [*results.cells, results.cells[0].model_copy(update={"language": "qab", "value": 12})]
    text = table_latex(Run(results.model_copy(update={"cells": cells}), "t.json", "1" * 64))
    assert r"MNLI & 12--3,600 & $300$ & -- & -- \\" in text
    assert r"XNLI & $3{,}600$ & 201 (1 of 2) & -- & -- \\" in text
    assert "\\midrule" in text
    assert "\\emph" not in text, "one block needs no title"


def test_no_letter_of_a_title_is_a_command() -> None:
    hostile = "50% & $x_1$ #{a} ~^ \\input{x} [2em] *"
    printed = latex(hostile)
    plain = re.sub(r"\\text[a-z]+{}|\\[&%$#_{}]|{\[}|{\*}", "", printed)
    assert not set("\\&%$#_{}~^[*") & set(plain)
    results = table1()
    rows = [results.rows[0].model_copy(update={"title": HOSTILE}), *results.rows[1:]]
    renamed = Run(results.model_copy(update={"rows": rows}), "table1.mini.json", "1" * 64)
    assert r"\& | {[}bold]" in table_latex(renamed)
    second = table2()
    rows = [row.model_copy(update={"group": f"{row.group}_%"}) for row in second.rows]
    noted = second.model_copy(update={"rows": rows, "stamp": "100 % own"})
    printed = table_latex(Run(noted, "table2.mini.json", "2" * 64))
    assert r"\emph{English\_\%}" in printed and printed.count(r"100 \% own") == 2


@pytest.mark.slow
def test_two_files_a_run(run: Run) -> None:
    made = export([run])
    assert list(made) == ["table2.mini.csv", "table2.mini.tex"]
    assert made["table2.mini.csv"].decode() == cells_csv(run)


@pytest.mark.slow
def test_what_a_run_took_is_a_file_of_its_own_that_the_page_links_to(run: Run) -> None:
    files = report_files([replace(run, usage=usage())])
    name = "report-tables/table2.mini.usage.csv"
    assert name in files and f'href="{name}"'.encode() in files["report.html"]
    assert files["report.html"].count(b'href="report-tables/') == 3
    header, *lines = files[name].decode().splitlines()
    assert header.startswith("kind,machine,run,steps,seconds,cpu_seconds,gpu_seconds")
    assert lines[0] == "prepare,2 cores,earlier,34,75.0,,0.0,5000000000,0,1"
