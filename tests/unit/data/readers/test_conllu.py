"""CoNLL-U by XTREME's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers.conllu import UPOS, conllu
from stilts_artifact.domain.examples import TaggedSentence
from tests.unit.data.readers.checks import CELL, refused


def word(identity: int | str, form: str, upos: str, head: int | str, deps: str = "_") -> str:
    return "\t".join([str(identity), form, "_", upos, "_", "_", str(head), "dep", deps, "_"]) + "\n"


def fused(identity: str, form: str) -> str:
    return "\t".join([identity, form, *"________"]) + "\n"


def read(*lines: str, language: str = "default") -> list[TaggedSentence]:
    return conllu(("".join(lines) + "\n").encode(), "f", language=language)


def one(*lines: str, language: str = "default") -> list[tuple[str, str]]:
    (sentence,) = read(*lines, language=language)
    return list(zip(sentence.words, sentence.tags, strict=True))


FORMS = CELL.map(lambda text: text.strip().replace(" ", "").replace("\u200c", "")).filter(
    lambda form: form not in ("", "_")
)


@pytest.mark.slow
@given(
    st.lists(
        st.lists(st.tuples(FORMS, st.sampled_from(UPOS.split())), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_plain_words_come_back(written: list[list[tuple[str, str]]]) -> None:
    lines = ["# sent_id = 1\n"]
    for sentence in written:
        lines += [
            word(i, form, upos, i - 1) for i, (form, upos) in enumerate(sentence, start=1)
        ] + ["\n"]
    expected = [TaggedSentence(tuple(w for w, _ in s), tuple(t for _, t in s)) for s in written]
    assert read(*lines) == expected


def test_a_fused_token_takes_the_tag_nearest_the_root() -> None:
    # "vámonos" = vamos (root) + nos; "del" = de + el, where the noun heads both
    assert one(
        fused("1-2", "vámonos"),
        word(1, "vamos", "VERB", 0),
        word(2, "nos", "PRON", 1),
        word(3, "ya", "ADV", 1),
    ) == [("vámonos", "VERB"), ("ya", "ADV")]
    assert one(
        word(1, "mar", "NOUN", 0),
        fused("2-3", "del"),
        word(2, "de", "ADP", 4),
        word(3, "el", "DET", 2),
        word(4, "x", "X", 1),
    ) == [("mar", "NOUN"), ("del", "ADP"), ("x", "X")]


@pytest.mark.parametrize(
    ("language", "first", "second", "tag"),
    [
        ("default", "ADP", "NOUN", "NOUN"),
        ("default", "PUNCT", "X", "X"),
        ("es", "DET", "ADP", "ADP"),
        ("fr", "NOUN", "PRON", "PRON"),
        ("it", "PRON", "ADV", "ADV"),
        ("es", "PRON", "AUX", "AUX"),
        ("default", "PRON", "AUX", "PRON"),
        ("es", "SYM", "NOUN", "SYM"),  # in no list: the leftmost
    ],
)
def test_ties_go_by_the_languages_precedence(
    language: str, first: str, second: str, tag: str
) -> None:
    sentence = [fused("2-3", "ab"), word(2, "a", first, 1), word(3, "b", second, 1)]
    assert one(word(1, "r", "VERB", 0), *sentence, language=language)[1] == ("ab", tag)


def test_enhanced_dependencies_count_as_ancestors() -> None:
    tree = [word(1, "r", "VERB", 0), word(2, "s", "VERB", 0), fused("3-4", "ab")]
    assert one(*tree, word(3, "a", "VERB", 1), word(4, "b", "ADP", 1))[2] == ("ab", "VERB")
    more = word(3, "a", "VERB", 1, deps="1:dep|2:dep|1.1:dep")
    assert one(*tree, more, word(4, "b", "ADP", 1))[2] == ("ab", "ADP")


def test_cycles_and_empty_nodes_do_no_harm() -> None:
    cycle = [
        fused("1-2", "ab"),
        word(1, "a", "ADP", 2),
        word(2, "b", "DET", 1),
        word("2.1", "e", "NOUN", "_"),
    ]
    assert one(*cycle, word(3, "c", "NOUN", 0)) == [("ab", "ADP"), ("c", "NOUN")]


def test_words_lose_spaces_and_zero_width_non_joiners() -> None:
    assert one(word(1, "10 000", "NUM", 0), word(2, "می\u200cروم", "VERB", 1)) == [
        ("10000", "NUM"),
        ("میروم", "VERB"),
    ]
    assert one(word(1, "\u200c", "PUNCT", 0), word(2, "a\u00a0b", "X", 1)) == [
        ("\u200c", "PUNCT"),
        ("a\u00a0b", "X"),
    ]


@pytest.mark.parametrize(
    ("forms", "kept"),
    [
        ("a b", True),
        ("_ a", False),
        ("_ a b", True),
        ("_ _ a", False),
        ("_ _ _ _ a b", True),
        ("_", False),
    ],
)
def test_sentences_without_text_are_dropped(forms: str, kept: bool) -> None:
    lines = [word(i, form, "NOUN", 0) for i, form in enumerate(forms.split(), start=1)]
    assert len(read(*lines, "\n", word(1, "x", "VERB", 0))) == 1 + kept


def test_a_withheld_sentence_may_have_any_tag() -> None:
    assert read(word(1, "_", "_", 0), word(2, "_", "_", 1)) == []


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ([word(1, "a", "CONJ", 0)], ["outside its set", "f:1", "'CONJ'", "CCONJ"]),
        ([word(1, "a", "X", 0)[:-3] + "\n"], ["missing columns", "f:1", "9 columns", "10 columns"]),
        ([word(1, "a", "X", 0)[:-1] + "\t_\n"], ["extra columns", "f:1", "11 columns"]),
        ([word(1, "a", "X", 0), word(3, "b", "X", 1)], ["ID out of order", "f:2", "'3'", "2"]),
        ([fused("2-3", "ab"), word(1, "a", "X", 0)], ["ID out of order", "f:1", "'2-3'"]),
        (
            [fused("1-2", "ab"), word(1, "a", "X", 0)],
            ["ID out of order", "up to word 2", "words up to 1"],
        ),
        ([fused("1-1", "ab"), word(1, "a", "X", 0)], ["ID out of order", "'1-1'"]),
        (
            [fused("1-2", "ab"), fused("1-3", "abc"), word(1, "a", "X", 0)],
            ["ID out of order", "overlap"],
        ),
        ([word("x", "a", "X", 0)], ["ID is not a number", "'x'"]),
        ([word(1, "a", "X", "_")], ["HEAD is not a number", "'_'"]),
        ([word(1, "a", "X", 0, deps="9" * 5000 + ":dep")], ["DEPS is not a number"]),
        ([word(1, "a", "X", 2)], ["unknown head", "f:1", "2", "0 to 1"]),
        ([word(1, "", "X", 0)], ["empty FORM", "f:1"]),
    ],
)
def test_conllu_refuses(lines: list[str], parts: list[str]) -> None:
    refused(lambda: read(*lines), *parts)


def test_a_cut_file_is_refused() -> None:
    whole = word(1, "a", "X", 0) + word(2, "b", "X", 1) + "\n"
    assert len(conllu((whole * 2).encode(), "f")) == 2
    for end in (len(whole), len(whole) - 1, len(whole) - 5):
        refused(lambda end=end: conllu((whole + whole[:end]).encode()[:-1], "f"), "f:")
    refused(lambda: conllu((whole + whole).encode()[:-1], "f"), "last sentence is cut", "f:5")


def test_constant_tags_are_refused() -> None:
    refused(lambda: read(*[word(1, "a", "X", 0), "\n"] * 21), "every label is the same")


def inflected(identity: int, form: str, upos: str, feats: str, head: int = 0) -> str:
    cells = [str(identity), form, "_", upos, "_", feats, str(head), "dep", "_", "_"]
    return "\t".join(cells) + "\n"


def told(*lines: str, tags: str) -> list[str]:
    (sentence,) = conllu(("".join(lines) + "\n").encode(), "f", tags=tags)
    return list(sentence.tags)


def test_a_tag_may_have_the_words_features() -> None:
    lines = [
        inflected(1, "dogs", "NOUN", "Number=Plur"),
        inflected(2, "whose", "PRON", "Poss=Yes|PronType=Int,Rel|Number[psor]=Sing", 1),
        inflected(3, "of", "ADP", "_", 1),
    ]
    assert told(*lines, tags="upos") == ["NOUN", "PRON", "ADP"]
    assert told(*lines, tags="upos|feats") == [
        "NOUN|Number=Plur",
        "PRON|Number[psor]=Sing|Poss=Yes|PronType=Int,Rel",
        "ADP",
    ]


def test_one_bundle_is_one_tag_in_whatever_order_it_is_written() -> None:
    for feats in ("Case=Nom|Abbr=Yes", "Abbr=Yes|Case=Nom"):
        tags = told(inflected(1, "a", "NOUN", feats), tags="upos|feats")
        assert tags == ["NOUN|Abbr=Yes|Case=Nom"]


def test_a_fused_token_has_the_features_of_the_word_that_gives_its_tag() -> None:
    lines = [
        fused("1-2", "vámonos"),
        inflected(1, "vamos", "VERB", "Mood=Imp"),
        inflected(2, "nos", "PRON", "Case=Acc", 1),
    ]
    assert told(*lines, tags="upos|feats") == ["VERB|Mood=Imp"]


@pytest.mark.parametrize(
    "feats",
    [
        "",
        "Case",
        "Case=",
        "=Nom",
        "case=Nom",
        "Case=nom",
        "Case=Nom||Number=Sing",
        "Case=Nom|",
        "Case=Nom|Case=Acc",
        "Case=Nom Number=Sing",
        "Case=Nom,",
        "_|Case=Nom",
    ],
)
def test_features_that_are_none_are_refused_where_tags_have_them(feats: str) -> None:
    lines = [inflected(1, "a", "NOUN", "_"), inflected(2, "b", "VERB", feats, 1)]
    assert told(*lines, tags="upos") == ["NOUN", "VERB"]
    refused(
        lambda: told(*lines, tags="upos|feats"),
        "FEATS is no bundle of features",
        "f:2",
        repr(feats),
        "Name=Value",
    )
