"""Tables of calibration: they say what was done to log-odds, and nothing of few examples."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.studies import load_protocol
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import IntegrityError
from stilts_artifact.studies.calibration import LEAST, scaled
from stilts_artifact.studies.calibration_tables import (
    CALIBRATION,
    CALIBRATION_HEADER,
    RELIABILITY,
    CalibrationTables,
    MatchedEffect,
)
from stilts_artifact.studies.effects import Effects, Measures, Runs
from tests.unit.studies.probable import SOURCE, STUDY, drawn, publish, runs_of

PROTOCOL = load_protocol("004").protocol
LANGUAGES = (SOURCE, "qad", "qae")
ROWS = ("squad_v1", "hellaswag", "qqp")
SHARPENED = {
    "none": {1: 1.0, 2: 1.0},
    "none-smaller": {1: 1.0, 2: 1.0},
    **{row: {1: 0.5, 2: 0.6} for row in ROWS},
    **{f"{row}-smaller": {1: 0.8, 2: 0.8} for row in ROWS},
}
ERRORS = CALIBRATION_HEADER[CALIBRATION_HEADER.index("ece_debiased") :]


def tables_of(runs: Runs) -> CalibrationTables:
    return CalibrationTables(runs, PROTOCOL, Measures(runs, 20))


def lines(runs: Runs, table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(tables_of(runs).tables()[table].decode().splitlines()))


def test_every_run_stands_there_as_published_and_tempered(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"none": {1: 1.0, 2: 1.0}, "qqp": {1: 0.5, 2: 0.6}}, LANGUAGES)
    found = lines(runs, CALIBRATION)
    places = [(one["row"], one["seed"], one["language"], one["probabilities"]) for one in found]
    assert len(set(places)) == len(places) == 2 * 2 * 3 * 2
    for one in found:
        if one["probabilities"] == "published":
            assert one["temperature"] == "1"
    tempered = {(one["row"], one["seed"]): float(one["temperature"]) for one in found[1::2]}
    # What suits the sample, times what the log-odds were divided by.
    assert tempered["qqp", "1"] == pytest.approx(2 * tempered["none", "1"], rel=1e-3)
    assert tempered["none", "1"] == pytest.approx(1, abs=0.25)


def test_a_temperature_changes_no_accuracy(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"qqp": {1: 0.5}}, LANGUAGES)
    published, tempered = lines(runs, CALIBRATION)[:2]
    assert (published["probabilities"], tempered["probabilities"]) == ("published", "tempered")
    assert published["accuracy"] == tempered["accuracy"]
    assert float(tempered["nll"]) < float(published["nll"])


def test_the_numbers_are_those_of_the_probabilities(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"qqp": {1: 0.5}}, LANGUAGES)
    line = next(one for one in lines(runs, CALIBRATION) if one["language"] == "qad")
    told, gold = drawn(400, 1)
    told = scaled(told, 0.5)
    right = (told.argmax(axis=1) == gold).mean()
    assert float(line["accuracy"]) == pytest.approx(100 * right)
    due = 100 * (np.exp(told).max(axis=1).mean() - right)
    assert float(line["overconfidence"]) == pytest.approx(due, abs=1e-3)
    assert float(line["nll"]) == pytest.approx(-told[np.arange(400), gold].mean(), abs=1e-5)
    rest = np.exp(told) - np.eye(3)[gold]
    assert float(line["brier"]) == pytest.approx(50 * (rest**2).sum(axis=1).mean(), abs=1e-3)


@pytest.mark.parametrize("examples", [120, LEAST])
def test_errors_of_calibration_are_empty_where_chance_makes_them(
    tmp_path: Path, examples: int
) -> None:
    runs = runs_of(tmp_path, {"none": {1: 1.0}}, (SOURCE,), examples)
    for line in lines(runs, CALIBRATION):
        assert [line[name] == "" for name in ERRORS] == [examples < LEAST] * len(ERRORS)
        if examples == LEAST:
            parts = [float(line[name]) for name in ERRORS[-4:]]
            told, gold = drawn(examples, 0)
            told = scaled(told, float(line["temperature"]))
            sure = np.exp(told).max(axis=1)
            due = 100 * np.mean((sure - (told.argmax(axis=1) == gold)) ** 2)
            assert parts[0] - parts[1] + parts[2] + parts[3] == pytest.approx(due, abs=1e-3)


def test_without_development_data_nothing_is_tempered(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"none": {1: 1.0}}, LANGUAGES)
    (tmp_path / "probabilities/none/seed-1/xnli" / f"dev-{SOURCE}.csv").unlink()
    found = lines(runs, CALIBRATION)
    assert [one["language"] for one in found] == sorted(LANGUAGES)
    assert {one["probabilities"] for one in found} == {"published"}


@pytest.mark.slow
def test_a_reliability_diagram_pools_a_term_and_bends_as_its_log_odds_did(tmp_path: Path) -> None:
    found = lines(runs_of(tmp_path, SHARPENED, LANGUAGES, 1500), RELIABILITY)
    curves: dict[tuple[str, str], list[dict[str, str]]] = {}
    for one in found:
        assert one["effect"] == "size"
        curves.setdefault((one["rows"], one["probabilities"]), []).append(one)
    assert len(curves) == 4 * 2
    assert {len(curve) for curve in curves.values()} == {101}

    def beyond(rows: str, version: str) -> float:
        """How far below the diagonal the curve runs, on average."""
        own = [one for one in curves[rows, version] if one["accuracy"]]
        weights = [float(one["density"]) for one in own]
        below = [float(one["confidence"]) - float(one["accuracy"]) for one in own]
        return float(np.average(below, weights=weights))

    assert abs(beyond("none", "published")) < 2
    told = [drawn(1500, number)[0] for number in (1, 2)]
    due = [
        100 * (np.exp(scaled(one, t)).max(axis=1) - np.exp(one).max(axis=1)).mean()
        for one in told
        for t in (0.5, 0.6)
    ]
    assert beyond(" ".join(ROWS), "published") == pytest.approx(np.mean(due), abs=2)
    assert abs(beyond(" ".join(ROWS), "tempered")) < 2
    for curve in curves.values():
        assert np.mean([float(one["density"]) for one in curve]) == pytest.approx(1, abs=0.1)


def test_of_rows_that_were_not_run_a_diagram_says_nothing(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"none": {1: 1.0}, "qqp": {1: 0.5}}, LANGUAGES)
    assert {one["rows"] for one in lines(runs, RELIABILITY)} == {"none", "qqp"}


def matched(runs: Runs) -> dict[tuple[str, str], MatchedEffect]:
    return {(one.effect, one.languages): one for one in tables_of(runs).matched()}


@pytest.mark.slow
def test_where_accuracy_is_equal_the_matched_effect_is_the_effect(tmp_path: Path) -> None:
    """Scaling changes no prediction, so the cells of a language all have one accuracy."""
    runs = runs_of(tmp_path, SHARPENED, (SOURCE, "qad", "qae", "qaf", "qag"))
    found = matched(runs)
    assert list(found) == [
        ("overconfidence", "rich"),
        ("size", "rich"),
        ("size", "all"),
        ("size", "rich-otherwise"),
    ]
    size = found["size", "rich"]
    effects = Measures(runs, 20).effects(PROTOCOL.effects["size"], "points")
    raw = np.mean([effects.mean(code).value for code in effects.languages()])
    assert size.raw == pytest.approx(raw)
    assert size.cells == 4 * (3 + 1 + 3 + 1) * 2
    assert size.matched == pytest.approx(size.raw, abs=0.5)
    assert size.seeds == pytest.approx(effects_by_seed(effects), abs=0.5)
    # No language but the source and those of the group is there.
    assert found["size", "all"] == replace(size, languages="all")


def effects_by_seed(effects: Effects) -> list[float]:
    return list(np.mean([effects.mean(code).seeds for code in effects.languages()], axis=0))


@pytest.mark.slow
def test_an_effect_that_accuracy_alone_makes_is_none_where_it_is_equal(tmp_path: Path) -> None:
    """Everybody says 80 %; whoever is right in 60 is overconfident by 20, treated or not."""
    languages = (SOURCE, "qad", "qae", "qaf", "qag")
    runs = runs_of(tmp_path, SHARPENED, languages)
    sure = np.log(np.array([0.8, 0.1, 0.1]))
    share = {
        code: number for code, number in zip(languages, (0.7, 0.5, 0.6, 0.7, 0.8), strict=True)
    }
    order = np.arange(400)
    for row in SHARPENED:
        better = 0.0 if row.startswith("none") else 0.1
        for code in languages:
            gold = drawn(400, languages.index(code))[1]
            wrong = order >= 400 * (share[code] + better)
            told = np.array(
                [np.roll(sure, label + off) for label, off in zip(gold, wrong, strict=True)]
            )
            for seed in runs.seeds:
                publish(tmp_path, row, seed, (Split.TEST, code), told)
    found = list(tables_of(runs)._calibration())
    assert found
    own = PROTOCOL.model_copy(
        update={
            "hypotheses": (PROTOCOL.hypotheses[0].model_copy(update={"effect": "overconfidence"}),)
        }
    )
    (effect,) = CalibrationTables(runs, own, Measures(runs, 20)).matched()
    assert effect.raw == pytest.approx(-10)
    assert effect.matched == pytest.approx(0, abs=3)


def test_a_study_without_probabilities_has_no_such_tables(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"none": {1: 1.0}}, LANGUAGES)
    other = Runs(tmp_path, runs.benchmark, EXPERIMENTS["study-003"], runs.rows, runs.seeds)
    assert tables_of(other).tables() == {}
    assert tables_of(runs).tables() != {}


@pytest.mark.parametrize(
    "path",
    [
        f"probabilities/none/seed-1/xnli/dev-{SOURCE}.csv",
        "probabilities/none/seed-1/xnli/test-qad.csv",
        f"labels/xnli/dev-{SOURCE}.tsv",
    ],
)
def test_every_file_behind_a_table_is_verified(tmp_path: Path, path: str) -> None:
    runs = runs_of(tmp_path, {"none": {1: 1.0}}, LANGUAGES)
    refused = tmp_path / path

    def read(path: Path) -> bytes:
        if path == refused:
            raise IntegrityError("altered", where=str(path))
        return path.read_bytes()

    own = Runs(tmp_path, runs.benchmark, STUDY, runs.rows, runs.seeds, read)
    with pytest.raises(IntegrityError):
        tables_of(own).tables()
