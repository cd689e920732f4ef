"""Pretraining: deterministic, resumable to the bit, and never a half-written result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stilts_artifact.errors import ConfigError, IntegrityError, ResourceError
from stilts_artifact.files import hash_file
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import WEIGHTS, verify_folder
from stilts_artifact.pretraining import pretrain as phase
from stilts_artifact.pretraining.card import CARD, FACTS, QUALITY, record_quality
from stilts_artifact.pretraining.pretrain import pretrain, rate
from stilts_artifact.pretraining.recipe import (
    FAMILY_SIZES,
    QUICK,
    SHIPPED,
    family_recipe,
    recipe,
)
from stilts_artifact.training import checkpoints
from stilts_artifact.training.checkpoints import STATE
from stilts_artifact.training.schedule import linear_rate
from tests.recorder import Killed, Recorder

pytestmark = pytest.mark.slow

# Dropout, and more steps than a pool has batches: what a careless resume would get wrong.
SMALL = replace(
    QUICK,
    steps=12,
    batch_tokens=512,
    pieces=400,
    vocabulary_documents=100,
    hidden=32,
    feed_forward=64,
    dropout=0.1,
)


@pytest.fixture(autouse=True)
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stilts_artifact.pretraining.batches.POOL_BATCHES", 4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[float]]]:
    """An uninterrupted run and its losses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stilts_artifact.pretraining.batches.POOL_BATCHES", 4)
        folder = tmp_path_factory.mktemp("whole")
        recorder = Recorder()
        pretrain(SMALL, folder / "out", folder / "work", (), progress=recorder)
    yield folder / "out", recorder.losses


def weights(folder: Path) -> str:
    return hash_file(folder / WEIGHTS).sha256


def interrupted(folder: Path, kill_after: int, checkpoint_every: int) -> None:
    with pytest.raises(Killed):
        pretrain(
            SMALL,
            folder / "out",
            folder / "work",
            (),
            progress=Recorder(kill_after),
            checkpoint_every=checkpoint_every,
        )
    assert not (folder / "out").exists()


def test_the_result_is_a_sound_encoder_that_has_learnt(whole: tuple[Path, list[float]]) -> None:
    folder, losses = whole
    assert len(losses) == SMALL.steps
    assert sum(losses[-3:]) / 3 < losses[0] - 0.1
    encoder = load_encoder(folder)
    assert encoder.model.config.hidden_dropout_prob == 0.1
    facts = json.loads((folder / FACTS).read_text())
    assert facts["parameters"] == sum(
        tensor.numel() for tensor in load_file(folder / WEIGHTS).values()
    )
    assert facts["final_loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-4)


@pytest.mark.parametrize(("kill_after", "checkpoint_every"), [(1, 5), (5, 5), (7, 3), (11, 1)])
def test_a_killed_run_resumes_to_the_same_bits(
    whole: tuple[Path, list[float]], tmp_path: Path, kill_after: int, checkpoint_every: int
) -> None:
    interrupted(tmp_path, kill_after, checkpoint_every)
    again = Recorder()
    pretrain(
        SMALL,
        tmp_path / "out",
        tmp_path / "work",
        (),
        progress=again,
        checkpoint_every=checkpoint_every,
    )
    saved = (
        (kill_after - 1) // checkpoint_every * checkpoint_every
    )  # the step that was killed had not been saved yet
    assert again.losses == whole[1][saved:]
    assert again.notes == ([f"resumed at step {saved} of 12"] if saved else [])
    assert weights(tmp_path / "out") == weights(whole[0])
    assert (tmp_path / "out" / CARD).read_bytes() == (whole[0] / CARD).read_bytes()
    assert list((tmp_path / "work").iterdir()) == []


def test_a_run_killed_while_it_publishes_leaves_no_result(
    whole: tuple[Path, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(phase, "render_card", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            pretrain(SMALL, tmp_path / "out", tmp_path / "work", (), checkpoint_every=5)
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    pretrain(SMALL, tmp_path / "out", tmp_path / "work", (), checkpoint_every=5)
    assert weights(tmp_path / "out") == weights(whole[0])


def test_a_run_killed_while_it_saves_falls_back_to_the_checkpoint_before(
    whole: tuple[Path, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves: list[int] = []

    def dying(folder: Path) -> None:
        saves.append(1)
        if len(saves) == 2:
            raise Killed
        original(folder)

    original = checkpoints.write_manifest
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_manifest", dying)
        with pytest.raises(Killed):
            pretrain(SMALL, tmp_path / "out", tmp_path / "work", (), checkpoint_every=4)
    again = Recorder()
    pretrain(SMALL, tmp_path / "out", tmp_path / "work", (), progress=again)
    assert again.notes == ["resumed at step 4 of 12"]
    assert weights(tmp_path / "out") == weights(whole[0])


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def _unlink(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("file", [WEIGHTS, STATE])
@pytest.mark.parametrize("damage", [_truncate, _flip, _unlink])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_serves(
    whole: tuple[Path, list[float]], tmp_path: Path, file: str, damage: Any
) -> None:
    interrupted(tmp_path, 11, 4)
    damage(next((tmp_path / "work").glob(f"*/step-00000008/{file}")))
    again = Recorder()
    pretrain(SMALL, tmp_path / "out", tmp_path / "work", (), progress=again)
    assert "checkpoint refused" in again.notes[0]
    assert f"step-00000008/{file}" in again.notes[0]
    assert again.notes[1] == "resumed at step 4 of 12"
    assert weights(tmp_path / "out") == weights(whole[0])


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path, 6, 5)
    (run,) = (tmp_path / "work").iterdir()
    with pytest.raises(IntegrityError, match="another run"):
        checkpoints._read(run / "step-00000005", "0123456789abcdef")


def test_other_recipes_do_not_meet_in_the_work_folder(tmp_path: Path) -> None:
    interrupted(tmp_path, 6, 5)
    other = Recorder()
    pretrain(
        replace(SMALL, seed=2, steps=2), tmp_path / "other", tmp_path / "work", (), progress=other
    )
    assert other.notes == []


def test_only_two_checkpoints_are_kept(tmp_path: Path) -> None:
    interrupted(tmp_path, 10, 2)
    (run,) = (tmp_path / "work").iterdir()
    assert sorted(path.name for path in run.iterdir()) == ["step-00000006", "step-00000008"]


def test_a_full_disk_is_a_resource_error_and_earlier_checkpoints_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path, 6, 5)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(ResourceError, match="cannot write a checkpoint") as caught:
            pretrain(SMALL, tmp_path / "out", tmp_path / "work", (), checkpoint_every=5)
        assert "bytes" in str(caught.value.fix)
    (run,) = (tmp_path / "work").iterdir()
    assert [path.name for path in run.iterdir()] == ["step-00000005"]
    verify_folder(run / "step-00000005")


def test_the_seed_decides(whole: tuple[Path, list[float]], tmp_path: Path) -> None:
    pretrain(replace(SMALL, seed=2), tmp_path / "other", tmp_path / "work", ())
    assert weights(tmp_path / "other") != weights(whole[0])


def test_a_finished_result_is_kept_and_a_foreign_or_damaged_one_refused(
    whole: tuple[Path, list[float]], tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole[0], tmp_path / "out"))
    recorder = Recorder()
    pretrain(SMALL, out, tmp_path / "work", (), progress=recorder)
    assert recorder.losses == []
    with pytest.raises(ConfigError, match="something else"):
        pretrain(replace(SMALL, seed=2), out, tmp_path / "work", ())
    _flip(out / WEIGHTS)
    with pytest.raises(IntegrityError, match="altered"):
        pretrain(SMALL, out, tmp_path / "work", ())


def test_the_callers_threads_and_random_numbers_are_left_alone(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        pretrain(replace(SMALL, steps=1), tmp_path / "out", tmp_path / "work", ())
        assert torch.equal(torch.rand(3), expected)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_card_names_the_recipe_and_takes_measurements(
    whole: tuple[Path, list[float]], tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole[0], tmp_path / "out"))
    card = (out / CARD).read_text()
    assert len(SMALL.facts) > 15
    for name, value in SMALL.facts.items():
        assert f"| {name.replace('_', ' ')} | {value} |" in card
    assert "Not measured." in card
    row = {"measure": "POS F1", "scores": {"qen": 99.0, "qaa": 88.25}, "zero_shot": 88.25}
    record_quality(out, {"how": "By a test.", "languages": ["qaa", "qab", "qen"], "rows": [row]})
    card = (out / CARD).read_text()
    assert "| POS F1 | 88.2 | - | 99.0 | 88.2 |" in card
    assert "Not measured." not in card
    assert QUALITY in verify_folder(out)


def test_the_schedule_rises_and_falls() -> None:
    rates = [linear_rate(step, 100, 0.1) for step in range(100)]
    assert max(rates) == rates[9] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 90)
    assert linear_rate(0, 1, 0.1) == 1.0


def test_the_cooldown_breaks_off_the_long_decline() -> None:
    chosen = replace(SMALL, steps=60, horizon=100, warmup=0.1, cooldown=20)
    rates = [rate(chosen, step) for step in range(60)]
    assert rates[:41] == [linear_rate(step, 100, 0.1) for step in range(41)]
    assert rates[41:] == sorted(rates[41:], reverse=True)
    assert rates[50] == pytest.approx(linear_rate(50, 100, 0.1) / 2)
    assert rates[-1] == pytest.approx(linear_rate(59, 100, 0.1) / 20)


def test_amounts_of_text_decide_only_where_a_recipe_has_any() -> None:
    """The record of the shipped encoder does not know them, and stays what it is."""
    assert {**SHIPPED.facts, "amounts": None} == asdict(SHIPPED)
    assert set(SHIPPED.text.values()) == {1}
    other = replace(SHIPPED, amounts={"qba": 1, "qen": 2})
    assert other.facts["amounts"] == {"qba": 1, "qen": 2} == other.text
    assert other.digest != SHIPPED.digest


@pytest.mark.parametrize("size", FAMILY_SIZES)
def test_the_familys_encoders_never_meet_a_translation(size: str) -> None:
    own = family_recipe(size, seed=2, steps=700)
    assert (own.parallel_share, own.steps, own.seed) == (0.0, 700, 2)
    assert f"{own.layers}x{own.hidden}" == size
    assert own.hidden % own.heads == 0
    assert own.horizon > own.steps > own.cooldown > 0


def test_recipes_are_known_by_name() -> None:
    assert recipe("shipped") is SHIPPED
    assert SHIPPED.digest != QUICK.digest
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        recipe("quik")
