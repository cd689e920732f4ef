"""Sentence alignment: how near translations lie to each other in an encoder's space (NTREX-128)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.data.readers.corpora import require_document
from stilts_artifact.data.readers.text import numbered_lines, refuse_blinded, shown
from stilts_artifact.documents import read_document, whole_number
from stilts_artifact.domain.examples import AlignedSentence
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms.base import FastCount, Form, PartRead, Sums
from stilts_artifact.forms.submission import read_lines, require_same_length, write_lines
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array, accuracy

Variant = Literal["raw", "centred", "reduced"]
"""What is taken out of the vectors before translations are sought: nothing; the mean of each
language; its mean and the directions in which it varies most."""
VARIANTS: tuple[Variant, ...] = get_args(Variant)

Ranks = NDArray[np.int64]
"""Array [sentences, variants, 2]: at which rank, from 1, the translation of a sentence stands among
all sentences, sought from the source language and from the other one."""

_CELLS = 2 * len(VARIANTS)


class Alignment(Form[list[AlignedSentence], Ranks]):
    """A split has three parts: a language's text, its source, and the document of each line.

    Label files have the id of its document and its number, from 0, for every sentence.
    Prediction files have six ranks a line with tabs between them: raw, centred, reduced, each from
    the source language and then towards it.

    What is counted, and drawn by the bootstrap, is a document: its sentences are no independent
    evidence, in no language.
    """

    form = TaskForm.ALIGNMENT
    is_trained = False
    takes_all = False
    metric = "accuracy-both-ways"
    score_label = "accuracy"
    regression_tolerance = 2.0

    def join(self, parts: Sequence[PartRead]) -> list[AlignedSentence]:
        """Line n of the text with line n of its source and of the documents.

        Raises:
            DataError: parts of unequal length.
        """
        text, source, documents = parts
        lengths = [len(part.examples) for part in parts]
        if len(set(lengths)) > 1:
            raise DataError(
                "the parts of a parallel corpus do not have the same number of lines",
                where=", ".join(part.where for part in parts),
                got=" and ".join(f"{length:,}" for length in lengths),
                expected="equal numbers: line n of one translates line n of the other",
            )
        return [
            AlignedSentence(one.text, other.text, document)
            for one, other, document in zip(
                text.examples, source.examples, documents.examples, strict=True
            )
        ]

    def size(self, data: list[AlignedSentence]) -> int:
        """Number of sentences of one side."""
        return len(data)

    def texts(self, data: list[AlignedSentence]) -> Iterator[str]:
        """Both sides of each pair."""
        return (text for pair in data for text in (pair.source, pair.target))

    def first(self, data: list[AlignedSentence], rows: int | None) -> list[AlignedSentence]:
        """The first whole documents that have no more than so many sentences together.

        Raises:
            DataError: fewer than two: nothing can be fitted on one half and scored on the other.
        """
        kept: list[AlignedSentence] = []
        documents = 0
        for _, group in groupby(data, key=lambda sentence: sentence.document):
            sentences = list(group)
            if rows is not None and len(kept) + len(sentences) > rows:
                break
            kept += sentences
            documents += 1
        if documents < 2:
            raise DataError(
                "too few whole documents",
                got=f"{documents} within {len(data) if rows is None else rows:,} sentences",
                expected="at least 2",
                fix="raise evaluation_rows of the scale",
            )
        return kept

    def write_gold(
        self, folder: Path, task: Task, language: str, split: str, data: list[AlignedSentence]
    ) -> Path:
        """The document of each sentence, and its number."""
        lines = (f"{sentence.document}\t{number}" for number, sentence in enumerate(data))
        return write_lines(folder, task.name, language, lines, split)

    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Ranks
    ) -> Path:
        """Six ranks a line."""
        rows = predictions.reshape(len(predictions), _CELLS).tolist()
        lines = ("\t".join(map(str, row)) for row in rows)
        return write_lines(folder, task.name, language, lines, split)

    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Document by document: the same ones in every language."""
        documents = read_documents(gold)
        ranks = read_ranks(predicted)
        require_same_length(predicted, len(ranks), gold, len(documents))
        beyond = np.argwhere(ranks.reshape(len(ranks), _CELLS) > len(ranks))
        if len(beyond):
            line, cell = beyond[0].tolist()
            raise DataError(
                "a rank beyond the last",
                where=f"{predicted}:{line + 1}",
                got=str(ranks.reshape(len(ranks), _CELLS)[line, cell]),
                expected=f"1 to {len(ranks)}, as many as there are sentences",
            )
        keys, place = np.unique(documents, return_inverse=True)
        counts = np.zeros((len(keys), len(VARIANTS) + 1))
        np.add.at(counts, place, sentence_counts(ranks))
        return Sample(counts, keys)

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Only the number of sentences matters to the sums."""
        sentences = len(read_documents(path))

        def count(data: bytes) -> Sums | None:
            return _sums(data, sentences)

        return sentences, count

    def points(self, sums: Array) -> Mapping[str, Array]:
        """Accuracy, mean of both directions: raw as ``accuracy``, ``centred`` and ``reduced``."""
        found: dict[str, Array] = {
            variant: accuracy(sums[..., [column, -1]])["accuracy"]
            for column, variant in enumerate(VARIANTS)
        }
        return {"accuracy": found.pop("raw"), **found}


def sentence_counts(ranks: Ranks) -> Array:
    """Of each sentence, in each variant the share of directions with its translation first; and 1.

    Returns:
        Array [sentences, variants + 1].

    Example:
        >>> sentence_counts(np.array([[[1, 2], [1, 1], [3, 2]]])).tolist()
        [[0.5, 1.0, 0.0, 1.0]]
    """
    first = (ranks == 1).mean(axis=2)
    return np.concatenate([first, np.ones((len(ranks), 1))], axis=1)


def read_documents(path: Path) -> list[str]:
    """The document of each sentence of a label file, not blinded.

    Raises:
        DataError: a line that is not an id and its sentence's number, or as
            :func:`stilts_artifact.forms.submission.read_lines`.
    """
    documents: list[str] = []
    for number, line in enumerate(read_lines(path)):
        document, _, own = line.partition("\t")
        place = f"{path}:{number + 1}"
        require_document(document, place)
        # What is left out or put in is seen where it is, and not only by the number of lines.
        if own != str(number):
            raise DataError(
                "not the number of the sentence", where=place, got=shown(own), expected=str(number)
            )
        documents.append(document)
    refuse_blinded(documents, f"{path}:1")
    return documents


def read_ranks(path: Path) -> Ranks:
    """The ranks of a file.

    Raises:
        DataError: as :func:`parse_ranks`.
    """
    return parse_ranks(read_document(path), str(path))


def parse_ranks(data: bytes, where: str) -> Ranks:
    """Six ranks a line.

    Raises:
        DataError: a line that is not so many numbers from 1.
    """
    plain = _plain(data)
    if plain is not None:
        return plain
    rows: list[list[int]] = []
    # A file without lines is one with too few, as that of any task.
    for place, line in numbered_lines(data, where) if data else ():
        cells = [whole_number(cell) or 0 for cell in line.strip().split("\t")]
        if len(cells) != _CELLS or 0 in cells:
            raise DataError(
                "not the ranks of a sentence",
                where=place,
                got=shown(line),
                expected=f"{_CELLS} numbers from 1 with tabs between them",
            )
        rows.append(cells)
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(VARIANTS), 2)


_LINES = re.compile(rb"(?:[1-9][0-9]{0,17}(?:\t[1-9][0-9]{0,17}){%d}\n)+" % (_CELLS - 1))


def _plain(data: bytes) -> Ranks | None:
    """The ranks of a file that is plainly one; ``None`` where the careful reader must decide."""
    if not _LINES.fullmatch(data):
        return None
    return np.fromiter(map(int, data.split()), dtype=np.int64).reshape(-1, len(VARIANTS), 2)


def _sums(data: bytes, sentences: int) -> Sums | None:
    """Column sums of a plain prediction file; ``None`` where the careful reader must decide."""
    ranks = _plain(data)
    if ranks is None or len(ranks) != sentences or ranks.max() > sentences:
        return None
    return tuple(sentence_counts(ranks).sum(axis=0).tolist())
