"""A step cut into pieces: the same examples, the same loss, the same gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.model.heads import IGNORED
from stilts_artifact.pretraining.batches import PAD
from stilts_artifact.training.batches import (
    Fit,
    MicroBatch,
    Rows,
    cut,
    join_rows,
    masked_batches,
    micro_batches,
    read_rows,
)
from stilts_artifact.training.state import MultiTaskModel
from tests.unit.training.helpers import MASKING, rows_of, task_of, tiny_encoder

WHOLE, CUT = Fit(100_000, overhead=100_000), Fit(64, overhead=1)
KINDS = [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.TAGGING, TaskForm.SPAN]


def masked(rows: Rows, fit: Fit) -> list[MicroBatch]:
    return masked_batches(
        rows,
        np.arange(len(rows)),
        fit,
        MASKING,
        PAD,
        torch.Generator().manual_seed(3),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, None])
def test_one_batch_of_32_and_many_small_ones_have_equal_loss_and_gradient(
    kind: TaskForm | None,
) -> None:
    encoder = tiny_encoder(dropout=0.0)
    task = task_of(encoder, kind, count=32)
    learner = MultiTaskModel(encoder, {"task": task.head})
    found = []
    for fit in (WHOLE, CUT):
        batches = (
            masked(task.rows, fit)
            if kind is None
            else micro_batches(task.rows, np.arange(32), fit, PAD)
        )
        assert len(batches) == 1 if fit is WHOLE else len(batches) > 4
        learner.zero_grad()
        losses = [learner("task", batch) * batch.weight for batch in batches]
        sum(losses).backward()  # type: ignore[union-attr]
        gradients = [p.grad.flatten() for p in learner.parameters() if p.grad is not None]
        found.append((sum(loss.item() for loss in losses), torch.cat(gradients)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)
    assert found[0][1].abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_in_exactly_one_batch_with_its_own_labels(kind: TaskForm) -> None:
    rows = rows_of(kind, 32)
    examples = np.array([3, 30, 7, 8, 12, 1, 0])
    batches = micro_batches(rows, examples, CUT, PAD)
    assert sum(batch.weight for batch in batches) == pytest.approx(1)
    assert all(batch.input_ids.shape[1] % 8 == 0 for batch in batches)
    assert all(
        batch.input_ids.numel() <= 64 or len(batch.input_ids) == rows.choices for batch in batches
    )
    expected = {}
    for example in examples:
        at = example * rows.choices
        ids = rows.inputs.values[rows.inputs.offsets[at] : rows.inputs.offsets[at + 1]]
        label = (
            rows.labels.block([example], IGNORED)[0]
            if isinstance(rows.labels, type(rows.inputs))
            else None
        )
        expected[tuple(ids)] = rows.labels[example] if label is None else label  # type: ignore[index]
    found = 0
    for batch in batches:
        for row, target in zip(batch.input_ids[:: rows.choices], batch.targets, strict=True):
            wanted = expected[tuple(row[row != 1].tolist())]
            length = min(np.size(wanted), target.numel())
            assert target.flatten()[:length].tolist() == np.atleast_1d(wanted)[:length].tolist()
            found += 1
    assert found == len(examples)


LENGTHS = st.lists(st.integers(1, 90), min_size=1, max_size=9)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 200), st.sampled_from([1, 8]))
def test_no_other_cut_of_the_sorted_examples_is_cheaper(
    lengths: list[int], tokens: int, overhead: int, m: int
) -> None:
    fit = Fit(tokens, overhead, m)

    def cost(groups: list[list[int]]) -> float:
        total = 0
        for group in groups:
            size = len(group) * -(-max(lengths[index] for index in group) // m) * m
            if size > tokens and len(group) > 1:
                return float("inf")
            total += size + overhead
        return total

    found = cut(lengths, fit)
    order = [index for group in found for index in group]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths)
    others = []
    for bits in range(2 ** (len(order) - 1)):
        groups = [[order[0]]]
        for at, index in enumerate(order[1:]):
            if bits >> at & 1:
                groups.append([])
            groups[-1].append(index)
        others.append(cost(groups))
    assert cost(found) == min(others)


def test_masks_do_not_depend_on_the_cut() -> None:
    rows = rows_of(None, 32)
    pieces = []
    for fit in (WHOLE, CUT):
        hidden = set()
        for batch in masked(rows, fit):
            assert batch.chosen is not None
            original = batch.input_ids.clone()
            original[batch.chosen] = batch.targets
            for row, chosen in zip(original, batch.chosen, strict=True):
                hidden.add(
                    (tuple(row[row != 1].tolist()), tuple(chosen.nonzero().flatten().tolist()))
                )
        pieces.append(hidden)
    whole = {piece for piece in pieces[0] if piece[1]}
    assert {piece for piece in pieces[1] if piece[1]} == whole
    assert len(whole) > 20


def test_a_step_without_a_label_has_no_batch() -> None:
    rows = read_rows(Dataset.from_dict({"input_ids": [[0, 5, 2]], "tags": [[IGNORED] * 3]}), "x")
    assert micro_batches(rows, np.array([0]), WHOLE, PAD) == []


def test_rows_come_out_of_arrow_as_they_went_in() -> None:
    pair = Dataset.from_dict({"input_ids": [[0, 5, 2], [0, 2], [0, 7, 8, 2]], "label": [2, 0, 1]})
    rows = read_rows(pair.select([2, 0]), "x")
    assert rows.inputs.block([0, 1], 1, 4).tolist() == [[0, 7, 8, 2], [0, 5, 2, 1]]
    assert rows.labels.tolist() == [1, 2]  # type: ignore[union-attr]
    choice = Dataset.from_dict(
        {"choices": [[[0, 2], [0, 5, 2]], [[0, 6, 2], [0, 7, 7, 2]]], "label": [1, 0]}
    )
    rows = read_rows(choice.select([1]), "x")
    assert (rows.choices, len(rows), rows.lengths.tolist()) == (2, 1, [4])
    assert rows.inputs.block([0, 1], 1, 4).tolist() == [[0, 6, 2, 1], [0, 7, 7, 2]]
    span = read_rows(
        Dataset.from_dict({"input_ids": [[0, 4, 2]], "start": [1], "end": [2], "x": ["y"]}), "x"
    )
    assert span.labels.tolist() == [[1, 2]]  # type: ignore[union-attr]
    text = read_rows(Dataset.from_dict({"input_ids": [[0, 4, 2], [0, 2]]}), "x")
    assert text.labels is None
    joined = join_rows([text, read_rows(pair.select([1]).select_columns(["input_ids"]), "x")])
    assert joined.inputs.lengths.tolist() == [3, 2, 2]


def test_rows_that_cannot_be_trained_on_are_refused() -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        read_rows(Dataset.from_dict({"input_ids": [[0]], "label": [1]}).select([]), "folder")
    with pytest.raises(DataError, match="unequal numbers of choices"):
        read_rows(Dataset.from_dict({"choices": [[[0]], [[0], [0]]], "label": [0, 0]}), "folder")


def test_the_digest_knows_every_part() -> None:
    one = Dataset.from_dict({"input_ids": [[0, 5], [2]], "label": [2, 0]})
    digests = {
        read_rows(Dataset.from_dict(content), "x").digest
        for content in (
            one.to_dict(),
            {"input_ids": [[0], [5, 2]], "label": [2, 0]},
            {"input_ids": [[0, 5], [2]], "label": [2, 1]},
            {"input_ids": [[0, 5], [3]], "label": [2, 0]},
            {"input_ids": [[0, 5], [2]]},
        )
    }
    assert len(digests) == 5
    assert read_rows(one, "x").digest in digests
