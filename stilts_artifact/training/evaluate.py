"""Development scores of a model in training, and the score that gives a collapsed one away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from stilts_artifact.config.schema import Dtype
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.model.decoding import development_score, score_outputs
from stilts_artifact.model.inference import outputs

if TYPE_CHECKING:
    from transformers import XLMRobertaModel

    from stilts_artifact.model.decoding import Predictions
    from stilts_artifact.model.heads import TaskHead
    from stilts_artifact.model.prepared import Prepared
    from stilts_artifact.training.state import Head, MultiTaskModel, TrainingTask


class Development(Protocol):
    """Development data of a task."""

    @property
    def floor(self) -> float:
        """Points for always giving the commonest answer."""

    def score(self, encoder: XLMRobertaModel, head: Head) -> float:
        """Points of a model in evaluation mode."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDevelopment:
    """The development data of one task.

    Args:
        dtype: of the arithmetic on a GPU.
        floor: points of the best constant answer; see :func:`constant_score`.
    """

    prepared: Prepared
    dtype: Dtype
    floor: float

    def score(self, encoder: XLMRobertaModel, head: Head) -> float:
        """Points of a model in evaluation mode."""
        return score_outputs(
            self.prepared, outputs(encoder, cast("TaskHead", head), self.prepared, dtype=self.dtype)
        )


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
    return PreparedDevelopment(first, dtype, constant_score(first))


def constant_score(prepared: Prepared) -> float:
    """Points of the best constant answer, to which a collapsed model keeps.

    One label or one place for all; the commonest tag for every word; no answer to any question.
    """
    gold = prepared.examples
    constants: list[Predictions]
    match prepared.kind:
        case TaskForm.SPAN:
            constants = [dict.fromkeys(gold["id"][:], "")]
        case TaskForm.TAGGING:
            sentences: list[list[str]] = gold["tags"][:]
            ((commonest, _),) = Counter(tag for tags in sentences for tag in tags).most_common(1)
            constants = [[[commonest] * len(tags) for tags in sentences]]
        case _:
            labels = gold["label"][:]
            constants = [[label] * len(labels) for label in sorted(set(labels))]
    return max(development_score(prepared, constant) for constant in constants)
