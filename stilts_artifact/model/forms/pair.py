"""Sentence pairs as token ids, and labels from a head's scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from stilts_artifact.domain.examples import PairExample
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.ratios import precision_recall_f1
from stilts_artifact.model.features import Ids, frame_of, pieces, truncate_pair
from stilts_artifact.model.forms.base import Columns, Schema, TrainedForm, told

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.model.forms.base import Outputs
    from stilts_artifact.model.heads import ClassificationHead
    from stilts_artifact.model.loading import EncoderConfig
    from stilts_artifact.model.prepared import Prepared


class PairFeature(NamedTuple):
    """One encoded pair; ``label`` indexes the task's labels.

    ``second`` is where the second text begins, if the encoder is told.
    """

    input_ids: Ids
    second: int | None
    label: int


class TrainedPair(TrainedForm[PairExample, Sequence[str]]):
    """NLI and paraphrase."""

    form = TaskForm.PAIR
    features: ClassVar[Schema] = {"input_ids": "numbers", "label": "number"}
    examples: ClassVar[Schema] = {"label": "text"}
    second = "number"

    def prepare(
        self,
        tokenizer: PreTrainedTokenizerFast,
        labels: Sequence[str],
        examples: Sequence[PairExample],
        max_length: int,
    ) -> tuple[Columns, Columns]:
        """One row a pair."""
        pairs = pair_features(tokenizer, examples, labels, max_length)
        features: Columns = {
            "input_ids": [pair.input_ids for pair in pairs],
            "label": [pair.label for pair in pairs],
        }
        gold: Columns = {"label": [labels[pair.label] for pair in pairs]}
        return told(features, [pair.second for pair in pairs]), gold

    def head_class(self) -> type[ClassificationHead]:
        """One score for each label."""
        from stilts_artifact.model.heads import ClassificationHead

        return ClassificationHead

    def head(self, config: EncoderConfig, labels: int) -> ClassificationHead:
        """A fresh head."""
        return self.head_class()(config, labels)

    def decode(self, prepared: Prepared, outputs: Outputs) -> list[str]:
        """The label with the best score of each pair."""
        return [prepared.labels[int(scores.argmax())] for scores in outputs]

    def development_score(self, prepared: Prepared, predictions: Sequence[str]) -> float:
        """Accuracy; for QQP its mean with the F1 of label 1."""
        predicted, gold = np.array(list(predictions)), np.array(prepared.examples["label"][:])
        accuracy = 100 * float((predicted == gold).mean())
        if "f1" not in prepared.metrics:
            return accuracy
        ours, truth = predicted == "1", gold == "1"
        sums = np.array([(ours & truth).sum(), ours.sum(), truth.sum()], dtype=np.float64)
        return (accuracy + float(precision_recall_f1(sums)["f1"])) / 2

    def constants(self, prepared: Prepared) -> Iterable[list[str]]:
        """One label for all."""
        gold: list[str] = prepared.examples["label"][:]
        return ([label] * len(gold) for label in sorted(set(gold)))


def pair_features(
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[PairExample],
    labels: Sequence[str],
    max_length: int,
) -> list[PairFeature]:
    """One feature for each pair, in order.

    Args:
        labels: of the task; their order is the order of the head's outputs.
        max_length: most tokens, specials included.

    Raises:
        DataError: a label that is none of ``labels``.
        ConfigError: no room for any text.
    """
    frame = frame_of(tokenizer)
    room = frame.pair_room(max_length)
    index = {label: at for at, label in enumerate(labels)}
    firsts = pieces(tokenizer, [example.first for example in examples])
    seconds = pieces(tokenizer, [example.second for example in examples])
    features = []
    for example, first, second in zip(examples, firsts, seconds, strict=True):
        if example.label not in index:
            raise DataError(
                "label outside its set",
                where=example.id,
                got=example.label,
                expected=", ".join(labels),
            )
        first, second = truncate_pair(first, second, room)
        features.append(
            PairFeature(frame.joined(first, second), frame.second_from(first), index[example.label])
        )
    return features
