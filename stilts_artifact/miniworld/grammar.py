"""Realisation: from a meaning to a sentence in one of the languages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from stilts_artifact.miniworld.family import FAMILY
from stilts_artifact.miniworld.languages import Typology, languages
from stilts_artifact.miniworld.lexicon import Lexicon, descended, lexicon
from stilts_artifact.miniworld.meanings import Compound, Event, Meaning, Name, Report, Tense, Thing
from stilts_artifact.miniworld.morphology import (
    ACCUSATIVE,
    NOMINATIVE,
    Morphology,
    Phrase,
    Word,
    phrase,
)
from stilts_artifact.miniworld.nominal import Nominals, is_animate, shift

# The day of the paper's first version, 2020-05-26; any number would do.
SEED = 20200526
"""Seed of the world that ships with the package."""

# Adverbials follow the object, and precede it where the verb stands last, as is usual in verb-final
# languages.
_ORDERS: Mapping[str, tuple[str, ...]] = {
    "SVO": ("agent", "verb", "patient", "manner", "place", "time"),
    "VSO": ("verb", "agent", "patient", "manner", "place", "time"),
    "SOV": ("agent", "time", "place", "patient", "manner", "verb"),
}
_DEPRELS = {
    "agent": "nsubj",
    "patient": "obj",
    "manner": "advmod",
    "place": "obl",
    "time": "obl",
    "why": "advmod",
}

Segment = tuple[str, Phrase]
"""Part of a sentence: the slot it fills ("agent", "verb", ..., "link"), and its words."""


class Grammar:
    """One language: meanings in, sentences out."""

    def __init__(self, language: Typology, words: Lexicon) -> None:
        self.language = language
        self._m = Morphology(language, words)
        self._nominals = Nominals(self._m, self._relative_clause)
        # A language has few verb forms and plain words, met a hundred thousand times each.
        self._verbs: dict[tuple[str, Tense, bool, bool], Phrase] = {}
        self._plain: dict[tuple[str, str], Phrase] = {}
        self._order = _ORDERS[language.order]

    def text(self, meaning: Meaning) -> str:
        """The sentence, with its full stop or question mark."""
        return " ".join(
            [found.text for _, found in self.segments(meaning) if found.text]
        ) + self.stop(meaning)

    def word(self, concept: str) -> str:
        """The concept's word by itself."""
        return self._word(concept, "X").text

    def name(self, name: Name) -> str:
        """The first word of a name."""
        return self._nominals.phrase(name, NOMINATIVE).words[0].form

    def stop(self, meaning: Meaning) -> str:
        """The sentence's last punctuation mark."""
        return "?" if isinstance(meaning, Event) and meaning.asks is not None else "."

    def spans(self, event: Event) -> tuple[str, dict[str, tuple[int, int]]]:
        """The sentence, and where in it the noun phrase of each slot stands (code points)."""
        spans, at, texts = {}, 0, []
        for slot, found in self.segments(event):
            spans[slot] = (at + found.start, at + found.end)
            at += len(found.text) + 1
            texts.append(found.text)
        return " ".join(texts) + self.stop(event), spans

    def segments(self, meaning: Meaning) -> list[Segment]:
        """The sentence as phrases in order, without its last punctuation mark."""
        if isinstance(meaning, Event):
            return self.clause(meaning)
        if isinstance(meaning, Compound):
            # One agent of two clauses is said once; a treebank has an empty node in its place.
            elided = meaning.link == "and" and meaning.first.agent == meaning.second.agent
            link = ("link", self._word(meaning.link, "CCONJ" if meaning.link == "and" else "SCONJ"))
            return [*self.clause(meaning.first), link, *self.clause(meaning.second, elided)]
        return self._report(meaning)

    def clause(self, event: Event, elided: bool = False) -> list[Segment]:
        """The phrases of one clause."""
        order = self._order
        if event.front is not None:
            order = (event.front, *(slot for slot in order if slot != event.front))
        # Nothing in a clause answers "why", so its word has no place to stay in and opens the
        # clause in every language.
        if event.asks is not None and (self.language.fronts_question_word or event.asks == "why"):
            order = (event.asks, *(slot for slot in order if slot != event.asks))
        segments = []
        for slot in order:
            found = self._slot(event, slot, elided)
            if found is not None:
                segments.append((slot, found))
        return segments

    def _slot(self, event: Event, slot: str, elided: bool) -> Phrase | None:
        if slot == "verb":
            agent = event.agent
            plural = isinstance(agent, Thing) and agent.number != 1
            return self.verb(event.verb, event.tense, event.negated, plural)
        if slot == event.asks:
            return self._nominals.question_word(slot, is_animate(getattr(event, slot, None)))
        filler = getattr(event, slot)
        if filler is None:
            return None
        if slot == "agent":
            return _ELIDED if elided else self._nominals.phrase(filler, NOMINATIVE)
        if slot == "time":
            return self._nominals.time(filler)
        if slot == "place":
            return self._nominals.phrase(filler.ground, filler.relation)
        if slot == "manner" or isinstance(filler, str):
            return self._word(filler, "ADV" if slot == "manner" else "ADJ")
        return self._nominals.phrase(filler, NOMINATIVE if event.verb == "be" else ACCUSATIVE)

    def verb(self, verb: str, tense: Tense, negated: bool, plural: bool) -> Phrase:
        """The verb with its particles and suffixes."""
        key = (verb, tense, negated, plural)
        found = self._verbs.get(key)
        if found is None:
            found = self._verbs[key] = self._make_verb(*key)
        return found

    def _make_verb(self, verb: str, tense: Tense, negated: bool, plural: bool) -> Phrase:
        m, free = self._m, self.language.free
        particles = []
        if tense != "present" and tense in free:
            particles.append(m.plain("will" if tense == "future" else "did", "AUX", "aux"))
        if negated and "negation" in free:
            particles.append(m.plain("not", "PART", "advmod"))
        marks: dict[str, str] = {} if tense == "present" else {tense: m.suffixes[tense]}
        if negated:
            marks["negation"] = m.suffixes["negation"]
        if plural:
            marks["agreement"] = m.suffixes["agreement"]
        group = m.inflected(m.roots[verb], "AUX" if verb == "be" else "VERB", marks)
        verb_last = self.language.order == "SOV"
        # A verb-final language mirrors the group: what stands before the verb elsewhere follows it.
        words = [*group, *reversed(particles)] if verb_last else [*particles, *group]
        root = 0 if verb_last else len(particles)
        return phrase(
            [w._replace(head=root) if i != root else w for i, w in enumerate(words)], root
        )

    def _word(self, concept: str, upos: str) -> Phrase:
        key = (concept, upos)
        found = self._plain.get(key)
        if found is None:
            found = self._plain[key] = phrase([self._m.plain(concept, upos, "root")], 0)
        return found

    def _report(self, report: Report) -> list[Segment]:
        frame = self.clause(Event(report.verb, report.speaker, tense=report.tense))
        that, content = ("link", self._word("that", "SCONJ")), self.clause(report.content)
        if self.language.order == "SOV":
            return [*frame[:-1], *content, that, frame[-1]]
        return [*frame, that, *content]

    def _relative_clause(self, event: Event) -> tuple[list[Word], int]:
        return clause_tree(self.clause(event), event)


# Written nowhere, and an empty node (8.1) in CoNLL-U, which every reader has to skip.
_ELIDED = Phrase("", (Word("_", "_", "PRON", "root", -1, "empty"),), 0, 0, 0)


def clause_tree(segments: list[Segment], event: Event) -> tuple[list[Word], int]:
    """The words of a clause with heads, and the index of its root, whose own head is -1."""
    slots = [slot for slot, _ in segments]
    # In Universal Dependencies the predicate of "be" is the root, and the verb its copula.
    root_slot = "patient" if event.verb == "be" and "patient" in slots else "verb"
    words: list[Word] = []
    roots: list[tuple[int, str]] = []
    root = 0
    for slot, found in segments:
        at = len(words) + found.root
        words = shift(words, list(found.words))
        if slot == root_slot:
            root = at
        else:
            roots.append((at, "cop" if slot == "verb" else _DEPRELS[slot]))
    # Only now: the root may have been the last phrase to come.
    for at, deprel in roots:
        words[at] = words[at]._replace(head=root, deprel=deprel)
    words[root] = words[root]._replace(head=-1, deprel="root")
    return words, root


@lru_cache(maxsize=64)
def grammar(code: str, seed: int = SEED) -> Grammar:
    """The grammar of a language, one that ships or of the family, in the world with this seed."""
    if code in FAMILY:
        language = FAMILY[code].language
        return Grammar(language, descended(lexicon(seed), language, seed))
    return Grammar(languages[code], lexicon(seed))


def realise(meaning: Meaning, language: str, seed: int = SEED) -> str:
    """A sentence that says this in that language; one meaning in two languages is a translation.

    Args:
        language: its code.

    Raises:
        KeyError: if there is no such language.
    """
    return grammar(language, seed).text(meaning)
