"""Sentence-pair classification: one label for two texts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from stilts_artifact.data.readers.text import refuse_blinded
from stilts_artifact.domain.examples import PairExample
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.forms.base import FastCount, Form, PartRead, concatenate
from stilts_artifact.forms.submission import (
    count_lines,
    read_lines,
    require_labels,
    require_same_length,
    write_lines,
)
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array, accuracy, accuracy_counts


class Pair(Form[list[PairExample], Sequence[str]]):
    """NLI and paraphrase; predictions are labels, in the order of the examples."""

    form = TaskForm.PAIR
    metric = "accuracy"
    score_label = "accuracy"
    regression_tolerance = 2.0

    def join(self, parts: Sequence[PartRead]) -> list[PairExample]:
        """All examples."""
        return concatenate(parts)

    def size(self, data: list[PairExample]) -> int:
        """Number of pairs."""
        return len(data)

    def texts(self, data: list[PairExample]) -> Iterator[str]:
        """Both texts of each pair."""
        return (text for pair in data for text in (pair.first, pair.second))

    def write_gold(
        self, folder: Path, task: Task, language: str, split: str, data: list[PairExample]
    ) -> Path:
        """One label a line."""
        return write_lines(folder, task.name, language, [pair.label for pair in data], split)

    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Sequence[str]
    ) -> Path:
        """One label a line."""
        return write_lines(folder, task.name, language, predictions, split)

    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Line by line; line n of every language translates the same example."""
        labels, truth = read_labels(predicted, task.labels), read_gold_labels(gold, task.labels)
        require_same_length(predicted, len(labels), gold, len(truth))
        # Lines with one key are translations of each other: resampling must draw them together.
        return Sample(accuracy_counts(labels, truth), keys=np.arange(len(truth)))

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Labels, compared as bytes."""
        gold = [label.encode() for label in read_gold_labels(path, task.labels)]
        allowed = {label.encode() for label in task.labels}
        return len(gold), partial(count_lines, gold=gold, allowed=allowed)

    def points(self, sums: Array) -> Mapping[str, Array]:
        """Accuracy."""
        return accuracy(sums)


def read_labels(path: Path, allowed: Collection[str]) -> list[str]:
    """One label a line, each from ``allowed``."""
    lines = read_lines(path)
    require_labels(path, lines, allowed)
    return lines


def read_gold_labels(path: Path, allowed: Collection[str]) -> list[str]:
    """The same of a label file, which must not be blinded."""
    labels = read_labels(path, allowed)
    refuse_blinded(labels, f"{path}:1")
    return labels
