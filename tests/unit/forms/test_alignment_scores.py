"""Files of alignment scores: written, read, and refused where they are not what they should be."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.errors import DataError
from stilts_artifact.forms.alignment_scores import (
    MEASURES,
    ScorePlace,
    Scores,
    accuracies,
    parse_scores,
    places,
    scores_file,
    write_scores,
)
from stilts_artifact.studies.effects import in_scale

LANGUAGES = ("de", "sw")


def made() -> Scores:
    chance = np.random.default_rng(3)
    return {
        place: dict(zip(MEASURES, (chance.normal(size=len(MEASURES)) * 30).tolist(), strict=True))
        for place in places(LANGUAGES, 3)
    }


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    scores = made()
    place = ScorePlace(1, "sw", "centred")
    scores = {**scores, place: {**scores[place], "gap": math.nan, "cka": -1e-9}}
    path = write_scores(scores_file(tmp_path, "ntrex", "test"), scores)
    assert path == tmp_path / "ntrex" / "test.csv"
    assert "-0.000000" not in path.read_text()
    found = parse_scores(path.read_bytes(), str(path))
    assert list(found) == list(scores)
    assert math.isnan(found[place].pop("gap"))  # type: ignore[attr-defined]
    for where, measures in found.items():
        for name, value in measures.items():
            assert value == pytest.approx(scores[where][name], abs=5.1e-7)


def changed(line: int, change: Callable[[str], str]) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:line], change(lines[line]), *lines[line + 1 :]]


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        (changed(0, lambda line: line + ",more"), "not a file of alignment scores", "f:1"),
        (changed(3, lambda line: line + ",1.000000"), "not the scores of a layer", "f:4"),
        (changed(3, lambda line: line.replace("reduced", "bare")), "not the scores", "f:4"),
        (changed(3, lambda line: "x" + line), "not the scores of a layer", "f:4"),
        (changed(2, lambda line: line.rsplit(",", 1)[0] + ",nan"), "not the scores", "f:3"),
        (changed(2, lambda line: line.rsplit(",", 1)[0] + ",1.5"), "not the scores", "f:3"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "scores of one place twice", "f:4"),
        (lambda lines: [*lines[:3], *lines[4:]], "not the scores of all layers", "f"),
        (lambda lines: lines[:-1], "not the scores of all layers", "f"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "not the scores of all", "f"),
        (lambda lines: lines[:1], "not the scores of all layers", "f"),
    ],
)
def test_what_is_no_such_file_is_refused(
    tmp_path: Path, change: Callable[[list[str]], list[str]], what: str, where: str
) -> None:
    path = write_scores(tmp_path / "scores.csv", made())
    lines = change(path.read_text().splitlines())
    with pytest.raises(DataError, match=what) as caught:
        parse_scores(("\n".join(lines) + "\n").encode(), "f")
    assert caught.value.where is not None
    assert caught.value.where.startswith(where)


@pytest.mark.parametrize("first", [0, 3, 20])
def test_log_odds_are_those_of_effects(first: int) -> None:
    ranks = np.where(np.arange(40).reshape(20, 2) < 2 * first, 1, 2)
    found = accuracies(ranks)
    assert found["accuracy"] == pytest.approx(5 * first)
    odds = in_scale(np.array([found["accuracy"]]), "log-odds", 20)[0]
    assert found["log-odds"] == pytest.approx(odds)
