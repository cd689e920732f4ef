"""A step's parameters: what is planned is what the worker reads, and nothing else passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, row_named
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.step import Graph
from stilts_artifact.pipeline.tasks.params import (
    AlignParams,
    EncoderParams,
    IntermediateParams,
    LabelsParams,
    Params,
    PredictParams,
    PrepareParams,
    ProbabilitiesParams,
    RetrievalOptions,
    RetrieveParams,
    Schedule,
    TargetParams,
    TaskSchedule,
    TextParams,
    TextSchedule,
)

SCALE = load_scale("mini")
TRAINING = SCALE.seedless_training(1e-3)
DATA: dict[str, Any] = {
    "benchmark": "mini",
    "languages": ("qaa", "qen"),
    "rows": None,
    "sources": {"XNLI-1.0.zip": "0" * 64},
    "own_data": (),
    "single_files": (),
}
SPLIT: dict[str, Any] = {**DATA, "task": "xnli", "split": Split.DEV}
OPTIONS = RetrievalOptions(**SCALE.retrieval.model_dump(), dtype="float32", center=True)
EVERY: list[Params] = [
    EncoderParams(
        name="mini", revision="r" * 64, files={"model.safetensors": "r" * 64}, layers=None
    ),
    PrepareParams(**SPLIT, max_length=64),
    TextParams(**DATA, text="wikipedia", max_length=64),
    LabelsParams(**SPLIT),
    IntermediateParams(
        tasks={"mnli": TaskSchedule(epochs=1, batch=8, cap=None)},
        mlm=TextSchedule(epochs=2, batch=16, cap=30, probability=0.15, matched=None),
        language="qen",
        seed=3,
        training=TRAINING,
    ),
    TargetParams(task="xnli", seed=3, schedule=Schedule(epochs=1, batch=8), training=TRAINING),
    PredictParams(benchmark="mini", task="xnli", split=Split.TEST, dtype="bfloat16", threads=1),
    ProbabilitiesParams(benchmark="mini", task="xnli", split=Split.TEST, threads=1),
    RetrieveParams(**SPLIT, options=OPTIONS),
    AlignParams(**SPLIT, options=OPTIONS),
]
each = pytest.mark.parametrize("params", EVERY, ids=lambda params: params.kind)


def test_every_kind_has_parameters() -> None:
    assert [params.kind for params in EVERY] == list(KINDS)


@each
def test_a_worker_reads_what_was_planned(params: Params) -> None:
    keyed = Graph([params.step()], KINDS).keyed(params.step())
    assert keyed.kind == params.kind
    assert type(params).of(json.loads(json.dumps(keyed.params))) == params


@each
def test_a_parameter_that_is_unknown_missing_or_wrong_is_refused(params: Params) -> None:
    good = json.loads(params.model_dump_json())
    for name in good:
        left = {other: value for other, value in good.items() if other != name}
        with pytest.raises(ConfigError, match="missing parameter of a step") as caught:
            type(params).of(left)
        assert caught.value.where == f"step '{params.kind}', params.{name}"
        # The right name is missing too; what was written in its place is the news.
        with pytest.raises(ConfigError, match="unknown parameter of a step") as caught:
            type(params).of({**left, f"{name}x": good[name]})
        assert caught.value.where == f"step '{params.kind}', params.{name}x"
        with pytest.raises(ConfigError, match="wrong parameter of a step"):
            type(params).of({**good, name: 1.5})


def test_a_fault_deep_within_is_told_by_its_place() -> None:
    good = json.loads(EVERY[4].model_dump_json())
    good["training"]["save_every"] = 200
    with pytest.raises(ConfigError, match="same version of this package") as caught:
        IntermediateParams.of(good)
    assert caught.value.where == "step 'intermediate', params.training.save_every"


def test_what_people_are_shown_of_a_step_goes_on_being_shown() -> None:
    """A seed within the training settings would be in no label and no reason to run."""
    benchmark = load_benchmark("mini")
    builder = StepBuilder(
        benchmark, SCALE, PhaseOne("mini", "r" * 64, {}), {name: name for name in benchmark.sources}
    )
    row, table2 = row_named(benchmark, "mnli+mlm"), EXPERIMENTS["table2"]
    task = benchmark.tasks["xnli"]
    step = builder.predictions(row, 3, task, table2, ["qaa"])
    labels = {keyed.label.rpartition(" ")[0] for keyed in Graph([step], KINDS).steps.values()}
    assert {
        "predict benchmark=mini task=xnli split=dev dtype=float32 threads=1",
        "target task=xnli seed=3",
        "intermediate language=qen seed=3",
        "prepare benchmark=mini task=xnli split=dev rows=120 max_length=128",
    } <= labels
