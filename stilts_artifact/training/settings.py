"""What a training run is given beside its tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stilts_artifact.errors import ConfigError

Dtype = Literal["bfloat16", "float32"]


_POSITIVE = (
    "learning_rate",
    "epsilon",
    "clip",
    "evaluate_every",
    "development_rows",
    "patience",
    "length_pool",
    "save_every",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything but the tasks that decides the result, and, last, what does not.

    The section ``training`` of a scale has fields of the same names.

    Args:
        seed: of heads, order, dropout and masks.
        learning_rate: its peak; linear warm-up over ``warmup`` (share of the steps), then linear to
            zero.
        weight_decay: of matrices; biases and layer norms have none.
        epsilon: AdamW's.
        clip: most norm of a step's gradient.
        evaluate_every: steps between evaluations; one more comes at the end.
        development_rows: that many first examples of a development set are evaluated on.
        patience: evaluations without a new best after which training stops.
        dropout: of encoder and heads while they are trained; ``None`` for the encoder's own.
        length_pool: batches whose examples are sorted by length together; see :class:`Plan`. 1:
            plain random order.
        dtype: of the arithmetic on a GPU; a CPU always computes in float32.
        save_every: steps between checkpoints; no influence on the result.
        micro_tokens: most padded tokens of a forward pass, by default what suits the device. Splits
            a step's examples without changing its gradient, but for rounding.

    Raises:
        ConfigError: a number outside its range.
    """

    seed: int
    learning_rate: float
    warmup: float = 0.1
    weight_decay: float = 0.01
    epsilon: float = 1e-8
    clip: float = 1.0
    evaluate_every: int = 1000
    development_rows: int = 500
    patience: int = 30
    dropout: float | None = None
    length_pool: int = 1
    dtype: Dtype = "bfloat16"
    save_every: int = 1000
    micro_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"{name} of a training run", got=str(getattr(self, name)), expected="> 0"
                )
        for name, share in (("warmup", self.warmup), ("dropout", self.dropout or 0.0)):
            if not 0 <= share < 1:
                raise ConfigError(
                    f"{name} of a training run", got=str(share), expected=f"0 <= {name} < 1"
                )
