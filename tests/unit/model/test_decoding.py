"""From outputs to predictions to points, against counts by hand and trying everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.domain.examples import (
    Answer,
    ChoiceExample,
    PairExample,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ResourceError
from stilts_artifact.model.forms import task_head, trained_form
from stilts_artifact.model.forms.span import (
    NO_ANSWER,
    SpanWindow,
    best_spans,
    spans_of,
    windows_of,
)
from stilts_artifact.model.inference import outputs
from stilts_artifact.model.prepared import Prepared, load_prepared, save_prepared

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.model.loading import Encoder

WORDS = ["merfa", "sudi", "ka", "lo", "ne"]


def prepared(
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    task: str,
    examples: list[Any],
    labels: tuple[str, ...] = (),
) -> Prepared:
    chosen = load_benchmark("mini").tasks[task]
    columns = trained_form(chosen.form).prepare(tokenizer, labels, examples, 256)
    save_prepared(folder, chosen, labels, *columns, max_length=256)
    return load_prepared(folder)


def score(data: Prepared, predictions: Any) -> float:
    return data.trained_form.development_score(data, predictions)


def pairs(labels: str) -> list[PairExample]:
    return [PairExample(str(number), "ka", "lo", label) for number, label in enumerate(labels)]


def test_pairs_and_choices_take_the_best_output(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    data = prepared(tokenizer, tmp_path / "pairs", "mnli", pairs("110"), ("0", "1"))
    made = [np.array(row) for row in ([0.1, 0.9], [2.0, -1.0], [0.5, 0.4])]
    assert data.trained_form.decode(data, made) == ["1", "0", "0"]
    assert data.trained_form.score_outputs(data, made) == pytest.approx(200 / 3)
    choices = [
        ChoiceExample(str(n), "ka", ("lo", "ne", "ka"), right) for n, right in enumerate((2, 0))
    ]
    data = prepared(tokenizer, tmp_path / "choices", "hellaswag", choices)
    made = [np.array([0.0, 0.0, 1.0]), np.array([0.0, 3.0, 1.0])]
    assert data.trained_form.decode(data, made) == [2, 1]
    assert data.trained_form.score_outputs(data, made) == 50.0


def test_question_pairs_are_scored_by_accuracy_and_f1(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    data = prepared(tokenizer, tmp_path, "qqp", pairs("11000"), ("0", "1"))
    # One right 1, one missed, one false: accuracy 60, F1 of the ones 50.
    assert data.trained_form.development_score(data, ["1", "0", "1", "0", "0"]) == pytest.approx(
        55.0
    )
    assert data.trained_form.development_score(data, ["0"] * 5) == pytest.approx(30.0)


def test_supertags_are_scored_by_accuracy_and_names_by_chunks(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    sentences = [
        TaggedSentence(("ka", "lo", "ne"), ("B-LOC", "I-LOC", "O")),
        TaggedSentence(("ka",), ("O",)),
    ]
    labels = ("B-LOC", "I-LOC", "O")
    found = [["B-LOC", "O", "O"], ["O"]]
    assert score(prepared(tokenizer, tmp_path / "a", "ccg", sentences, labels), found) == 75.0
    assert score(prepared(tokenizer, tmp_path / "b", "panx", sentences, labels), found) == 0.0


def questions(count: int, answered: bool = True) -> list[SpanExample]:
    context = " ".join(WORDS)
    return [
        SpanExample(
            str(n),
            "ka?",
            context,
            (Answer(word, context.index(word)),) if answered or n % 2 else (),
        )
        for n, word in zip(range(count), WORDS * count, strict=False)
    ]


def random_windows(
    random: np.random.Generator, examples: int
) -> tuple[list[SpanWindow], list[Any]]:
    """Windows with made-up offsets, some of no characters, and scores with padding behind."""
    windows, scores = [], []
    for index in np.sort(random.integers(0, examples, 2 * examples)).tolist():
        size = int(random.integers(0, 12))
        offsets = [(begin, begin + int(random.integers(0, 3))) for begin in range(size)]
        windows.append(SpanWindow(index, [], None, 4, offsets, 0, 0))
        scores.append(random.integers(-3, 4, (2, 20)).astype(np.float32))
    return windows, scores


@given(seed=st.integers(0, 10_000), n_best=st.integers(1, 20), longest=st.integers(1, 6))
def test_best_spans_are_those_of_trying_every_pair(seed: int, n_best: int, longest: int) -> None:
    examples = [SpanExample(str(n), "", "abcdefghijklmnopq"[n:], ()) for n in range(3)]
    windows, scores = random_windows(np.random.default_rng(seed), 3)
    found = best_spans(windows, scores, examples, n_best=n_best, answer_tokens=longest)
    for index, span in enumerate(found):
        own = [(w, s) for w, s in zip(windows, scores, strict=True) if w.example == index]
        tried: list[tuple[float, str]] = []
        for window, (starts, ends) in own:
            size = len(window.offsets)
            ranked = [
                sorted(range(size), key=lambda at: (-side[4 + at], at))[:n_best]
                for side in (starts, ends)
            ]
            tried += [
                (
                    float(starts[4 + first] + ends[4 + last]),
                    examples[index].context[window.offsets[first][0] : window.offsets[last][1]],
                )
                for first in ranked[0]
                for last in ranked[1]
                if first <= last < first + longest
                and window.offsets[first][0] < window.offsets[last][1]
            ]
        best = max(tried, key=lambda one: one[0], default=(float("-inf"), ""))
        assert (span.score, span.text) == best
        nulls = [float(starts[NO_ANSWER] + ends[NO_ANSWER]) for _, (starts, ends) in own]
        assert span.null == min(nulls, default=float("inf"))


def test_all_questions_of_squad_1_are_answered(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    data = prepared(tokenizer, tmp_path, "squad_v1", questions(3))
    random = np.random.default_rng(1)
    made = [random.random((2, 40)).astype(np.float32) for _ in data.features]
    made[0][:, NO_ANSWER] = 50
    texts = data.trained_form.decode(data, made)
    assert isinstance(texts, dict)
    assert set(texts) == {"0", "1", "2"}
    assert all(texts.values())


@pytest.mark.slow
@given(seed=st.integers(0, 1000))
def test_the_best_threshold_of_squad_2_is_that_of_trying_all(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    data = prepared(
        tokenizer, tmp_path_factory.mktemp("spans"), "squad_v2", questions(9, answered=False)
    )
    random = np.random.default_rng(seed)
    made = [random.integers(-2, 3, (2, 40)).astype(np.float32) for _ in data.features]
    forced = best_spans(*_parts(data, made))
    best = [0.0, 0.0]
    for threshold in sorted({span.doubt for span in forced} | {-99.0}):
        texts = {
            str(n): span.text if span.doubt <= threshold else "" for n, span in enumerate(forced)
        }
        for column, points in enumerate(_exact_and_f1(data, texts)):
            best[column] = max(best[column], points)
    assert data.trained_form.score_outputs(data, made) == pytest.approx(50 * sum(best))


def _parts(data: Prepared, made: list[Any]) -> Any:
    return windows_of(data), made, spans_of(data)


def _exact_and_f1(data: Prepared, texts: dict[str, str]) -> tuple[float, float]:
    """By SQuAD v2.0's rules, one question at a time."""
    exact = f1 = 0.0
    for row in data.examples:
        text = texts[row["id"]]
        golds = row["answers"] or [""]
        exact += max(float(text.split() == gold.split()) for gold in golds)
        shared = max(
            len(set(text.split()) & set(gold.split())) / max(1, len(text.split()), 1)
            for gold in golds
        )
        gold_words = len(golds[0].split())
        precision, recall = shared, shared * len(text.split()) / max(1, gold_words)
        f1 += (
            float(not text)
            if not row["answers"]
            else 2 * precision * recall / (precision + recall or 1)
        )
    return exact / len(data.examples), f1 / len(data.examples)


def test_questions_of_squad_2_stay_unanswered_where_no_answer_scores_best(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    data = prepared(tokenizer, tmp_path, "squad_v2", questions(2, answered=False))
    made = [np.zeros((2, 40), np.float32) for _ in data.features]
    made[0][:, NO_ANSWER] = 1  # more than any span has
    texts = data.trained_form.decode(data, made)
    assert isinstance(texts, dict)
    assert (texts["0"], bool(texts["1"])) == ("", True)


def test_unanswered_is_right_where_there_is_no_answer(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    data = prepared(tokenizer, tmp_path, "squad_v2", questions(4, answered=False))
    assert data.trained_form.development_score(data, dict.fromkeys("0123", "")) == 50.0
    assert (
        data.trained_form.development_score(data, {"0": "", "1": WORDS[1], "2": "", "3": WORDS[3]})
        == 100.0
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TaskForm.PAIR, TaskForm.CHOICE, TaskForm.TAGGING, TaskForm.SPAN])
def test_outputs_do_not_depend_on_the_batches(
    encoder: Encoder, tmp_path: Path, kind: TaskForm
) -> None:
    import torch

    lengths = [1, 30, 2, 9, 17, 3]
    labels = ("0", "1") if kind in (TaskForm.PAIR, TaskForm.TAGGING) else ()
    examples: list[Any] = {
        TaskForm.PAIR: [PairExample(str(n), "merfa " * n, "sudi", "0") for n in lengths],
        TaskForm.CHOICE: [
            ChoiceExample(str(n), "merfa " * n, ("sudi", "ka " * n), 0) for n in lengths
        ],
        TaskForm.TAGGING: [TaggedSentence(("merfa",) * n, ("0",) * n) for n in lengths],
        TaskForm.SPAN: [
            SpanExample(str(n), "ka?", "merfa " * n, (Answer("merfa", 0),)) for n in lengths
        ],
    }[kind]
    task = {
        TaskForm.PAIR: "mnli",
        TaskForm.CHOICE: "hellaswag",
        TaskForm.TAGGING: "udpos",
        TaskForm.SPAN: "squad_v1",
    }[kind]
    data = prepared(encoder.tokenizer, tmp_path, task, examples, labels)
    torch.manual_seed(3)
    head = task_head(kind, encoder.model.config, 2).train(False)
    with short_of_memory(encoder.model, 100_000) as sizes:
        alone = outputs(encoder.model, head, data, tokens=1)
    largest = max(sizes)
    together = outputs(encoder.model, head, data, tokens=100_000)
    assert len(alone) == len(data.features)
    for one, other, row in zip(alone, together, data.features, strict=True):
        width = (
            len(row["input_ids"]) if kind in (TaskForm.TAGGING, TaskForm.SPAN) else one.shape[-1]
        )
        np.testing.assert_allclose(one[..., :width], other[..., :width], atol=1e-5)
    with short_of_memory(encoder.model, largest) as sizes:
        halved = outputs(encoder.model, head, data, tokens=100_000)
    assert max(sizes) > largest
    for one, other in zip(alone, halved, strict=True):
        width = min(one.shape[-1], other.shape[-1])
        np.testing.assert_allclose(one[..., :width], other[..., :width], atol=1e-5)
    with (
        short_of_memory(encoder.model, largest - 1),
        pytest.raises(ResourceError, match="not even one example fits"),
    ):
        outputs(encoder.model, head, data, tokens=100_000)


@contextmanager
def short_of_memory(model: Any, holds: int) -> Iterator[list[int]]:
    """A device that holds batches of so many padded tokens; the sizes of all that it is given."""
    sizes: list[int] = []

    def refuse(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        sizes.append(inputs["input_ids"].numel())
        if sizes[-1] > holds:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to")

    hook = model.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        yield sizes
    finally:
        hook.remove()
