"""What stands on the encoder for each kind of task.

As in jiant, with which the paper was made (jiant/tasks/... modeling/heads.py:82-166 at daa5a25):
classification and multiple choice put a dense layer and a tanh on the *pooler's* output, which has
one of each already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from stilts_artifact.model.loading import EncoderConfig, EncoderModel

IGNORED = -100
"""Label of a position that has none; torch's cross entropy skips it."""


class Encoded(NamedTuple):
    """What heads read: states of tokens [rows, length, hidden] and of inputs [rows, hidden]."""

    last_hidden_state: torch.Tensor
    pooler_output: torch.Tensor


class Pooler(nn.Module):
    """Dense and tanh on the first token, as BERT's, for classes of encoders that have none."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """States of inputs [rows, hidden] from those of their tokens [rows, length, hidden]."""
        return torch.tanh(self.dense(hidden[:, 0]))


class Head(nn.Module):
    """What all heads share."""

    def without_padding(self, scores: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """Scores to which padding, bool [rows, length], makes no difference; most never read it."""
        return scores


class ClassificationHead(Head):
    """Dropout, dense, tanh, dropout, dense on the pooler's output: one score for each label."""

    def __init__(self, config: EncoderConfig, labels: int) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, labels)
        self.dropout = _dropout(config)
        _initialise(self, config)

    def forward(self, encoded: Encoded) -> torch.Tensor:
        """Scores [rows, labels]."""
        hidden = torch.tanh(self.dense(self.dropout(encoded.pooler_output)))
        # [rows, hidden] -> [rows, labels]
        scores: torch.Tensor = self.out(self.dropout(hidden))
        return scores

    def loss(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross entropy; ``labels`` int64 [rows]."""
        return functional.cross_entropy(scores, labels)


class ChoiceHead(ClassificationHead):
    """The same with one output, whose scores compete among the choices of an example."""

    def __init__(self, config: EncoderConfig, choices: int) -> None:
        super().__init__(config, labels=1)
        self.choices = choices

    def forward(self, encoded: Encoded) -> torch.Tensor:
        """Scores [examples, choices] from examples x choices rows, each example's in a row."""
        # [examples x choices, 1] -> [examples, choices]
        return super().forward(encoded).view(-1, self.choices)


class TaggingHead(Head):
    """Dropout and dense on every token."""

    def __init__(self, config: EncoderConfig, labels: int) -> None:
        super().__init__()
        self.out = nn.Linear(config.hidden_size, labels)
        self.dropout = _dropout(config)
        _initialise(self, config)

    def forward(self, encoded: Encoded) -> torch.Tensor:
        """Scores [rows, length, labels]."""
        # [rows, length, hidden] -> [rows, length, labels]
        scores: torch.Tensor = self.out(self.dropout(encoded.last_hidden_state))
        return scores

    def loss(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross entropy over labelled tokens.

        Args:
            labels: int64 [rows, length], :data:`IGNORED` where there is none.
        """
        # [rows, length, labels] -> [rows x length, labels]; [rows, length] -> [rows x length]
        return functional.cross_entropy(
            scores.flatten(0, 1), labels.flatten(), ignore_index=IGNORED
        )


class SpanHead(Head):
    """Dense on every token: scores of being the first and the last token of the answer."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.out = nn.Linear(config.hidden_size, 2)
        _initialise(self, config)

    def forward(self, encoded: Encoded) -> torch.Tensor:
        """Scores [rows, 2, length]: of starts, and of ends."""
        scores: torch.Tensor = self.out(encoded.last_hidden_state).transpose(
            1, 2
        )  # [rows, length, 2] -> [rows, 2, length]
        return scores

    def without_padding(self, scores: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """Scores that let no answer lie in the padding: the loss would depend on its length."""
        # [rows, length] -> [rows, 1, length], against scores [rows, 2, length]
        return scores.masked_fill(padding[:, None], float("-inf"))

    def loss(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy of start and end; ``labels`` int64 [rows, 2], token positions."""
        # The classes are the positions of a row: [rows, 2, length] -> [rows, length].
        start = functional.cross_entropy(scores[:, 0], labels[:, 0])
        end = functional.cross_entropy(scores[:, 1], labels[:, 1])
        return (start + end) / 2


class MaskedLanguageHead(Head):
    """Dense, gelu, layer norm, and the input embeddings as output weights.

    Parameter names are those of transformers.
    """

    def __init__(self, encoder: EncoderModel) -> None:
        super().__init__()
        config = encoder.config
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        _initialise(self, config)
        # In a tuple, so that the encoder's embeddings do not become parameters of the head as well.
        self._tied = (cast("nn.Embedding", encoder.get_input_embeddings()),)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores [tokens, vocabulary] of hidden states [tokens, hidden].

        Only the masked positions need scores, so the caller passes those rows alone.
        """
        hidden = self.layer_norm(functional.gelu(self.dense(hidden)))
        return functional.linear(hidden, self._tied[0].weight, self.bias)

    def loss(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross entropy; ``targets`` int64 [tokens]."""
        return functional.cross_entropy(scores, targets)


TaskHead = ClassificationHead | ChoiceHead | TaggingHead | SpanHead


def _dropout(config: EncoderConfig) -> nn.Dropout:
    """The dropout of the encoder's own layers; DistilBERT has another name for it."""
    return nn.Dropout(getattr(config, "hidden_dropout_prob", getattr(config, "dropout", 0.1)))


def _initialise(module: nn.Module, config: EncoderConfig) -> None:
    """Weights as the encoder's own layers start: normal with its deviation, biases zero."""
    for layer in module.children():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=config.initializer_range)
            nn.init.zeros_(layer.bias)
