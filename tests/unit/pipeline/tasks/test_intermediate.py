"""Phase (ii) from folders to a folder: tasks, text, both, and what comes out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.model.loading import load_encoder, load_language_head
from stilts_artifact.model.manifest import WEIGHTS
from stilts_artifact.pipeline.tasks.intermediate import intermediate
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData, TextData
from tests.unit.model.tiny import make_tiny
from tests.unit.pipeline.tasks.data import prepared_folder, text_folder
from tests.unit.training.helpers import config

HEAD = "lm_head.dense.weight"
POOLER = "roberta.pooler.dense.weight"
WORDS = "roberta.embeddings.word_embeddings.weight"


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


def report_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def test_a_single_task_leaves_an_encoder_without_a_language_head(
    tiny: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    out = made(tiny, tmp_path, {"mnli": inputs["tasks"]["mnli"]})
    load_encoder(out / "encoder")
    before, after = load_file(tiny / WEIGHTS), load_file(out / "encoder" / WEIGHTS)
    assert HEAD in before
    assert HEAD not in after
    assert not torch.equal(before[POOLER], after[POOLER])
    assert report_of(out)["examples"] == {"mnli": 24}
    with pytest.raises(IntegrityError, match="lacks the weights"):
        made(out / "encoder", tmp_path / "again", {"mlm": inputs["mlm"]})


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
    assert not torch.equal(before[HEAD], after[HEAD])
    report = report_of(out)
    assert (report["examples"], report["evaluations"], report["flags"]) == ({"mlm": 32}, [], [])


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
