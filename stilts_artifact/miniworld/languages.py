"""The eight invented languages as one literal table, from near to far of the source language.

Codes are from the range ISO 639-3 leaves to private use (qaa..qtz), so no result can be taken for
one about a real language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Script = Literal["Latin", "Cyrillic", "Greek", "Armenian"]
WordOrder = Literal["SVO", "SOV", "VSO"]
Order = Literal["before", "after"]
Category = Literal[
    "plural",
    "definite",
    "indefinite",
    "accusative",
    "adposition",
    "past",
    "future",
    "negation",
    "agreement",
]


@dataclass(frozen=True, slots=True)
class Typology:
    """What a descriptive grammar would say of the language, as parameters.

    Args:
        replaced: share of the vocabulary whose inherited root was replaced by an unrelated one.
        sound_changes: how many of :data:`phonology.SOUND_CHANGES`, in order, the language
            underwent.
        order: of subject, verb and object in a statement.
        adjective, numeral: their place relative to the noun.
        relative: place of the relative clause relative to the noun.
        adposition: a preposition stands before its noun phrase, a postposition after it.
        bound: categories expressed by a suffix, in the order in which suffixes follow the stem.
            Their number is the number of bound morphemes a word can take: none is isolating, eight
            is agglutinative.
        free: categories expressed by a word of their own. A category in neither is not expressed.
        clitic: the bound categories that a treebank counts as syntactic words (multiword tokens).
        harmony: vowels of suffixes agree in backness with the stem.
        fronts_question_word: the question word opens the clause (else it stays where the answer
            would stand).
    """

    code: str
    name: str
    script: Script
    replaced: float
    sound_changes: int
    order: WordOrder
    adjective: Order
    numeral: Order
    relative: Order
    adposition: Order
    bound: tuple[Category, ...]
    free: tuple[Category, ...]
    clitic: tuple[Category, ...] = ()
    harmony: bool = False
    fronts_question_word: bool = True


SOURCE_LANGUAGE = "qen"

# From one row to the next, something more departs from the source language: roots, sounds, word
# order, script, morphology. So zero-shot scores have a reason to fall with distance.
_TABLE = (
    Typology(
        code="qen",
        name="Enish",
        script="Latin",
        replaced=0.0,
        sound_changes=0,
        order="SVO",
        adjective="before",
        numeral="before",
        relative="after",
        adposition="before",
        bound=("plural", "past"),
        free=("definite", "indefinite", "adposition", "future", "negation"),
    ),
    Typology(
        code="qaa",
        name="Aanic",
        script="Latin",
        replaced=0.06,
        sound_changes=2,
        order="SVO",
        adjective="before",
        numeral="before",
        relative="after",
        adposition="before",
        bound=("plural", "past"),
        free=("definite", "indefinite", "adposition", "future", "negation"),
    ),
    Typology(
        code="qab",
        name="Abric",
        script="Latin",
        replaced=0.14,
        sound_changes=3,
        order="SVO",
        adjective="after",
        numeral="before",
        relative="after",
        adposition="before",
        bound=("plural", "past", "agreement"),
        free=("definite", "adposition", "future", "negation"),
    ),
    Typology(
        code="qac",
        name="Acan",
        script="Latin",
        replaced=0.24,
        sound_changes=4,
        order="VSO",
        adjective="after",
        numeral="before",
        relative="after",
        adposition="before",
        bound=(),
        free=("plural", "adposition", "past", "future", "negation"),
    ),
    Typology(
        code="qad",
        name="Adlan",
        script="Cyrillic",
        replaced=0.32,
        sound_changes=5,
        order="SVO",
        adjective="before",
        numeral="before",
        relative="after",
        adposition="before",
        bound=("plural", "accusative", "past", "future", "agreement"),
        free=("adposition", "negation"),
    ),
    Typology(
        code="qae",
        name="Aelic",
        script="Greek",
        replaced=0.44,
        sound_changes=7,
        order="VSO",
        adjective="after",
        numeral="before",
        relative="after",
        adposition="before",
        bound=("plural", "definite", "accusative", "past", "future", "agreement"),
        free=("adposition", "negation"),
        clitic=("definite",),
    ),
    Typology(
        code="qaf",
        name="Afuri",
        script="Cyrillic",
        replaced=0.56,
        sound_changes=8,
        order="SOV",
        adjective="before",
        numeral="before",
        relative="before",
        adposition="after",
        bound=("plural", "definite", "accusative", "negation", "past", "future", "agreement"),
        free=("adposition",),
        clitic=("negation",),
        harmony=True,
        fronts_question_word=False,
    ),
    Typology(
        code="qag",
        name="Agamak",
        script="Armenian",
        replaced=0.70,
        sound_changes=10,
        order="SOV",
        adjective="before",
        numeral="after",
        relative="before",
        adposition="after",
        bound=(
            "plural",
            "definite",
            "accusative",
            "adposition",
            "negation",
            "past",
            "future",
            "agreement",
        ),
        free=(),
        clitic=("adposition", "negation"),
        harmony=True,
        fronts_question_word=False,
    ),
)

languages: Mapping[str, Typology] = MappingProxyType(
    {language.code: language for language in _TABLE}
)

TRANSLATED = ("qab", "qad", "qaf")
"""Languages that intermediate data is also available in: near, middling and far."""
MINED = ("qaa", "qac", "qae", "qag")
"""Languages that have a comparable corpus with the source language."""
