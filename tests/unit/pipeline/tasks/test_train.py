"""Phases (ii) and (iii) from folders to a folder: what is trained, carried over and written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import row_named
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, DataError, IntegrityError, MissingDataError
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.files import hash_file
from stilts_artifact.model.heads import ChoiceHead, ClassificationHead, SpanHead, TaggingHead
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.model.inference import outputs
from stilts_artifact.model.loading import load_encoder, load_language_head
from stilts_artifact.model.manifest import WEIGHTS, write_manifest
from stilts_artifact.model.prepared import load_prepared
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.kinds import KINDS as REGISTRY
from stilts_artifact.pipeline.kinds import make_context
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.tasks.train import (
    intermediate,
    intermediate_step,
    load_target,
    target,
    target_step,
)
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData, TextData
from tests.unit.model.tiny import make_tiny
from tests.unit.pipeline.tasks.data import prepared_folder, text_folder
from tests.unit.training.helpers import config

BENCHMARK = load_benchmark("mini")
SCALE = load_scale("mini")
BUILDER = StepBuilder(
    BENCHMARK, SCALE, PhaseOne("mini", "r" * 64, {}), {name: name for name in BENCHMARK.sources}
)
ROW = row_named(BENCHMARK, "mnli+mlm")
STEPS = {"intermediate": intermediate_step, "target": target_step}
LANGUAGE_HEAD = "lm_head.dense.weight"
POOLER = "roberta.pooler.dense.weight"
WORDS = "roberta.embeddings.word_embeddings.weight"
KINDS = [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.TAGGING, TaskForm.SPAN]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def inputs(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three tasks of different kinds, and text in two languages."""
    root = tmp_path_factory.mktemp("data")

    def task(name: str, kind: TaskForm) -> TaskData:
        train = prepared_folder(tiny, root / name / "train", kind, 32, 1)
        return TaskData(
            train,
            prepared_folder(tiny, root / name / "dev", kind, 10, 2),
            epochs=1,
            batch=8,
            cap=24,
        )

    kinds = {"mnli": TaskForm.PAIR, "ccg": TaskForm.TAGGING, "hellaswag": TaskForm.CHOICE}
    folders = [text_folder(tiny, root / code, 20, seed) for seed, code in enumerate(("qaa", "qab"))]
    return {
        "tasks": {name: task(name, kind) for name, kind in kinds.items()},
        "mlm": TextData(folders, 0.15, 1, 8, 32),
    }


def made(tiny: Path, folder: Path, tasks: dict[str, TaskData | TextData], seed: int = 1) -> Path:
    return intermediate(
        encoder=tiny,
        tasks=tasks,
        config=config(seed=seed),
        checkpoints=Checkpointing(folder / "work", 1000),
        out=folder / "out",
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["mnli", "ccg", "hellaswag"])
def test_text_alone_takes_the_steps_and_the_tokens_of_a_task(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path, task: str
) -> None:
    """Study 003: both arms see as much, whatever text there is."""
    other = replace(inputs["tasks"][task], epochs=3, cap=None)
    out = made(tiny, tmp_path, {"mlm": replace(inputs["mlm"], matched=other)})
    report = report_of(out)
    rows = load_prepared(other.train).features
    inputs_of = [[ids] for ids in rows["input_ids"]] if task != "hellaswag" else rows["choices"]
    tokens = 3 * sum(len(ids) for own in inputs_of for ids in own)
    assert report["matched"]["due"] == {"steps": 3 * 4, "tokens": tokens}
    assert report["steps"] == report["planned"] == 12
    assert abs(report["matched"]["tokens"] - tokens) <= tokens / 100
    assert report["matched"]["examples"] == report["examples"]["mlm"]
    again = made(tiny, tmp_path / "again", {"mlm": replace(inputs["mlm"], matched=other)})
    assert hash_file(again / "encoder" / WEIGHTS) == hash_file(out / "encoder" / WEIGHTS)


@pytest.mark.slow
def test_a_run_of_text_says_how_near_it_came_to_each_language(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    out = made(tiny, tmp_path, {"mlm": replace(inputs["mlm"], epochs=12)})
    before, after = (report_of(out)["text_losses"][when]["mlm"] for when in ("before", "after"))
    assert before.keys() == after.keys() == {"qaa", "qab"}
    assert all(after[code] < before[code] for code in before)
    alone = made(tiny, tmp_path / "task", {"mnli": inputs["tasks"]["mnli"]})
    assert report_of(alone)["text_losses"] is None


def report_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


@pytest.mark.slow
def test_a_single_task_leaves_an_encoder_without_a_language_head(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    out = made(tiny, tmp_path, {"mnli": inputs["tasks"]["mnli"]})
    load_encoder(out / "encoder")
    before, after = load_file(tiny / WEIGHTS), load_file(out / "encoder" / WEIGHTS)
    assert LANGUAGE_HEAD in before
    assert LANGUAGE_HEAD not in after
    assert not torch.equal(before[POOLER], after[POOLER])
    assert report_of(out)["examples"] == {"mnli": 24}
    with pytest.raises(ConfigError, match="needs a language head"):
        made(out / "encoder", tmp_path / "again", {"mlm": inputs["mlm"]})


@pytest.mark.slow
def test_a_trained_encoder_says_from_which_encoder_of_phase_one_it_comes(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    """Trained once, and trained on: the origin stays, whatever the weights have become."""
    origin = load_encoder(tiny).origin
    assert origin.weights == hash_file(tiny / WEIGHTS).sha256
    once = made(tiny, tmp_path / "once", {"mnli": inputs["tasks"]["mnli"]})
    twice = made(once / "encoder", tmp_path / "twice", {"mnli": inputs["tasks"]["mnli"]})
    for out in (once, twice):
        trained = load_encoder(out / "encoder")
        assert trained.origin == origin
        assert trained.revision != origin.weights


def test_text_alone_trains_encoder_and_language_head_but_not_the_pooler(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    out = made(tiny, tmp_path, {"mlm": inputs["mlm"]})
    encoder = load_encoder(out / "encoder")
    head = load_language_head(out / "encoder", encoder.model)
    assert head._tied[0].weight is encoder.model.embeddings.word_embeddings.weight
    before, after = load_file(tiny / WEIGHTS), load_file(out / "encoder" / WEIGHTS)
    assert torch.equal(before[POOLER], after[POOLER])
    assert not torch.equal(before[WORDS], after[WORDS])
    assert not torch.equal(before[LANGUAGE_HEAD], after[LANGUAGE_HEAD])
    report = report_of(out)
    assert (report["examples"], report["evaluations"], report["flags"]) == ({"mlm": 32}, [], [])


@pytest.mark.slow
def test_all_tasks_and_text_are_mixed_and_judged_together(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    out = made(tiny, tmp_path, {**inputs["tasks"], "mlm": inputs["mlm"]})
    report = report_of(out)
    assert report["steps"] == 3 * 3 + 4  # capped at 24 of 32 and 32 of 40
    assert sum(report["examples"].values()) >= 12 * 8
    (evaluation,) = report["evaluations"]
    assert evaluation["tasks"].keys() == inputs["tasks"].keys()
    assert evaluation["score"] == pytest.approx(sum(evaluation["tasks"].values()) / 3)
    load_language_head(out / "encoder", load_encoder(out / "encoder").model)


@pytest.mark.slow
def test_the_order_in_which_tasks_are_named_does_not_matter_and_the_seed_does(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    backwards = dict(reversed(inputs["tasks"].items()))
    one = made(tiny, tmp_path / "a", inputs["tasks"])
    same = made(tiny, tmp_path / "b", backwards)
    other = made(tiny, tmp_path / "c", inputs["tasks"], seed=2)
    weights = [(out / "encoder" / WEIGHTS).read_bytes() for out in (one, same, other)]
    assert weights[0] == weights[1] != weights[2]
    assert (one / "report.json").read_bytes() == (same / "report.json").read_bytes()


def test_nothing_to_train_on_is_refused(tiny: Path, inputs: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to train on"):
        made(tiny, tmp_path, {})
    text = inputs["mlm"].folders[0]
    with pytest.raises(DataError, match="text without labels"):
        made(tiny, tmp_path, {"mnli": TaskData(text, None, 1, 8)})


@pytest.fixture(scope="module")
def data(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[TaskForm, str], Path]:
    """Prepared folders by kind and split."""
    root = tmp_path_factory.mktemp("data")
    return {
        (kind, split): prepared_folder(tiny, root / f"{kind.name}-{split}", kind, count, seed)
        for kind in KINDS
        for split, count, seed in (("train", 48, 1), ("dev", 30, 2))
    }


def tuned(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], kind: TaskForm, folder: Path, **changes: Any
) -> Path:
    task = {
        "train": data[kind, "train"],
        "development": data[kind, "dev"],
        "epochs": 2,
        "batch": 16,
    }
    task |= {name: changes.pop(name) for name in task.keys() & changes.keys()}
    return target(
        encoder=tiny,
        data=TaskData(**task),  # type: ignore[arg-type]
        config=config(**{"development_rows": 20} | changes),
        checkpoints=Checkpointing(folder / "work", 1000),
        out=folder / "out",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (TaskForm.PAIR, ClassificationHead),
        (TaskForm.CHOICE, ChoiceHead),
        (TaskForm.TAGGING, TaggingHead),
        (TaskForm.SPAN, SpanHead),
    ],
)
def test_what_is_written_is_what_was_trained(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path, kind: TaskForm, form: type
) -> None:
    out = tuned(tiny, data, kind, tmp_path)
    encoder, head = load_target(out)
    assert type(head) is form
    assert not head.training
    assert encoder.weights.initialised == ()
    report = json.loads((out / "report.json").read_text())
    assert (report["steps"], report["planned"], report["examples"]) == (6, 6, {"target": 96})
    assert report["encoder"] == hash_file(tiny / WEIGHTS).sha256
    dev = load_prepared(data[kind, "dev"]).first(20)
    score = dev.trained_form.score_outputs(dev, outputs(encoder.model, head, dev))
    assert report["best"] == {"step": 6, "score": score, "tasks": {"target": score}}
    assert sorted(path.name for path in out.iterdir()) == ["encoder", "head", "report.json"]
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files_and_another_does_not(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    def files(out: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(out)): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file()
        }

    one, same, other = (
        files(tuned(tiny, data, TaskForm.PAIR, tmp_path / name, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == same
    assert one.keys() == other.keys()
    for name in ("encoder/model.safetensors", "head/model.safetensors", "report.json"):
        assert one[name] != other[name]
    assert one["encoder/config.json"] == (tiny / "config.json").read_bytes()


@pytest.mark.slow
def test_encoder_and_pooler_carry_over_and_the_language_head_does_not(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    """Tagging has no use for the pooler: phase (iii) has to find it as it was and leave it so."""
    before, after = (
        load_file(tiny / WEIGHTS),
        load_file(tuned(tiny, data, TaskForm.TAGGING, tmp_path) / "encoder" / WEIGHTS),
    )
    assert {name for name in before if name.startswith("roberta.")} == after.keys()
    assert torch.equal(before["roberta.pooler.dense.weight"], after["roberta.pooler.dense.weight"])
    changed = "roberta.encoder.layer.0.output.dense.weight"
    assert 0 < (before[changed] - after[changed]).abs().max() < 0.05


@pytest.mark.slow
def test_a_chain_of_tunings_starts_from_what_it_is_given(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    first = tuned(tiny, data, TaskForm.PAIR, tmp_path / "first")
    second = tuned(
        first / "encoder", data, TaskForm.TAGGING, tmp_path / "second", epochs=1, learning_rate=1e-7
    )
    name = "roberta.encoder.layer.1.output.dense.weight"
    one, two = (
        load_file(first / "encoder" / WEIGHTS)[name],
        load_file(second / "encoder" / WEIGHTS)[name],
    )
    assert (one - two).abs().max() < 1e-5
    assert (load_file(tiny / WEIGHTS)[name] - two).abs().max() > 1e-4


@pytest.mark.slow
def test_a_missing_pooler_is_initialised_from_the_seed_and_said(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    bare = Path(shutil.copytree(tiny, tmp_path / "bare"))
    tensors = {
        name: tensor for name, tensor in load_file(bare / WEIGHTS).items() if "pooler" not in name
    }
    save_file(tensors, bare / WEIGHTS)
    write_manifest(bare)
    weights = []
    for number, seed in enumerate((1, 1, 2)):
        out = tuned(bare, data, TaskForm.TAGGING, tmp_path / str(number), seed=seed)
        pooler = load_file(out / "encoder" / WEIGHTS)[POOLER]  # no tag is read from it
        weights.append(pooler)
        assert report_of(out)["initialised"] == ["pooler.dense.bias", "pooler.dense.weight"]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert report_of(tuned(tiny, data, TaskForm.PAIR, tmp_path / "x"))["initialised"] == []


@pytest.mark.slow
def test_without_development_data_the_last_weights_are_kept(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    out = tuned(tiny, data, TaskForm.SPAN, tmp_path / "a", development=None)
    report = json.loads((out / "report.json").read_text())
    assert (report["evaluations"], report["best"], report["flags"]) == ([], None, [])
    looked = tuned(tiny, data, TaskForm.SPAN, tmp_path / "b")
    assert (out / "encoder" / WEIGHTS).read_bytes() == (looked / "encoder" / WEIGHTS).read_bytes()


def test_data_of_another_form_is_refused(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="another task"):
        tuned(tiny, data, TaskForm.PAIR, tmp_path, development=data[TaskForm.TAGGING, "dev"])
    with pytest.raises(IntegrityError):
        tuned(tiny, data, TaskForm.PAIR, tmp_path, train=tmp_path)


def test_a_collapsed_run_is_flagged(tiny: Path, tmp_path: Path) -> None:
    """Labels that the input does not tell, and a learning rate too small to learn anyway."""
    train = prepared_folder(tiny, tmp_path / "train", TaskForm.PAIR, 32, 1, shuffled=True)
    dev = prepared_folder(tiny, tmp_path / "dev", TaskForm.PAIR, 60, 2, shuffled=True)
    paths = {(TaskForm.PAIR, "train"): train, (TaskForm.PAIR, "dev"): dev}
    out = tuned(tiny, paths, TaskForm.PAIR, tmp_path, epochs=1, learning_rate=1e-9)
    report = json.loads((out / "report.json").read_text())
    assert report["flags"] == ["DEGENERATE"]
    load_target(out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["head/model.safetensors", "head/head.json", "encoder/model.safetensors"]
)
def test_a_damaged_result_is_refused(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path, name: str
) -> None:
    out = tuned(tiny, data, TaskForm.PAIR, tmp_path, epochs=1)
    (out / name).write_bytes((out / name).read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="truncated"):
        load_target(out)


def test_a_head_of_another_form_is_refused(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    out = tuned(tiny, data, TaskForm.PAIR, tmp_path, epochs=1)
    for form in ('{"kind": "tagging", "labels": 3}', '{"kind": "poetry", "labels": 3}', "{}"):
        (out / "head" / "head.json").write_text(form)
        write_manifest(out / "head")
        with pytest.raises(IntegrityError):
            load_target(out)
    with pytest.raises(MissingDataError):
        load_target(tmp_path / "nothing")


def test_the_encoder_of_a_result_is_a_checkpoint_like_any_other(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    out = tuned(tiny, data, TaskForm.PAIR, tmp_path, epochs=1)
    encoder = load_encoder(out / "encoder")
    assert (
        encoder.tokenizer("ka lo mi")["input_ids"]
        == load_encoder(tiny).tokenizer("ka lo mi")["input_ids"]
    )
    assert all((path.stat().st_mode & 0o044) == 0o044 for path in out.rglob("*"))


def called(step: Step, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a step's function hands to its phase on a machine that saves every 7 steps."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        f"stilts_artifact.pipeline.tasks.train.{step.kind}", lambda **found: given.update(found)
    )
    keyed = Graph([step], REGISTRY).keyed(step)
    inputs = {name: folder / name for name in keyed.inputs}
    for path in inputs.values():
        (path / BENCHMARK.source_language).mkdir(parents=True)
    context = make_context(
        folder / "store", [], {"r": folder / "encoder"}, device="cpu", checkpoint_every=7
    )
    STEPS[step.kind](Job(keyed.params, inputs, folder / "out", folder / "work", context))
    return given


def test_phase_three_gets_its_scales_settings_and_its_machines_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = BUILDER.target(ROW, 3, BENCHMARK.tasks["xnli"])
    given = called(step, tmp_path, monkeypatch)
    assert given["config"] == SCALE.training_config(3, SCALE.targets["xnli"].learning_rate)
    assert given["checkpoints"] == Checkpointing(tmp_path / "work", 7)
    data = given["data"]
    assert (data.epochs, data.batch) == (SCALE.targets["xnli"].epochs, SCALE.targets["xnli"].batch)


def test_phase_two_gets_its_scales_settings_and_its_machines_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = called(BUILDER.intermediate(ROW, 3), tmp_path, monkeypatch)
    assert given["config"] == SCALE.training_config(3, SCALE.mlm.learning_rate)
    assert given["checkpoints"] == Checkpointing(tmp_path / "work", 7)
    task, text = given["tasks"]["mnli"], given["tasks"]["mlm"]
    assert (task.epochs, task.batch, task.cap) == (2, 32, SCALE.mixture.cap_with_mlm)
    assert (text.probability, text.cap) == (SCALE.mlm.probability, SCALE.mixture.cap_with_mlm)
