"""Phase (iii) from folders to a folder: only encoder and pooler carry over; its result is sound."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import DataError, IntegrityError, MissingDataError
from stilts_artifact.files import hash_file
from stilts_artifact.model.heads import ChoiceHead, ClassificationHead, SpanHead, TaggingHead
from stilts_artifact.model.inference import outputs
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import WEIGHTS, write_manifest
from stilts_artifact.model.prepared import load_prepared
from stilts_artifact.pipeline.tasks.target import load_target, target
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.data import TaskData
from tests.unit.model.tiny import make_tiny
from tests.unit.pipeline.tasks.data import prepared_folder
from tests.unit.training.helpers import config

KINDS = [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.TAGGING, TaskForm.SPAN]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("encoder"))


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


def test_an_encoder_without_its_pooler_is_refused(
    tiny: Path, data: dict[tuple[TaskForm, str], Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    bare = Path(shutil.copytree(tiny, tmp_path / "bare"))
    tensors = {
        name: tensor for name, tensor in load_file(bare / WEIGHTS).items() if "pooler" not in name
    }
    save_file(tensors, bare / WEIGHTS)
    write_manifest(bare)
    with pytest.raises(IntegrityError, match="lacks the weights pooler"):
        tuned(bare, data, TaskForm.PAIR, tmp_path)


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
