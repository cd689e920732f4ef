"""What a phase is called with: settings that its step's key names, and what its machine decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import row_named
from stilts_artifact.config.load import load_scale
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.pipeline import kinds
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.training.checkpoints import Checkpointing

BENCHMARK = load_benchmark("mini")
SCALE = load_scale("mini")
BUILDER = StepBuilder(BENCHMARK, SCALE, "r" * 64, {name: name for name in BENCHMARK.sources})
ROW = row_named(BENCHMARK, "mnli+mlm")


def called(step: Step, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a step's function hands to its phase on a machine that saves every 7 steps."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        f"stilts_artifact.pipeline.tasks.{step.kind}.{step.kind}",
        lambda **found: given.update(found),
    )
    keyed = Graph([step], kinds.KINDS).keyed(step)
    inputs = {name: folder / name for name in keyed.inputs}
    for path in inputs.values():
        (path / BENCHMARK.source_language).mkdir(parents=True)
    context = kinds.make_context(
        folder / "store", [], folder / "encoder", device="cpu", checkpoint_every=7
    )
    getattr(kinds, step.kind)(Job(keyed.params, inputs, folder / "out", folder / "work", context))
    return given


def test_phase_three_gets_its_scales_settings_and_its_machines_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = BUILDER.target(ROW, 3, BENCHMARK.tasks["xnli"])
    given = called(step, tmp_path, monkeypatch)
    assert given["config"] == SCALE.training_config(3, SCALE.targets.xnli.learning_rate)
    assert given["checkpoints"] == Checkpointing(tmp_path / "work", 7)
    data = given["data"]
    assert (data.epochs, data.batch) == (SCALE.targets.xnli.epochs, SCALE.targets.xnli.batch)


def test_phase_two_gets_its_scales_settings_and_its_machines_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = called(BUILDER.intermediate(ROW, 3), tmp_path, monkeypatch)
    assert given["config"] == SCALE.training_config(3, SCALE.mlm.learning_rate)
    assert given["checkpoints"] == Checkpointing(tmp_path / "work", 7)
    task, text = given["tasks"]["mnli"], given["tasks"]["mlm"]
    assert (task.epochs, task.batch, task.cap) == (2, 32, SCALE.mixture.cap_with_mlm)
    assert (text.probability, text.cap) == (SCALE.mlm.probability, SCALE.mixture.cap_with_mlm)
