"""Score many prediction files against one label file: the labels are parsed once, the predictions in one pass.

Every number here is also :func:`stilts_artifact.metrics.counting.count_files`'s, which reads both
files line by line and says what is wrong with them. A file that is not plainly what it should be is
left to it (``None`` below), so that a file is accepted, or refused with its line, by one set of
rules alone.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import eq
from pathlib import Path

import numpy as np

from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.metrics.answers import Tokens, mlqa_tokens, squad_tokens, token_f1
from stilts_artifact.metrics.chunks import OUTSIDE, ChunkRule, Codes
from stilts_artifact.metrics.counting import count_files, refuse_blinded
from stilts_artifact.metrics.submission import (
    read_gold_answers,
    read_indices,
    read_labels,
    read_pairs,
    read_tag_lines,
)

Sums = tuple[float, ...]
"""Column sums of a task's counts (see :mod:`stilts_artifact.metrics.metrics`), such as (right, examples)."""
Count = Callable[[bytes], Sums | None]

_INDICES = re.compile(rb"(?:(?:0|[1-9][0-9]{0,8})\n)+")


@dataclass(frozen=True, slots=True)
class Gold:
    """A label file, ready to score prediction files.

    Args:
        task, language, path: what the file holds, and where it lies.
        examples: sentences, questions, gold pairs or lines in it.
        count: the sums of a prediction file's bytes, ``None`` where :func:`count_files` must
            decide.
    """

    task: Task
    language: str
    path: Path
    examples: int
    count: Count

    def tally(self, predicted: Path, data: bytes) -> Sums:
        """Sums of a prediction file whose bytes are ``data``.

        Raises:
            DataError: the file cannot be read as its task's form, or does not fit the labels.
        """
        sums = self.count(data)
        if sums is None:
            counts = count_files(self.task, self.language, predicted, self.path).counts
            sums = tuple(math.fsum(column) for column in counts.T)
        return sums


def read_gold(task: Task, language: str, path: Path) -> Gold:
    """Parse a label file.

    Raises:
        DataError: it is not of its task's form, or blinded.
    """
    examples, count = _READ[task.form](task, language, path)
    return Gold(task, language, path, examples, count)


def _labels(task: Task, _: str, path: Path) -> tuple[int, Count]:
    truth = read_labels(path, task.labels)
    refuse_blinded(path, truth)
    gold = [label.encode() for label in truth]
    allowed = {label.encode() for label in task.labels}
    return len(gold), partial(_count_lines, gold=gold, allowed=allowed)


def _count_lines(data: bytes, gold: Sequence[bytes], allowed: set[bytes]) -> Sums | None:
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) != len(gold) or not allowed.issuperset(lines):
        return None
    return float(sum(map(eq, lines, gold))), float(len(gold))


def _indices(_: Task, __: str, path: Path) -> tuple[int, Count]:
    truth = read_indices(path)
    gold = [b"%d" % index for index in truth]
    # Where the labels are an excerpt they do not tell the corpus size, and the slow reader decides.
    allowed = set(gold) if set(truth) == set(range(len(truth))) else set()

    def count(data: bytes) -> Sums | None:
        return _count_lines(data, gold, allowed) if _INDICES.fullmatch(data) else None

    return len(gold), count


def _tags(task: Task, _: str, path: Path) -> tuple[int, Count]:
    rule = ChunkRule(task.labels)
    codes = {tag.encode(): rule.codes[tag] for tag in (*task.labels, OUTSIDE)}
    lines = [line.encode() for line in read_tag_lines(path, task.labels)]
    blank = np.array([not line for line in lines])
    starts, types = rule.by_end(_code(lines, codes))
    is_gold = starts >= 0

    def count(data: bytes) -> Sums | None:
        found = data.rstrip(b"\n").split(b"\n")
        if len(found) != len(lines) or not codes.keys() >= set(found):
            return None
        if not np.array_equal(np.fromiter(map(len, found), np.int64, len(found)) == 0, blank):
            return None
        our_starts, our_types = rule.by_end(_code(found, codes))
        predicted = our_starts >= 0
        correct = predicted & (our_starts == starts) & (our_types == types)
        return (
            float(np.count_nonzero(correct)),
            float(np.count_nonzero(predicted)),
            float(np.count_nonzero(is_gold)),
        )

    sentences = np.count_nonzero(np.diff(np.concatenate([[True], blank]).astype(np.int8)) == -1)
    return int(sentences), count


def _code(lines: Sequence[bytes], codes: Mapping[bytes, int]) -> Codes:
    """Codes of tag lines, blank ones outside any chunk, with one such at both ends."""
    outside = codes[b""]
    row = np.full(len(lines) + 2, outside, dtype=np.int64)
    row[1:-1] = np.fromiter(map(codes.__getitem__, lines), np.int64, len(lines))
    return row


def _pairs(_: Task, __: str, path: Path) -> tuple[int, Count]:
    truth = set(read_pairs(path))
    gold = {"\t".join(pair).encode() for pair in truth}
    sides = [
        b"|".join(sorted({re.escape(pair[side].rpartition("-")[0].encode()) for pair in truth}))
        for side in (0, 1)
    ]
    known = re.compile(rb"(?:(?:%s)-[!-,.-~]+\t(?:%s)-[!-,.-~]+\n)+" % tuple(sides))

    def count(data: bytes) -> Sums | None:
        if not known.fullmatch(data):
            return None
        found = set(data.removesuffix(b"\n").split(b"\n"))
        return float(len(found & gold)), float(len(found)), float(len(gold))

    return len(gold), count


def _answers(task: Task, language: str, path: Path) -> tuple[int, Count]:
    gold = read_gold_answers(path)
    tokenise = _tokenise(language if task.name == "mlqa" else None)
    tokens = {question: [tokenise(text) for text in texts] for question, texts in gold.items()}
    known: dict[str, dict[str, tuple[float, float]]] = {question: {} for question in gold}

    def score(question: str, text: str) -> tuple[float, float]:
        """Of one answer; rows often agree on it."""
        found = known[question].get(text)
        if found is None:
            found = known[question][text] = _score(tokenise(text), tokens[question])
        return found

    def count(data: bytes) -> Sums | None:
        answers = _flat_texts(data)
        if answers is None or answers.keys() != gold.keys():
            return None
        exact, f1 = zip(*itertools.starmap(score, answers.items()), strict=True)
        return math.fsum(exact), math.fsum(f1), float(len(answers))

    return len(gold), count


def _score(predicted: Tokens, gold: Sequence[Tokens]) -> tuple[float, float]:
    """Best exact match and best F1 of one answer, as in :func:`stilts_artifact.metrics.answers.answer_counts`."""
    return float(predicted in gold), max(token_f1(predicted, answer) for answer in gold)


@lru_cache
def _tokenise(language: str | None) -> Callable[[str], Tokens]:
    """SQuAD's tokens, or MLQA's of a language; equal texts are cut up once."""
    rule = squad_tokens if language is None else partial(mlqa_tokens, language=language)
    return lru_cache(maxsize=100_000)(rule)


def _flat_texts(data: bytes) -> dict[str, str] | None:
    """A JSON object of texts with distinct keys; ``None`` if it is anything else."""
    nested = False

    def flat(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal nested
        found = dict(pairs)
        nested |= len(found) < len(pairs) or any(type(text) is not str for text in found.values())
        return found

    try:
        loaded = json.loads(data.decode(), object_pairs_hook=flat)
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) and loaded and not nested else None


_READ: Mapping[TaskForm, Callable[[Task, str, Path], tuple[int, Count]]] = {
    TaskForm.PAIR: _labels,
    TaskForm.TAGGING: _tags,
    TaskForm.MINING: _pairs,
    TaskForm.SEARCH: _indices,
    TaskForm.SPAN: _answers,
}
