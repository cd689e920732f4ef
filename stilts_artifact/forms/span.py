"""Span question answering: the answer is a stretch of the context."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from stilts_artifact.data.readers.records import field
from stilts_artifact.data.readers.spans import QuestionLines
from stilts_artifact.data.readers.text import UNCHANGED, refuse_blinded, shown
from stilts_artifact.documents import escapes_surrogates, parse_json, read_document
from stilts_artifact.domain.examples import SpanExample
from stilts_artifact.domain.tasks import Normalisation, Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms.base import FastCount, Form, PartRead, Sums, concatenate
from stilts_artifact.forms.submission import (
    MAKE_AGAIN,
    empty_file,
    file_of,
    read_text,
    write_text,
)
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array, exact_match_f1
from stilts_artifact.metrics.squad import (
    Tokenise,
    Tokens,
    answer_counts,
    mlqa_tokens,
    squad_tokens,
    token_f1,
)


class Span(Form[list[SpanExample], Mapping[str, str]]):
    """Predictions are texts by question id."""

    form = TaskForm.SPAN
    suffix = ".json"
    metric = "em-f1"
    score_label = "F1, EM mean"
    regression_tolerance = 2.0

    def join(self, parts: Sequence[PartRead]) -> list[SpanExample]:
        """All questions."""
        return concatenate(parts)

    def size(self, data: list[SpanExample]) -> int:
        """Number of questions."""
        return len(data)

    def texts(self, data: list[SpanExample]) -> Iterator[str]:
        """Contexts and questions."""
        return (text for item in data for text in (item.context, item.question))

    def write_gold(
        self, folder: Path, task: Task, language: str, split: str, data: list[SpanExample]
    ) -> Path:
        """SQuAD v1.1 json."""
        return write_gold_answers(folder, task.name, language, data, split)

    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Mapping[str, str]
    ) -> Path:
        """A json object."""
        return write_answers(folder, task.name, language, predictions, split)

    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Question by question; both files must have the same ones."""
        answers, truth = _read_both(predicted, gold)
        for question in truth:
            if question not in answers:
                expected = f"an answer to {question} ({gold}:{line_of_key(gold, question)})"
                raise DataError(
                    "missing id", where=f"{predicted}:1", expected=expected, fix=MAKE_AGAIN
                )
        return _count(task, language, answers, truth)

    def count_partial(
        self, task: Task, language: str, predicted: Path, gold: Path
    ) -> tuple[Sample, int]:
        """A question without an answer counts 0: XTREME's evaluate_squad.py at 838c13b."""
        answers, truth = _read_both(predicted, gold)
        return _count(task, language, answers, truth), len(truth) - len(answers)

    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Each distinct answer to a question is cut into tokens and scored once."""
        gold = read_gold_answers(path)
        tokenise = _tokenise(task.normalisation, language)
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
            # XTREME scores a missing answer as 0; count() refuses it, and names it.
            if answers is None or answers.keys() != gold.keys():
                return None
            exact, f1 = zip(*itertools.starmap(score, answers.items()), strict=True)
            return math.fsum(exact), math.fsum(f1), float(len(answers))

        return len(gold), count

    def points(self, sums: Array) -> Mapping[str, Array]:
        """Exact match and token F1."""
        return exact_match_f1(sums)

    def metric_name(self, task: Task) -> str:
        """The metric depends on how answers are normalised: ``squad-em-f1`` or ``mlqa-em-f1``."""
        return f"{task.normalisation}-{self.metric}"

    def columns(self, task: Task) -> dict[str, str]:
        """The mean of F1 and EM, and both by themselves."""
        return {
            **super().columns(task),
            f"{task.name}_f1": "f1",
            f"{task.name}_em": "exact_match",
        }


def read_answers(path: Path) -> dict[str, str]:
    """Question id -> predicted text."""
    answers = _json(path)
    if not isinstance(answers, dict) or not answers:
        raise DataError(
            "no predictions", where=f"{path}:1", expected='{"question id": "answer text", ...}'
        )
    for question, text in answers.items():
        if not isinstance(text, str):
            raise _no_text(text, f"{path}:{line_of_key(path, question)}")
    return answers


def read_gold_answers(path: Path) -> dict[str, tuple[str, ...]]:
    """Question id -> gold texts, from SQuAD v1.1 json: ``{"data": [...]}`` or the bare list.

    As strict as predictions are read: nothing becomes a text that is none. XTREME's download
    script leaves ``""`` for every answer of a test set, which no answer is.

    Raises:
        DataError: not that, blinded, two questions with one id, or none at all.
    """
    document = _json(path)
    if isinstance(document, list):
        document = {"data": document}
    gold: dict[str, tuple[str, ...]] = {}
    lines = QuestionLines(read_text(path), str(path))
    for article in field(document, "data", list, lines.last):
        for paragraph in field(article, "paragraphs", list, lines.last):
            for qa in field(paragraph, "qas", list, lines.last):
                question = field(qa, "id", str, lines.last)
                place = lines.of(question)
                if question in gold:
                    raise DataError("two questions with one id", where=place, got=shown(question))
                gold[question] = _gold_texts(qa, question, place)
    if not gold:
        raise empty_file(path)
    refuse_blinded(list(gold.values()), f"{path}:1")
    return gold


def _gold_texts(qa: object, question: str, place: str) -> tuple[str, ...]:
    """The texts of a question's answers."""
    texts = []
    for answer in field(qa, "answers", list, place):
        text = answer.get("text") if isinstance(answer, dict) else answer
        if not isinstance(text, str):
            raise _no_text(text, place)
        if not text.strip():
            raise DataError(
                "blinded labels: an empty answer, as XTREME's download script leaves them",
                where=place,
                got=f"{shown(text)} as an answer of {shown(question)}",
                expected="the answer's text",
                fix=UNCHANGED,
            )
        texts.append(text)
    if not texts:
        raise DataError("a question without an answer", where=place, got=shown(question))
    return tuple(texts)


def _no_text(value: object, place: str) -> DataError:
    got = shown(json.dumps(value))
    return DataError("an answer that is not a text", where=place, got=got, expected="a string")


def line_of_key(path: Path, key: str) -> int:
    """Line of the first place where a json file holds this string.

    1 if it is written in an unforeseen way.
    """
    text = read_text(path)
    places = (text.find(json.dumps(key, ensure_ascii=ascii_only)) for ascii_only in (True, False))
    return text.count("\n", 0, max(0, *places)) + 1


def write_answers(
    folder: Path, task: str, language: str, answers: Mapping[str, str], split: str = "test"
) -> Path:
    """Write predicted texts by question id."""
    return _write_json(file_of(folder, task, language, ".json", split), dict(answers))


def write_gold_answers(
    folder: Path, task: str, language: str, questions: Iterable[SpanExample], split: str = "test"
) -> Path:
    """Write gold answers as SQuAD v1.1 json, one paragraph for each question."""
    paragraphs = [
        {
            "context": question.context,
            "qas": [
                {
                    "id": question.id,
                    "question": question.question,
                    "answers": [
                        {"text": answer.text, "answer_start": answer.start}
                        for answer in question.answers
                    ],
                }
            ],
        }
        for question in questions
    ]
    data = {"version": "1.1", "data": [{"title": task, "paragraphs": paragraphs}]}
    return _write_json(file_of(folder, task, language, ".json", split), data)


def _read_both(predicted: Path, gold: Path) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Answers and gold; no answer to a question that gold does not have."""
    answers, truth = read_answers(predicted), read_gold_answers(gold)
    for question in answers:
        if question not in truth:
            where = f"{predicted}:{line_of_key(predicted, question)}"
            raise DataError(
                "unknown id",
                where=where,
                got=question,
                expected=f"a question of {gold}",
                fix=MAKE_AGAIN,
            )
    return answers, truth


def _count(
    task: Task,
    language: str,
    answers: Mapping[str, str],
    truth: Mapping[str, tuple[str, ...]],
) -> Sample:
    """Counts of every question of gold, 0 where it has no answer."""
    tokenise = _tokenise(task.normalisation, language)
    answered = [question for question in truth if question in answers]
    found = answer_counts(
        (answers[question] for question in answered),
        (truth[question] for question in answered),
        tokenise,
    )
    # Not as an empty answer: that would be right where gold is an article alone.
    counts = np.zeros((len(truth), found.shape[1]))
    counts[:, -1] = 1
    counts[[question in answers for question in truth]] = found
    return Sample(counts, keys=np.array(list(truth)))


@lru_cache
def _tokenise(normalisation: Normalisation, language: str) -> Tokenise:
    """SQuAD's tokens, or MLQA's of a language; equal texts are cut up once."""
    rules: Mapping[Normalisation, Callable[[str], Tokens]] = {
        "squad": squad_tokens,
        "mlqa": partial(mlqa_tokens, language=language),
    }
    return lru_cache(maxsize=100_000)(rules[normalisation])


def _score(predicted: Tokens, gold: Sequence[Tokens]) -> tuple[float, float]:
    """Best exact match and best F1 of one answer, as in ``answer_counts``."""
    # SQuAD's normalised text is these tokens with spaces between: equal tokens, exact match.
    return float(predicted in gold), max(token_f1(predicted, answer) for answer in gold)


def _flat_texts(data: bytes) -> dict[str, str] | None:
    """A JSON object of texts with distinct keys; ``None`` if it is anything else."""
    # For the careful way to tell a half of a pair from a whole one.
    if escapes_surrogates(data):
        return None
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


def _json(path: Path) -> Any:
    data = read_document(path)
    if not data.strip():
        raise empty_file(path)
    return parse_json(data, str(path))


def _write_json(path: Path, data: object) -> Path:
    return write_text(path, json.dumps(data, indent=1) + "\n")
