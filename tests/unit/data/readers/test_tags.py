"""PAN-X and CCGbank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers.tags import ccg, panx
from stilts_artifact.domain.examples import TaggedSentence
from tests.unit.data.readers.checks import CELL, refused

TAGS = st.sampled_from(["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"])
WORDS = CELL.map(str.strip).filter(bool)


@pytest.mark.slow
@given(
    st.lists(st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=5), min_size=1, max_size=5),
    st.booleans(),
)
def test_panx(written: list[list[tuple[str, str]]], final_blank: bool) -> None:
    text = "\n".join(
        "".join(f"af:{word}\t{tag}\n" for word, tag in sentence) for sentence in written
    )
    assert panx((text + "\n" * final_blank).encode(), "f") == [
        TaggedSentence(tuple(word for word, _ in sentence), tuple(tag for _, tag in sentence))
        for sentence in written
    ]


def test_only_the_first_colon_ends_the_language() -> None:
    assert panx(b"en:12:30\tO\nen::\tO\n", "f")[0].words == ("12:30", ":")


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"en:a\tO\nb\tO\n", ["without language prefix", "f:2", "'b'", "language:word"]),
        (b":a\tO\n", ["without language prefix", "f:1"]),
        (b"en:a O\n", ["missing columns: tag", "f:1", "'en:a O'"]),
        (b"en:a\tO\tO\n", ["extra columns", "f:1"]),
        (b"en:a\tB-MISC\n", ["outside its set", "f:1", "'B-MISC'", "'B-PER'"]),
        (b"en:a\tO\n\nen:b\t\n", ["outside its set", "f:3", "''"]),
        (b"\n\n", ["no sentences"]),
        (b"en:a\tO\n\n" * 21, ["every label is the same"]),
    ],
)
def test_panx_refuses(data: bytes, parts: list[str]) -> None:
    refused(lambda: panx(data, "f"), *parts)


HEAD = "ID=wsj_0001.1 PARSER=GOLD NUMPARSE=1\n"
TREE = (
    "(<T S[dcl] 0 2> (<T NP 0 1> (<L N NNP NNP Vinken N>) ) (<T S[dcl]\\NP 0 2> "
    "(<L (S[dcl]\\NP)/NP VBZ VBZ is (S[dcl]\\NP_1)/NP_2>) (<T NP 1 2> "
    "(<L NP[nb]/N DT DT a NP[nb]_9/N_9>) (<L N NN NN 3\\/4 N>) ) ) ) \n"
)


def test_ccg() -> None:
    sentence = TaggedSentence(
        ("Vinken", "is", "a", "3\\/4"), ("N", "(S[dcl]\\NP)/NP", "NP[nb]/N", "N")
    )
    assert ccg((HEAD + TREE + HEAD + TREE).encode(), "f") == [sentence, sentence]
    assert ccg((HEAD + "(<L N NN NN cat N>)\n").encode(), "f") == [TaggedSentence(("cat",), ("N",))]


LEAF_PART = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Z", "Cc"], exclude_characters="<>()"),
    min_size=1,
)


@given(st.lists(st.tuples(LEAF_PART, LEAF_PART), min_size=1, max_size=6))
def test_ccg_leaves_come_back(written: list[tuple[str, str]]) -> None:
    leaves = " ".join(f"(<L {category} X X {word} {category}>)" for word, category in written)
    words, categories = zip(*written, strict=True)
    text = f"{HEAD}(<T S 0 2> {leaves} )\n"
    assert ccg(text.encode(), "f") == [TaggedSentence(words, categories)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (TREE, ["not the header", "f:1", "PARSER=GOLD"]),
        (HEAD + HEAD, ["malformed derivation", "f:2"]),
        (HEAD + TREE + HEAD, ["last derivation is missing", "f:3"]),
        (HEAD + TREE[:-30], ["malformed derivation", "f:2"]),
        (HEAD + TREE[:-4], ["malformed derivation", "f:2"]),
        (HEAD + "\n", ["malformed derivation", "f:2", "0 leaves"]),
        (HEAD + "(<L N NN NN cat>)", ["malformed derivation", "f:2"]),
    ],
)
def test_ccg_refuses(text: str, parts: list[str]) -> None:
    refused(lambda: ccg(text.encode(), "f"), *parts)
