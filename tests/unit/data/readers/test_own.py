"""The plain formats of anyone's own data, and what is refused in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers import READERS
from stilts_artifact.data.readers.choices import choice_rows
from stilts_artifact.data.readers.corpora import gold_lines, lines, parallel
from stilts_artifact.data.readers.pairs import pair_rows
from stilts_artifact.data.readers.tags import tagged_words
from stilts_artifact.domain.examples import (
    ChoiceExample,
    GoldPair,
    PairExample,
    Sentence,
    TaggedSentence,
)
from tests.unit.data.readers.checks import CELL, TRICKY, refused
from tests.unit.data.readers.test_fuzz import OPTIONS

NLI = "contradiction entailment neutral"
TEXTS = CELL.filter(str.strip)
OWN = ("choice_rows", "gold_lines", "pair_rows", "parallel", "tagged_words")


def whole(written: list[list[str]]) -> bytes:
    return "".join("\t".join(cells) + "\n" for cells in written).encode()


@pytest.mark.slow
@given(st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(NLI.split())), min_size=1, max_size=20))
def test_pairs(written: list[tuple[str, str, str]]) -> None:
    assert pair_rows(whole([list(cells) for cells in written]), "f", labels=NLI) == [
        PairExample(str(number), *cells) for number, cells in enumerate(written)
    ]


@pytest.mark.slow
@given(
    st.integers(2, 6).flatmap(
        lambda count: st.lists(
            st.tuples(
                TEXTS,
                st.lists(TEXTS, min_size=count, max_size=count),
                st.integers(0, count - 1),
            ),
            min_size=1,
            max_size=20,
        )
    )
)
def test_choices(written: list[tuple[str, list[str], int]]) -> None:
    data = whole([[prompt, *choices, str(right)] for prompt, choices, right in written])
    assert choice_rows(data, "f") == [
        ChoiceExample(str(number), prompt, tuple(choices), right)
        for number, (prompt, choices, right) in enumerate(written)
    ]


def test_tagged_words() -> None:
    sentences = [TaggedSentence(("12:30", "a"), ("O", "B-LOC")), TaggedSentence(("b",), ("O",))]
    data = b"12:30\tO\na\tB-LOC\n\nb\tO\n"
    assert tagged_words(data, "f", labels="O B-LOC") == sentences
    assert tagged_words(data + b"\n\n", "f") == sentences, "without labels any tag will do"


def test_both_sides_of_parallel_text_have_the_same_numbers() -> None:
    data = f"eins\tone\n{TRICKY}\ttwo\n".encode()
    assert parallel(data, "f", side="source") == [Sentence("0", "eins"), Sentence("1", TRICKY)]
    assert parallel(data, "f", side="target") == [Sentence("0", "one"), Sentence("1", "two")]


def test_gold_names_the_lines_of_a_corpus() -> None:
    corpus = lines(b"eins\nzwei\n", "f", language="de")
    gold = gold_lines(b"1\t0\n", "f", source="de", target="en")
    assert corpus[1] == Sentence("de-1", "zwei")
    assert gold == [GoldPair("de-1", "en-0")]


@pytest.mark.parametrize(
    ("read", "data", "parts"),
    [
        (pair_rows, b"a\tb\n", ["missing columns: label", "f:1", "3 columns", "second text"]),
        (pair_rows, b"a\tb\tneutral\tx\n", ["1 extra columns after 'label'", "f:1"]),
        (pair_rows, b"a\tb\tneutral\n\n", ["missing columns", "f:2"]),
        (
            pair_rows,
            b"sentence1\tsentence2\tlabel\n",
            ["label outside its set", "f:1", "'label'", "'contradiction' or 'entailment'"],
        ),
        (pair_rows, b"a\tb\tneutral\na\tb\tNeutral\n", ["outside its set", "f:2", "'Neutral'"]),
        (pair_rows, b"a\tb\t1\n", ["outside its set", "f:1", "'1'", "'neutral'"]),
        (pair_rows, b"a\t \tneutral\n", ["empty second text", "f:1"]),
        (pair_rows, b"a\tb\tneutral\n" * 21, ["every label is the same", "21 labels"]),
        (choice_rows, b"a\tb\t0\n", ["missing columns: index", "f:1", "choice 1"]),
        (choice_rows, b"a\tb\tc\t0\na\tb\tc\td\t0\n", ["1 extra columns", "f:2"]),
        (choice_rows, b"a\tb\tc\t2\n", ["outside its set", "f:1", "'2'", "'0' or '1'"]),
        (choice_rows, b"a\tb\tc\t01\n", ["outside its set", "f:1", "'01'"]),
        (choice_rows, b"a\t\tc\t0\n", ["empty choice 0", "f:1"]),
        (tagged_words, b"a\tO\nb\n", ["missing columns: tag", "f:2", "word, tag"]),
        (tagged_words, b"a\tO\tO\n", ["1 extra columns after 'tag'", "f:1"]),
        (tagged_words, b"a\tB-MISC\n", ["outside its set", "f:1", "'B-MISC'", "'B-LOC'"]),
        (tagged_words, b"a\tO\n \tO\n", ["empty word", "f:2"]),
        (tagged_words, b"a\tO\n\n" * 21, ["every label is the same"]),
        (tagged_words, b"\n\n", ["no sentences", "f:1"]),
        (parallel, b"a\n", ["missing columns: target", "f:1"]),
        (parallel, b"a\tb\n\tb\n", ["empty source", "f:2"]),
        (gold_lines, b"0\t1\n0\t1\n", ["one gold pair twice", "f:2", "as in f:1"]),
        (gold_lines, b"de-0\ten-1\n", ["not a line number", "f:1", "'de-0'", "from 0"]),
        (gold_lines, b"00\t1\n", ["not a line number", "f:1", "'00'"]),
        (gold_lines, b"0\n", ["missing columns: target line", "f:1"]),
    ],
)
def test_what_is_refused(read: Callable[..., object], data: bytes, parts: list[str]) -> None:
    options = {**OPTIONS, "pair_rows": {"labels": NLI}}.get(read.__name__, {})
    refused(partial(read, data, "f", **options), *parts)


def test_a_tag_of_an_open_set_is_one_word() -> None:
    for tag in (b"", b" ", b"S NP"):
        refused(lambda tag=tag: tagged_words(b"a\t" + tag + b"\n", "f"), "not a tag", "f:1")  # type: ignore[misc]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"", ["the file is empty", "mend it"]),
        (b"\xef\xbb\xbfa\tb\tyes\n", ["byte order mark", "f:1"]),
        (b"a\tb\tyes\r\nc\td\tno\r\n", ["Windows line ends", "f:1"]),
        (b"a\tb\tyes\na\t\xe9\tno\n", ["invalid UTF-8", "f:2", "0xe9"]),
        (b"a\tb\0\tyes\n", ["NUL byte", "f:1"]),
    ],
)
def test_bytes_that_are_no_text_are_refused_by_every_format(
    name: str, data: bytes, parts: list[str]
) -> None:
    refused(lambda: READERS[name](data, "f", **OPTIONS.get(name, {})), *parts)
