"""Answer tokens and overlap against the definitions applied character by character."""

from __future__ import annotations

import re
import string
import unicodedata
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.metrics.squad import answer_counts, mlqa_tokens, squad_tokens, token_f1

unhurried = settings(deadline=None)  # tests share the machine with others

WORDS = [
    *(
        "a",
        "an",
        "the",
        "The",
        "der",
        "die",
        "ein",
        "el",
        "los",
        "của",
        "là",
        "ال",
        "كتاب",
        "الكتاب",
        "السلام",
    ),
    *(
        "在",
        "电池",
        "NASA",
        "U.S.",
        "don't",
        "café",
        "İstanbul",
        "नदी।",
        "ที่",
        "。（",
        "¿",
        "—",
        "«",
        "'a'",
        "the-end",
    ),
    *("über", "1999年", "Nile"),
]
ARTICLES = {
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "vi": "của là cái chiếc những",
    "de": "ein eine einen einem eines einer der die das den dem des",
}
LANGUAGES = ["ar", "de", "en", "es", "hi", "vi", "zh", "qaa"]

EVERY = WORDS + " ".join(ARTICLES.values()).split()

text = st.lists(st.sampled_from(EVERY) | st.text(max_size=4), max_size=7).flatmap(
    lambda words: st.sampled_from([" ", "  ", "", "\u00a0", "\n"]).map(lambda gap: gap.join(words))
)


def without_words(text: str, articles: str) -> str:
    """Replace whole words by a space: a word is a maximal run of what ``\\w`` matches."""
    parts = re.split(r"(\w+)", text)
    return "".join(" " if part in articles.split() else part for part in parts)


def brute_force_squad(text: str) -> list[str]:
    kept = "".join(char for char in text.lower() if char not in string.punctuation)
    return without_words(kept, ARTICLES["en"]).split()


def brute_force_mlqa(text: str, language: str) -> list[str]:
    def is_punctuation(char: str) -> bool:
        return unicodedata.category(char)[0] == "P" or char in string.punctuation

    kept = "".join(char for char in text.lower() if not is_punctuation(char))
    if language == "ar":
        kept = " ".join(kept.split("ال"))
    kept = without_words(kept, ARTICLES.get(language, ""))
    if language != "zh":
        return kept.split()
    tokens, run = [], ""
    for char in kept:
        if "\u4e00" <= char <= "\u9fa5":
            tokens += [*run.split(), char]
            run = ""
        else:
            run += char
    return tokens + run.split()


def brute_force_f1(predicted: list[str], gold: list[str]) -> float:
    """Cross off gold tokens one by one."""
    left, shared = list(gold), 0
    for token in predicted:
        if token in left:
            left.remove(token)
            shared += 1
    return 2 * shared / (len(predicted) + len(gold)) if shared else 0.0


@unhurried
@given(text)
def test_squad_tokens(answer: str) -> None:
    assert squad_tokens(answer) == brute_force_squad(answer)


@pytest.mark.slow
@unhurried
@given(text, st.sampled_from(LANGUAGES))
def test_mlqa_tokens(answer: str, language: str) -> None:
    assert mlqa_tokens(answer, language) == brute_force_mlqa(answer, language)


@unhurried
@given(st.lists(st.sampled_from("abç电")), st.lists(st.sampled_from("abç电")))
def test_token_f1(predicted: list[str], gold: list[str]) -> None:
    assert token_f1(predicted, gold) == pytest.approx(brute_force_f1(predicted, gold))
    assert token_f1(predicted, gold) == token_f1(gold, predicted)


@pytest.mark.slow
@unhurried
@given(
    st.lists(st.tuples(text, st.lists(text, min_size=1, max_size=3)), max_size=4),
    st.sampled_from(LANGUAGES),
)
def test_answer_counts_take_the_best_answer(
    questions: list[tuple[str, list[str]]], language: str
) -> None:
    tokenise = partial(mlqa_tokens, language=language)
    counts = answer_counts(
        [first for first, _ in questions], [second for _, second in questions], tokenise
    )
    expected = [
        [
            max(float(tokenise(predicted) == tokenise(answer)) for answer in gold),
            max(brute_force_f1(tokenise(predicted), tokenise(answer)) for answer in gold),
            1.0,
        ]
        for predicted, gold in questions
    ]
    assert counts.shape == (len(questions), 3)
    assert counts.ravel().tolist() == pytest.approx([value for row in expected for value in row])


@pytest.mark.parametrize(
    ("language", "answer", "tokens"),
    [
        ("en", "The answer, a test!", ["answer", "test"]),
        ("de", "Die Katze der Frau", ["katze", "frau"]),
        ("de", "The cat", ["the", "cat"]),
        ("es", "La casa", ["casa"]),
        ("vi", "cái nhà", ["nhà"]),
        ("ar", "الكتاب والبيت", ["كتاب", "و", "بيت"]),
        ("hi", "एक नदी।", ["एक", "नदी"]),
        ("zh", "（1999年）the电池", ["1999", "年", "the", "电", "池"]),
        ("zh", "鿿龦", ["鿿龦"]),  # beyond U+9FA5, where MLQA's range ends
    ],
)
def test_mlqa_rules_of_each_language(language: str, answer: str, tokens: list[str]) -> None:
    assert mlqa_tokens(answer, language) == tokens


def test_squad_rules_are_english_in_every_language() -> None:
    assert squad_tokens("die Katze") == ["die", "katze"]
    assert squad_tokens("电池。") == ["电池。"]  # only ASCII punctuation goes
    assert squad_tokens("a.b-an") == ["aban"]  # punctuation goes before articles do


def test_two_empty_answers_match_exactly_with_no_overlap() -> None:
    assert answer_counts(["the"], [["a"]], squad_tokens).tolist() == [[1.0, 0.0, 1.0]]
