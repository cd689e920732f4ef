"""BUCC and Tatoeba."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers.corpora import bucc_gold, bucc_text, document_ids, lines, ntrex
from stilts_artifact.domain.examples import GoldPair, Sentence
from tests.unit.data.readers.checks import CELL, TRICKY, refused

IDS = st.integers(0, 10**6).map(lambda number: f"de-{number:09d}")


@pytest.mark.slow
@given(st.dictionaries(IDS, CELL.filter(bool), min_size=1))
def test_bucc_text(written: dict[str, str]) -> None:
    data = "".join(f"{identity}\t{text}\n" for identity, text in written.items()).encode()
    assert bucc_text(data, "f") == [Sentence(identity, text) for identity, text in written.items()]


@pytest.mark.slow
@given(st.lists(st.tuples(IDS, IDS), min_size=1, unique=True))
def test_bucc_gold(written: list[tuple[str, str]]) -> None:
    data = "\n".join("\t".join(pair) for pair in written).encode()
    assert bucc_gold(data, "f") == [GoldPair(*pair) for pair in written]


def test_lines_count_from_zero() -> None:
    assert lines(f"a\n{TRICKY}\n".encode(), "f") == [Sentence("0", "a"), Sentence("1", TRICKY)]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"a\tx\nb\ty\na\tz\n", ["two sentences have one id", "f:3", "as in f:1"]),
        (b"a\tx\nb\n", ["missing columns: text", "f:2"]),
        (b"a\tx\ty\n", ["extra columns", "f:1"]),
        (b"\tx\n", ["empty id or text", "f:1"]),
        (b"a\t\n", ["empty id or text", "f:1"]),
    ],
)
def test_bucc_text_refuses(data: bytes, parts: list[str]) -> None:
    refused(lambda: bucc_text(data, "f"), *parts)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"a\tx\na\ty\na\tx\n", ["one gold pair twice", "f:3", "as in f:1"]),
        (b"a\n", ["missing columns: target id", "f:1"]),
        (b"a\t\n", ["empty id", "f:1"]),
    ],
)
def test_bucc_gold_refuses(data: bytes, parts: list[str]) -> None:
    refused(lambda: bucc_gold(data, "f"), *parts)


def test_an_empty_line_would_shift_the_sides() -> None:
    refused(lambda: lines(b"a\n\nb\n", "f"), "empty line", "f:2")
    refused(lambda: lines(b"a\n \n", "f"), "empty line", "f:2")


def test_ntrex_has_lines_that_end_in_crlf() -> None:
    written = [Sentence("0", "a"), Sentence("1", "b\rc")]
    assert ntrex(b"a\r\nb\rc\r\n", "f") == written
    refused(lambda: lines(b"a\r\nb\r\n", "f"), "Windows line ends", "f:1")
    refused(lambda: ntrex(b"a\r\n\r\nb\r\n", "f"), "empty line", "f:2")


def test_document_ids() -> None:
    assert document_ids(b"bbc.1\nbbc.1\nrt.com.2\n", "f") == ["bbc.1", "bbc.1", "rt.com.2"]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"a\nb\nb\na\n", ["a document goes on after its end", "f:4", "which ended at f:1"]),
        (b"a\n\nb\n", ["not the id of a document", "f:2"]),
        (b"a\na b\n", ["not the id of a document", "f:2"]),
        (b"a\xef\xbb\xbf\n", ["not the id of a document", "f:1"]),
    ],
)
def test_document_ids_refuses(data: bytes, parts: list[str]) -> None:
    refused(lambda: document_ids(data, "f"), *parts)
