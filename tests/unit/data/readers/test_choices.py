"""Multiple choice."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers.choices import commonsenseqa, cosmosqa, hellaswag
from stilts_artifact.domain.examples import ChoiceExample
from tests.unit.data.readers.checks import CELL, TRICKY, refused

HEADER = ["id", "context", "question", "answer0", "answer1", "answer2", "answer3", "label"]
FREE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
FOUR = st.tuples(FREE, FREE, FREE, FREE)


def jsonl(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def item(**changes: Any) -> dict[str, Any]:
    record = {
        "ind": 4,
        "ctx_a": "A man sits.",
        "ctx_b": "he",
        "endings": ["a", "b", "c", "d"],
        "label": 2,
        "split": "val",
    }
    return record | changes


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(0, 99), FREE, FREE, FOUR, st.integers(0, 3)), min_size=1, max_size=9
    )
)
def test_hellaswag(written: list[tuple[int, str, str, tuple[str, ...], int]]) -> None:
    records = [
        item(ind=ind, ctx_a=first, ctx_b=start, endings=endings, label=gold)
        for ind, first, start, endings, gold in written
    ]
    assert hellaswag(jsonl(*records), "f") == [
        ChoiceExample(str(ind), first, tuple(f"{start} {ending}" for ending in endings), gold)
        for ind, first, start, endings, gold in written
    ]


def test_an_empty_start_leaves_the_space() -> None:
    assert hellaswag(jsonl(item(ctx_b="")), "f")[0].choices == (" a", " b", " c", " d")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"endings": ["a", "b", "c"]}, ["wrong number of endings", "3", "4"]),
        ({"endings": ["a", "b", "c", 4]}, ["'endings'", "a string"]),
        ({"label": 4}, ["outside its set", "'4'"]),
        ({"label": "2"}, ["'label'", "an integer"]),
        ({"ctx_a": None}, ["'ctx_a'", "a string"]),
    ],
)
def test_hellaswag_refuses(changes: dict[str, Any], parts: list[str]) -> None:
    refused(lambda: hellaswag(jsonl(item(), item(**changes)), "f"), "f:2", *parts)


def write_csv(rows: list[list[str]], end: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


@pytest.mark.slow
@given(
    st.lists(st.tuples(CELL, FREE, FREE, FOUR, st.integers(0, 3)), min_size=1, max_size=9),
    st.sampled_from(["\n", "\r\n"]),
)
def test_cosmosqa(written: list[tuple[str, str, str, tuple[str, ...], int]], end: str) -> None:
    rows = [
        [identity, context, question, *answers, str(gold)]
        for identity, context, question, answers, gold in written
    ]
    assert cosmosqa(write_csv([HEADER, *rows], end), "f") == [
        ChoiceExample(identity, f"{context} {question}", answers, gold)
        for identity, context, question, answers, gold in written
    ]


ROW = ["1", TRICKY, "who?", "a", "b", "c", "d", "0"]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (write_csv([HEADER, ROW, ROW[:-1]]), ["another length", "f:3", "7 fields", "8 fields"]),
        (write_csv([HEADER, ROW, [*ROW, "x"]]), ["another length", "f:3", "9 fields"]),
        (write_csv([HEADER, ROW, [*ROW[:-1], "4"]]), ["outside its set", "f:3", "'4'"]),
        (write_csv([[*HEADER[:-1], "gold"], ROW]), ["not the columns", "f:1", "gold"]),
        (write_csv([[*HEADER, "label"], [*ROW, "0"]]), ["not the columns", "f:1"]),
        (b"\xef\xbb\xbf" + write_csv([HEADER, ROW]), ["byte order mark", "f:1"]),
        (write_csv([HEADER]), ["no rows", "f:1"]),
        (write_csv([HEADER, ROW])[:-8] + b'x"0"', ["not CSV", "f:2"]),
    ],
)
def test_cosmosqa_refuses(data: bytes, parts: list[str]) -> None:
    refused(lambda: cosmosqa(data, "f"), *parts)


CHOICES = [{"label": letter, "text": letter.lower()} for letter in "ABCDE"]


def question(**changes: Any) -> dict[str, Any]:
    return {"answerKey": "E", "id": "q", "question": {"stem": "who?", "choices": CHOICES}} | changes


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(CELL, FREE, st.lists(FREE, min_size=5, max_size=5), st.integers(0, 4)),
        min_size=1,
        max_size=9,
    )
)
def test_commonsenseqa(written: list[tuple[str, str, list[str], int]]) -> None:
    records = [
        {
            "id": identity,
            "answerKey": "ABCDE"[gold],
            "question": {
                "stem": stem,
                "choices": [
                    {"label": letter, "text": text}
                    for letter, text in zip("ABCDE", texts, strict=True)
                ],
            },
        }
        for identity, stem, texts, gold in written
    ]
    assert commonsenseqa(jsonl(*records), "f") == [
        ChoiceExample(identity, stem, tuple(texts), gold) for identity, stem, texts, gold in written
    ]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"answerKey": "F"}, ["outside its set", "'F'"]),
        ({"question": {"stem": "who?", "choices": CHOICES[:3]}}, ["3 choices", "v1.0"]),
        ({"question": {"stem": "who?", "choices": CHOICES[::-1]}}, ["order", "'E'"]),
        ({"question": {"stem": "who?"}}, ["missing field 'choices'"]),
    ],
)
def test_commonsenseqa_refuses(changes: dict[str, Any], parts: list[str]) -> None:
    refused(lambda: commonsenseqa(jsonl(question(), question(**changes)), "f"), "f:2", *parts)


def test_hidden_answers_are_refused() -> None:
    hidden = question()
    del hidden["answerKey"]
    refused(lambda: commonsenseqa(jsonl(hidden), "f"), "missing field 'answerKey'")
    refused(lambda: hellaswag(jsonl(*[item(label=0)] * 21), "f"), "every label is the same")
