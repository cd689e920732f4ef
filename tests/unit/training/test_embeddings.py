"""Embeddings that a run never reads cost it nothing, and end as if they had been trained too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.model.manifest import WEIGHTS
from stilts_artifact.pretraining.batches import PAD
from stilts_artifact.training import embeddings, state
from stilts_artifact.training.embeddings import UsedEmbeddings, put_back, use_rows
from tests.recorder import Killed, Recorder
from tests.unit.training.helpers import (
    VOCABULARY,
    Scripted,
    config,
    rows_of,
    run,
    same,
    task_of,
    tiny_encoder,
    weights,
)

KINDS = [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.TAGGING, TaskForm.SPAN]


def trained(work: Path, *kinds: TaskForm, scores: list[float] | None = None, **how: Any) -> Any:
    """All weights after a run that reads a few of the words, with AdamW's decay made strong."""
    encoder = tiny_encoder()
    tasks = [
        task_of(encoder, kind, name=f"task-{kind}", rows=rows_of(kind, 8), epochs=8)
        for kind in kinds
    ]
    assert len({id for task in tasks for id in task.rows.inputs.values}) < VOCABULARY
    if scores is not None:
        tasks[0] = task_of(
            encoder,
            kinds[0],
            rows=rows_of(kinds[0], 8),
            epochs=8,
            development=Scripted(list(scores), token_ids=np.array([5, VOCABULARY - 1])),
        )
    run(encoder, tasks, work, weight_decay=0.3, **how)
    return weights(encoder, tasks)


def untrimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_reads_rows_only", lambda tasks: False)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), KINDS])
def test_embeddings_that_are_never_read_end_with_the_bits_of_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: list[TaskForm]
) -> None:
    used = trained(tmp_path, *kinds)
    with monkeypatch.context() as patch:
        untrimmed(patch)
        whole = trained(tmp_path, *kinds)
    assert same(used, whole)
    fresh = tiny_encoder().state_dict()["embeddings.word_embeddings.weight"]
    decayed = (used["embeddings.word_embeddings.weight"] != fresh).any(dim=1)
    assert decayed.tolist() == [row != PAD for row in range(VOCABULARY)]  # padding is all zeros


@pytest.mark.slow
def test_they_are_as_old_as_the_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"scores": [10.0, 30.0, 20.0, 5.0], "evaluate_every": 2}
    best = trained(tmp_path, TaskForm.PAIR, **how)
    untrimmed(monkeypatch)
    assert same(best, trained(tmp_path, TaskForm.PAIR, **how))
    assert not same(
        best, trained(tmp_path, TaskForm.PAIR, **how | {"scores": [1.0, 2.0, 3.0, 4.0]})
    )


@pytest.mark.slow
def test_a_killed_run_takes_its_rows_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        trained(tmp_path, TaskForm.SPAN, checkpoint_every=2, progress=Recorder(5), evaluate_every=1)
    resumed = trained(tmp_path, TaskForm.SPAN, checkpoint_every=2)
    untrimmed(monkeypatch)
    assert same(resumed, trained(tmp_path, TaskForm.SPAN))


def test_an_optimiser_step_holds_only_the_rows_that_are_read(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    task = task_of(encoder, TaskForm.PAIR, rows=rows_of(TaskForm.PAIR, 3))
    read = len(np.unique([PAD, *task.rows.inputs.values]))
    made = state.TrainingState(encoder, [task], config(), "tiny", "cpu")
    (matrix,) = [
        tensor
        for name, tensor in made.model.named_parameters()
        if name.endswith("word_embeddings.weight")
    ]
    assert matrix.shape == (read, 16)
    made.put_embeddings_back()
    assert encoder.embeddings.word_embeddings.weight.shape == (VOCABULARY, 16)


def test_a_checkpoint_holds_only_the_rows_that_are_read(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(tmp_path, TaskForm.PAIR, checkpoint_every=2, progress=Recorder(5), evaluate_every=1)
    (folder, *_) = sorted(tmp_path.glob("*/step-*"))
    tensors = load_file(folder / WEIGHTS)
    named = [t for name, t in tensors.items() if name.endswith("word_embeddings.weight")]
    rows = [tensor.shape for tensor in named if tensor.ndim]  # the step count has none
    read = len(np.unique([PAD, *rows_of(TaskForm.PAIR, 8).inputs.values]))
    # The weights, and two moments of AdamW's.
    assert rows == [(read, 16)] * 3
    assert read < VOCABULARY


def test_a_token_that_was_not_foreseen_is_an_error_and_not_another_word() -> None:
    encoder = tiny_encoder()
    use_rows(encoder, [np.array([0, 5, 2])])
    assert isinstance(encoder.embeddings.word_embeddings, UsedEmbeddings)
    with pytest.raises(IndexError):
        encoder(input_ids=torch.tensor([[0, 6, 2]]))


def test_a_pass_reads_no_value_that_it_would_have_to_wait_for() -> None:
    """On a GPU each such value makes the processor wait until all that is queued was computed."""
    read: list[torch.Tensor] = []

    class Reads(TorchDispatchMode):
        def __torch_dispatch__(
            self, op: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if op is torch.ops.aten._local_scalar_dense.default:
                read.append(args[0])
            return op(*args, **(kwargs or {}))

    encoder, ids = tiny_encoder(), torch.tensor([[0, 5, 2]])
    use_rows(encoder, [ids[0].numpy()])
    with Reads():
        encoder.embeddings.word_embeddings(ids).sum().backward()
        assert read == []
        ids[0, 1].item()
    assert len(read) == 1


def test_what_decays_on_another_device_comes_back_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def decayed(**how: Any) -> torch.Tensor:
        encoder = tiny_encoder()
        whole = use_rows(encoder, [np.array([0, 5, 2])])
        put_back(encoder, whole, [0.9, 0.8, 0.7], **how)
        found: torch.Tensor = encoder.embeddings.word_embeddings.weight.detach().clone()
        return found

    here = decayed()
    # A GPU's copy is none of the weights themselves.
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_: tensor.clone())
    monkeypatch.setitem(embeddings._BLOCKS, "cuda", 7)
    assert torch.equal(decayed(device="cuda"), here)
