"""Heads: shapes, and equality with the formulas written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms import FORMS
from stilts_artifact.model.forms import TRAINED, describe_head, task_head
from stilts_artifact.model.heads import IGNORED, MaskedLanguageHead

if TYPE_CHECKING:
    from stilts_artifact.model.loading import Encoder


@pytest.fixture
def encoded(encoder: Encoder) -> Any:
    ids = torch.tensor([[0, 50, 60, 2], [0, 70, 2, 1]] * 3)
    with torch.no_grad():
        return encoder.model(input_ids=ids, attention_mask=(ids != 1).long())


def test_classification_reads_the_pooler(encoder: Encoder, encoded: Any) -> None:
    head = task_head(TaskForm.PAIR, encoder.model.config, 3).eval()
    expected = head.out(
        torch.tanh(head.dense(encoded.pooler_output))
    )  # two dense and tanh in a row, as in jiant
    assert torch.allclose(head(encoded), expected)
    assert head(encoded).shape == (6, 3)


def test_choices_compete_within_their_example(encoder: Encoder, encoded: Any) -> None:
    head = task_head(TaskForm.CHOICE, encoder.model.config, 3).eval()
    made = head(encoded)
    assert made.shape == (2, 3)
    flat = head.out(torch.tanh(head.dense(encoded.pooler_output)))
    assert torch.equal(made[1], flat[3:, 0])
    loss = head.loss(made, torch.tensor([0, 2]))
    expected = -(made[0].log_softmax(0)[0] + made[1].log_softmax(0)[2]) / 2
    assert torch.allclose(loss, expected)


def test_tagging_counts_labelled_tokens_only(encoder: Encoder, encoded: Any) -> None:
    head = task_head(TaskForm.TAGGING, encoder.model.config, 5).eval()
    made = head(encoded)
    assert made.shape == (6, 4, 5)
    labels = torch.full((6, 4), IGNORED)
    labels[0, 1], labels[3, 1] = 4, 0
    expected = -(made[0, 1].log_softmax(0)[4] + made[3, 1].log_softmax(0)[0]) / 2
    assert torch.allclose(head.loss(made, labels), expected)


def test_spans_average_start_and_end(encoder: Encoder, encoded: Any) -> None:
    head = task_head(TaskForm.SPAN, encoder.model.config, 2).eval()
    made = head(encoded)
    assert made.shape == (6, 2, 4)
    labels = torch.tensor([[1, 2]] * 6)
    starts, ends = made[:, 0].log_softmax(1)[:, 1], made[:, 1].log_softmax(1)[:, 2]
    assert torch.allclose(head.loss(made, labels), -(starts.mean() + ends.mean()) / 2)


def test_the_language_head_is_tied_to_the_embeddings(encoder: Encoder) -> None:
    head = MaskedLanguageHead(encoder.model)
    names = dict(head.named_parameters())
    assert set(names) == {
        "bias",
        "dense.weight",
        "dense.bias",
        "layer_norm.weight",
        "layer_norm.bias",
    }
    hidden = torch.randn(7, encoder.model.config.hidden_size)
    before = head(hidden)
    assert before.shape == (7, encoder.model.config.vocab_size)
    embeddings = encoder.model.embeddings.word_embeddings.weight
    own = (
        embeddings[5].detach().clone()
    )  # adding and taking away again would not give the same bits
    with torch.no_grad():
        embeddings[5] += 1
    try:
        changed = (head(hidden) != before).any(0).nonzero().flatten().tolist()
    finally:
        with torch.no_grad():
            embeddings[5] = own
    assert changed == [5]


def test_dropout_acts_in_training_only(encoder: Encoder, encoded: Any) -> None:
    for kind in (TaskForm.PAIR, TaskForm.TAGGING):
        head = task_head(kind, encoder.model.config, 3)
        torch.manual_seed(0)
        assert not torch.equal(head.train()(encoded), head(encoded))
        assert torch.equal(head.eval()(encoded), head(encoded))


def test_the_seed_decides_the_initial_weights(encoder: Encoder) -> None:
    def fresh(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return task_head(TaskForm.PAIR, encoder.model.config, 3).dense.weight

    assert torch.equal(fresh(1), fresh(1))
    assert not torch.equal(fresh(1), fresh(2))
    assert abs(fresh(1).std().item() / encoder.model.config.initializer_range - 1) < 0.1


@pytest.mark.parametrize("kind", [TaskForm.MINING, TaskForm.SEARCH])
def test_retrieval_has_no_head(encoder: Encoder, kind: TaskForm) -> None:
    with pytest.raises(ConfigError, match="has no head"):
        task_head(kind, encoder.model.config, 1)


def test_the_two_halves_of_a_form_find_each_other(encoder: Encoder) -> None:
    assert set(TRAINED) == {name for name, form in FORMS.items() if form.is_trained}
    for form in TRAINED:
        head = task_head(form, encoder.model.config, 2)
        assert describe_head(head) == (form, 2)
    with pytest.raises(TypeError, match="MaskedLanguageHead is the head of no task"):
        describe_head(MaskedLanguageHead(encoder.model))
