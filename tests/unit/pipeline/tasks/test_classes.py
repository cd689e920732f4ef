"""Encoders of other classes than XLM-R go through all phases, in every form of task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.model import inference
from stilts_artifact.model.inference import encode, outputs
from stilts_artifact.model.loading import load_encoder, load_language_head
from stilts_artifact.model.prepared import load_prepared
from stilts_artifact.pipeline.tasks.train import intermediate, load_target, target
from stilts_artifact.training import state
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData, TextData, labelled_task
from stilts_artifact.training.determinism import derived_seed
from stilts_artifact.training.loop import train
from tests.unit.model.classes import CLASSES, make_encoder
from tests.unit.pipeline.tasks.data import prepared_folder, text_folder
from tests.unit.training.helpers import config

KINDS = [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.TAGGING, TaskForm.SPAN]
CONFIG = config(weight_decay=0.1)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("classes")
    return {name: make_encoder(name, root / name) for name in CLASSES}


def task_data(encoder: Path, root: Path, kind: TaskForm) -> TaskData:
    train_folder = prepared_folder(encoder, root / "train", kind, 16, 1)
    return TaskData(train_folder, prepared_folder(encoder, root / "dev", kind, 6, 2), 1, 8)


def predicted(model: Any, head: Any, data: TaskData) -> list[Any]:
    assert data.development is not None
    return outputs(model, head, load_prepared(data.development))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLASSES)
def test_a_trained_encoder_predicts_the_same_bits_after_export_and_reload(
    encoders: dict[str, Path], tmp_path: Path, name: str, kind: TaskForm
) -> None:
    data = task_data(encoders[name], tmp_path, kind)
    checkpoints = Checkpointing(tmp_path / "work", 1000)
    # In memory, in the way of the phase ...
    fresh = load_encoder(encoders[name], pooler_seed=derived_seed(CONFIG.seed, "pooler"))
    before = [tensor.clone() for tensor in fresh.model.state_dict().values()]
    task = labelled_task(fresh.model, "target", data, CONFIG)
    train(fresh.model, [task], CONFIG, checkpoints=checkpoints, origin="x")
    kept = predicted(fresh.model, task.head, data)
    after = fresh.model.state_dict().values()
    moved = [not torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert sum(moved) > len(moved) / 2
    # ... and through its files.
    out = tmp_path / "out"
    target(encoder=encoders[name], data=data, config=CONFIG, checkpoints=checkpoints, out=out)
    encoder, head = load_target(out)
    for one, other in zip(kept, predicted(encoder.model, head, data), strict=True):
        assert np.array_equal(one, other)
    report = json.loads((out / "report.json").read_text())
    missing = [] if name == "bert" else ["pooler.dense.bias", "pooler.dense.weight"]
    assert report["initialised"] == missing
    assert encoder.weights.initialised == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.SPAN])
def test_what_is_trained_and_predicted_depends_on_the_types_of_tokens(
    encoders: dict[str, Path], tmp_path: Path, kind: TaskForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a BERT: the same rows without them end in other weights, and predict something else."""
    data = task_data(encoders["bert"], tmp_path, kind)

    def trained() -> tuple[torch.Tensor, list[Any]]:
        encoder = load_encoder(encoders["bert"])
        task = labelled_task(encoder.model, "target", data, CONFIG)
        work = Checkpointing(tmp_path / "work", 1000)
        train(encoder.model, [task], CONFIG, checkpoints=work, origin="x")
        types = encoder.model.state_dict()["embeddings.token_type_embeddings.weight"]
        return types, predicted(encoder.model, task.head, data)

    types, scores = trained()
    monkeypatch.setattr(state, "encode", lambda model, ids, _: encode(model, ids))
    untold, other = trained()
    fresh = load_encoder(encoders["bert"]).model.state_dict()
    start = fresh["embeddings.token_type_embeddings.weight"]
    assert not torch.allclose(types[1], untold[1])
    assert not torch.equal(types[1], start[1])
    assert any(not np.array_equal(a, b) for a, b in zip(scores, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.SPAN])
def test_one_model_predicts_something_else_without_the_types_of_tokens(
    encoders: dict[str, Path], tmp_path: Path, kind: TaskForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = task_data(encoders["bert"], tmp_path, kind)
    encoder = load_encoder(encoders["bert"])
    head = labelled_task(encoder.model, "target", data, CONFIG).head.train(False)
    told = predicted(encoder.model, head, data)
    monkeypatch.setattr(inference, "encode", lambda model, ids, _: encode(model, ids))
    untold = predicted(encoder.model, head, data)
    assert any(not np.array_equal(one, other) for one, other in zip(told, untold, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "distilbert", "minilm"])
def test_rows_that_are_never_read_end_with_the_bits_of_a_whole_run_in_every_class(
    encoders: dict[str, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = task_data(encoders[name], tmp_path, TaskForm.PAIR)

    def trained() -> dict[str, torch.Tensor]:
        encoder = load_encoder(encoders[name], pooler_seed=1)
        task = labelled_task(encoder.model, "target", data, CONFIG)
        work = Checkpointing(tmp_path / "work", 1000)
        train(encoder.model, [task], CONFIG, checkpoints=work, origin="x")
        return encoder.model.state_dict()

    used = trained()
    monkeypatch.setattr(state, "_reads_rows_only", lambda tasks: False)
    whole = trained()
    assert all(torch.equal(used[key], whole[key]) for key in whole)


def text_of(encoder: Path, root: Path) -> TextData:
    return TextData([text_folder(encoder, root / "qaa", 20, 1)], 0.3, 1, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xlm-roberta", "bert"])
def test_a_language_head_goes_on_where_the_checkpoint_has_one(
    encoders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    from transformers import AutoModelForMaskedLM

    out = intermediate(
        encoder=encoders[name],
        tasks={
            "mlm": text_of(encoders[name], tmp_path),
            "mnli": task_data(encoders[name], tmp_path, TaskForm.PAIR),
        },
        config=CONFIG,
        checkpoints=Checkpointing(tmp_path / "work", 1000),
        out=tmp_path / "out",
    )
    encoder = load_encoder(out / "encoder")
    head = load_language_head(out / "encoder", encoder.model)
    old = load_language_head(encoders[name], load_encoder(encoders[name], pooler_seed=1).model)
    assert not torch.equal(head.dense.weight, old.dense.weight)
    theirs = AutoModelForMaskedLM.from_pretrained(out / "encoder", local_files_only=True).eval()
    ids = torch.tensor([encoder.tokenizer("ka ra si to")["input_ids"]])
    with torch.inference_mode():
        ours = head(encoder.model(input_ids=ids).last_hidden_state)
        assert torch.allclose(ours, theirs(input_ids=ids).logits, atol=1e-5)


@pytest.mark.parametrize("name", ["distilbert", "minilm"])
def test_text_is_refused_in_words_where_there_is_no_language_head(
    encoders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigError, match="needs a language head"):
        intermediate(
            encoder=encoders[name],
            tasks={"mlm": text_of(encoders[name], tmp_path)},
            config=CONFIG,
            checkpoints=Checkpointing(tmp_path / "work", 1000),
            out=tmp_path / "out",
        )
