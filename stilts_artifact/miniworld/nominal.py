"""Noun phrases, names and question words."""

from __future__ import annotations

from collections.abc import Callable

from stilts_artifact.miniworld.concepts import ANIMALS, NUMERALS, PERSONS
from stilts_artifact.miniworld.meanings import Event, Name, Referent, Thing
from stilts_artifact.miniworld.morphology import (
    ACCUSATIVE,
    NOMINATIVE,
    Morphology,
    Phrase,
    Word,
    join,
    phrase,
)
from stilts_artifact.miniworld.phonology import write

_ANIMATE = frozenset((*PERSONS, *ANIMALS, "person", "animal", "kid"))
# Words of the noun phrase that depend on the noun: (words before it, words after it).
_Around = tuple[list[Word], list[Word]]


def capitalised(word: str) -> str:
    """The word with its first letter in upper case, as all four scripts write names."""
    return word[:1].upper() + word[1:]


def is_animate(referent: Referent | str | None) -> bool:
    """Whether one asks for it with *who*."""
    if isinstance(referent, Name):
        return referent.kind == "PER"
    return isinstance(referent, Thing) and referent.noun in _ANIMATE


class Nominals:
    """Noun phrases of one language, each made once if it is likely to come again.

    Args:
        clause: makes the words of a relative clause and says which is its head.
    """

    def __init__(
        self, morphology: Morphology, clause: Callable[[Event], tuple[list[Word], int]]
    ) -> None:
        self._m = morphology
        self._language = morphology.language
        self._clause = clause
        self._known: dict[tuple[Referent, str], Phrase] = {}

    def phrase(self, referent: Referent, role: str) -> Phrase:
        """The noun phrase in a role: nominative, accusative, or the adposition that governs it."""
        key = (referent, role)
        found = self._known.get(key)
        if found is None:
            words = (
                self._name(referent, role)
                if isinstance(referent, Name)
                else self._thing(referent, role)
            )
            found = self._governed(words, role)
            # Relative clauses are hardly met twice.
            if isinstance(referent, Name) or referent.clause is None:
                self._known[key] = found
        return found

    def time(self, time: str) -> Phrase:
        """A time noun or a year with its adposition."""
        # No name has such a part (names hold numbers), so the key is free.
        key = (Name("LOC", (time,)), "time")
        found = self._known.get(key)
        if found is None:
            year = time.isdigit()
            sounds = time if year else self._m.roots[time]
            found = self._governed(
                self._m.inflected(sounds, "NUM" if year else "NOUN", self._case("at"), "at"), "at"
            )
            self._known[key] = found
        return found

    def _case(self, role: str) -> dict[str, str]:
        if role == ACCUSATIVE:
            return {"accusative": self._m.suffixes["accusative"]}
        return {} if role == NOMINATIVE else {"adposition": self._m.roots[role]}

    def _governed(self, words: list[Word], role: str) -> Phrase:
        """Adds a free adposition; the word marked ``root`` becomes the head of the others."""
        core = join(words)
        start, end = 0, len(core)
        if role not in (NOMINATIVE, ACCUSATIVE) and "adposition" in self._language.free:
            adposition = self._m.plain(role, "ADP", "case")
            if self._language.adposition == "before":
                words = shift([adposition], words)
                start, end = len(adposition.form) + 1, len(adposition.form) + 1 + len(core)
            else:
                words = [*words, adposition]
        root = next(index for index, word in enumerate(words) if word.deprel == "root")
        resolved = tuple(
            word._replace(head=root) if word.head < 0 and index != root else word
            for index, word in enumerate(words)
        )
        return Phrase(join(resolved), resolved, root, start, end)

    def _thing(self, thing: Thing, role: str) -> list[Word]:
        before, after = self._modifiers(thing)
        m = self._m
        marks = self._case(role)
        if thing.number != 1:
            marks["plural"] = m.suffixes["plural"]
        if thing.definite:
            marks["definite"] = m.suffixes["definite"]
        words = [*before, *m.inflected(m.roots[thing.noun], "NOUN", marks, role), *after]
        return words if thing.clause is None else self._with_clause(words, thing.clause)

    def _modifiers(self, thing: Thing) -> _Around:
        language, m = self._language, self._m
        before: list[Word] = []
        after: list[Word] = []
        if thing.definite and "definite" in language.free:
            before.append(m.plain("the", "DET", "det"))
        if not thing.definite and thing.number == 1 and "indefinite" in language.free:
            before.append(m.plain("a", "DET", "det"))
        if thing.number > 1:
            side = before if language.numeral == "before" else after
            side.append(m.plain(NUMERALS[thing.number - 1], "NUM", "nummod"))
        # Where no suffix says so, and no numeral does.
        elif thing.number == 0 and "plural" in language.free:
            before.append(m.plain("many", "DET", "det"))
        if thing.quality is not None:
            quality = m.plain(thing.quality, "ADJ", "amod")
            if language.adjective == "before":
                before.append(quality)
            else:
                # Next to the noun: a numeral that follows it comes after.
                after.insert(0, quality)
        return before, after

    def _with_clause(self, words: list[Word], clause: Event) -> list[Word]:
        own, root = self._clause(clause)
        own = [
            word._replace(deprel="acl:relcl", head=-1) if index == root else word
            for index, word in enumerate(own)
        ]
        that = self._m.plain("that", "PRON", "nsubj")
        if self._language.relative == "after":
            linked = shift([that._replace(head=root + 1)], own)
            return shift(words, linked)
        return shift([*own, that._replace(head=root)], words)

    def _name(self, name: Name, role: str) -> list[Word]:
        sounds = self._name_parts(name)
        latin = name.kind == "ORG" and len(name.parts) == 1
        words = [self._proper(part, latin) for part in sounds[:-1]]
        marks = self._case(role)
        last = self._m.inflected(sounds[-1], "PROPN", marks, role)
        if latin:
            # An acronym keeps its Latin letters; only what is suffixed to it is in the language's
            # script.
            stem = write(sounds[-1], self._language.script)
            last[0] = last[0]._replace(
                form=sounds[-1] + last[0].form[len(stem) :], lemma=sounds[-1]
            )
        else:
            last[0] = last[0]._replace(
                form=capitalised(last[0].form), lemma=capitalised(last[0].lemma)
            )
        words.append(last[0])
        tagged = [
            word._replace(entity=f"{'I' if at else 'B'}-{name.kind}")
            for at, word in enumerate(words)
        ]
        return [*tagged, *last[1:]]

    def _proper(self, sounds: str, latin: bool) -> Word:
        form = sounds if latin else capitalised(write(sounds, self._language.script))
        return Word(form, form, "PROPN", "flat")

    def _name_parts(self, name: Name) -> list[str]:
        """The sounds of each word of a name, in the language's order."""
        lexicon = self._m.lexicon
        if name.kind == "PER":
            given, *family = name.parts
            return [lexicon.given[int(given)], *(lexicon.family[int(part)] for part in family)]
        if len(name.parts) == 1:
            (part,) = name.parts
            return [
                lexicon.acronyms[int(part)] if name.kind == "ORG" else lexicon.cities[int(part)]
            ]
        # In a place the common word modifies ("Old Town"); in an office the city does ("Town
        # Bank").
        common, city = self._m.roots[str(name.parts[0])], lexicon.cities[int(name.parts[1])]
        if name.kind == "LOC":
            return [common, city] if self._language.adjective == "before" else [city, common]
        return [city, common] if self._language.adjective == "before" else [common, city]

    def question_word(self, asked: str, animate: bool) -> Phrase:
        """Who, what, where, when or why."""
        concept = {"place": "where", "time": "when", "why": "why"}.get(
            asked, "who" if animate else "what"
        )
        return phrase(
            [self._m.plain(concept, "PRON" if concept in ("who", "what") else "ADV", "root")], 0
        )


def shift(first: list[Word], second: list[Word]) -> list[Word]:
    """Two runs of words as one, the heads inside the second moved along."""
    by = len(first)
    return [
        *first,
        *(word._replace(head=word.head + by) if word.head >= 0 else word for word in second),
    ]
