"""Bitext mining: find the translations hidden in two comparable corpora (BUCC)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from stilts_artifact.data.readers.text import refuse_blinded, shown
from stilts_artifact.documents import read_document
from stilts_artifact.domain.examples import ComparableCorpus
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms.base import FastCount, Form, PartRead, Sums
from stilts_artifact.forms.submission import read_lines, require_distinct, write_lines
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array, pair_counts, precision_recall_f1

IdPair = tuple[str, str]
"""Ids of a source and a target sentence."""
Sides = tuple[str, str]
"""Languages of the source and the target sentences."""


class Mining(Form[ComparableCorpus, Iterable[IdPair]]):
    """A split has three parts: source text, target text and gold. Predictions are pairs of ids."""

    form = TaskForm.MINING
    is_trained = False
    takes_all = True
    tuned_on_development = True  # the score from which on a pair is accepted
    metric = "pair-f1"
    score_label = "F1"
    regression_tolerance = 3.0  # it has the fewest items of all tasks

    def join(self, parts: Sequence[PartRead]) -> ComparableCorpus:
        """Source text, target text and gold; the readers vouch that ids and pairs are unique.

        Raises:
            DataError: a gold pair with an id that no sentence has.
        """
        source, target, gold = parts
        source_ids, target_ids = (
            {sentence.id for sentence in side.examples} for side in (source, target)
        )
        for line, pair in enumerate(gold.examples, start=1):
            for identity, ids, name in (
                (pair.source, source_ids, source.where),
                (pair.target, target_ids, target.where),
            ):
                if identity not in ids:
                    swapped = pair.source in target_ids and pair.target in source_ids
                    raise DataError(
                        "gold pair with an unknown id"
                        + (": its two columns are swapped" if swapped else ""),
                        where=f"{gold.where}:{line}",
                        got=repr(identity),
                        expected=f"an id of {name}",
                    )
        return ComparableCorpus(
            tuple(source.examples), tuple(target.examples), tuple(gold.examples)
        )

    def size(self, data: ComparableCorpus) -> int:
        """Number of gold pairs."""
        return len(data.gold)

    def texts(self, data: ComparableCorpus) -> Iterator[str]:
        """Both corpora."""
        return (sentence.text for sentence in (*data.source, *data.target))

    def write_gold(
        self, folder: Path, task: Task, language: str, split: str, data: ComparableCorpus
    ) -> Path:
        """Gold pairs, sorted."""
        pairs = [(pair.source, pair.target) for pair in data.gold]
        return write_pairs(folder, task.name, language, pairs, split)

    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Iterable[IdPair]
    ) -> Path:
        """Accepted pairs, sorted."""
        return write_pairs(folder, task.name, language, predictions, split)

    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Pairs in either file."""
        sides = (language, task.source_language)
        return Sample(
            pair_counts(read_predicted_pairs(predicted, sides), read_gold_pairs(gold, sides))
        )

    def count_together(
        self, task: Task, language: str, predicted: Sequence[Path], gold: Path
    ) -> Sample:
        """A row for every pair that any run or the gold has: each run alone would have its own."""
        sides = (language, task.source_language)
        truth = read_gold_pairs(gold, sides)
        runs = [read_predicted_pairs(path, sides) for path in predicted]
        every = [pair for run in runs for pair in run]
        return Sample(np.concatenate([pair_counts(run, truth, every) for run in runs], axis=1))

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Lines as a set of bytes; one expression says whether all ids are of the two corpora."""
        sides = (language, task.source_language)
        gold = {"\t".join(pair).encode() for pair in read_gold_pairs(path, sides)}
        known = re.compile(b"(?:%b\n)+" % _pair_pattern(sides).encode())

        def count(data: bytes) -> Sums | None:
            if not known.fullmatch(data):
                return None
            found = set(data.removesuffix(b"\n").split(b"\n"))
            return float(len(found & gold)), float(len(found)), float(len(gold))

        return len(gold), count

    def points(self, sums: Array) -> Mapping[str, Array]:
        """F1, precision and recall of pairs."""
        return precision_recall_f1(sums)


def read_pairs(path: Path, sides: Sides) -> list[IdPair]:
    """Two ids a line with a tab between them, each of its side's corpus: ``de-000413461``.

    Labels list the true pairs only, so an id can be told from a false one by its form alone; and
    the form is the benchmark's, not that of the labels, whose first line may be a header.

    Args:
        sides: language of the sentences on either side.

    Raises:
        DataError: a line that is no such pair, or as :func:`read_lines`.
    """
    pattern = re.compile(_pair_pattern(sides))
    pairs: list[IdPair] = []
    for number, line in enumerate(read_lines(path), 1):
        if pattern.fullmatch(line) is None:
            raise DataError(
                "not a pair of ids of the two corpora",
                where=f"{path}:{number}",
                got=shown(line),
                expected="{}-NUMBER<TAB>{}-NUMBER".format(*sides),
            )
        source, _, target = line.partition("\t")
        pairs.append((source, target))
    return pairs


def read_gold_pairs(path: Path, sides: Sides) -> list[IdPair]:
    """The same of labels, which must not be blinded and name each pair once.

    Raises:
        DataError: as :func:`read_pairs`, or not such pairs.
    """
    pairs = read_pairs(path, sides)
    for ids in zip(*pairs, strict=True):
        refuse_blinded(ids, f"{path}:1")
    require_distinct(path, pairs, "one gold pair twice")
    return pairs


def read_predicted_pairs(path: Path, sides: Sides) -> list[IdPair]:
    """The same of predictions, which may be an empty file: no pair was good enough."""
    return read_pairs(path, sides) if read_document(path) else []


def _pair_pattern(sides: Sides) -> str:
    return r"\t".join(f"{re.escape(language)}-[0-9]+" for language in sides)


def write_pairs(
    folder: Path, task: str, language: str, pairs: Iterable[IdPair], split: str = "test"
) -> Path:
    """Write each distinct pair once, sorted."""
    return write_lines(
        folder, task, language, ("\t".join(pair) for pair in sorted(set(pairs))), split
    )
