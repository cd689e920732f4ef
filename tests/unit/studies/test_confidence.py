"""Overconfidence as an effect: counted from probabilities, drawn and summed as any other metric."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.studies import load_protocol
from stilts_artifact.checking.sums import expected_root
from stilts_artifact.domain.cells import Finding
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.forms import form_of
from stilts_artifact.studies.analysis import Question, analyse
from stilts_artifact.studies.calibration import Floats, scaled
from stilts_artifact.studies.confidence import CONFIDENCE_METRICS, ConfidenceMetric
from stilts_artifact.studies.covariates import mini_covariates
from stilts_artifact.studies.effects import Effects, Measures, Runs
from stilts_artifact.studies.protocol import EffectDefinition, FormMetric, Metric, parse_protocol
from tests.unit.studies.probable import SOURCE, drawn, publish, runs_of

ROWS = {"none": {1: 1.0, 2: 1.0}, "squad_v1": {1: 0.5, 2: 0.6}}
DRAWS = 200


def effect(runs: Runs, metric: Metric, rows: tuple[str, ...] = ("squad_v1", "none")) -> Effects:
    terms = [{"rows": [rows[0]]}, {"rows": [rows[1]], "weight": -1}]
    told = {"measures": [["xnli"]], "metric": metric, "terms": terms}
    return Measures(runs, DRAWS).effects(EffectDefinition.model_validate(told), "points")


def confidence(told: Floats) -> float:
    return 100 * float(np.exp(told).max(axis=1).mean())


def test_scaled_log_odds_add_what_they_add_to_confidence(tmp_path: Path) -> None:
    """No prediction changes, so accuracy goes out of the difference, labels or no labels."""
    found = effect(runs_of(tmp_path, ROWS), "overconfidence")
    assert found.languages() == ("qaa", "qab")
    for number, language in enumerate(("qaa", "qab"), 1):
        told, _ = drawn(400, number)
        due = [
            confidence(scaled(told, ROWS["squad_v1"][seed])) - confidence(told) for seed in (1, 2)
        ]
        # Six decimals of a logarithm.
        assert found.mean(language).seeds == pytest.approx(due, abs=1e-3)
        assert found.mean(language).value > 5
        # Of a calibrated row: nothing but chance.
        assert abs(found.mean(language).baseline) < 6


def test_one_temperature_for_a_run_takes_away_what_scaling_added(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, ROWS)
    for language in ("qaa", "qab"):
        tempered = effect(runs, "overconfidence-tempered").mean(language)
        assert tempered.seeds == pytest.approx([0, 0], abs=0.01)


@pytest.mark.slow
def test_the_temperature_is_that_of_english_development_data(tmp_path: Path) -> None:
    """Scaled in the other languages alone, a row is as overconfident after as before."""
    runs = runs_of(tmp_path, ROWS)
    for seed in runs.seeds:
        publish(tmp_path, "squad_v1", seed, (Split.DEV, SOURCE), drawn(400, 3)[0])
    raw, tempered = (effect(runs, metric).mean("qaa").value for metric in CONFIDENCE_METRICS)
    assert raw > 5
    # Both rows have one temperature now, that of the sample of 400, near 1.
    assert tempered == pytest.approx(raw, rel=0.1)


def test_items_are_drawn_together_for_rows_and_languages(tmp_path: Path) -> None:
    """Line n translates line n everywhere, so what rows and languages share is no error."""
    runs = runs_of(tmp_path, ROWS, (SOURCE, "qaa", "qab"))
    same = effect(runs, "overconfidence", ("none", "none")).mean("qaa")
    assert same.item_error == 0
    for kind in (
        "labels",
        *("probabilities/" + f"{row}/seed-{seed}" for row in ROWS for seed in (1, 2)),
    ):
        (first,) = (tmp_path / kind / "xnli").glob("test-qaa.*")
        first.with_name(first.name.replace("qaa", "qab")).write_bytes(first.read_bytes())
    found = effect(runs, "overconfidence")
    assert found.mean("qaa").item_error > 0.1
    assert np.array_equal(found.mean("qaa").draws, found.mean("qab").draws)


def test_the_item_error_is_that_of_paired_differences(tmp_path: Path) -> None:
    found = effect(runs_of(tmp_path, ROWS), "overconfidence").mean("qaa")
    told, _ = drawn(400, 1)
    top = [np.exp(scaled(told, t)).max(axis=1) for t in (0.5, 0.6, 1.0)]
    due = 100 * np.std((top[0] + top[1]) / 2 - top[2]) / np.sqrt(400)
    assert found.item_error == pytest.approx(due, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "metric", "reason"),
    [
        ("labels/xnli/test-qaa.tsv", "overconfidence", "its data were not on this machine"),
        (
            "probabilities/none/seed-2/xnli/test-qaa.csv",
            "overconfidence",
            "xnli: no probabilities of none",
        ),
        (
            f"labels/xnli/dev-{SOURCE}.tsv",
            "overconfidence-tempered",
            "development data were not on this machine",
        ),
        (
            f"probabilities/none/seed-1/xnli/dev-{SOURCE}.csv",
            "overconfidence-tempered",
            "xnli: no probabilities of none",
        ),
    ],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, path: str, metric: ConfidenceMetric, reason: str
) -> None:
    runs = runs_of(tmp_path, ROWS)
    (tmp_path / path).unlink()
    found = effect(runs, metric)
    assert found.lacking["qaa"] == reason
    assert "qaa" not in found.languages()
    if metric == "overconfidence":
        assert found.languages() == ("qab",)
    else:
        assert found.missing == (f"xnli in any language ({reason})",)
        # Without a temperature nothing else is known less.
        assert effect(runs, "overconfidence").languages() == ("qaa", "qab")


def test_probabilities_of_fewer_examples_are_refused_by_their_line(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, ROWS)
    path = tmp_path / "probabilities/squad_v1/seed-2/xnli/test-qab.csv"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
    with pytest.raises(DataError, match="length mismatch") as refused:
        effect(runs, "overconfidence")
    # 399 examples below a header: line 401 is the first that only the labels have.
    assert refused.value.where == f"{path}:401"
    assert refused.value.got == "399 lines"
    assert str(refused.value.expected).startswith("400 lines as in ")


def test_a_column_without_probabilities_has_no_overconfidence(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, ROWS)
    with pytest.raises(ConfigError, match="unknown metric of xnli 'f1'") as refused:
        effect(runs, "f1")
    assert refused.value.expected == (
        "one of score, accuracy, overconfidence, overconfidence-tempered"
    )


def protocol_with(change: dict[str, Any]) -> bytes:
    document = yaml.safe_load((expected_root() / "studies" / "004.yaml").read_text("utf-8"))
    for name, value in change.items():
        first, second = name.split(".")
        document[first][second] |= value
    return json.dumps(document).encode()


def test_an_unknown_metric_is_refused_with_those_that_are_known() -> None:
    data = protocol_with({"effects.size": {"metric": "ece"}})
    with pytest.raises(ConfigError) as refused:
        parse_protocol(data, "004.yaml")
    assert refused.value.where == "004.yaml: effects.size.metric"
    for name in ("score", "accuracy", "centred", *CONFIDENCE_METRICS):
        assert f"'{name}'" in str(refused.value.got)


def test_overconfidence_has_no_logarithm() -> None:
    document = yaml.safe_load((expected_root() / "studies" / "004.yaml").read_text("utf-8"))
    document["premise"]["scale"] = "log-odds"
    with pytest.raises(ConfigError) as refused:
        parse_protocol(json.dumps(document).encode(), "004.yaml")
    assert "overconfidence may be below 0: it has no log-odds" in str(refused.value.got)


def test_the_known_metrics_are_those_that_targets_have() -> None:
    known = {"score"}
    for task in load_benchmark("mini").tasks.values():
        known |= set(form_of(task).points(np.ones(4)))
    assert known == set(get_args(FormMetric))


@pytest.mark.slow
def test_the_study_finds_what_was_done_to_the_larger_encoder(tmp_path: Path) -> None:
    """Three rows of each size, sharpened by what the study must find in four rich languages."""
    tasks = ("squad_v1", "hellaswag", "qqp")
    larger = {name: {1: 0.6, 2: 0.62} for name in tasks}
    smaller = {f"{name}-smaller": {1: 0.8, 2: 0.82} for name in tasks}
    plain = {name: {1: 1.0, 2: 1.0} for name in ("none", "none-smaller")}
    languages = (SOURCE, "qaa", "qab", "qac", "qad", "qae", "qaf", "qag")
    runs = runs_of(tmp_path, plain | larger | smaller, languages)
    loaded = load_protocol("004")
    # Means of groups; the power of a slope takes its time.
    means = tuple(one for one in loaded.protocol.hypotheses if one.kind == "group")
    protocol = loaded.protocol.model_copy(update={"hypotheses": means})
    question = Question(protocol, loaded.sha256, False, mini_covariates(), evidence=True)
    record = analyse(question, runs).record
    found = {one.id: one for one in record.hypotheses}

    def added(number: int, temperature: float) -> float:
        told, _ = drawn(400, number)
        return confidence(scaled(told, temperature)) - confidence(told)

    rich = [languages.index(code) for code in ("qad", "qae", "qaf", "qag")]
    premise = np.mean([added(number, t) for number in rich for t in (0.6, 0.62)])
    less = np.mean([added(number, t) for number in rich for t in (0.8, 0.82)])
    assert record.premise.estimate == pytest.approx(premise, abs=1e-3)
    assert found["H1"].fits[0].estimate == pytest.approx(premise - less, abs=1e-3)
    assert found["H1"].fits[0].low > 0
    # One temperature for each run undoes it all.
    assert found["H5"].fits[0].estimate == pytest.approx(0, abs=0.02)
    assert any(
        note.startswith("size of rich: +") and " points where accuracy is equal, +" in note
        for note in record.notes
    )
    unjudged = analyse(replace(question, evidence=False), runs).record
    assert not any("accuracy is equal" in note for note in unjudged.notes)
    assert found["H3"].finding is Finding.NOT_RUN
    assert found["H3"].reason == "missing: row none-x2"


@pytest.mark.slow
def test_a_language_that_a_group_lacks_is_named(tmp_path: Path) -> None:
    rows = ("none", "squad_v1", "hellaswag", "qqp")
    every = {f"{row}{end}": {1: 0.8, 2: 0.9} for row in rows for end in ("", "-smaller")}
    runs = runs_of(tmp_path, every, (SOURCE, "qad", "qae", "qaf"), 60)
    loaded = load_protocol("004")
    # Slopes name what they lack themselves.
    alone = loaded.protocol.model_copy(update={"hypotheses": loaded.protocol.hypotheses[:1]})
    record = analyse(Question(alone, loaded.sha256, False, mini_covariates(), True), runs).record
    assert record.hypotheses[0].fits[0].languages == 3
    assert record.excluded["qag"] == "its data were not on this machine"
