"""Exact match and token F1 of extracted answers, as SQuAD v1.1 and MLQA define them.

XTREME scores XQuAD and TyDiQA by the SQuAD v1.1 rules in *every* language, so that in Thai or
Chinese, which write no spaces, token F1 is close to whole-span overlap; MLQA has rules of its own
for each language.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Tokens = list[str]
Tokenise = Callable[[str], Tokens]

_SQUAD_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SQUAD_ARTICLES = re.compile(r"\b(?:a|an|the)\b")

_MLQA_ARTICLES: Mapping[str, re.Pattern[str]] = {
    "ar": re.compile("ال"),
    "de": re.compile(r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "en": re.compile(r"\b(?:a|an|the)\b"),
    "es": re.compile(r"\b(?:un|una|unos|unas|el|la|los|las)\b"),
    "vi": re.compile(r"\b(?:của|là|cái|chiếc|những)\b"),
}


class _Punctuation(dict[int, int | None]):
    """Deletes characters of the Unicode categories P*, and ASCII's symbols; looked up on first use.

    A table of all characters would take 0.1 s to build.
    """

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        is_punctuation = character in string.punctuation or unicodedata.category(
            character
        ).startswith("P")
        self[code] = None if is_punctuation else code
        return self[code]


_MLQA_PUNCTUATION = _Punctuation()
_HAN = re.compile("([\u4e00-\u9fa5])")


def squad_tokens(text: str) -> Tokens:
    """Tokens of an answer: lower case, no ASCII punctuation, no English articles.

    Source: XTREME third_party/evaluate_squad.py:26-44 at 838c13b (SQuAD v1.1's own evaluation
    script).

    Example:
        >>> squad_tokens("The  U.S. Navy's «fleet»")
        ['us', 'navys', '«fleet»']
    """
    # Punctuation goes before articles, as in the source: "A-1" becomes "a1", and loses no article.
    return _SQUAD_ARTICLES.sub(" ", text.lower().translate(_SQUAD_PUNCTUATION)).split()


def mlqa_tokens(text: str, language: str) -> Tokens:
    """Tokens of an answer: lower case, no punctuation of any script, no articles; zh by character.

    Only languages with articles in MLQA's rules lose any: de, en, es, vi as whole words, ar every
    "ال" (its pattern is not bound to word starts, though one might expect it). hi, zh and all
    others keep every word.

    Source: XTREME third_party/evaluate_mlqa.py:21-105 at 838c13b.

    Example:
        >>> mlqa_tokens("¿El Niño?", "es"), mlqa_tokens("在1999年 (NASA)", "zh")
        (['niño'], ['在', '1999', '年', 'nasa'])
    """
    text = text.lower().translate(_MLQA_PUNCTUATION)
    if language in _MLQA_ARTICLES:
        text = _MLQA_ARTICLES[language].sub(" ", text)
    if language == "zh":
        text = _HAN.sub(r" \1 ", text)
    return text.split()


def token_f1(predicted: Tokens, gold: Tokens) -> float:
    """Harmonic mean of token precision and recall, counted with multiplicity; 0 if none is shared.

    A fraction: it becomes points when it is averaged. Two empty answers match exactly and still
    have F1 0, as in XTREME third_party/evaluate_squad.py:46-56 at 838c13b.

    Example:
        >>> token_f1(["new", "york"], ["new", "york", "city"])
        0.8
    """
    if set(predicted).isdisjoint(gold):
        return 0.0
    shared = sum((Counter(predicted) & Counter(gold)).values())
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def answer_counts(
    predicted: Iterable[str], gold: Iterable[Sequence[str]], tokenise: Tokenise
) -> NDArray[np.float64]:
    """For each question: best exact match and F1 over its gold answers (fractions), and 1.

    Source: XTREME third_party/evaluate_squad.py:59-100 at 838c13b. Both maxima are taken
    separately.

    Returns:
        Array [questions, 3].

    Example:
        >>> answer_counts(["the Nile"], [["Nile", "the river Nile"]], squad_tokens).tolist()
        [[1.0, 1.0, 1.0]]
    """
    rows = [
        _best(tokenise(text), map(tokenise, answers))
        for text, answers in zip(predicted, gold, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _best(predicted: Tokens, answers: Iterable[Tokens]) -> tuple[float, float, float]:
    scored = [(float(predicted == answer), token_f1(predicted, answer)) for answer in answers]
    return max(exact for exact, _ in scored), max(f1 for _, f1 in scored), 1.0
