"""The family of languages: its encoders, its scale, and what its command says first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, FAMILY
from stilts_artifact.config.load import definition, parse_definition
from stilts_artifact.errors import ConfigError, ExitCode, MissingDataError
from stilts_artifact.experiments.family import (
    FamilyChoices,
    FamilyEncoder,
    family_encoders,
    family_scale,
    family_session,
)
from stilts_artifact.experiments.session import Machine
from stilts_artifact.model.hub import PhaseOne
from tests.conftest import Run

ENCODER = FamilyEncoder("4x96", 1)
PHASE_ONE = PhaseOne("4x96-1", "0" * 64, {})


def test_three_sizes_are_pre_trained_twice() -> None:
    names = [one.name for one in family_encoders()]
    assert names == ["2x64-1", "2x64-2", "4x96-1", "4x96-2", "6x192-1", "6x192-2"]
    assert [one.name for one in family_encoders("6x192-2")] == ["6x192-2"]
    assert len({one.recipe.digest for one in family_encoders()}) == 6


def test_an_encoder_that_the_family_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoder of the family"):
        family_encoders("12x768")


def test_its_scale_is_of_invented_languages_and_says_so() -> None:
    scale = family_scale(ENCODER, PHASE_ONE, 2)
    assert (scale.benchmark, scale.seeds, scale.retrieval.layer) == ("family", (1, 2), 2)
    assert not scale.evidence and not scale.expected
    again = parse_definition(json.dumps(definition(scale)), "family.json")
    assert again == scale


def test_more_seeds_than_planned_are_refused() -> None:
    with pytest.raises(ConfigError, match="more seeds"):
        family_scale(ENCODER, PHASE_ONE, 6)


def test_its_rows_and_columns_are_in_its_benchmark() -> None:
    experiment, benchmark = EXPERIMENTS[FAMILY], load_benchmark("family")
    rows = [row.name for row in experiment.rows(benchmark)]
    assert rows == ["none", "mnli", "upos", "feats", "feats-shuffled"]
    assert [task.name for task in experiment.targets(benchmark)] == ["udpos", "panx", "tatoeba"]


@pytest.mark.slow
def test_all_studies_are_the_five_numbered_ones(artifact: Run) -> None:
    said = artifact("study", "all", "--explain")
    assert said.returncode == ExitCode.REPRODUCED
    assert "study 004" in said.stdout and "study family" not in said.stdout


@pytest.mark.slow
def test_a_name_of_no_study_is_answered_with_all_that_there_are(artifact: Run) -> None:
    said = artifact("study", "famly", "--explain")
    assert said.returncode == ExitCode.USAGE
    assert "did you mean 'family'?" in said.stderr
    assert "one of 000, 001, 002, 003, 004, all, family" in said.stderr


@pytest.mark.slow
def test_what_must_be_found_is_explained_before_hours_of_training(
    artifact: Run, tmp_path: Path
) -> None:
    said = artifact("study", "family", "--explain")
    assert said.returncode == ExitCode.REPRODUCED
    for rule in ("> 0.95", "> 0, p < 0.01", "0, corrected p >= 0.05"):
        assert f"must be {rule}: " in said.stdout
    dry = artifact("study", "family", "--encoder", "2x64", "--dry-run", "--results", tmp_path)
    assert dry.returncode == ExitCode.REPRODUCED
    assert [line.split()[:3] for line in dry.stdout.splitlines()] == [
        ["run", "pre-training", "2x64-1,"],
        ["run", "pre-training", "2x64-2,"],
    ]


@pytest.mark.slow
def test_a_scale_of_the_paper_is_not_the_familys(artifact: Run) -> None:
    refused = artifact("study", "family", "--scale", "mini")
    assert refused.returncode == ExitCode.USAGE
    assert "has a scale and data of its own" in refused.stderr


def test_no_runs_without_a_pre_trained_encoder(tmp_path: Path) -> None:
    machine = Machine(tmp_path, offline=True)
    with pytest.raises((ConfigError, MissingDataError)):
        family_session(ENCODER, FamilyChoices(), machine, tmp_path)
