"""Strict JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stilts_artifact.data.readers.records import field, parse_document, parse_lines
from tests.unit.data.readers.checks import TRICKY, refused


def test_lines_are_objects() -> None:
    data = "\n".join(
        json.dumps({"text": text}, ensure_ascii=False) for text in ("a\u2028b", "c")
    ).encode()
    assert list(parse_lines(data, "f")) == [("f:1", {"text": "a\u2028b"}), ("f:2", {"text": "c"})]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"a": 1', ["invalid JSON", "end of the text is missing"]),
        ('{"a": 1} {"a": 2}', ["invalid JSON", "Extra data at column 10"]),
        ('{"a": 1, "a": 2}', ["not strict", "key 'a' twice"]),
        ('{"a": NaN}', ["not strict", "NaN"]),
        ('{"a": -Infinity}', ["not strict", "-Infinity"]),
        ("[" * 100_000, ["nested too deeply"]),
        ('{"a":' * 100_000, ["nested too deeply"]),
        ('{"a": ' + "1" * 5000 + "}", ["not strict"]),
        ("[1]", ["not a JSON object", "list"]),
        ("", ["invalid JSON"]),
    ],
)
def test_what_is_not_strict_is_refused(line: str, parts: list[str]) -> None:
    refused(
        lambda: list(parse_lines(b'{"a": 0}\n' + line.encode() + b'\n{"a": 3}\n', "f")),
        "f:2",
        *parts,
    )
    refused(lambda: parse_document(line.encode() or b" ", "f"), "f:1", *parts)


def test_an_error_in_a_document_names_its_own_line() -> None:
    refused(lambda: parse_document(b'{\n"a": 1,\n1}', "f"), "f:3")


@pytest.mark.parametrize(
    ("record", "kind", "parts"),
    [
        ({}, str, ["missing field 'a'", "no fields"]),
        ({"b": 1}, str, ["missing field 'a'", "'b'"]),
        ({"a": 1}, str, ["wrong type", "'a': '1'", "a string"]),
        ({"a": True}, int, ["wrong type", "true", "an integer"]),
        ({"a": None}, list, ["wrong type", "null", "a list"]),
        ({"a": "\ud800"}, str, ["U+D800 in 'a'"]),
        ({"a": "x\0"}, str, ["U+0000 in 'a'"]),
        ([], str, ["not a JSON object"]),
    ],
)
def test_fields_are_typed(record: Any, kind: type, parts: list[str]) -> None:
    refused(lambda: field(record, "a", kind, "f:4"), "f:4", *parts)


def test_a_field_keeps_its_text() -> None:
    assert field({"a": TRICKY}, "a", str, "f:1") == TRICKY
