"""Bitext mining: find the translations hidden in two comparable corpora (BUCC)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from stilts_artifact.domain.examples import ComparableCorpus
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms.base import FastCount, Form, PartRead, Sums
from stilts_artifact.forms.submission import read_lines, write_lines
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array, pair_counts, precision_recall_f1

IdPair = tuple[str, str]
"""Ids of a source and a target sentence."""


class Mining(Form[ComparableCorpus, Iterable[IdPair]]):
    """A split has three parts: source text, target text and gold. Predictions are pairs of ids."""

    form = TaskForm.MINING
    is_trained = False
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
        pairs, truth = read_predicted_pairs(predicted), read_pairs(gold)
        # Labels list the true pairs only, so an id can be told from a false one by its corpus
        # alone: "de" of "de-0001".
        corpora = tuple({pair[side].rpartition("-")[0] for pair in truth} for side in (0, 1))
        for number, pair in enumerate(pairs, 1):
            for side, known in zip(pair, corpora, strict=True):
                if side.rpartition("-")[0] not in known:
                    expected = " or ".join(f"{corpus}-..." for corpus in sorted(known))
                    raise DataError(
                        "unknown id", where=f"{predicted}:{number}", got=side, expected=expected
                    )
        return Sample(pair_counts(pairs, truth))

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Lines as a set of bytes; one expression says whether all ids are of the two corpora."""
        truth = set(read_pairs(path))
        gold = {"\t".join(pair).encode() for pair in truth}
        sides = [
            b"|".join(sorted({re.escape(pair[side].rpartition("-")[0].encode()) for pair in truth}))
            for side in (0, 1)
        ]
        # No hyphen in the last part: count() takes all before the last one for the corpus.
        known = re.compile(rb"(?:(?:%s)-[!-,.-~]+\t(?:%s)-[!-,.-~]+\n)+" % tuple(sides))

        def count(data: bytes) -> Sums | None:
            if not known.fullmatch(data):
                return None
            found = set(data.removesuffix(b"\n").split(b"\n"))
            return float(len(found & gold)), float(len(found)), float(len(gold))

        return len(gold), count

    def points(self, sums: Array) -> Mapping[str, Array]:
        """F1, precision and recall of pairs."""
        return precision_recall_f1(sums)


def read_pairs(path: Path) -> list[IdPair]:
    """Two ids a line with a tab between them."""
    pairs: list[IdPair] = []
    for number, line in enumerate(read_lines(path), 1):
        source, tab, target = line.partition("\t")
        if not (source and tab and target) or "\t" in target:
            raise DataError(
                "not a pair of ids",
                where=f"{path}:{number}",
                got=repr(line),
                expected="source<TAB>target",
            )
        pairs.append((source, target))
    return pairs


def read_predicted_pairs(path: Path) -> list[IdPair]:
    """The same of predictions, which may be an empty file: no pair was good enough."""
    return read_pairs(path) if path.stat().st_size else []


def write_pairs(
    folder: Path, task: str, language: str, pairs: Iterable[IdPair], split: str = "test"
) -> Path:
    """Write each distinct pair once, sorted."""
    return write_lines(
        folder, task, language, ("\t".join(pair) for pair in sorted(set(pairs))), split
    )
