"""Protocols: the five that ship are whole, and a slip is refused by its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import pytest
import yaml

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, study_rows
from stilts_artifact.checking.studies import load_protocol
from stilts_artifact.checking.sums import expected_root
from stilts_artifact.errors import ConfigError
from stilts_artifact.studies.protocol import Protocol, parse_protocol

STUDIES = ("000", "001", "002", "003", "004")
ROOT = expected_root() / "studies"


def changed(change: dict[str, object], study: str = "000") -> bytes:
    document = yaml.safe_load((ROOT / f"{study}.yaml").read_text("utf-8"))
    return json.dumps(document | change).encode()  # JSON is YAML, and has no aliases


@pytest.fixture(params=STUDIES)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return load_protocol(request.param).protocol


def test_each_protocol_is_the_one_that_was_summed(protocol: Protocol) -> None:
    assert not load_protocol(protocol.study).altered


@pytest.mark.parametrize("benchmark", ["mini", "xtreme"])
def test_every_row_of_an_effect_is_one_of_the_study(protocol: Protocol, benchmark: str) -> None:
    rows = {row.name for row in study_rows(protocol.study, load_benchmark(benchmark))}
    for effect in protocol.effects.values():
        assert set(effect.rows) <= rows


@pytest.mark.parametrize("benchmark", ["mini", "xtreme"])
def test_every_language_of_a_group_is_measured(
    protocol: Protocol, benchmark: Literal["mini", "xtreme"]
) -> None:
    world = load_benchmark(benchmark)
    columns = {column for effect in protocol.effects.values() for column in effect.columns}
    tasks = [task for name, task in world.tasks.items() if name in columns]
    measured = {code for task in tasks for code in task.languages}
    measured.discard(world.source_language)
    assert measured
    for name, lists in protocol.groups.items():
        assert set(lists) <= {"mini", "xtreme", "family"}
        codes = protocol.group(name, benchmark)
        assert len(set(codes)) == len(codes)
        assert set(codes) <= measured, name


def test_a_study_has_at_most_three_primary_hypotheses(protocol: Protocol) -> None:
    assert 1 <= sum(one.primary for one in protocol.hypotheses) <= 3
    with pytest.raises(ConfigError, match="more than three primary"):
        parse_protocol(many_primary(), "000.yaml")


def many_primary() -> bytes:
    document = yaml.safe_load((ROOT / "000.yaml").read_text("utf-8"))
    (first, _) = document["hypotheses"]
    document["hypotheses"] = [first | {"id": f"H{number}"} for number in range(4)]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("change", "place", "got"),
    [
        ({"thresholds": 1}, "thresholds", "Extra inputs"),
        ({"seed": "7"}, "seed", "valid integer"),
        ({"draws": 3}, "draws", "greater than or equal to 99"),
        ({"effects": {}}, "", "no effect 'gain'"),
        ({"groups": {}}, "", "no group 'syllables'"),
    ],
)
def test_a_slip_is_refused_by_its_place(change: dict[str, object], place: str, got: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_protocol(changed(change), "000.yaml")
    assert refused.value.where == f"000.yaml: {place}"
    assert got in str(refused.value.got)


def test_fertility_is_no_control() -> None:
    """It is complexity seen through the tokenizer: adjusting for it removes the effect."""
    robustness = yaml.safe_load((ROOT / "000.yaml").read_text("utf-8"))["robustness"]
    data = changed({"robustness": robustness | {"controls": [["fertility"]]}})
    with pytest.raises(ConfigError, match="no covariate 'fertility'"):
        parse_protocol(data, "000.yaml")


def test_every_study_experiment_has_a_protocol_and_as_many_seeds_as_it_plans() -> None:
    studies = [one for one in EXPERIMENTS.values() if one.study is not None]
    for experiment in studies:
        protocol = load_protocol(str(experiment.study)).protocol
        assert experiment.seeds is not None
        assert len(experiment.seeds) == protocol.seeds.planned
        assert experiment.columns is not None
        measured = {column for effect in protocol.effects.values() for column in effect.columns}
        assert measured == set(experiment.columns)


def test_an_altered_threshold_is_followed_and_called_altered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "expected_results"
    shutil.copytree(expected_root(), copy)
    monkeypatch.setattr("stilts_artifact.checking.studies.expected_root", lambda: copy)
    path = copy / "studies" / "000.yaml"
    path.write_text(path.read_text("utf-8").replace("delta: 1.0", "delta: 0.5"), "utf-8")
    loaded = load_protocol("000")
    assert loaded.altered
    assert {one.delta for one in loaded.protocol.hypotheses} == {0.5}
