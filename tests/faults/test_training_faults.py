"""Killed at any moment, training resumes to the same bits, and from sound checkpoints only."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.model.manifest import MANIFEST, WEIGHTS, write_manifest
from stilts_artifact.training import loop
from stilts_artifact.training.checkpoints import STATE
from tests.faults.test_checkpoints import Bomb
from tests.faults.training_child import train
from tests.recorder import Killed, Recorder
from tests.unit.model.tiny import make_tiny
from tests.unit.pipeline.tasks.data import prepared_folder, text_folder

pytestmark = pytest.mark.slow

Inputs = tuple[Path, Path, Path, Path]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Encoder, training data, development data, text."""
    root = tmp_path_factory.mktemp("inputs")
    tiny = make_tiny(root)
    train = prepared_folder(tiny, root / "train", TaskForm.TAGGING, 40, 1)
    dev = prepared_folder(tiny, root / "dev", TaskForm.TAGGING, 12, 2)
    return tiny, train, dev, text_folder(tiny, root / "text", 40, 3)


def files(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of an uninterrupted run, made in this process."""
    root = tmp_path_factory.mktemp("whole")
    return files(train(*inputs, root / "work", root / "out"))


def killed_at(
    inputs: Inputs, root: Path, line: str, *, times: int = 1, slow: bool = False
) -> list[str]:
    """Start a child and kill it when it has printed ``line`` that many times; what it printed."""
    command = [sys.executable, "-m", "tests.faults.training_child", *map(str, inputs)]
    command += [str(root / "work"), str(root / "out"), *(["slow"] if slow else [])]
    printed: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as child:
        assert child.stdout is not None
        for text in child.stdout:
            printed.append(text.strip())
            if printed.count(line) == times:
                child.send_signal(signal.SIGKILL)
                break
        child.stdout.read()
    assert child.returncode == -signal.SIGKILL
    assert not (root / "out").exists()
    return printed


def checkpoints(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "work").glob("*/*"))


def test_killed_between_checkpoints_and_killed_again_while_one_is_written(
    inputs: Inputs, whole: dict[str, bytes], tmp_path: Path
) -> None:
    killed_at(inputs, tmp_path, "step 10")
    assert [name for name in checkpoints(tmp_path) if name.startswith("step-")][
        -1
    ] >= "step-00000006"
    printed = killed_at(inputs, tmp_path, "writing", times=2, slow=True)
    assert printed[0].startswith("resumed at step")
    half = [name for name in checkpoints(tmp_path) if name.startswith(".step-")]
    assert len(half) == 1
    assert list((tmp_path / "work").glob(f"*/{half[0]}/*/{WEIGHTS}"))
    assert files(train(*inputs, tmp_path / "work", tmp_path / "out")) == whole
    assert list((tmp_path / "work").iterdir()) == []


@pytest.fixture(scope="module")
def stopped(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with two checkpoints, at steps 6 and 9."""
    root = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "FLUSH", 1)
        train(*inputs, root / "work", root / "out", Recorder(11))
    assert [name for name in checkpoints(root) if name[0] != "."] == [
        "step-00000006",
        "step-00000009",
    ]
    return root / "work"


def damage_truncate(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-64])


def damage_flip(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def damage_no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def damage_pickle(folder: Path) -> None:
    canary = folder.parent / "canary"
    (folder / "optimizer.pt").write_bytes(pickle.dumps(Bomb(canary)))
    (folder / WEIGHTS).write_bytes(pickle.dumps(Bomb(canary)))
    write_manifest(folder)


def damage_other_run(folder: Path) -> None:
    state = json.loads((folder / STATE).read_text())
    (folder / STATE).write_text(json.dumps(state | {"run": "0" * 64}))
    write_manifest(folder)


def damage_no_facts(folder: Path) -> None:
    state = json.loads((folder / STATE).read_text())
    (folder / STATE).write_text(json.dumps(state | {"facts": {"sums": {}}}))
    write_manifest(folder)


def damage_lost_moment(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    del tensors["exp_avg.encoder.embeddings.word_embeddings.weight"]
    save_file(tensors, folder / WEIGHTS)
    write_manifest(folder)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (damage_truncate, "truncated"),
        (damage_flip, "altered"),
        (damage_no_manifest, None),  # to the eye of a resuming run it is no checkpoint at all
        (damage_pickle, "pickle"),
        (damage_other_run, "another run"),
        (damage_no_facts, "not the state of a run"),
        (damage_lost_moment, "exp_avg"),
    ],
)
def test_a_broken_checkpoint_is_set_aside_and_the_one_before_it_serves(
    inputs: Inputs,
    whole: dict[str, bytes],
    stopped: Path,
    tmp_path: Path,
    damage: object,
    named: str | None,
) -> None:
    work = Path(shutil.copytree(stopped, tmp_path / "work"))
    damage(next(work.glob("*/step-00000009")))  # type: ignore[operator]
    recorder = Recorder()
    assert files(train(*inputs, work, tmp_path / "out", recorder)) == whole
    assert recorder.notes[-1] == "resumed at step 6 of 24"
    if named is not None:
        assert named in recorder.notes[0]
    assert not list(work.rglob("canary"))


def test_a_full_disk_ends_the_run_with_its_checkpoints_intact(
    inputs: Inputs,
    whole: dict[str, bytes],
    stopped: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = Path(shutil.copytree(stopped, tmp_path / "work"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(ResourceError, match="cannot write a checkpoint"):
            train(*inputs, work, tmp_path / "out")
    assert files(train(*inputs, work, tmp_path / "out")) == whole


def test_a_diverged_run_leaves_no_checkpoint_with_numbers_that_are_none(
    inputs: Inputs, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Path(shutil.copytree(stopped, tmp_path / "work"))
    backward = loop.torch.Tensor.backward
    monkeypatch.setattr("torch.Tensor.backward", lambda loss: backward(loss * float("nan")))
    with pytest.raises(ConfigError, match="diverged"):
        train(*inputs, work, tmp_path / "out")
    assert [path.name for path in work.glob("*/step-*")] and not list(work.glob("*/step-00000015"))
