"""Translation search: for each English sentence, find its translation (Tatoeba)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stilts_artifact.data.readers.text import refuse_blinded
from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms.base import FastCount, Form, PartRead, Sums
from stilts_artifact.forms.submission import (
    count_lines,
    read_indices,
    require_distinct,
    require_same_length,
    write_indices,
)
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array, accuracy, accuracy_counts

# As read_indices takes them.
_INDICES = re.compile(rb"(?:(?:0|[1-9][0-9]{0,17})\n)+")


class Search(Form[list[SentencePair], Sequence[int]]):
    """A split has two parts, line n of one translating line n of the other.

    Predictions are lines of the other language, in the order of the sorted English sentences.
    """

    form = TaskForm.SEARCH
    is_trained = False
    takes_all = True
    metric = "accuracy"
    score_label = "accuracy"
    regression_tolerance = 2.0

    def join(self, parts: Sequence[PartRead]) -> list[SentencePair]:
        """Line n of the source with line n of the target.

        Raises:
            DataError: sides of unequal length.
        """
        source, target = parts
        if len(source.examples) != len(target.examples):
            raise DataError(
                "the two sides do not have the same number of sentences",
                where=f"{source.where}, {target.where}",
                got=f"{len(source.examples):,} and {len(target.examples):,}",
                expected="equal numbers: line n of one translates line n of the other",
            )
        return [
            SentencePair(one.text, other.text)
            for one, other in zip(source.examples, target.examples, strict=True)
        ]

    def size(self, data: list[SentencePair]) -> int:
        """Number of sentences of one side."""
        return len(data)

    def texts(self, data: list[SentencePair]) -> Iterator[str]:
        """Both sides of each pair."""
        return (text for pair in data for text in (pair.source, pair.target))

    def write_gold(
        self, folder: Path, task: Task, language: str, split: str, data: list[SentencePair]
    ) -> Path:
        """The line of each translation."""
        return write_indices(folder, task.name, language, english_order(data), split)

    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Sequence[int]
    ) -> Path:
        """The line found for each English sentence."""
        return write_indices(folder, task.name, language, predictions, split)

    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Line by line."""
        indices, truth = read_indices(predicted), read_gold_indices(gold)
        require_same_length(predicted, len(indices), gold, len(truth))
        # Where the labels are an excerpt they do not tell the corpus size.
        whole = set(truth) == set(range(len(truth)))
        for number, index in enumerate(indices, 1):
            if whole and index >= len(truth):
                raise DataError(
                    "label outside its set",
                    where=f"{predicted}:{number}",
                    got=str(index),
                    expected=f"0 to {len(truth) - 1}",
                )
        # No keys: each language has sentences of its own.
        return Sample(accuracy_counts(indices, truth))

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Lines, compared as bytes."""
        truth = read_gold_indices(path)
        gold = [b"%d" % index for index in truth]
        # Where the labels are an excerpt the careful reader decides what lies outside the corpus.
        allowed = set(gold) if set(truth) == set(range(len(truth))) else set()

        def count(data: bytes) -> Sums | None:
            return count_lines(data, gold, allowed) if _INDICES.fullmatch(data) else None

        return len(gold), count

    def points(self, sums: Array) -> Mapping[str, Array]:
        """Accuracy."""
        return accuracy(sums)


def read_gold_indices(path: Path) -> list[int]:
    """The lines of a label file, not blinded, each once: no sentence translates two.

    Raises:
        DataError: as :func:`read_indices`, or not such lines.
    """
    indices = read_indices(path)
    refuse_blinded(indices, f"{path}:1")
    require_distinct(path, indices, "one sentence as the translation of two")
    return indices


def english_order(pairs: Sequence[SentencePair]) -> list[int]:
    """Lines in the order of XTREME's English file: sorted by text, so position gives nothing away.

    The order is also the file of labels. Source: XTREME utils_preprocess.py:376-405 at 838c13b.

    Example:
        >>> english_order([SentencePair("zwei", "two"), SentencePair("eins", "one")])
        [1, 0]
    """
    return sorted(range(len(pairs)), key=lambda line: pairs[line].target.strip())
