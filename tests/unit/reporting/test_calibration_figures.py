"""Figures of calibration: what they show is what was done to the log-odds, in signs and words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.checking.results import Results, row_records
from stilts_artifact.reporting import svg
from stilts_artifact.reporting.calibration_figures import Arm, arms_of, calibration_figures
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import Run
from stilts_artifact.reporting.study_figures import Question, questions
from stilts_artifact.reporting.study_tables import StudyTables, load_tables
from stilts_artifact.studies.calibration import scaled
from stilts_artifact.studies.calibration_tables import CalibrationTables
from stilts_artifact.studies.effects import Measures
from tests.unit.reporting import studies
from tests.unit.studies.probable import MINI, SOURCE, STUDY, drawn, runs_of

PROTOCOL = studies.protocol("004")
LANGUAGES = (SOURCE, "qad", "qaa")
SHARPENED = {
    "none": {1: 1.0},
    "qqp": {1: 0.5},
    "none-smaller": {1: 1.0},
    "qqp-smaller": {1: 0.8},
}
LARGER, SMALLER = "larger encoder", "smaller encoder"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("004")
    runs = runs_of(made, SHARPENED, LANGUAGES, 2500)
    for name, table in CalibrationTables(runs, PROTOCOL, Measures(runs, 20)).tables().items():
        (made / name).write_bytes(table)
    return made


@pytest.fixture
def tables(folder: Path) -> StudyTables:
    return load_tables(folder)


def question_with(tables: StudyTables) -> Question:
    found = studies.mini_record("004")
    return next(one for one in questions(found, PROTOCOL, tables, "mini") if one.name == "004-H1")


def results_of(rows: list[str]) -> Results:
    found = studies.results("004", "mini", studies.mini_record("004"))
    return found.model_copy(update={"rows": row_records(STUDY, MINI, rows)})


def arms(rows: list[str]) -> list[Arm]:
    return arms_of(PROTOCOL.effects["size"], results_of(rows))


def figures(tables: StudyTables) -> dict[str, svg.Drawing]:
    drawn = calibration_figures(question_with(tables), arms(list(SHARPENED)))
    return {one.title: one for one in drawn if isinstance(one, svg.Drawing)}


def test_the_arms_are_the_rows_that_were_run_of_each_encoder() -> None:
    assert arms(list(SHARPENED)) == [
        Arm(("qqp",), LARGER, "QQP", treated=True),
        Arm(("none",), LARGER, "XLM-R", treated=False),
        Arm(("qqp-smaller",), SMALLER, "QQP", treated=True),
        Arm(("none-smaller",), SMALLER, "XLM-R", treated=False),
    ]
    assert arms(["none", "squad_v1", "hellaswag"])[0].title == "SQuAD v1.1, HellaSwag"


def added(temperature: float, number: int) -> float:
    told, _ = drawn(2500, number)
    sure = [np.exp(one).max(axis=1).mean() for one in (scaled(told, temperature), told)]
    return 100 * float(sure[0] - sure[1])


@pytest.mark.slow
def test_a_reliability_diagram_says_how_far_confidence_is_from_accuracy(
    tables: StudyTables,
) -> None:
    said = figures(tables)["Reliability in rich languages"].description
    for name, temperature in ((LARGER, 0.5), (SMALLER, 0.8)):
        found = re.search(rf"QQP, {name}, as it is: confidence is ([+−][\d.]+) points above", said)
        assert found is not None
        # Of rich languages there is one; accuracy is that of a sample of 2,500.
        due = added(temperature, 1)
        assert float(found[1].replace("−", "-")) == pytest.approx(due, abs=2.5)
    after = re.findall(r"one temperature: confidence is ([+−][\d.]+) points", said)
    assert len(after) == 4
    assert all(abs(float(one.replace("−", "-"))) < 2.5 for one in after)


@pytest.mark.slow
def test_every_language_moves_from_hollow_to_full(tables: StudyTables) -> None:
    figure = figures(tables)["Overconfidence before and after one temperature a run"]
    assert "Bold: the group rich" in figure.reading
    means = re.search(rf"QQP, {LARGER}: ([+−][\d.]+) to ([+−][\d.]+)\.", figure.description)
    assert means is not None
    before, after = (float(one.replace("−", "-")) for one in means.groups())
    assert before - after == pytest.approx(np.mean([added(0.5, n) for n in range(3)]), abs=1)
    # Two encoders, two arms, three languages: a hollow and a full marker each.
    hollow = len(re.findall(r"fill: var\(--surface\); stroke: var\(--series-[12]\)", figure.body))
    assert hollow == 2 * 2 * 3
    bold = re.findall(r"font-weight: 700[^>]*>(\w+)</text>", figure.body)
    assert bold == ["qad"]


def test_arms_differ_in_more_than_colour(tables: StudyTables) -> None:
    curves = figures(tables)["Reliability in rich languages"].body
    lines = re.findall(r"stroke(?:-dasharray)?: [^\"]*var\(--series-([12])\)[^\"]*", curves)
    dashed = re.findall(r"stroke-dasharray: [^\"]*stroke: var\(--series-([12])\)", curves)
    # As published and tempered, of two encoders, and in the legend: the treated arm alone.
    assert dashed == ["2"] * 5
    assert lines.count("1") >= 4


def test_no_line_leaves_its_panel(tables: StudyTables) -> None:
    """Nothing is clipped, so a diagonal from 0 would run into the labels."""
    figure = figures(tables)["Reliability in rich languages"]
    starts = re.findall(r'd="M (-?[\d.]+) (-?[\d.]+)[^"]*"[^>]*stroke-dasharray', figure.body)
    assert len(starts) == 4 * 2 + 1  # a diagonal and a dashed curve a panel, and the legend's line
    inside = [float(x) for x, y in starts if float(y) < figure.height - 30]
    assert len(inside) == 4 * 2
    assert min(inside) >= svg.LEFT - 0.01


def test_without_probabilities_a_sentence_stands_there() -> None:
    found = list(calibration_figures(question_with(StudyTables()), arms(list(SHARPENED))))
    assert found == [
        "Reliability in rich languages: not drawn, for no run's probabilities are there.",
        "Overconfidence before and after one temperature a run: not drawn, for no run's "
        "probabilities are there.",
    ]


@pytest.mark.slow
def test_without_development_data_there_is_one_line_of_panels(tables: StudyTables) -> None:
    whole = figures(tables)
    published = StudyTables(
        overconfidence={k: v for k, v in tables.overconfidence.items() if k[2] == "published"},
        reliability={k: v for k, v in tables.reliability.items() if k[2] == "published"},
    )
    for title, figure in figures(published).items():
        assert "one temperature:" not in figure.description
        if title.startswith("Reliability"):
            assert figure.height < whole[title].height


@pytest.mark.slow
def test_the_page_of_the_study_has_both(folder: Path) -> None:
    run = Run(results_of(list(SHARPENED)), "study-004.mini.json", "1" * 64, folder=folder)
    page = render_page([run])
    for title in (
        "Reliability in rich languages",
        "Overconfidence before and after one temperature",
    ):
        assert f">{title}" in page
    # Arms of accuracy are another study's figure.
    assert "every arm over" not in page
