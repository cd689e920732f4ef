"""Features on real text: eleven languages of XQuAD, thirty of Universal Dependencies, HellaSwag."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import stilts_artifact
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.examples import Answer, SpanExample
from stilts_artifact.model.forms.choice import choice_features
from stilts_artifact.model.forms.span import MAX_LENGTH, NO_ANSWER, answers, span_windows
from stilts_artifact.model.forms.tagging import join_tags, tag_chunks, tag_labels
from stilts_artifact.model.loading import load_encoder_tokenizer
from stilts_artifact.pretraining.batches import train_tokenizer

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Languages that put no space between words: pieces of the small vocabulary cross the borders of
# answers there.
SPACELESS = {"th", "zh"}


def squad(path: Path) -> list[SpanExample]:
    return READERS["squad"](path.read_bytes(), path.name)


@pytest.fixture(scope="module")
def tokenizer(real_data: Path) -> PreTrainedTokenizerFast:
    """A small vocabulary of real text in all of XQuAD's languages."""
    contexts = {
        example.context
        for path in sorted((real_data / "xquad").glob("*.json"))
        for example in squad(path)
    }
    return train_tokenizer(sorted(contexts), 6000)


def certain(
    windows: Sequence[object], starts: Sequence[int], ends: Sequence[int]
) -> list[np.ndarray]:
    """Scores of a model that finds the labelled span wherever there is one."""
    scores = []
    for start, end in zip(starts, ends, strict=True):
        row = np.zeros((2, MAX_LENGTH), np.float32)
        if start != NO_ANSWER:
            row[0, start] = row[1, end] = 9.0
        scores.append(row)
    return scores


def read_questions(path: Path) -> list[SpanExample]:
    data = path.read_bytes()
    return READERS["squad"](gzip.decompress(data) if path.suffix == ".gz" else data, path.name)


def decomposed(question: SpanExample) -> SpanExample | None:
    """The same in NFD; ``None`` where the answer begins or ends within a letter then."""
    context = unicodedata.normalize("NFD", question.context)
    first = question.answers[0]
    before = unicodedata.normalize("NFD", question.context[: first.start])
    answer = Answer(unicodedata.normalize("NFD", first.text), len(before))
    if context != before + answer.text + unicodedata.normalize(
        "NFD", question.context[first.start + len(first.text) :]
    ):
        return None
    return SpanExample(question.id, question.question, context, (answer,))


def read_back(
    tokenizer: PreTrainedTokenizerFast, questions: Sequence[SpanExample]
) -> dict[str, str]:
    """Answers of a model that finds every label, by question; without what no window holds."""
    windows = span_windows(tokenizer, questions)
    scores = certain(
        windows, [window.start for window in windows], [window.end for window in windows]
    )
    labelled = {window.example for window in windows if window.start != NO_ANSWER}
    texts = answers(windows, scores, questions, answer_tokens=400)
    return {questions[index].id: texts[index] for index in labelled}


@pytest.fixture(scope="module")
def real_tokenizer(real_encoder: Path) -> Any:
    """XLM-R's own vocabulary."""
    return load_encoder_tokenizer(real_encoder)


@pytest.mark.parametrize("vocabulary", ["real", "mini"])
def test_decomposed_answers_of_every_script_are_labelled_and_read_back_as_composed_ones(
    real_tokenizer: PreTrainedTokenizerFast, real_data: Path, vocabulary: str
) -> None:
    mini = Path(stilts_artifact.__file__).parent / "miniencoder"
    tokenizer = real_tokenizer if vocabulary == "real" else load_encoder_tokenizer(mini)
    files = [
        *sorted((real_data / "xquad").glob("*.json")),
        *sorted((real_data / "mlqa").glob("*.gz")),
        *sorted((real_data / "tydiqa").glob("goldp*.json")),
    ]
    assert len(files) == 28
    for path in files:
        composed = read_questions(path)
        pairs = [(question, made) for question in composed if (made := decomposed(question))]
        assert len(pairs) == len(composed)
        expected = read_back(tokenizer, [question for question, _ in pairs])
        got = read_back(tokenizer, [made for _, made in pairs])
        assert got.keys() == expected.keys()
        # The small vocabulary makes so many pieces of other languages that the longest answers do
        # not fit into the overlap of two windows.
        assert vocabulary == "mini" or len(got) == len(composed)
        wrong = {
            name: (got[name], text)
            for name, text in expected.items()
            if got[name] != unicodedata.normalize("NFD", text)
        }
        assert not wrong, f"{path.name}: {wrong}"


@pytest.mark.parametrize(
    "language", ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
)
def test_gold_answers_survive_the_way_through_tokens(
    tokenizer: PreTrainedTokenizerFast, real_data: Path, language: str
) -> None:
    examples = squad(real_data / "xquad" / f"xquad.{language}.json")
    windows = span_windows(tokenizer, examples)
    assert {window.example for window in windows} == set(range(1190))
    assert max(len(window.input_ids) for window in windows) <= MAX_LENGTH
    found = {window.example for window in windows if window.start != NO_ANSWER}
    assert len(found) == 1190, "every answer lies wholly in some window"
    scores = certain(
        windows, [window.start for window in windows], [window.end for window in windows]
    )
    texts = answers(windows, scores, examples, answer_tokens=200)
    golds = [example.answers[0].text for example in examples]
    assert all(gold.strip() in text for gold, text in zip(golds, texts, strict=True))
    exact = sum(gold == text for gold, text in zip(golds, texts, strict=True)) / 1190
    assert exact > (0.5 if language in SPACELESS else 0.9), f"{language}: {exact:.3f}"


def test_every_word_of_every_treebank_gets_its_own_tag(
    tokenizer: PreTrainedTokenizerFast, real_data: Path
) -> None:
    files = sorted((real_data / "udpos").glob("*/*-ud-test.conllu.gz"))
    languages = {path.name.split("_")[0] for path in files}
    assert len(languages) >= 25
    for path in files:
        language = path.name.split("_")[0]
        read = READERS["conllu"](gzip.decompress(path.read_bytes()), path.name, language=language)
        numbers = iter(range(10**7))
        tags = [[next(numbers) for _ in sentence.words] for sentence in read]
        for max_length in (512, 24):
            chunks = tag_chunks(tokenizer, [sentence.words for sentence in read], max_length)
            made = join_tags(chunks, tag_labels(chunks, tags, -100), len(read))
            assert made == tags, (path.name, max_length)
            assert max(len(chunk.input_ids) for chunk in chunks) <= max_length


def test_no_ending_of_hellaswag_is_lost(
    tokenizer: PreTrainedTokenizerFast, real_data: Path
) -> None:
    rows = json.loads(
        gzip.decompress((real_data / "hellaswag" / "val.sample256.json.gz").read_bytes())
    )
    # The publisher of this sample turned the labels into text.
    data = "".join(json.dumps({**row, "label": int(row["label"])}) + "\n" for row in rows).encode()
    examples = READERS["hellaswag"](data, "sample")
    short, whole = (
        choice_features(tokenizer, examples, 192),
        choice_features(tokenizer, examples, 2000),
    )
    cut = 0
    for one, other in zip(short, whole, strict=True):
        for choice, full in zip(one.choices, other.choices, strict=True):
            assert len(choice) <= 192
            cut += len(choice) < len(full)
            border = full.index(2) + 2  # where the choice begins, after both separators
            assert choice[-(len(full) - border) :] == full[border:]
    assert cut > 50, "the limit must matter, or nothing is tested"
