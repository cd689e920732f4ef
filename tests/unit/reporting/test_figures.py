"""The plots of a sweep and of mining against gold."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from stilts_artifact.reporting.figures import draw_sweep
from stilts_artifact.retrieval.sweep import SweepScores

POINTS = {("mean", layer): {"qab": 40.0 + layer} for layer in range(3)}
SCORES = SweepScores(POINTS, {"qab": 200}, "accuracy")


def test_a_plot_looks_the_same_whatever_a_matplotlibrc_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_sweep(SCORES, tmp_path / "plain.png", "title")
    for name, value in {"axes.facecolor": "red", "savefig.dpi": 20, "font.size": 30}.items():
        monkeypatch.setitem(matplotlib.rcParams, name, value)
    draw_sweep(SCORES, tmp_path / "surrounded.png", "title")
    assert (tmp_path / "surrounded.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
