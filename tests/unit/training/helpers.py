"""Small tasks that can be learnt, and encoders small enough to learn them in a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.model.heads import IGNORED, MaskedLanguageHead
from stilts_artifact.pretraining.batches import words_and_specials
from stilts_artifact.training.batches import Masking, Ragged, Rows
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.loop import Report, train
from stilts_artifact.training.state import TrainingTask, fresh_head

VOCABULARY = 60
MASKING = Masking(0.3, words_and_specials(VOCABULARY))


@dataclass
class Scripted:
    """Development data whose scores are given beforehand."""

    scores: list[float]
    floor: float = 0.0
    digest: str = "scripted"
    seen: list[str] = field(default_factory=list)
    token_ids: Any = field(default_factory=lambda: np.array([], dtype=np.int64))

    def score(self, encoder: Any, head: Any) -> float:
        assert not encoder.training
        assert not head.training
        return self.scores.pop(0)


def tiny_encoder(dropout: float = 0.1, seed: int = 0) -> XLMRobertaModel:
    """Two layers of sixteen."""
    config = XLMRobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=0.1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    torch.manual_seed(seed)
    return XLMRobertaModel(config, add_pooling_layer=True)


def ragged(rows: list[list[int]]) -> Ragged:
    return Ragged(np.array([x for row in rows for x in row]), np.cumsum([0, *map(len, rows)]))


def sentences(count: int, seed: int, longest: int = 14) -> list[list[int]]:
    """``<s> a few words </s>``."""
    generator = np.random.default_rng(seed)
    return [
        [0, *generator.integers(4, VOCABULARY - 1, generator.integers(2, longest)).tolist(), 2]
        for _ in range(count)
    ]


def rows_of(kind: TaskForm | None, count: int = 40, seed: int = 0) -> Rows:
    """Rows whose label can be read off the first word; of text if there is no kind."""
    if kind is TaskForm.CHOICE:
        inputs = sentences(count * 3, seed)
        return Rows(ragged(inputs), np.array([row[1] % 3 for row in inputs[::3]]), choices=3)
    inputs = sentences(count, seed)
    match kind:
        case TaskForm.PAIR:
            return Rows(ragged(inputs), np.array([row[1] % 3 for row in inputs]))
        case TaskForm.TAGGING:
            tags = [
                [IGNORED, *(word % 5 if word % 2 else IGNORED for word in row[1:-1]), IGNORED]
                for row in inputs
            ]
            return Rows(ragged(inputs), ragged(tags))
        case TaskForm.SPAN:
            return Rows(ragged(inputs), np.array([[1, len(row) - 2] for row in inputs]))
        case _:
            return Rows(ragged(inputs), None)


def task_of(
    encoder: XLMRobertaModel,
    kind: TaskForm | None,
    *,
    name: str = "task",
    seed: int = 1,
    **how: Any,
) -> TrainingTask:
    """A task with a fresh head; masked language modelling if there is no kind."""
    rows = how.pop("rows", None) or rows_of(kind, how.pop("count", 40))
    how = {"epochs": 1, "batch": 8} | how
    if kind is None:
        torch.manual_seed(seed)
        return TrainingTask(name, rows, MaskedLanguageHead(encoder), masking=MASKING, **how)
    labels = {TaskForm.CHOICE: rows.choices, TaskForm.TAGGING: 5}.get(kind, 3)
    return TrainingTask(name, rows, fresh_head(kind, encoder, labels, seed, name), **how)


CONFIG = TrainingConfig(
    seed=1,
    learning_rate=1e-3,
    dtype="bfloat16",
    warmup=0.1,
    weight_decay=0.01,
    epsilon=1e-8,
    clip=1.0,
    evaluate_every=1000,
    development_rows=500,
    patience=30,
    dropout=None,
    length_pool=1,
)
"""Of the runs in tests, but for what a test changes."""


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig(**CONFIG.model_dump() | changes)


def run(
    encoder: XLMRobertaModel,
    tasks: list[TrainingTask],
    work: Path,
    *,
    checkpoint_every: int = 1000,
    progress: Any = None,
    **how: Any,
) -> Report:
    checkpoints = Checkpointing(work, checkpoint_every)
    return train(
        encoder, tasks, config(**how), checkpoints=checkpoints, origin="tiny", progress=progress
    )


def weights(encoder: XLMRobertaModel, tasks: list[TrainingTask]) -> dict[str, torch.Tensor]:
    """Everything that was trained, by name."""
    state = dict(encoder.state_dict())
    for task in tasks:
        state |= {f"{task.name}.{name}": tensor for name, tensor in task.head.state_dict().items()}
    return {name: tensor.clone() for name, tensor in state.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
