"""From a prediction file and its label file to counts: the two must describe the same examples.

XTREME's own script accepts some of what is refused here (a question without a prediction scores 0,
a swapped pair is merely wrong); on files that are accepted the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np

from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.answers import answer_counts, mlqa_tokens, squad_tokens
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.chunks import chunk_counts
from stilts_artifact.metrics.metrics import accuracy_counts, pair_counts
from stilts_artifact.metrics.submission import (
    line_of_key,
    read_answers,
    read_gold_answers,
    read_indices,
    read_labels,
    read_pairs,
    read_predicted_pairs,
    read_tag_lines,
    sentences_of,
)

_BLINDED = 100  # lines from which one label throughout is no accident
_MAKE_AGAIN = "write the predictions again from these very labels' examples"


def count_files(task: Task, language: str, predicted: Path, gold: Path) -> Sample:
    """Count one language of one task.

    Raises:
        DataError: a file that cannot be read as its task's form, or two files that do not fit each
            other.
    """
    return _COUNT[task.form](task, language, predicted, gold)


def _count_labels(task: Task, _: str, predicted: Path, gold: Path) -> Sample:
    labels, truth = read_labels(predicted, task.labels), read_labels(gold, task.labels)
    _require_same_length(predicted, len(labels), gold, len(truth))
    refuse_blinded(gold, truth)
    # Line n of every language translates the same example.
    return Sample(accuracy_counts(labels, truth), keys=np.arange(len(truth)))


def _count_tags(task: Task, _: str, predicted: Path, gold: Path) -> Sample:
    tags, truth = read_tag_lines(predicted, task.labels), read_tag_lines(gold, task.labels)
    for number, (ours, theirs) in enumerate(zip_longest(tags, truth), 1):
        if bool(ours) != bool(theirs) or (ours is None) != (theirs is None):
            raise DataError(
                "length mismatch: sentences do not end at the same lines",
                where=f"{predicted}:{number}",
                got=_shown(ours),
                expected=f"{_shown(theirs)} as in {gold}:{number}",
                fix=_MAKE_AGAIN,
            )
    return Sample(chunk_counts(sentences_of(tags), sentences_of(truth)))


def _count_pairs(_: Task, __: str, predicted: Path, gold: Path) -> Sample:
    pairs, truth = read_predicted_pairs(predicted), read_pairs(gold)
    # Labels list the true pairs only, so an id can be told from a false one by its corpus alone:
    # "de" of "de-0001".
    corpora = tuple({pair[side].rpartition("-")[0] for pair in truth} for side in (0, 1))
    for number, pair in enumerate(pairs, 1):
        for side, known in zip(pair, corpora, strict=True):
            if side.rpartition("-")[0] not in known:
                expected = " or ".join(f"{corpus}-..." for corpus in sorted(known))
                raise DataError(
                    "unknown id", where=f"{predicted}:{number}", got=side, expected=expected
                )
    return Sample(pair_counts(pairs, truth))


def _count_indices(_: Task, __: str, predicted: Path, gold: Path) -> Sample:
    indices, truth = read_indices(predicted), read_indices(gold)
    _require_same_length(predicted, len(indices), gold, len(truth))
    whole = set(truth) == set(
        range(len(truth))
    )  # else the labels are an excerpt and do not tell the corpus size
    for number, index in enumerate(indices, 1):
        if whole and index >= len(truth):
            expected = f"0 to {len(truth) - 1}"
            raise DataError(
                "label outside its set",
                where=f"{predicted}:{number}",
                got=str(index),
                expected=expected,
            )
    return Sample(accuracy_counts(indices, truth))


def _count_answers(task: Task, language: str, predicted: Path, gold: Path) -> Sample:
    answers, truth = read_answers(predicted), read_gold_answers(gold)
    for question in answers:
        if question not in truth:
            where = f"{predicted}:{line_of_key(predicted, question)}"
            raise DataError(
                "unknown id",
                where=where,
                got=question,
                expected=f"a question of {gold}",
                fix=_MAKE_AGAIN,
            )
    for question in truth:
        if question not in answers:
            expected = f"an answer to {question} ({gold}:{line_of_key(gold, question)})"
            raise DataError(
                "missing id", where=f"{predicted}:1", expected=expected, fix=_MAKE_AGAIN
            )
    tokenise = partial(mlqa_tokens, language=language) if task.name == "mlqa" else squad_tokens
    counts = answer_counts((answers[question] for question in truth), truth.values(), tokenise)
    return Sample(counts, keys=np.array(list(truth)))


_COUNT: Mapping[TaskForm, Callable[[Task, str, Path, Path], Sample]] = {
    TaskForm.PAIR: _count_labels,
    TaskForm.TAGGING: _count_tags,
    TaskForm.MINING: _count_pairs,
    TaskForm.SEARCH: _count_indices,
    TaskForm.SPAN: _count_answers,
}


def refuse_blinded(gold: Path, truth: Sequence[str]) -> None:
    """XTREME's download replaces test labels by a placeholder, which scored people 0.33 (its issues 24 and 29)."""
    if len(truth) >= _BLINDED and len(set(truth)) == 1:
        raise DataError(
            "blinded labels: all the same",
            where=f"{gold}:1",
            got=f"{len(truth)} times {truth[0]!r}",
            expected="the true labels of the test set",
            fix="make the label file from the original data set",
        )


def _require_same_length(predicted: Path, found: int, gold: Path, expected: int) -> None:
    if found != expected:
        raise DataError(
            "length mismatch",
            where=f"{predicted}:{min(found, expected) + 1}",
            got=f"{found} lines",
            expected=f"{expected} lines as in {gold}",
            fix=_MAKE_AGAIN,
        )


def _shown(line: str | None) -> str:
    return "the end of the file" if line is None else repr(line) if line else "a blank line"
