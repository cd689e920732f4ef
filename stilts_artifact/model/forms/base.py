"""What every trained form of task says of itself beside its light half: the heavy half."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.domain.tasks import Task, TaskForm
    from stilts_artifact.model.heads import TaskHead
    from stilts_artifact.model.loading import EncoderConfig
    from stilts_artifact.model.prepared import Prepared

    Outputs = Sequence[NDArray[np.generic]]
    """What the head makes of each row of the features; see :meth:`TrainedForm.kept`."""

Columns = Mapping[str, list[Any]]
ColumnType = Literal["number", "text", "numbers", "texts", "lists of numbers"]
Schema = Mapping[str, ColumnType]
"""Column -> its type."""

SECOND = "second"
"""Column of the position from which on tokens are of the second text, if the encoder is told."""

Example = TypeVar("Example")
Predictions = TypeVar("Predictions")


def told(columns: Columns, second: Sequence[Any]) -> Columns:
    """Features with the column :data:`SECOND`, unless the encoder is not told: all are ``None``."""
    return columns if None in second else {**columns, SECOND: list(second)}


class TrainedForm(ABC, Generic[Example, Predictions]):
    """Features, head, decoding and development score of a form that is trained.

    ``Example`` is what the light half (:mod:`stilts_artifact.forms`) reads, ``Predictions`` what it
    writes.

    Attributes:
        form: its name, by which the light half is found.
        features: columns of the model's inputs with their labels.
        examples: columns of what predictions are made of and scored by.
        second: type of the features' column :data:`SECOND`, which is there if the encoder is told
            the types of tokens; ``None`` for inputs of one text.
    """

    form: ClassVar[TaskForm]
    features: ClassVar[Schema]
    examples: ClassVar[Schema]
    second: ClassVar[ColumnType | None]

    @abstractmethod
    def prepare(
        self,
        tokenizer: PreTrainedTokenizerFast,
        labels: Sequence[str],
        examples: Sequence[Example],
        max_length: int,
    ) -> tuple[Columns, Columns]:
        """Features and examples as columns.

        Args:
            labels: of the task, in the order of the head's outputs.
            max_length: most tokens of an input, specials included.

        Raises:
            DataError: a label of a pair outside its set.
            ConfigError: a maximum length without room for text.
        """

    @abstractmethod
    def head_class(self) -> type[TaskHead]:
        """The class of its heads."""

    @abstractmethod
    def head(self, config: EncoderConfig, labels: int) -> TaskHead:
        """A fresh head.

        Args:
            labels: number of labels, of tags, or of choices.
        """

    def labels_in(self, head: TaskHead) -> int:
        """Number of labels that a head was made for."""
        return head.out.out_features

    def labels_of(self, prepared: Prepared) -> int:
        """Number of labels that a head for this data needs."""
        return len(prepared.labels)

    def inputs(self, prepared: Prepared) -> list[list[list[int]]]:
        """Input rows of each row of the features: one, but for multiple choice."""
        return [[row] for row in prepared.features["input_ids"][:]]

    def second_from(self, prepared: Prepared) -> list[list[int]] | None:
        """For each of :meth:`inputs`, where the second text begins; ``None`` if none is told."""
        if SECOND not in prepared.features.column_names:
            return None
        return [[at] for at in prepared.features[SECOND][:]]

    def kept(self, scores: torch.Tensor) -> torch.Tensor:
        """What is kept of a head's scores until they are decoded: all, as float32."""
        return scores.float()

    @abstractmethod
    def decode(self, prepared: Prepared, outputs: Outputs) -> Predictions:
        """Predictions of every example, in order."""

    @abstractmethod
    def development_score(self, prepared: Prepared, predictions: Predictions) -> float:
        """Points that choose checkpoints, as in jiant (tasks/evaluate/core.py at daa5a25)."""

    def score_outputs(self, prepared: Prepared, outputs: Outputs) -> float:
        """The same of a head's outputs."""
        return self.development_score(prepared, self.decode(prepared, outputs))

    @abstractmethod
    def constants(self, prepared: Prepared) -> Iterable[Predictions]:
        """Predictions that say the same of everything."""

    def constant_score(self, prepared: Prepared) -> float:
        """Points of the best constant answer, to which a collapsed model keeps."""
        return max(
            self.development_score(prepared, constant) for constant in self.constants(prepared)
        )

    def confirm(self, task: Task, prepared: Prepared, predictions: Predictions, file: Path) -> None:
        """Hold the score of a published prediction file against another scorer, if there is one.

        Raises:
            IntegrityError: the two differ.
        """
