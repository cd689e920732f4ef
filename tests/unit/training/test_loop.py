"""The loop learns, repeats itself to the bit, resumes, keeps the best and owns up to collapse."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.training import loop
from stilts_artifact.training.batches import FITS
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.state import TrainingState, TrainingTask
from tests.recorder import Killed, Recorder
from tests.unit.training.helpers import (
    Scripted,
    config,
    rows_of,
    run,
    same,
    task_of,
    tiny_encoder,
    weights,
)

KINDS = [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.TAGGING, TaskForm.SPAN, None]


def mixture(encoder: Any) -> list[TrainingTask]:
    """Three tasks of different kinds and sizes, text among them."""
    return [
        task_of(encoder, TaskForm.PAIR, name="pair", count=40),
        task_of(encoder, TaskForm.TAGGING, name="tags", count=20, cap=12),
        task_of(encoder, None, name="mlm", count=30),
    ]


def trained(work: Path, **how: Any) -> dict[str, torch.Tensor]:
    encoder = tiny_encoder()
    tasks = mixture(encoder)
    run(encoder, tasks, work, **how)
    return weights(encoder, tasks)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of an uninterrupted run on the mixture: 11 steps."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_task_is_learnt(tmp_path: Path, kind: TaskForm | None) -> None:
    encoder = tiny_encoder(dropout=0.0)
    task = task_of(encoder, kind, count=16, epochs=40)
    report = run(encoder, [task], tmp_path, learning_rate=1e-2)
    curve = report.losses["task"]
    assert len(curve) == 20
    assert curve[-1] is not None
    assert curve[0] is not None
    assert curve[-1] < curve[0] * (0.5 if kind else 0.9)  # masks of random words are hard to guess
    assert report.steps == report.planned == 80
    assert report.examples == {"task": 640}
    assert list(tmp_path.iterdir()) == []
    assert not encoder.training


@pytest.mark.slow
def test_shuffled_labels_are_not_learnt_beyond_them(tmp_path: Path) -> None:
    """What the one above learns is the labels' connection with the input."""
    rows = rows_of(TaskForm.PAIR, 400)
    assert isinstance(rows.labels, np.ndarray)
    right = {}
    for name, labels in (
        ("true", rows.labels),
        ("shuffled", np.random.default_rng(1).permutation(rows.labels)),
    ):
        encoder = tiny_encoder(dropout=0.0)
        task = task_of(
            encoder, TaskForm.PAIR, rows=replace(rows, labels=labels), epochs=8, batch=16
        )
        run(encoder, [task], tmp_path, learning_rate=1e-2)
        unseen = rows_of(TaskForm.PAIR, 300, seed=5)
        ids = torch.from_numpy(unseen.inputs.block(np.arange(300), 1))
        with torch.no_grad():
            made = (
                task.head(encoder(input_ids=ids, attention_mask=(ids != 1).long()))
                .argmax(-1)
                .numpy()
            )
        right[name] = float((made == unseen.labels).mean())
    assert right["true"] > 0.8
    assert abs(right["shuffled"] - 1 / 3) < 0.12


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    random.seed(99)
    torch.manual_seed(99)
    assert same(trained(tmp_path), whole)
    assert not same(trained(tmp_path, seed=2), whole)


def test_the_environment_decides_nothing(
    whole: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These change what transformers' Trainer computes, and are set on many clusters."""
    for name, value in (
        ("ACCELERATE_MIXED_PRECISION", "bf16"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "2"),
        ("ACCELERATE_USE_FSDP", "true"),
    ):
        monkeypatch.setenv(name, value)
    assert same(trained(tmp_path), whole)


def test_dropout_is_drawn_anew_in_every_step_and_for_every_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    original = torch.manual_seed

    def listening(seed: int) -> Any:
        seeds.append(seed)
        return original(seed)

    for seed in (1, 2):
        encoder = tiny_encoder()
        task = task_of(encoder, TaskForm.PAIR)
        with monkeypatch.context() as patch:
            patch.setattr(loop.torch, "manual_seed", listening)
            run(encoder, [task], tmp_path, seed=seed)
    per_step = [seed for seed in seeds if seed > 2]
    assert len(set(per_step)) == len(per_step) == 10


def test_another_dropout_holds_in_all_layers_and_only_while_training(tmp_path: Path) -> None:
    found = []
    for own, asked in ((0.0, None), (0.1, 0.0), (0.1, None)):
        encoder = tiny_encoder(dropout=own)
        task = task_of(encoder, TaskForm.PAIR)
        run(encoder, [task], tmp_path, dropout=asked)
        assert encoder.config.hidden_dropout_prob == own
        found.append(weights(encoder, [task]))
    assert same(found[0], found[1])
    assert not same(found[1], found[2])


@pytest.mark.slow
@pytest.mark.parametrize(("kill_after", "checkpoint_every"), [(10, 20), (10, 4), (10, 1)])
def test_a_killed_run_resumes_to_the_same_bits(
    whole: dict[str, torch.Tensor],
    tmp_path: Path,
    kill_after: int,
    checkpoint_every: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "FLUSH", 1)
    with pytest.raises(Killed):
        trained(tmp_path, checkpoint_every=checkpoint_every, progress=Recorder(kill_after))
    again = Recorder()
    assert same(trained(tmp_path, checkpoint_every=checkpoint_every, progress=again), whole)
    saved = (kill_after - 1) // checkpoint_every * checkpoint_every
    assert again.notes == ([f"resumed at step {saved} of 11"] if saved else [])
    assert len(again.losses) == 11 - saved
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_resumed_run_knows_its_best_weights_its_patience_and_its_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [10.0, 50.0, 40.0, 50.0, 30.0, 20.0, 10.0, 5.0]
    how: dict[str, Any] = {"evaluate_every": 2, "patience": 4, "checkpoint_every": 3}
    monkeypatch.setattr(loop, "FLUSH", 1)

    def attempt(scores: list[float], progress: Any) -> tuple[Any, dict[str, torch.Tensor]]:
        encoder = tiny_encoder()
        task = task_of(encoder, TaskForm.PAIR, count=160, development=Scripted(scores))
        return run(encoder, [task], tmp_path, progress=progress, **how), weights(encoder, [task])

    report, expected = attempt(list(scores), None)
    assert (report.steps, report.planned) == (
        12,
        20,
    )  # the best at step 4, then four evaluations without a better one
    assert report.best is not None
    assert report.best.step == 4
    with pytest.raises(Killed):
        attempt(
            list(scores), Recorder(8)
        )  # after the checkpoint at step 6, with three evaluations in it
    resumed, found = attempt(scores[3:], None)
    assert resumed == report
    assert same(found, expected)


@pytest.mark.slow
def test_the_best_weights_are_kept_and_the_first_of_equals(tmp_path: Path) -> None:
    found = {}
    for scores in ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [3.0, 1.0, 3.0]):
        encoder = tiny_encoder()
        task = task_of(encoder, TaskForm.PAIR, count=48, development=Scripted(list(scores)))
        report = run(encoder, [task], tmp_path, evaluate_every=2)
        assert [evaluation.step for evaluation in report.evaluations] == [2, 4, 6]
        assert report.best is not None
        assert report.best.step == 2 * (scores.index(3.0) + 1)
        found[report.best.step] = weights(encoder, [task])
    encoder = tiny_encoder()
    task = task_of(encoder, TaskForm.PAIR, count=48, development=Scripted([3.0, 1.0, 2.0]))
    run(encoder, [task], tmp_path, evaluate_every=2)
    assert same(
        weights(encoder, [task]), found[2]
    )  # an equal score later does not take the place of the first
    assert not same(found[2], found[4])
    assert not same(found[4], found[6])
    encoder = tiny_encoder()
    task = task_of(encoder, TaskForm.PAIR, count=48)
    run(encoder, [task], tmp_path)
    assert same(weights(encoder, [task]), found[6])  # looking does not change the run


def test_a_mixture_is_judged_by_the_mean_of_its_tasks_and_text_has_no_say(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    tasks = mixture(encoder)
    tasks[0] = replace(tasks[0], development=Scripted([40.0, 60.0]))
    tasks[1] = replace(tasks[1], development=Scripted([50.0, 10.0]))
    report = run(encoder, tasks, tmp_path, evaluate_every=8)
    assert [(found.step, found.score) for found in report.evaluations] == [(8, 45.0), (11, 35.0)]
    assert report.evaluations[0].tasks == {"pair": 40.0, "tags": 50.0}
    assert report.best is not None
    assert report.best.step == 8
    assert sum(report.examples.values()) > 40
    assert report.flags == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scores", "flags", "collapsed"),
    [
        ((40.0, 70.0), [], ["pair"]),
        ((40.0, 30.0), ["DEGENERATE"], ["pair", "tags"]),
        ((40.1, 30.1), [], []),
    ],
)
def test_a_collapsed_run_is_flagged_and_kept(
    tmp_path: Path, scores: tuple[float, float], flags: list[str], collapsed: list[str]
) -> None:
    encoder = tiny_encoder()
    tasks = mixture(encoder)
    tasks[0] = replace(tasks[0], development=Scripted([scores[0]], floor=40.0))
    tasks[1] = replace(tasks[1], development=Scripted([scores[1]], floor=30.0))
    report = run(encoder, tasks, tmp_path)
    assert (report.flags, report.collapsed) == (flags, collapsed)


def test_a_task_alone_changes_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    """The pooler goes from phase (ii) to (iii) as it is where phase (ii) had no use for it."""
    before = {name: tensor.clone() for name, tensor in tiny_encoder().state_dict().items()}
    for kind, changed in ((TaskForm.TAGGING, False), (None, False), (TaskForm.PAIR, True)):
        encoder = tiny_encoder()
        run(encoder, [task_of(encoder, kind)], tmp_path)
        after = encoder.state_dict()
        assert (
            torch.equal(before["pooler.dense.weight"], after["pooler.dense.weight"]) is not changed
        )
        assert not torch.equal(
            before["embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"]
        )


def test_one_step_is_adamw_on_the_mean_of_its_examples_clipped_and_warmed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the same steps written out with torch alone."""
    encoder, other = tiny_encoder(dropout=0.0), tiny_encoder(dropout=0.0)
    rows = rows_of(TaskForm.PAIR, 8)
    task, twin = (
        task_of(encoder, TaskForm.PAIR, rows=rows, epochs=3),
        task_of(other, TaskForm.PAIR, rows=rows),
    )
    monkeypatch.setitem(FITS, "cpu", FITS["cpu"]._replace(tokens=40))
    run(
        encoder,
        [task],
        tmp_path,
        learning_rate=1e-2,
        clip=0.05,
        warmup=0.67,
        weight_decay=0.1,
    )
    parameters = [*other.parameters(), *twin.head.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, eps=1e-8)
    ids = torch.from_numpy(rows.inputs.block(np.arange(8), 1))
    for rate in (0.005, 0.01, 0.01):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        encoded = other(input_ids=ids, attention_mask=(ids != 1).long())
        labels = torch.from_numpy(rows.labels)  # type: ignore[arg-type]
        twin.head.loss(twin.head(encoded), labels).backward()  # type: ignore[operator]
        assert torch.nn.utils.clip_grad_norm_(parameters, 0.05) > 0.05
        optimizer.step()
    for name, tensor in weights(other, [twin]).items():
        if name.endswith("key.bias"):
            # A softmax does not feel it: its gradient is rounding, which AdamW makes as large as
            # any other.
            continue
        assert torch.allclose(weights(encoder, [task])[name], tensor, atol=2e-5), name


def test_a_loss_that_is_not_a_number_is_an_error_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    task = task_of(encoder, TaskForm.PAIR, epochs=4)
    # Past what a scale may say: no learning rate that it allows makes so small a model diverge.
    wild = config(clip=1e30, warmup=0.0).model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ConfigError, match="training diverged") as caught:
        loop.train(encoder, [task], wild, checkpoints=Checkpointing(tmp_path, 4), origin="tiny")
    assert "learning rate" in str(caught.value.fix)
    for path in tmp_path.rglob("*.safetensors"):
        assert "step-00000004" not in str(path)


@pytest.mark.slow
def test_running_out_of_memory_is_a_resource_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: "
            "you tried to allocate 9 bytes."
        )

    encoder = tiny_encoder()
    task = task_of(encoder, TaskForm.PAIR)
    monkeypatch.setattr("torch.Tensor.backward", full)
    with pytest.raises(ResourceError, match="out of memory"):
        run(encoder, [task], tmp_path)
    monkeypatch.setattr(
        "torch.Tensor.backward", lambda *_: (_ for _ in ()).throw(RuntimeError("a fault of ours"))
    )
    with pytest.raises(RuntimeError, match="a fault of ours"):
        run(encoder, [task], tmp_path)


def short_of_memory(patch: pytest.MonkeyPatch, holds: int, encoder: Any) -> list[int]:
    """A device that holds batches of so many padded tokens; those that were too large for it.

    The error comes in the backward pass, when gradients are half there.
    """
    failed: list[int] = []
    size = [0]

    def entering(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        size[0] = inputs["input_ids"].numel()

    def leaving(*_: Any) -> None:
        if size[0] > holds:
            failed.append(size[0])
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to")

    encoder.register_forward_pre_hook(entering, with_kwargs=True)
    # The upper layers have their gradients by then, the lower ones have none.
    encoder.encoder.layer[0].register_full_backward_hook(leaving)
    # One batch a step, if memory allows.
    patch.setitem(FITS, "cpu", FITS["cpu"]._replace(overhead=100_000))
    return failed


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_memory_does_not_hold_is_cut_and_has_the_same_gradient(
    kind: TaskForm | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for holds in (100_000, 60):
        encoder = tiny_encoder(dropout=0.0)
        task = task_of(encoder, kind, count=8)
        state = TrainingState(encoder, [task], config(), "tiny", "cpu")
        with monkeypatch.context() as patch:
            failed = short_of_memory(patch, holds, encoder)
            attempts = 1
            while (made := loop._gradient(state, 0)) is None:
                attempts += 1
                assert all(weight.grad is None for weight in state.model.parameters())
        # Each attempt ends with the first batch that is too large, and halves that one.
        assert failed == sorted(set(failed), reverse=True)
        assert len(failed) == attempts - 1
        assert state.cut_to() == ({"task": failed[-1] // 2} if failed else {})
        gradients = [p.grad.flatten() for p in state.model.parameters() if p.grad is not None]
        found.append((attempts, made[1].item(), torch.cat(gradients)))
    whole, cut = found
    assert whole[0] == 1 and cut[0] > 1
    assert cut[1] == pytest.approx(whole[1], rel=1e-5)
    # Sums of the same float32 numbers in another order.
    assert torch.allclose(cut[2], whole[2], rtol=1e-3, atol=1e-6)
    assert whole[2].abs().max() > 1e-3


@pytest.mark.slow
def test_a_run_short_of_memory_is_the_one_that_was_cut_so_from_the_start_and_resumes_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout included: the failed attempts leave nothing behind, nor does a kill after them."""

    def trained(work: Path, holds: int, tokens: int | None = None, **how: Any) -> Any:
        encoder = tiny_encoder(dropout=0.1)
        task = task_of(encoder, TaskForm.PAIR, count=40)
        with monkeypatch.context() as patch:
            failed = short_of_memory(patch, holds, encoder)
            if tokens is not None:
                patch.setitem(FITS, "cpu", FITS["cpu"]._replace(tokens=tokens))
            report = run(encoder, [task], work, **how)
        return weights(encoder, [task]), report, failed

    watched = Recorder()
    short, report, failed = trained(tmp_path / "a", 60, progress=watched)
    assert failed and report.cut_to == {"task": failed[-1] // 2}
    assert any("out of memory at step 1: it is begun anew" in note for note in watched.notes)
    cut, other, none = trained(tmp_path / "b", 100_000, tokens=failed[-1] // 2)
    assert none == [] and other.cut_to == {}
    assert same(short, cut)
    whole, _, _ = trained(tmp_path / "c", 100_000)
    assert not same(short, whole)  # another draw of dropout
    monkeypatch.setattr(loop, "FLUSH", 1)
    with pytest.raises(Killed):
        trained(tmp_path / "d", 60, progress=Recorder(5), checkpoint_every=2)
    recorder = Recorder()
    # What lacked then is there again; the cut stays that of the run.
    resumed, report, none = trained(tmp_path / "d", 100_000, progress=recorder)
    assert recorder.notes == ["resumed at step 4 of 5"]
    assert none == [] and report.cut_to == {"task": failed[-1] // 2}
    assert same(short, resumed)


@pytest.mark.slow
def test_a_checkpoint_of_other_data_or_settings_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "FLUSH", 1)

    def attempt(
        work: Path, progress: Any, data: int = 0, judge: Scripted | None = None, **how: Any
    ) -> None:
        encoder = tiny_encoder()
        task = task_of(encoder, TaskForm.PAIR, rows=rows_of(TaskForm.PAIR, 40, data))
        task = replace(task, development=judge)
        run(encoder, [task], work, progress=progress, checkpoint_every=2, **how)

    with pytest.raises(Killed):
        attempt(tmp_path / "a", Recorder(5))
    for number, how in enumerate(
        [{"data": 1}, {"seed": 2}, {"learning_rate": 2e-3}, {"dropout": 0.0}]
    ):
        recorder = Recorder()
        attempt(Path(shutil.copytree(tmp_path / "a", tmp_path / str(number))), recorder, **how)
        assert recorder.notes == []
    # Another cut draws another dropout, and other development data keep other weights.
    with monkeypatch.context() as patch:
        patch.setitem(FITS, "cpu", FITS["cpu"]._replace(tokens=99))
        recorder = Recorder()
        attempt(Path(shutil.copytree(tmp_path / "a", tmp_path / "cut")), recorder)
        assert recorder.notes == []
    recorder = Recorder()
    attempt(
        Path(shutil.copytree(tmp_path / "a", tmp_path / "judged")), recorder, judge=Scripted([1.0])
    )
    assert recorder.notes == []
    recorder = Recorder()
    attempt(tmp_path / "a", recorder)
    assert recorder.notes == ["resumed at step 4 of 5"]


def test_products_in_bfloat16_leave_losses_gradients_and_weights_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: there, and only there, a scale's bfloat16 is what is computed in."""
    seen: dict[str, set[torch.dtype]] = {"hidden": set(), "loss": set()}

    def trained(work: Path) -> dict[str, torch.Tensor]:
        encoder = tiny_encoder()
        task = task_of(encoder, TaskForm.PAIR, count=32)
        encoder.encoder.layer[0].output.dense.register_forward_hook(
            lambda _, __, made: seen["hidden"].add(made.dtype)
        )
        loss = task.head.loss
        monkeypatch.setattr(
            task.head,
            "loss",
            lambda scores, labels: seen["loss"].add(scores.dtype) or loss(scores, labels),
        )
        run(encoder, [task], work, dtype="bfloat16")
        assert {weight.dtype for weight in encoder.parameters()} == {torch.float32}
        return {name: value.clone() for name, value in encoder.state_dict().items()}

    on_cpu = trained(tmp_path / "cpu")
    assert seen == {"hidden": {torch.float32}, "loss": {torch.float32}}
    monkeypatch.setattr("stilts_artifact.model.inference.computed_dtype", lambda _, asked: asked)
    mixed = trained(tmp_path / "gpu")
    assert seen == {"hidden": {torch.float32, torch.bfloat16}, "loss": {torch.float32}}
    name = "encoder.layer.0.output.dense.weight"
    assert not torch.equal(on_cpu[name], mixed[name])
    assert torch.allclose(on_cpu[name], mixed[name], atol=0.02)


def test_a_work_folder_that_cannot_be_made_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    encoder = tiny_encoder()
    with pytest.raises(ResourceError, match="work"):
        run(encoder, [task_of(encoder, TaskForm.PAIR)], tmp_path / "file")


def test_a_run_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to train on"):
        run(tiny_encoder(), [], tmp_path)
