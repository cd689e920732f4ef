"""The plots of a sweep and of mining against gold."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from stilts_artifact.reporting.figures import draw_sweep
from stilts_artifact.retrieval.sweep import SweepScores

POINTS = {("mean", layer): {"qab": 40.0 + layer} for layer in range(3)}
SCORES = SweepScores(POINTS, {"qab": 200}, "accuracy")


@pytest.mark.slow
def test_a_sweep_is_drawn_with_every_language_and_its_number_of_pairs(tmp_path: Path) -> None:
    n = {f"l{number:02}": 100 + number for number in range(20)}
    points = {
        (pooling, layer): {language: 40.0 + layer for language in n}
        for pooling in ("mean", "cls")
        for layer in range(3)
    }
    draw_sweep(SweepScores(points, n, "accuracy"), tmp_path / "many.svg", "title")
    drawn = (tmp_path / "many.svg").read_text()
    for language, pairs in n.items():
        assert drawn.count(f"<!-- {language} (n = {pairs}) -->") == 1
    assert "mean of accuracy; 20 languages, n = 2,190" in drawn
    assert drawn.count('style="fill: none; stroke: #1f77b4; stroke-width: 0.8') >= 4
    # Of one language the mean is the language.
    draw_sweep(SCORES, tmp_path / "one.svg", "title")
    assert "qab" not in (tmp_path / "one.svg").read_text()


@pytest.mark.slow
def test_a_plot_looks_the_same_whatever_a_matplotlibrc_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_sweep(SCORES, tmp_path / "plain.png", "title")
    for name, value in {"axes.facecolor": "red", "savefig.dpi": 20, "font.size": 30}.items():
        monkeypatch.setitem(matplotlib.rcParams, name, value)
    draw_sweep(SCORES, tmp_path / "surrounded.png", "title")
    assert (tmp_path / "surrounded.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
