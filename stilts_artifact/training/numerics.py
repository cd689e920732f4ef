"""How far bfloat16 may be from float32, and how far it is on the device that computes.

Products take bfloat16 numbers and give such, all else stays float32 (:func:`precision`). A bfloat16
number has 8 significant bits: rounding one errs by at most u = 2^-8 of it, by u / sqrt(3) in the
root mean square. A product rounds both factors and the result, so it adds a relative error of
sqrt(3) u / sqrt(3) = u. Independent errors without bias add up like the steps of a random walk, as
the root of their number (Higham and Mary 2019, SIAM J. Sci. Comput. 41(5), A2815): after n products
one of n^(1/2) u is expected, where the worst case would be n u, which bounds nothing at 24 layers.

A layer is 8 products: query, key, value, attention's scores and its mean, output, and two of the
feed-forward block; the head has 2 at most. Each product has two in the backward pass. So

    scores    n = 8 layers + 2          expected error  u sqrt(n)      5 % at 24 layers
    gradient  n of the scores, thrice   expected error  u sqrt(3 n)    9 %

and that is the bound: every layer passes its input on beside what it computes, so that an error is
a smaller part of the sum than of the product. Random encoders of 2 to 24 layers, whose weights are
as XLM-R's at its start or half as large again, stay below two thirds of it; three bits fewer do
not, nor does padding that is read as text. The loss needs no model: cross-entropy changes by at
most sqrt(2) times what its scores do. Errors are relative to sizes that do not cancel by chance:
for scores, the root mean square of the products that they sum up; for the gradient, that of the
scores' absolute derivatives, as the choices of an example all but cancel each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ResourceError
from stilts_artifact.model.heads import MaskedLanguageHead
from stilts_artifact.training.batches import Fit, MicroBatch, Ragged, Rows, micro_batches
from stilts_artifact.training.state import MultiTaskModel, fresh_head

if TYPE_CHECKING:
    from stilts_artifact.model.loading import EncoderModel
    from stilts_artifact.training.state import Head

ROUNDOFF = 2.0**-8
"""Of bfloat16, which has 8 significant bits."""
_PRODUCTS = 8
_HEAD_PRODUCTS = 2
_LABELS = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """What bfloat16 changed in one batch of a task, relative to float32, and what it may change.

    Args:
        scores, gradient: relative errors in the Euclidean norm.
        loss: the mean loss's, in nats, and the bound on it that follows from the scores.
        layers: of the encoder.
    """

    task: str
    scores: float
    gradient: float
    loss: float
    loss_bound: float
    layers: int

    @property
    def scores_bound(self) -> float:
        """Of the scores' error.

        Example:
            >>> round(Difference("mnli", 0.02, 0.03, 1e-4, 2e-4, layers=24).scores_bound, 3)
            0.054
        """
        return ROUNDOFF * math.sqrt(_PRODUCTS * self.layers + _HEAD_PRODUCTS)

    @property
    def gradient_bound(self) -> float:
        """Of the gradient's error."""
        return math.sqrt(3) * self.scores_bound

    @property
    def within(self) -> bool:
        """Whether all three are; a number that is none is not."""
        return (
            self.scores <= self.scores_bound
            and self.gradient <= self.gradient_bound
            and self.loss <= self.loss_bound
        )

    def __str__(self) -> str:
        return (
            f"{self.task}: scores {self.scores:.2%} of at most {self.scores_bound:.2%}, "
            f"gradient {self.gradient:.2%} of {self.gradient_bound:.2%}, "
            f"loss {self.loss:.1e} of {self.loss_bound:.1e}"
        )

    def error(self) -> ResourceError | None:
        """What to say of a device that computes something else; ``None`` if all is within."""
        if self.within:
            return None
        return ResourceError(
            "bfloat16 gives other results here than rounding explains",
            where=f"task {self.task}",
            got=str(self),
            fix="dtype: float32 in a scale of your own; and report the device and its driver",
        )


def compare_forms(encoder: EncoderModel, device: str) -> Iterator[Difference]:
    """The same for each form, with a fresh head and a few rows of tokens drawn by chance.

    The encoder is left on the device.
    """
    draw = np.random.default_rng(1)
    lengths = draw.integers(8, 64, 12)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = int(offsets[-1])
    # Beyond the special tokens, which have the first ids.
    inputs = Ragged(draw.integers(4, encoder.config.vocab_size, tokens), offsets)
    tags = Ragged(draw.integers(_LABELS, size=tokens), offsets)
    forms = {
        TaskForm.PAIR: Rows(inputs, draw.integers(_LABELS, size=12)),
        TaskForm.CHOICE: Rows(inputs, draw.integers(4, size=3), choices=4),
        TaskForm.TAGGING: Rows(inputs, tags),
        TaskForm.SPAN: Rows(inputs, np.stack([lengths // 4, lengths // 2], axis=1)),
    }
    padding = int(cast("int", encoder.config.pad_token_id))
    for form, rows in forms.items():
        labels = rows.choices if form is TaskForm.CHOICE else _LABELS
        head = fresh_head(form, encoder, labels, 1, form.value)
        model = MultiTaskModel(encoder, {form.value: head}).to(device)
        whole = Fit(1 << 20, overhead=1 << 20)
        (batch,) = micro_batches(rows, np.arange(len(rows)), whole, padding)
        yield compare_with_float32(model, form.value, batch)


def compare_with_float32(model: MultiTaskModel, task: str, batch: MicroBatch) -> Difference:
    """Loss, scores and gradient of a batch in bfloat16 and in float32, where the model is.

    Dropout is left out, as another draw of it would be another computation. On a CPU torch's own
    bfloat16 is what is compared. Takes the memory of the weights twice, beside them.
    """
    training = model.training
    model.train(False)
    try:
        exact = _computed(model, task, batch, torch.float32)
        scores_size, gradient_size = exact.sizes()
        right = exact.gradient()
        exact_loss, exact_scores = float(exact.loss.detach()), exact.scores.detach()
        del exact  # and the graph with it
        rounded = _computed(model, task, batch, torch.bfloat16)
        gradient = _norm(
            [own - other for own, other in zip(rounded.gradient(), right, strict=True)]
        )
    finally:
        model.train(training)
    change = rounded.scores.detach().float() - exact_scores
    # Of the scores of one decision, which are the last dimension; and float32's own rounding.
    loss_bound = math.sqrt(2) * float(change.norm(dim=-1).max()) + 2.0**-20 * abs(exact_loss)
    return Difference(
        task,
        scores=float(change.norm()) / scores_size,
        gradient=gradient / gradient_size,
        loss=abs(float(rounded.loss.detach()) - exact_loss),
        loss_bound=loss_bound,
        layers=int(model.encoder.config.num_hidden_layers),
    )


@dataclass(frozen=True, slots=True)
class _Computed:
    """A batch after its forward pass.

    Args:
        loss: mean loss, a scalar.
        scores: that the head gives, before padding is hidden.
        summed: root of the sum of squares of all products that the scores sum up.
        weights: that are trained.
    """

    loss: torch.Tensor
    scores: torch.Tensor
    summed: float
    weights: tuple[torch.Tensor, ...]

    def gradient(self) -> list[torch.Tensor]:
        """Of the loss, for each weight that has one."""
        return self._backward(self._slope())

    def sizes(self) -> tuple[float, float]:
        """What errors of scores, and of the gradient, are relative to."""
        slope = self._slope()
        exact, whole = _norm(self._backward(slope)), _norm(self._backward(slope.abs()))
        return max(float(self.scores.detach().norm()), self.summed), max(exact, whole)

    def _slope(self) -> torch.Tensor:
        return torch.autograd.grad(self.loss, self.scores, retain_graph=True)[0]

    def _backward(self, slope: torch.Tensor) -> list[torch.Tensor]:
        made = torch.autograd.grad(
            self.scores, self.weights, slope, retain_graph=True, allow_unused=True
        )
        return [own for own in made if own is not None]


def _computed(model: MultiTaskModel, task: str, batch: MicroBatch, dtype: torch.dtype) -> _Computed:
    """The forward pass, listened to."""
    head = cast("Head", model.heads[task])
    scores: list[torch.Tensor] = []
    summed: list[float] = []

    def last(layer: nn.Linear, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        states, weight = inputs[0].detach().float(), layer.weight.detach()
        # [..., hidden] x [hidden, labels]
        summed.append(float((states.square() @ weight.square().T).sum().sqrt()))

    hooks = [head.register_forward_hook(lambda _, __, made: scores.append(made))]
    # The language head has no such layer: it scores all words, whose norm is not small by chance.
    if not isinstance(head, MaskedLanguageHead):
        hooks.append(head.out.register_forward_hook(last))
    try:
        with torch.autocast(model.encoder.device.type, dtype=dtype, enabled=dtype != torch.float32):
            loss = model(task, batch)
    finally:
        for hook in hooks:
            hook.remove()
    weights = tuple(weight for weight in model.parameters() if weight.requires_grad)
    return _Computed(loss, scores[0], max(summed, default=0.0), weights)


def _norm(tensors: list[torch.Tensor]) -> float:
    """Euclidean norm of all numbers of some tensors."""
    return math.hypot(*(float(tensor.float().norm()) for tensor in tensors))
