"""Multiple choice: the prompt encoded with each of its choices, which compete.

Source of the truncation: jiant tasks/lib/templates/multiple_choice.py:53-75 at daa5a25.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from stilts_artifact.domain.examples import ChoiceExample
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.model.features import Ids, frame_of, pieces
from stilts_artifact.model.forms.base import SECOND, Columns, Schema, TrainedForm, told

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.model.forms.base import Outputs
    from stilts_artifact.model.heads import ChoiceHead, TaskHead
    from stilts_artifact.model.loading import EncoderConfig
    from stilts_artifact.model.prepared import Prepared


class ChoiceFeature(NamedTuple):
    """One example: the prompt encoded with each of its choices; ``label`` indexes them.

    ``second`` is where each choice begins, if the encoder is told.
    """

    choices: tuple[Ids, ...]
    second: tuple[int, ...] | None
    label: int


class TrainedChoice(TrainedForm[ChoiceExample, Sequence[int]]):
    """HellaSwag, Cosmos QA and CommonsenseQA."""

    form = TaskForm.CHOICE
    features: ClassVar[Schema] = {"choices": "lists of numbers", "label": "number"}
    examples: ClassVar[Schema] = {"label": "number"}
    second = "numbers"

    def prepare(
        self,
        tokenizer: PreTrainedTokenizerFast,
        labels: Sequence[str],
        examples: Sequence[ChoiceExample],
        max_length: int,
    ) -> tuple[Columns, Columns]:
        """One row an example; its choices are indices, so ``labels`` are not needed."""
        items = choice_features(tokenizer, examples, max_length)
        right = [item.label for item in items]
        features: Columns = {"choices": [list(item.choices) for item in items], "label": right}
        return told(features, [item.second for item in items]), {"label": right}

    def head_class(self) -> type[ChoiceHead]:
        """One score a choice."""
        from stilts_artifact.model.heads import ChoiceHead

        return ChoiceHead

    def head(self, config: EncoderConfig, labels: int) -> ChoiceHead:
        """A fresh head."""
        return self.head_class()(config, labels)

    def labels_of(self, prepared: Prepared) -> int:
        """Number of choices, the same in every example."""
        return len(prepared.features[0]["choices"])

    def labels_in(self, head: TaskHead) -> int:
        """Number of choices: its one output scores them all."""
        return head.choices if isinstance(head, self.head_class()) else super().labels_in(head)

    def inputs(self, prepared: Prepared) -> list[list[list[int]]]:
        """A row for each choice."""
        choices: list[list[list[int]]] = prepared.features.with_format(None)["choices"][:]
        return choices

    def second_from(self, prepared: Prepared) -> list[list[int]] | None:
        """For each choice, where it begins."""
        if SECOND not in prepared.features.column_names:
            return None
        begins: list[list[int]] = prepared.features[SECOND][:]
        return begins

    def decode(self, prepared: Prepared, outputs: Outputs) -> list[int]:
        """The choice with the best score of each example."""
        return [int(scores.argmax()) for scores in outputs]

    def development_score(self, prepared: Prepared, predictions: Sequence[int]) -> float:
        """Accuracy."""
        right = np.array(list(predictions)) == np.array(prepared.examples["label"][:])
        return 100 * float(right.mean())

    def constants(self, prepared: Prepared) -> Iterable[list[int]]:
        """One place for all."""
        gold: list[int] = prepared.examples["label"][:]
        return ([place] * len(gold) for place in sorted(set(gold)))


def choice_features(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[ChoiceExample], max_length: int
) -> list[ChoiceFeature]:
    """One feature for each example, in order.

    A long prompt loses its beginning, so that the choice survives; only a choice that alone exceeds
    the limit loses its end.

    Raises:
        ConfigError: no room for any text.
    """
    frame = frame_of(tokenizer)
    room = frame.pair_room(max_length)
    prompts = pieces(tokenizer, [example.prompt for example in examples])
    choices = iter(
        pieces(tokenizer, [choice for example in examples for choice in example.choices])
    )
    features = []
    for example, prompt in zip(examples, prompts, strict=True):
        encoded, begins = [], []
        for _ in example.choices:
            choice = next(choices)[:room]
            kept = prompt[max(0, len(prompt) + len(choice) - room) :]
            encoded.append(frame.joined(kept, choice))
            begins.append(frame.second_from(kept))
        second = tuple(at for at in begins if at is not None)
        features.append(
            ChoiceFeature(tuple(encoded), None if frame.of_first is None else second, example.label)
        )
    return features
