"""The vocabulary of the languages: inherited roots, replaced roots, suffixes and names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from stilts_artifact.miniworld.concepts import ADPOSITIONS, CONTENT, FUNCTION_WORDS, SUFFIXES
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE, Typology, languages
from stilts_artifact.miniworld.phonology import change, draw_root

# A shape that stands twice is drawn twice as often; function words are short, as everywhere.
CONTENT_SHAPES = ("CVCV", "CVCV", "CVC", "CVCVC")
FUNCTION_SHAPES = ("CV", "CVC", "VC")
SUFFIX_SHAPES = ("VC", "CV", "CVC")

# The order is part of the world: another one draws other words.
_ROOTS = ((FUNCTION_WORDS + ADPOSITIONS, FUNCTION_SHAPES), (CONTENT, CONTENT_SHAPES))
_SUFFIXES = (SUFFIXES, SUFFIX_SHAPES)

GIVEN_NAMES, FAMILY_NAMES, CITIES, ACRONYMS = 60, 90, 60, 30


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Sounds of every word in every language.

    Args:
        age: concept or category -> resistance of its inherited root to replacement, in [0, 1).
        roots: language -> concept -> root, in phonemic writing.
        suffixes: language -> category -> suffix.
        given, family, cities, acronyms: names, the same in every language but for script; acronyms
            are Latin everywhere, so that some words look alike in all languages (as brands and
            numerals do in ours).
    """

    age: dict[str, float]
    roots: dict[str, dict[str, str]]
    suffixes: dict[str, dict[str, str]]
    given: tuple[str, ...]
    family: tuple[str, ...]
    cities: tuple[str, ...]
    acronyms: tuple[str, ...]


@lru_cache(maxsize=2)
def lexicon(seed: int) -> Lexicon:
    """The vocabulary of the world with this seed."""
    stream = Stream(seed, "lexicon")
    roots: dict[str, dict[str, str]] = {code: {} for code in languages}
    age: dict[str, float] = {}
    for concepts, shapes in _ROOTS:
        age |= _add_words(stream, roots, concepts, shapes)
    suffixes: dict[str, dict[str, str]] = {code: {} for code in languages}
    age |= _add_words(stream, suffixes, *_SUFFIXES)
    # No name looks like a word of the source language, so none can be misread there.
    taken = set(roots["qen"].values())
    return Lexicon(
        age=age,
        roots=roots,
        suffixes=suffixes,
        given=_names(stream, GIVEN_NAMES, ("CVCV", "CVCCV", "VCV"), taken),
        family=_names(stream, FAMILY_NAMES, ("CVCVC", "CVCCVC", "VCCVC"), taken),
        cities=_names(stream, CITIES, ("CVCVCV", "VCVC", "CVCCVCV"), taken),
        acronyms=tuple(name.upper() for name in _names(stream, ACRONYMS, ("CCC", "CCVC"), taken)),
    )


def _add_words(
    stream: Stream,
    words: dict[str, dict[str, str]],
    concepts: tuple[str, ...],
    shapes: tuple[str, ...],
) -> dict[str, float]:
    """Gives each concept a word in every language; draws again until no language has homophones.

    Returns:
        The age of each concept's root.
    """
    # One ranking for all languages: what a near one has lost, a farther one has lost too.
    age = {concept: rank / len(concepts) for rank, concept in enumerate(stream.shuffled(concepts))}
    taken = {code: set(own.values()) for code, own in words.items()}
    for concept in concepts:
        forms = _forms(stream, shapes, age[concept])
        # For the whole concept again, or its cognates would no longer correspond by sound.
        while any(form in taken[code] for code, form in forms.items()):
            forms = _forms(stream, shapes, age[concept])
        for code, form in forms.items():
            words[code][concept] = form
            taken[code].add(form)
    return age


def _forms(stream: Stream, shapes: tuple[str, ...], age: float) -> dict[str, str]:
    """One word in every language; ``age`` in [0, 1) is the root's resistance to replacement.

    The same roots fall in every language, the far ones losing more: the shared vocabulary shrinks
    in steps.
    """
    inherited = draw_root(stream, stream.choice(shapes))
    forms = {}
    for code, language in languages.items():
        own = inherited if age >= language.replaced else draw_root(stream, stream.choice(shapes))
        forms[code] = change(own, language.sound_changes)
    return forms


def _names(stream: Stream, size: int, shapes: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    names: list[str] = []
    while len(names) < size:
        name = draw_root(stream, stream.choice(shapes))
        if name not in taken:
            taken.add(name)
            names.append(name)
    return tuple(names)


def descended(parent: Lexicon, language: Typology, seed: int) -> Lexicon:
    """The vocabulary of one more language that comes from the source language; names as there.

    Args:
        language: with sound changes and replaced vocabulary such that of the words that it inherits
            no two have become one, as in no language of the parent's.
    """
    stream = Stream(seed, "lexicon", language.code)
    return replace(
        parent,
        roots={language.code: _inherited(stream, parent.roots, parent.age, language, _ROOTS)},
        suffixes={
            language.code: _inherited(stream, parent.suffixes, parent.age, language, (_SUFFIXES,))
        },
    )


def _inherited(
    stream: Stream,
    words: Mapping[str, Mapping[str, str]],
    age: Mapping[str, float],
    language: Typology,
    tables: Iterable[tuple[tuple[str, ...], tuple[str, ...]]],
) -> dict[str, str]:
    """A language's word for each concept: the source language's, or a new one if that was lost."""
    kept = {
        concept: change(root, language.sound_changes)
        for concept, root in words[SOURCE_LANGUAGE].items()
        if age[concept] >= language.replaced
    }
    taken = set(kept.values())
    for concepts, shapes in tables:
        for concept in concepts:
            if concept in kept:
                continue
            form = ""
            while not form or form in taken:
                root = draw_root(stream, stream.choice(shapes))
                form = change(root, language.sound_changes)
            kept[concept] = form
            taken.add(form)
    return kept
