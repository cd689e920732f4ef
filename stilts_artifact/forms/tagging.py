"""Tagging: one tag for each word of a sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, zip_longest
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.data.readers.text import refuse_blinded
from stilts_artifact.documents import read_document
from stilts_artifact.domain.examples import TaggedSentence
from stilts_artifact.domain.tasks import Split, Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms.base import FastCount, Form, PartRead, Sums, concatenate
from stilts_artifact.forms.submission import (
    MAKE_AGAIN,
    empty_file,
    read_lines,
    require_labels,
    write_lines,
)
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.chunk_f1 import OUTSIDE, ChunkRule, Codes, chunk_counts
from stilts_artifact.metrics.ratios import Array, precision_recall_f1

if TYPE_CHECKING:
    from stilts_artifact.data.library import Library

Tags = Sequence[Sequence[str]]
"""A tag for each word of each sentence."""


class Tagging(Form[list[TaggedSentence], Tags]):
    """POS, NER and supertags; scored by chunks (:mod:`stilts_artifact.metrics.chunk_f1`)."""

    form = TaskForm.TAGGING
    metric = "chunk-f1"
    score_label = "F1"
    regression_tolerance = 1.5

    def read(
        self, task: Task, split: Split, language: str, library: Library
    ) -> list[TaggedSentence]:
        """As any form; a task whose features are permuted has them so in each split by itself."""
        sentences = super().read(task, split, language, library)
        return permute_features(sentences) if task.permuted else sentences

    def join(self, parts: Sequence[PartRead]) -> list[TaggedSentence]:
        """All sentences."""
        return concatenate(parts)

    def size(self, data: list[TaggedSentence]) -> int:
        """Number of sentences."""
        return len(data)

    def texts(self, data: list[TaggedSentence]) -> Iterator[str]:
        """Words, apart by spaces."""
        return (" ".join(sentence.words) for sentence in data)

    def has_open_labels(self, task: Task) -> bool:
        """True of supertags, of which there are over a thousand."""
        return not task.labels

    def labels_in(self, data: list[TaggedSentence]) -> tuple[str, ...]:
        """The tags that occur, sorted."""
        return tuple(sorted({tag for sentence in data for tag in sentence.tags}))

    def write_gold(
        self, folder: Path, task: Task, language: str, split: str, data: list[TaggedSentence]
    ) -> Path:
        """One tag a line, sentences apart by a blank line."""
        return write_tags(folder, task.name, language, [sent.tags for sent in data], split)

    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Tags
    ) -> Path:
        """One tag a line, sentences apart by a blank line."""
        return write_tags(folder, task.name, language, predictions, split)

    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Chunks of each sentence; sentences must end at the same lines."""
        tags, truth = read_tag_lines(predicted, task.labels), read_gold_tags(gold, task.labels)
        for number, (ours, theirs) in enumerate(zip_longest(tags, truth), 1):
            # None, past the end of a file, is as false as a blank line; hence the second test.
            if bool(ours) != bool(theirs) or (ours is None) != (theirs is None):
                raise DataError(
                    "length mismatch: sentences do not end at the same lines",
                    where=f"{predicted}:{number}",
                    got=_shown(ours),
                    expected=f"{_shown(theirs)} as in {gold}:{number}",
                    fix=MAKE_AGAIN,
                )
        return Sample(chunk_counts(sentences_of(tags), sentences_of(truth)))

    def count_together(
        self, task: Task, language: str, predicted: Sequence[Path], gold: Path
    ) -> Sample:
        """As any form, but plain files are gone over once, and the labels are parsed once."""
        truth = _GoldChunks(gold, task.labels)
        parts = [
            found.by_sentence()
            if (found := truth.found(read_document(path))) is not None
            else self.count(task, language, path, gold).counts
            for path in predicted
        ]
        return Sample(np.concatenate(parts, axis=1))

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Chunks of all sentences at once, in arrays of tag codes."""
        truth = _GoldChunks(path, task.labels)

        def count(data: bytes) -> Sums | None:
            found = truth.found(data)
            return None if found is None else found.sums()

        return truth.sentences, count

    def points(self, sums: Array) -> Mapping[str, Array]:
        """Micro F1, precision and recall of chunks."""
        return precision_recall_f1(sums)


def permute_features(sentences: Sequence[TaggedSentence]) -> list[TaggedSentence]:
    """The same words with the same tags, dealt out anew among the words of each part of speech.

    A control for tags such as ``NOUN|Number=Plur``: each part of speech stands where it stood and
    has each bundle of features as often as before, over all sentences together; what a form says of
    its features is gone. The same permutation at every call.

    Example:
        >>> sentence = TaggedSentence(("dog", "ran", "dogs"), ("NOUN|a", "VERB|b", "NOUN|c"))
        >>> permute_features([sentence])[0].tags
        ('NOUN|c', 'VERB|b', 'NOUN|a')
    """
    tags_of: dict[str, list[str]] = {}
    for sentence in sentences:
        for tag in sentence.tags:
            tags_of.setdefault(tag.partition("|")[0], []).append(tag)
    for upos, tags in tags_of.items():
        Random(upos).shuffle(tags)  # noqa: S311  a control, no secret
    dealt = {upos: iter(tags) for upos, tags in tags_of.items()}
    return [
        replace(sentence, tags=tuple(next(dealt[tag.partition("|")[0]]) for tag in sentence.tags))
        for sentence in sentences
    ]


def read_tag_lines(path: Path, allowed: Collection[str]) -> list[str]:
    """One tag from ``allowed`` a line, ``""`` between sentences and none at the end.

    Indices stay those of the file.
    """
    lines = read_lines(path)
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise empty_file(path)
    require_labels(path, lines, {*allowed, ""})
    return lines


def read_gold_tags(path: Path, allowed: Collection[str]) -> list[str]:
    """The same of a label file, which must not be blinded."""
    lines = read_tag_lines(path, allowed)
    refuse_blinded(list(filter(None, lines)), f"{path}:1")
    return lines


def sentences_of(lines: Sequence[str]) -> list[list[str]]:
    """Group tag lines into sentences.

    Example:
        >>> sentences_of(["DET", "NOUN", "", "VERB"])
        [['DET', 'NOUN'], ['VERB']]
    """
    breaks = [-1, *(index for index, line in enumerate(lines) if not line), len(lines)]
    return [list(lines[start + 1 : end]) for start, end in pairwise(breaks) if end - start > 1]


def write_tags(
    folder: Path, task: str, language: str, sentences: Iterable[Sequence[str]], split: str = "test"
) -> Path:
    """Write one tag a line, sentences apart by a blank line.

    Raises:
        DataError: an empty sentence or tag, which would not read back.
    """
    lines: list[str] = []
    for sentence in sentences:
        if not sentence or "" in sentence:
            raise DataError(
                "an empty sentence or tag", where=f"{task}, {language}, line {len(lines) + 1}"
            )
        lines += ["", *sentence] if lines else sentence
    return write_lines(folder, task, language, lines, split)


class _Found(NamedTuple):
    """Where chunks end that are correct, predicted and gold, arrays [lines + 1]; which sentence."""

    ends: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]
    sentence: NDArray[np.intp]
    sentences: int

    def sums(self) -> Sums:
        """Of all sentences together."""
        correct, predicted, gold = (float(np.count_nonzero(which)) for which in self.ends)
        return correct, predicted, gold

    def by_sentence(self) -> Array:
        """Array [sentences, 3]."""
        counted = [
            np.bincount(self.sentence[which], minlength=self.sentences) for which in self.ends
        ]
        return np.stack(counted, axis=1).astype(np.float64)


class _GoldChunks:
    """The chunks of a label file, in arrays of tag codes.

    Attributes:
        sentences: how many there are.
    """

    def __init__(self, path: Path, labels: Collection[str]) -> None:
        self._rule = ChunkRule(labels)
        self._codes = {tag.encode(): self._rule.codes[tag] for tag in (*labels, OUTSIDE)}
        lines = [line.encode() for line in read_gold_tags(path, labels)]
        self._blank = np.array([not line for line in lines])
        # [lines + 1] each. At most one chunk ends at a line: ours and the gold one are the same if
        # start and type at that line are.
        self._starts, self._types = self._rule.by_end(_code(lines, self._codes))
        # A sentence begins wherever a line that is not blank follows a blank one, or none.
        # int8, as numpy takes the difference of two booleans for their xor, which has no sign.
        begins = np.diff(np.concatenate([[True], self._blank]).astype(np.int8)) == -1
        self.sentences = int(np.count_nonzero(begins))
        self._sentence = np.append(np.cumsum(begins) - 1, self.sentences - 1)

    def found(self, data: bytes) -> _Found | None:
        """The chunks of a prediction file; ``None`` where it is not plainly as it should be."""
        lines = data.rstrip(b"\n").split(b"\n")
        if len(lines) != len(self._blank) or not self._codes.keys() >= set(lines):
            return None
        if not np.array_equal(np.fromiter(map(len, lines), np.int64, len(lines)) == 0, self._blank):
            return None
        starts, types = self._rule.by_end(_code(lines, self._codes))
        predicted = starts >= 0
        correct = predicted & (starts == self._starts) & (types == self._types)
        return _Found((correct, predicted, self._starts >= 0), self._sentence, self.sentences)


def _code(lines: Sequence[bytes], codes: Mapping[bytes, int]) -> Codes:
    """Codes of tag lines, blank ones outside any chunk, with one such at both ends."""
    outside = codes[b""]
    row = np.full(len(lines) + 2, outside, dtype=np.int64)
    row[1:-1] = np.fromiter(map(codes.__getitem__, lines), np.int64, len(lines))
    return row


def _shown(line: str | None) -> str:
    return "the end of the file" if line is None else repr(line) if line else "a blank line"
