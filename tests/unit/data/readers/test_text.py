"""Decoding, lines and tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers.text import (
    decode,
    label,
    numbered_lines,
    refuse_blinded,
    rows,
    shown,
    table,
)
from tests.unit.data.readers.checks import CELL, TRICKY, refused


@pytest.mark.slow
@given(st.lists(CELL, min_size=1).filter(lambda lines: lines[-1] != ""), st.booleans())
def test_lines_come_back_as_written(lines: list[str], final_newline: bool) -> None:
    data = ("\n".join(lines) + "\n" * final_newline).encode()
    if not data.startswith(b"\xef\xbb\xbf"):
        assert [line for _, line in numbered_lines(data, "f")] == lines


def test_only_newline_ends_a_line() -> None:
    assert list(numbered_lines(f"{TRICKY}\nnext\n".encode(), "f")) == [
        ("f:1", TRICKY),
        ("f:2", "next"),
    ]


def test_a_mark_inside_the_text_is_data() -> None:
    assert decode("a\ufeffb".encode(), "f") == "a\ufeffb"


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"", ["the file is empty", "0 bytes"]),
        (b"\xef\xbb\xbfa\n", ["byte order mark", "f:1", "U+FEFF"]),
        (b"a\nb\0c\n", ["NUL", "f:2", "offset 3"]),
        (b"a\r\nb\r\n", ["Windows line ends", "f:1", r"b'\r\n' at offset 1"]),
        (b"a\nb\nc \xe4\n", ["invalid UTF-8", "f:3", "byte 0xe4 at offset 6"]),
        ("a\nb".encode("utf-16"), ["NUL"]),
    ],
)
def test_what_is_no_upstream_text_is_refused(data: bytes, parts: list[str]) -> None:
    refused(lambda: decode(data, "f"), *parts)


def test_a_single_carriage_return_is_data() -> None:
    assert [line for _, line in numbered_lines(b"a\nb\r\nc\n", "f")] == ["a", "b\r", "c"]


def test_columns_are_found_by_name() -> None:
    data = b"x\tlabel\tid\n1\ta\t7\n2\tb\t8\n"
    assert list(table(data, "f", ("id", "label"))) == [("f:2", ["7", "a"]), ("f:3", ["8", "b"])]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"id\tlabel\n1\n", ["missing columns: label", "f:2", "1 columns", "2 columns"]),
        (b"id\tlabel\n1\t2\t3\n", ["1 extra columns after 'label'", "f:2", "3 columns"]),
        (b"id\tlabel\n1\t2\n\n", ["missing columns", "f:3"]),
        (b"id\tLabel\n1\t2\n", ["column 'label'", "f:1", "'Label'"]),
        (b"id\tlabel\tid\n1\t2\t3\n", ["column 'id'", "f:1"]),
        (b"id\tlabel\n", ["no rows"]),
        (b"\n", ["column 'id', 'label'"]),
    ],
)
def test_a_table_of_another_shape_is_refused(data: bytes, parts: list[str]) -> None:
    refused(lambda: list(table(data, "f", ("id", "label"))), *parts)


def test_rows_without_header_have_an_exact_width() -> None:
    assert list(rows(b'1\t"a\n', "f", ("id", "text"))) == [("f:1", ["1", '"a'])]
    refused(lambda: list(rows(b"1\ta\n2\tb\t\n", "f", ("id", "text"))), "1 extra columns", "f:2")


def test_a_label_outside_its_set_is_refused() -> None:
    assert label("e", {"e": "entailment"}, "f:1") == "entailment"
    refused(
        lambda: label("x", {"e": "entailment", "n": "neutral"}, "f:9"),
        "outside its set",
        "f:9",
        "'x'",
        "'e' or 'n'",
    )


def test_constant_labels_are_refused_from_21_on() -> None:
    refuse_blinded(["a"] * 20, "f")
    refuse_blinded(["a"] * 20 + ["b"], "f")
    refused(
        lambda: refuse_blinded(["a"] * 21, "f"),
        "XTREME",
        "21 labels, all 'a'",
        "publisher's own file",
    )


def test_long_values_are_cut_in_messages() -> None:
    assert shown("a" * 90) == f"{'a' * 80!r}... (90 characters)"
