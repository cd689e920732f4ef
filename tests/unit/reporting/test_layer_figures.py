"""Figures by layer: what they show is what the published scores give, in lines and in words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.errors import DataError
from stilts_artifact.forms.alignment_scores import (
    MEASURES,
    Measures,
    ScorePlace,
    places,
    scores_file,
    write_scores,
)
from stilts_artifact.reporting import svg
from stilts_artifact.reporting.layer_figures import LayerScores, layer_figures, load_layers
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import Run
from stilts_artifact.reporting.study_figures import Question, questions
from stilts_artifact.reporting.study_tables import StudyTables
from tests.unit.reporting import studies

PROTOCOL = studies.protocol("002")
LANGUAGES, LAYERS, REPORTED = ("qaa", "qab", "qac"), 4, 2
DEGRADATION = PROTOCOL.effects["degradation"]


def write(folder: Path, row: str, seed: int, plus: float) -> None:
    """Accuracy 50 and more by layer, and where the language stands; log-odds a tenth of it."""
    scores: dict[ScorePlace, Measures] = {}
    for place in places(LANGUAGES, LAYERS):
        centred = 5.0 if place.variant == "centred" else 0.0
        accuracy = 50 + plus * place.layer + 10 * LANGUAGES.index(place.language) + centred
        numbers = {**dict.fromkeys(MEASURES, 0.0), "accuracy": accuracy, "log-odds": accuracy / 10}
        scores[place] = {name: numbers[name] for name in MEASURES}
    write_scores(scores_file(folder / "scores" / row / f"seed-{seed}", "ntrex", "test"), scores)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "none", 1, 4)
    write(tmp_path, "none", 2, 6)
    for row, plus in (("mnli", 1), ("qqp", 3)):
        write(tmp_path, row, 1, plus)
        write(tmp_path, row, 2, plus + 2)
    return tmp_path


def question(name: str = "002-H1") -> Question:
    asked = questions(studies.mini_record("002"), PROTOCOL, StudyTables(), "mini")
    return next(one for one in asked if one.name == name)


def figures(scores: LayerScores) -> dict[str, svg.Drawing]:
    drawn = layer_figures(question(), DEGRADATION, scores, REPORTED)
    return {one.title: one for one in drawn if isinstance(one, svg.Drawing)}


def test_scores_are_means_over_seeds_and_then_over_rows(folder: Path) -> None:
    scores = load_layers(folder)
    assert set(scores.rows) == {"none", "mnli", "qqp"}
    assert scores.mean(["none"], "accuracy")["qab", "raw"].tolist() == [60, 65, 70, 75]
    both = scores.mean(["mnli", "qqp", "not-run"], "log-odds")
    assert both["qaa", "centred"] == pytest.approx(np.array([5.5, 5.8, 6.1, 6.4]))
    assert scores.mean(["not-run"], "accuracy") == {}


def test_the_figures_say_scores_and_what_is_lost_at_the_reported_layer(folder: Path) -> None:
    found = figures(load_layers(folder))
    assert list(found) == ["Translations found, by layer", "Alignment lost, by layer"]
    before, lost = (one.description for one in found.values())
    # qaa and qac are of the group: 60 + 10 and 80 + 10 - 10 at layer 2, mean 70; qab 70.
    assert "Mean of 2 low-resource, raw: 70.0 at layer 2, from 60.0 at layer 0" in before
    assert "Mean of 1 others, centred: 75.0 at layer 2" in before
    # None gains 5 a layer, the others 3: 0.2 log-odds less a layer, in every variant.
    for variant in ("raw", "centred"):
        assert f"low-resource, {variant}: +0.40 at layer 2, from +0.00 at layer 0 to +0.60" in lost
    assert "the group low-resource solid" in found["Alignment lost, by layer"].reading


def test_every_language_is_a_line_in_both_panels(folder: Path) -> None:
    body = figures(load_layers(folder))["Alignment lost, by layer"].body
    thin = re.findall(r"<path[^>]*stroke-width: 0\.6[^>]*>", body)
    assert len(thin) == 2 * len(LANGUAGES)
    dotted = [line for line in thin if "stroke-dasharray" in line]
    assert len(dotted) == 2, "qab, which is not of the group"


def test_without_runs_there_is_a_sentence(tmp_path: Path) -> None:
    [sentence] = layer_figures(question(), DEGRADATION, load_layers(tmp_path), REPORTED)
    assert sentence == (
        "Translations found, by layer: not drawn, for no scores of row none are there."
    )
    write(tmp_path, "none", 1, 4)
    drawn = list(layer_figures(question(), DEGRADATION, load_layers(tmp_path), REPORTED))
    assert isinstance(drawn[0], svg.Drawing)
    assert drawn[1] == "Alignment lost, by layer: not drawn, for no other row was run."


def test_a_file_that_is_none_of_scores_is_refused(folder: Path) -> None:
    (folder / "scores" / "none" / "seed-1" / "ntrex" / "test.csv").write_text("layer\n")
    with pytest.raises(DataError, match="not a file of alignment scores"):
        load_layers(folder)


@pytest.mark.slow
def test_the_page_of_study_002_has_them_once(folder: Path) -> None:
    found = studies.results("002", "mini", studies.mini_record("002"))
    text = render_page([Run(found, "study-002.mini.json", "1" * 64, folder=folder)])
    for title in ("Translations found, by layer", "Alignment lost, by layer"):
        assert text.count(f"{title}. Mean of 2 low-resource") == 1


def test_each_panel_has_its_own_variant(folder: Path) -> None:
    """Centred scores are 5 points higher: less far below the raw ones than the panel is."""
    body = figures(load_layers(folder))["Translations found, by layer"].body
    thin = re.findall(r'd="M [\d.]+ ([\d.]+)[^"]*"[^>]*stroke-width: 0\.6', body)
    heights = [float(height) for height in thin]
    centred, raw = heights[: len(LANGUAGES)], heights[len(LANGUAGES) :]
    for below, above in zip(centred, raw, strict=True):
        assert 130 < below - above < 150
