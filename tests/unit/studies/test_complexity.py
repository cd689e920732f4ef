"""Measures of complexity: their definitions, worked by hand, and a world whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from stilts_artifact.errors import DataError
from stilts_artifact.miniworld import grammar, languages
from stilts_artifact.miniworld.tasks_tagging import sentences
from stilts_artifact.studies.complexity import (
    SAMPLE,
    Word,
    entropy,
    mattr,
    measure_treebank,
    missing_annotation,
    type_token_ratio,
    word_entropy,
    word_structure,
    words,
)

MEANINGS = 1500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("«Дом», — сказал он.", ["дом", "сказал", "он"]),
        ("it's O'Neil (1984)", ["it's", "o'neil"]),
        ("می\u200cروم؟ नमस्ते।", ["می\u200cروم", "नमस्ते"]),
        ("क्\u200d — ", ["क्\u200d"]),
        ("... 3,5 % -- !", []),
    ],
)
def test_words_are_what_space_separates_without_punctuation(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def windows_by_hand(tokens: Sequence[str], window: int) -> float:
    size = min(window, len(tokens))
    ratios = [
        len(set(tokens[start : start + size])) / size for start in range(len(tokens) - size + 1)
    ]
    return sum(ratios) / len(ratios)


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=40), st.integers(1, 50))
def test_mattr_is_the_mean_over_all_windows(tokens: list[str], window: int) -> None:
    assert mattr(tokens, window) == pytest.approx(windows_by_hand(tokens, window))


def test_miller_and_madow_correct_the_entropy_of_a_sample() -> None:
    generator = np.random.default_rng(1)
    estimates = [
        (entropy(tokens), word_entropy(tokens))
        for tokens in generator.integers(64, size=(200, 500)).tolist()
    ]
    plain, corrected = np.mean(estimates, axis=0)
    assert plain == pytest.approx(6 - 63 / (2 * 500 * np.log(2)), abs=0.01)
    assert corrected == pytest.approx(6, abs=0.01)


def test_words_with_an_inner_structure_have_a_word_structure() -> None:
    generator = np.random.default_rng(1)
    stems = ["".join(generator.choice(list("bdgklmnprst"), 5)) for _ in range(100)]
    built = [stem + end for stem, end in product(stems, ("amos", "atis", "anturi", "avissem"))]
    others = ["".join(generator.permutation(list(word))) for word in built]
    structured, shuffled = (
        word_structure(list(generator.permutation(text)), generator) for text in (built, others)
    )
    assert structured > 0.3 > abs(shuffled)


def bank(*columns: tuple[str, str, str, str]) -> list[list[Word]]:
    """A treebank of one sentence."""
    return [[Word(*column) for column in columns]]


def test_measures_of_a_treebank_are_their_definitions() -> None:
    treebank = bank(
        ("Runs", "run", "VERB", "Person=3|Tense=Pres"),
        ("ran", "run", "VERB", "Tense=Past"),
        ("dogs", "dog", "NOUN", "Number=Plur"),
        ("dog", "dog", "NOUN", "Number=Sing"),
        (".", ".", "PUNCT", "_"),
        ("42", "42", "NUM", "NumType=Card"),
    )
    # The sample repeats the one sentence; without punctuation and digits it has four words.
    found = measure_treebank(treebank, "UD_Test")
    assert found.ttr == pytest.approx(4 / SAMPLE)
    assert (found.wh, found.lh) == (2, 1)
    assert found.msp == 2
    assert found.inflection == 2
    # Person=3, Tense=Pres, Tense=Past, Number=Plur, Number=Sing: five, equally often.
    assert found.mfh == pytest.approx(np.log2(5))
    assert found.reason is None


def test_a_treebank_without_lemmas_has_no_paradigms() -> None:
    """Thai's, ungated, would have 497 forms per lemma: all its words have the lemma ``_``."""
    treebank = bank(*((f"word{number}", "_", "NOUN", "Case=Nom") for number in range(500)))
    found = measure_treebank(treebank, "UD_Thai")
    assert (found.msp, found.lh, found.inflection, found.mfh) == (None, None, None, None)
    assert found.reason is not None and found.reason.startswith("0% of the words have a lemma")
    assert found.wh > 8


@pytest.mark.parametrize(
    ("lemmas", "features", "is_enough"), [(96, 41, True), (95, 41, False), (96, 40, False)]
)
def test_the_gate_is_above_95_and_40_percent(lemmas: int, features: int, is_enough: bool) -> None:
    columns = [
        ("w", "l" if number < lemmas else "_", "NOUN", "A=B" if number < features else "_")
        for number in range(100)
    ]
    assert (missing_annotation(bank(*columns)) is None) == is_enough


@pytest.mark.slow
def test_the_sample_follows_from_the_name() -> None:
    treebank = [[Word(f"w{(3 * n) % 97}", f"l{n % 31}", "NOUN", "A=B")] for n in range(400)]
    assert measure_treebank(treebank, "UD_A") == measure_treebank(treebank, "UD_A")
    assert measure_treebank(treebank, "UD_A") != measure_treebank(treebank, "UD_B")


def test_no_words_are_an_error() -> None:
    for measure in (type_token_ratio, mattr, entropy, word_entropy):
        with pytest.raises(DataError, match="without words"):
            measure([])
    with pytest.raises(DataError) as caught:
        measure_treebank(bank((".", ".", "PUNCT", "_")), "UD_Test")
    assert caught.value.where == "UD_Test"


@pytest.fixture(scope="module")
def mini_texts() -> dict[str, list[str]]:
    """The words of the same meanings in every invented language."""
    meanings = list(sentences(1, ("study", "all"), "train", MEANINGS))
    return {
        code: [word for meaning in meanings for word in words(grammar(code, 1).text(meaning))]
        for code in languages
    }


@pytest.mark.slow
def test_mattr_follows_the_number_of_bound_morphemes(mini_texts: dict[str, list[str]]) -> None:
    """Over equal meanings; the entropy of words nearly so."""
    bound = [len(languages[code].bound) for code in mini_texts]
    assert spearmanr(bound, list(map(mattr, mini_texts.values()))).statistic == pytest.approx(1)
    entropies = list(map(word_entropy, mini_texts.values()))
    assert spearmanr(bound, entropies).statistic == pytest.approx(0.93, abs=0.02)
