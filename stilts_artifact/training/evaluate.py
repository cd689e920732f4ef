"""Development scores of a model in training, and the score that gives a collapsed one away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from numpy.typing import NDArray

from stilts_artifact.config.schema import Dtype
from stilts_artifact.model.inference import outputs
from stilts_artifact.training.batches import read_rows

if TYPE_CHECKING:
    from stilts_artifact.model.heads import TaskHead
    from stilts_artifact.model.loading import EncoderModel
    from stilts_artifact.model.prepared import Prepared
    from stilts_artifact.training.state import Head, MultiTaskModel, TrainingTask


class Development(Protocol):
    """Development data of a task."""

    @property
    def floor(self) -> float:
        """Points for always giving the commonest answer."""

    @property
    def digest(self) -> str:
        """Names the data: they decide which weights are kept."""

    @property
    def token_ids(self) -> NDArray[Any]:
        """All that the encoder reads of them, integers [tokens]."""

    def score(self, encoder: EncoderModel, head: Head) -> float:
        """Points of a model in evaluation mode."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDevelopment:
    """The development data of one task.

    Args:
        dtype: of the arithmetic on a GPU.
        floor: points of the best constant answer; see :meth:`TrainedForm.constant_score`.
    """

    prepared: Prepared
    dtype: Dtype
    floor: float

    @property
    def digest(self) -> str:
        """Sha256 of everything in it."""
        content = [self.prepared.features.to_dict(), self.prepared.examples.to_dict()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def token_ids(self) -> NDArray[Any]:
        """All that the encoder reads of them, integers [tokens]."""
        return read_rows(self.prepared.features, "development data").inputs.values

    def score(self, encoder: EncoderModel, head: Head) -> float:
        """Points of a model in evaluation mode."""
        made = outputs(encoder, cast("TaskHead", head), self.prepared, dtype=self.dtype)
        return self.prepared.trained_form.score_outputs(self.prepared, made)


def evaluate(model: MultiTaskModel, tasks: Sequence[TrainingTask]) -> dict[str, float]:
    """Points of each task that has development data; the model goes on in training mode."""
    model.train(False)
    scores = {
        task.name: task.development.score(model.encoder, task.head)
        for task in tasks
        if task.development is not None
    }
    model.train(True)
    return scores


def development(prepared: Prepared, rows: int, dtype: Dtype) -> PreparedDevelopment:
    """The first examples of a development set."""
    first = prepared.first(rows)
    return PreparedDevelopment(first, dtype, first.trained_form.constant_score(first))
