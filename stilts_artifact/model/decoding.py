"""From a head's outputs to predictions, and the score by which checkpoints are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.chunk_f1 import chunk_counts
from stilts_artifact.metrics.ratios import precision_recall_f1
from stilts_artifact.metrics.squad import answer_counts, squad_tokens
from stilts_artifact.model.prepared import chunks_of, spans_of, windows_of
from stilts_artifact.model.spans import answers, best_spans
from stilts_artifact.model.tags import join_tags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stilts_artifact.model.prepared import Prepared

Predictions = list[str] | list[int] | list[list[str]] | dict[str, str]


def decode(prepared: Prepared, outputs: Sequence[NDArray[np.generic]]) -> Predictions:
    """Predictions of every example, in order.

    Pairs: labels. Choices: their indices. Tags: a tag for each word of each sentence. Spans:
    answers by question id; a question may stay unanswered only where some have no answer (null
    threshold 0, as jiant's squad_style/core.py).

    Raises:
        DataError: data without labels.
    """
    match prepared.kind:
        case TaskForm.PAIR:
            return [prepared.labels[int(scores.argmax())] for scores in outputs]
        case TaskForm.CHOICE:
            return [int(scores.argmax()) for scores in outputs]
        case TaskForm.TAGGING:
            rows = [row.tolist() for row in outputs]
            tags = join_tags(chunks_of(prepared), rows, len(prepared.examples))
            return [[prepared.labels[tag] for tag in sentence] for sentence in tags]
        case TaskForm.SPAN:
            examples = spans_of(prepared)
            null = None if all(example.answers for example in examples) else 0.0
            texts = answers(windows_of(prepared), outputs, examples, null_threshold=null)  # type: ignore[arg-type]
            return {example.id: text for example, text in zip(examples, texts, strict=True)}
        case _:
            raise DataError("data without labels has no predictions", got=str(prepared.kind))


def score_outputs(prepared: Prepared, outputs: Sequence[NDArray[np.generic]]) -> float:
    """Points of a head's outputs, by what jiant chooses checkpoints by; see :func:`development_score`.

    Where some questions have no answer, the threshold of "no answer" is the best there is for
    either metric, as in SQuAD v2.0's own evaluation script (``best_exact`` and ``best_f1``).
    """
    if prepared.kind is not TaskForm.SPAN or all(prepared.examples["answers"][:]):
        return development_score(prepared, decode(prepared, outputs))
    spans = best_spans(windows_of(prepared), outputs, spans_of(prepared))  # type: ignore[arg-type]
    gold = prepared.examples["answers"][:]
    counts = _answer_counts([span.text for span in spans], gold)
    doubts = np.array([span.doubt for span in spans])
    return 100 * float(
        np.mean([_best_threshold(counts[:, column], doubts, gold) for column in (0, 1)])
    )


def development_score(prepared: Prepared, predictions: Any) -> float:
    """Points, by what jiant chooses checkpoints by (jiant/tasks/evaluate/core.py at daa5a25).

    Accuracy; for QQP its mean with the F1 of label 1; chunk F1 for tags, but accuracy for
    supertags; the mean of exact match and F1 for spans.
    """
    gold = prepared.examples
    match prepared.kind:
        case TaskForm.TAGGING:
            return _tags_score(predictions, gold["tags"][:], prepared.metrics[0])
        case TaskForm.SPAN:
            texts = [predictions[identity] for identity in gold["id"][:]]
            return 100 * float(_answer_counts(texts, gold["answers"][:])[:, :2].mean())
        case _:
            right = np.array(list(predictions)) == np.array(gold["label"][:])
            accuracy = 100 * float(right.mean())
            return (
                (accuracy + _f1(predictions, gold["label"][:])) / 2
                if "f1" in prepared.metrics
                else accuracy
            )


def _f1(predictions: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of the label 1, in points."""
    predicted, truth = np.array(predictions) == "1", np.array(gold) == "1"
    sums = np.array([(predicted & truth).sum(), predicted.sum(), truth.sum()], dtype=np.float64)
    return float(precision_recall_f1(sums)["f1"])


def _tags_score(
    predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], metric: str
) -> float:
    if metric == "accuracy":
        right = [
            ours == truth
            for sentence in zip(predictions, gold, strict=True)
            for ours, truth in zip(*sentence, strict=True)
        ]
        return 100 * sum(right) / len(right)
    return float(precision_recall_f1(chunk_counts(predictions, gold).sum(0))["f1"])


def _answer_counts(texts: Sequence[str], gold: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Exact match and F1 of each answer, and 1: where a question has none, "" is right (SQuAD v2.0's script)."""
    counts = answer_counts(texts, [list(own) or [""] for own in gold], squad_tokens)
    silent = [number for number, own in enumerate(gold) if not own]
    counts[silent, 1] = counts[silent, 0]
    return counts


def _best_threshold(
    points: NDArray[np.float64], doubts: NDArray[np.float64], gold: Sequence[Sequence[str]]
) -> float:
    """Mean over questions at the best threshold: those with the least doubt are answered, the others are not.

    Args:
        points: of each answer if it is given.
        doubts: by how much each question would rather not be answered.
    """
    unanswered = np.array([float(not own) for own in gold])
    order = np.argsort(doubts, kind="stable")
    gains = np.concatenate([[0.0], np.cumsum((points - unanswered)[order])])
    # Questions of equal doubt are answered together.
    ranked = doubts[order]
    cuts = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    return float((unanswered.sum() + gains[cuts].max()) / len(gold))
