"""One encoder and the heads of the tasks that train it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.model.forms import task_head
from stilts_artifact.model.heads import MaskedLanguageHead, SpanHead, TaskHead
from stilts_artifact.model.tokenizer import PAD
from stilts_artifact.training.arithmetic import derived_seed

if TYPE_CHECKING:
    from transformers import XLMRobertaModel

    from stilts_artifact.training.microbatches import MicroBatch

Head = TaskHead | MaskedLanguageHead


class MultiTaskModel(nn.Module):
    """Encoder and heads; the forward pass is the loss of one task."""

    def __init__(self, encoder: XLMRobertaModel, heads: Mapping[str, Head]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)

    def forward(self, task: str, batch: MicroBatch) -> torch.Tensor:
        """Mean loss of a batch, a scalar."""
        device = self.encoder.device
        ids = batch.input_ids.to(device, non_blocking=True)
        targets = batch.targets.to(device, non_blocking=True)
        encoded = self.encoder(input_ids=ids, attention_mask=(ids != PAD).long())
        head = self.heads[task]
        if batch.chosen is not None:
            # Only hidden tokens are scored: [rows, length, hidden] -> [chosen, hidden].
            scores = head(encoded.last_hidden_state[batch.chosen.to(device, non_blocking=True)])
        else:
            scores = head(encoded)
        if isinstance(head, SpanHead):
            # An answer never lies in the padding: without this, the loss would depend on how much
            # of it there is.
            scores = scores.masked_fill((ids == PAD)[:, None], float("-inf"))
        loss: torch.Tensor = head.loss(scores.float(), targets)  # type: ignore[operator]  # every head has one
        return loss


def fresh_head(
    kind: TaskForm, encoder: XLMRobertaModel, labels: int, seed: int, name: str
) -> TaskHead:
    """A head whose first weights depend on seed and name only, whatever else is trained beside it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "head", name))
        return task_head(kind, encoder.config, labels)


def set_dropout(module: nn.Module, probability: float) -> None:
    """Another dropout in all layers, attention included; the configuration that is saved keeps its own."""
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = probability


def adamw(
    learner: nn.Module, learning_rate: float, weight_decay: float, epsilon: float
) -> torch.optim.Optimizer:
    """AdamW over everything that is trained; biases and layer norms do not decay."""
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    groups = [
        {
            "params": [parameter for parameter in trained if parameter.ndim > 1],
            "weight_decay": weight_decay,
        },
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, eps=epsilon, fused=True)
