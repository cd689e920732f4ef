"""Question answering in SQuAD's JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers.spans import squad, tydiqa
from stilts_artifact.domain.examples import Answer, SpanExample
from stilts_artifact.errors import ConfigError
from tests.unit.data.readers.checks import refused

CONTEXT = "\ufeff  Ein\u2028Kat\u0301zchen \U0001f408 schläft."


def document(*qas: dict[str, Any], context: str = CONTEXT) -> dict[str, Any]:
    return {
        "version": "1.1",
        "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(qas)}]}],
    }


def qa(text: str = "Kat\u0301zchen", start: int = 7, **changes: Any) -> dict[str, Any]:
    return {
        "id": "q1",
        "question": "Wer?",
        "answers": [{"text": text, "answer_start": start}],
    } | changes


def read(*qas: dict[str, Any], **options: str) -> list[SpanExample]:
    return squad(json.dumps(document(*qas), indent=1).encode(), "f", **options)


def test_offsets_count_code_points_of_the_unstripped_context() -> None:
    assert read(qa()) == [SpanExample("q1", "Wer?", CONTEXT, (Answer("Kat\u0301zchen", 7),))]
    assert read(qa("\U0001f408 schläft", 17))[0].answers == (Answer("\U0001f408 schläft", 17),)


@st.composite
def articles(draw: st.DrawFn) -> tuple[dict[str, Any], list[SpanExample]]:
    """A SQuAD document and the examples in it."""
    text = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
    )
    data, examples = [], []
    for _ in range(draw(st.integers(1, 4))):
        context, qas = draw(text), []
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(context) - 1))
            answer = context[start : draw(st.integers(start + 1, len(context)))]
            identity, question = f"q{len(examples)}", draw(text)
            qas.append(
                {
                    "id": identity,
                    "question": question,
                    "answers": [{"text": answer, "answer_start": start}],
                }
            )
            examples.append(SpanExample(identity, question, context, (Answer(answer, start),)))
        data.append({"title": "", "paragraphs": [{"context": context, "qas": qas}]})
    return {"data": data}, examples


@pytest.mark.slow
@given(articles(), st.sampled_from([None, 1]), st.booleans())
def test_squad(
    written: tuple[dict[str, Any], list[SpanExample]], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(written[0], indent=indent, ensure_ascii=ascii_only)
    assert squad(text.encode(), "f") == written[1]


@pytest.mark.parametrize(
    ("faulty", "parts"),
    [
        (qa(start=8), ["question 'q1'", "'at\u0301zchen ' at offset 8", "'Kat\u0301zchen'"]),
        (qa("t", -2), ["question 'q1'", "at offset -2"]),  # a slice from there would match
        (qa(start=10**9), ["question 'q1'", "'' at offset"]),
        (qa("K\u00e1tzchen"), ["question 'q1'"]),
        (qa("", 0), ["an answer that is not empty"]),
        (qa(answers=[]), ["question 'q1' has no answer", "0 answers"]),
        (qa(answers=[{"text": "Ein"}]), ["missing field 'answer_start'"]),
        (qa(answers=[{"text": "Ein", "answer_start": "3"}]), ["an integer"]),
        (qa(question=None), ["'question'", "a string"]),
    ],
)
def test_squad_refuses(faulty: dict[str, Any], parts: list[str]) -> None:
    refused(lambda: read(qa(id="q0"), faulty), *parts, "f:")


def test_the_line_of_the_question_is_named() -> None:
    text = json.dumps(document(qa(id="q0"), qa(start=0)), indent=1)
    line = text[: text.index('"q1"')].count("\n") + 1
    refused(lambda: squad(text.encode(), "f"), f"f:{line}\n")
    refused(lambda: squad(json.dumps(document(qa(start=0))).encode(), "f"), "f:1\n")


def test_unanswerable_questions_exist_in_version_2_only() -> None:
    impossible = qa(
        id="q2",
        answers=[],
        is_impossible=True,
        plausible_answers=[{"text": "x", "answer_start": 0}],
    )
    examples = read(qa(is_impossible=False), impossible, version="2.0")
    assert [len(example.answers) for example in examples] == [1, 0]
    refused(lambda: read(impossible), "question 'q2' has no answer")
    refused(
        lambda: read(qa(is_impossible=True), version="2.0"),
        "contradict is_impossible",
        "1 answers",
        "no answer",
    )
    refused(
        lambda: read(qa(answers=[], is_impossible=False), version="2.0"),
        "contradict",
        "at least one answer",
    )
    refused(lambda: read(qa(), version="2.0"), "missing field 'is_impossible'")
    refused(lambda: read(qa(), version="3"), "unknown version", error=ConfigError)


def test_ids_are_unique_and_there_are_some() -> None:
    refused(lambda: read(qa(), qa()), "two questions have one id", "'q1'")
    refused(lambda: read(), "no questions")
    refused(lambda: squad(b'{"data": [7]}', "f"), "not a JSON object")


def test_tydiqa_takes_the_language_of_the_id() -> None:
    data = document(
        qa(id="english-1-0"),
        qa(id="finnish--7-0"),
        qa(id="finnish-8-0", start=0),
        qa(id="english2-1"),
    )
    assert [
        example.id for example in tydiqa(json.dumps(data).encode(), "f", language="english")
    ] == ["english-1-0"]
    text = json.dumps(data).encode()
    refused(lambda: tydiqa(text, "f", language="finnish"), "'finnish-8-0'")
    refused(lambda: tydiqa(text, "f", language="thai"), "no question in language 'thai'", "'thai-'")
