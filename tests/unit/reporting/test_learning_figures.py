"""Learning curves on the page: which runs stand where, on axes that hold them all."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.checking import file_records
from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.checking.learning_curves import (
    CURVES,
    Curve,
    CurveKey,
    Curves,
    Point,
    dump_curves,
    kept_scores,
)
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import dump_results, load_results
from stilts_artifact.reporting.exports import export
from stilts_artifact.reporting.figures import WIDTH
from stilts_artifact.reporting.layout import arrange
from stilts_artifact.reporting.learning_figures import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    Panels,
    Training,
    training_view,
)
from stilts_artifact.reporting.page import render_page, report_files
from stilts_artifact.reporting.runs import Run, run_of
from tests.unit.checking.conftest import small, small_sets  # noqa: F401  (fixtures)
from tests.unit.checking.small import SmallSet
from tests.unit.reporting.synthetic import MINI, STAMP, learning_curves, table2

RESULTS = table2()
CURVES_OF = learning_curves(RESULTS)


def view(curves: Curves) -> Training:
    found = training_view(curves, arrange(RESULTS), MINI)
    assert found is not None
    return found


def spots(path: str) -> list[tuple[float, float]]:
    numbers = [float(text) for text in re.findall(r"[\d.]+", path.removesuffix("h0"))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


@pytest.fixture(scope="module")
def training() -> Training:
    return view(CURVES_OF)


def test_every_run_is_a_line_of_the_panel_of_its_task_or_target(training: Training) -> None:
    second, third = training.figures[:2]
    assert (second.title, third.title) == (
        "Phase (ii): training loss",
        "Phase (iii): training loss",
    )
    found = {panel.title: panel for panel in second.panels}
    rows = {key.row for key in CURVES_OF if key.phase == "intermediate" and key.task == "mnli"}
    assert "multi" in rows, "a run on several tasks stands in the panel of each"
    assert len(found["MNLI"].lines) == len(rows) * len(RESULTS.seeds)
    assert "MLM" in found
    assert [panel.title for panel in third.panels] == ["XNLI", "POS", "XQuAD, MLQA", "TyDiQA"]
    names = [line.name for line in third.panels[0].lines]
    assert len(set(names)) == len(names) == len(RESULTS.seeds) * len({k.row for k in CURVES_OF})
    assert "MNLI + MLM, seed 12" in names
    # MLQA is read with XQuAD's model, and "none" has no run in phase (ii).
    shared = [key for key in CURVES_OF if key.target == "mlqa"]
    assert training.runs == len({key.run for key in CURVES_OF}) - len(shared)


def test_the_row_without_an_intermediate_task_is_marked_and_drawn_over_the_others(
    training: Training,
) -> None:
    for panel in training.figures[1].panels:
        marked = [line.is_base for line in panel.lines]
        assert marked == sorted(marked) and sum(marked) == len(RESULTS.seeds)
        assert all(line.name.startswith("XLM-R, seed ") for line in panel.lines if line.is_base)
        assert panel.description.count("XLM-R, seed ") == len(RESULTS.seeds)
        assert f"{len(marked) - 3} other runs: " in panel.description
    assert not any(line.is_base for panel in training.figures[0].panels for line in panel.lines)


def test_all_is_drawn_within_axes_that_all_panels_share(training: Training) -> None:
    for figure in training.figures:
        every = [
            spot for panel in figure.panels for line in panel.lines for spot in spots(line.path)
        ]
        assert LEFT <= min(x for x, _ in every) <= max(x for x, _ in every) == WIDTH - RIGHT
        heights = [y for _, y in every] + [y for y, _ in figure.ticks]
        assert TOP == min(heights) <= max(heights) == HEIGHT - BOTTOM
        numbers = [number for _, number in figure.ticks]
        ends = [
            end
            for panel in figure.panels
            for line in panel.lines
            for end in (line.first, line.last)
        ]
        assert numbers[0] <= min(ends) <= max(ends) <= numbers[-1]


def of_one(*points: Point, planned: int = 100) -> Training:
    key = CurveKey("target", NONE, 11, "xnli", "xnli")
    return view({key: Curve(planned, points)})


def ticks(figure: Panels) -> list[float]:
    return [number for _, number in figure.ticks]


def test_a_position_is_the_share_of_the_steps_and_the_logarithm_of_the_loss() -> None:
    [figure] = of_one(Point(50, 1.0, None), Point(100, 0.1, None)).figures
    [(middle, foot)] = [place for place in spots(figure.panels[0].lines[0].path) if place[0] < 328]
    assert (middle, foot) == ((LEFT + WIDTH - RIGHT) / 2, TOP), "one is the top of the axis"
    assert ticks(figure) == pytest.approx([0.1, 0.3, 1.0])
    [low] = [y for y, number in figure.ticks if number == pytest.approx(0.3)]
    assert low == pytest.approx(TOP + (HEIGHT - TOP - BOTTOM) * 0.523, abs=0.1)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [((1.0, 1.0), [1, 3]), ((0.0, 2.0), [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3])],
)
def test_an_axis_has_a_length_and_a_foot(losses: tuple[float, ...], expected: list[float]) -> None:
    points = [Point(step, loss, None) for step, loss in enumerate(losses, 1)]
    [figure] = of_one(*points, planned=2).figures
    assert ticks(figure) == pytest.approx(expected)


def test_a_run_with_a_single_point_is_seen() -> None:
    [figure] = of_one(Point(1, 1.0, None), planned=1).figures
    assert figure.panels[0].lines[0].path.endswith("h0")


def test_scores_are_drawn_where_runs_were_evaluated_more_than_once() -> None:
    once = of_one(Point(50, 1.0, None), Point(100, 0.5, 70.0))
    assert [figure.unit for figure in once.figures] == ["training loss"]
    twice = of_one(Point(50, 1.0, 60.0), Point(100, 0.5, 70.0)).figures
    assert [figure.unit for figure in twice] == ["training loss", "points"]
    assert ticks(twice[1]) == [60, 80]


def test_the_table_has_the_kept_score_of_every_run(training: Training) -> None:
    assert training.headings == ("Phase (ii)", "XNLI", "POS", "XQuAD", "MLQA")
    assert training.unscored == ("TyDiQA",)
    kept = kept_scores(CURVES_OF)
    rows = {row.row: row.title for row in arrange(RESULTS).rows}
    found = {
        row.title: dict(zip(training.headings, row.scores, strict=True)) for row in training.rows
    }
    assert found["XLM-R"]["Phase (ii)"] == ()
    assert len(found["Multi-task"]["Phase (ii)"]) == len(RESULTS.seeds)
    for run, score in kept.items():
        heading = {"": "Phase (ii)", "xnli": "XNLI", "udpos": "POS", "xquad": "XQuAD"}
        if run.target in heading:
            own = found[rows[run.row]][heading[run.target]]
            assert own[RESULTS.seeds.index(run.seed)] == score


def test_the_chosen_row_of_each_target_has_its_own_run_before_it() -> None:
    keys = [CurveKey("intermediate", "best", 11, target, "mnli") for target in ("xnli", "udpos")]
    found = view(dict.fromkeys(keys, Curve(1, (Point(1, 1.0, None),))))
    assert found.runs == 2
    assert [line.name for line in found.figures[0].panels[0].lines] == [
        "best for POS, seed 11",
        "best for XNLI, seed 11",
    ]


def test_the_page_has_the_section_only_where_curves_are_known_and_never_prints_it() -> None:
    run = Run(RESULTS, "table2.mini.json", "2" * 64)
    summary = '<details class="lists"><summary>Learning curves and development scores of '
    assert summary not in render_page([run])
    files = report_files([replace(run, curves=CURVES_OF)])
    page = files["report.html"].decode()
    assert summary in page
    assert '<a href="report-tables/table2.mini.training.csv">Every point as CSV</a>' in page
    assert page.count('class="curve base"') > 12
    printed = page[page.index("@media print") : page.index("</style>")]
    assert re.search(r"details\.lists[^{]*\{ display: none; \}", printed)


def test_every_point_is_a_line_of_the_csv_with_titles_and_stamp() -> None:
    run = Run(RESULTS, "table2.mini.json", "2" * 64, curves=CURVES_OF)
    lines = list(csv.DictReader(io.StringIO(export([run])[f"table2.mini.{CURVES}"].decode())))
    assert len(lines) == sum(len(curve.points) for curve in CURVES_OF.values())
    assert {line["stamp"] for line in lines} == {STAMP}
    [last] = [
        line
        for line in lines
        if (line["row"], line["seed"], line["target"], line["step"])
        == ("mnli", "12", "udpos", "200")
    ]
    assert (last["row_title"], last["target_title"]) == ("MNLI", "POS")
    due = CURVES_OF[CurveKey("target", "mnli", 12, "udpos", "udpos")].points[-1]
    assert float(last["loss"]) == pytest.approx(due.loss, abs=1e-6)
    assert float(last["score"]) == pytest.approx(due.score, abs=1e-6)


def test_a_run_of_a_folder_has_the_curves_that_its_results_list(small: SmallSet) -> None:  # noqa: F811
    assert run_of(recheck(small.results_file)).curves == {}, "results from before have none"
    curves = {CurveKey("target", NONE, 0, "xnli", "xnli"): Curve(1, (Point(1, 1.0, 70.0),))}
    (small.run / CURVES).write_bytes(dump_curves(curves))
    results = load_results(small.results_file)
    files = file_records(small.folder, small.run)
    small.results_file.write_bytes(dump_results(results.model_copy(update={"files": files})))
    assert run_of(recheck(Path(small.results_file))).curves == curves
