"""Multiple choice: which of several continuations fits a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from stilts_artifact.data.readers.text import refuse_blinded
from stilts_artifact.domain.examples import ChoiceExample
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.forms.base import FastCount, Form, PartRead, concatenate
from stilts_artifact.forms.submission import (
    count_lines,
    read_indices,
    require_same_length,
    write_indices,
)
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array, accuracy, accuracy_counts


class Choice(Form[list[ChoiceExample], Sequence[int]]):
    """Predictions are 0-based indices of choices. XTREME has no such target; the files are ours."""

    form = TaskForm.CHOICE
    metric = "accuracy"
    score_label = "accuracy"
    regression_tolerance = 2.0

    def join(self, parts: Sequence[PartRead]) -> list[ChoiceExample]:
        """All examples."""
        return concatenate(parts)

    def size(self, data: list[ChoiceExample]) -> int:
        """Number of prompts."""
        return len(data)

    def texts(self, data: list[ChoiceExample]) -> Iterator[str]:
        """Prompts and their choices."""
        return (text for item in data for text in (item.prompt, *item.choices))

    def write_gold(
        self, folder: Path, task: Task, language: str, split: str, data: list[ChoiceExample]
    ) -> Path:
        """One index a line."""
        return write_indices(folder, task.name, language, [item.label for item in data], split)

    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Sequence[int]
    ) -> Path:
        """One index a line."""
        return write_indices(folder, task.name, language, predictions, split)

    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Line by line; line n of every language translates the same example."""
        indices, truth = read_indices(predicted), read_gold_indices(gold)
        require_same_length(predicted, len(indices), gold, len(truth))
        return Sample(accuracy_counts(indices, truth), keys=np.arange(len(truth)))

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Indices, compared as bytes; a choice that is never right is left to the careful way."""
        gold = [b"%d" % index for index in read_gold_indices(path)]
        return len(gold), partial(count_lines, gold=gold, allowed=set(gold))

    def points(self, sums: Array) -> Mapping[str, Array]:
        """Accuracy."""
        return accuracy(sums)


def read_gold_indices(path: Path) -> list[int]:
    """The indices of a label file, which must not be blinded."""
    indices = read_indices(path)
    refuse_blinded(indices, f"{path}:1")
    return indices
