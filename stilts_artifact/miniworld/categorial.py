"""Derivations of the source language's sentences in combinatory categorial grammar.

They are written in CCGbank's AUTO format. The language has subject, verb, object order with
prepositions, so its categories are English ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stilts_artifact.miniworld.grammar import Grammar, Segment
from stilts_artifact.miniworld.meanings import Compound, Event, Meaning, Referent, Report, Thing
from stilts_artifact.miniworld.morphology import Phrase, Word

VP = r"S[dcl]\NP"
BARE_VP = r"S[b]\NP"
AFTER_VP = r"(S\NP)\(S\NP)"
BEFORE_VP = r"(S\NP)/(S\NP)"

_PENN = {
    "NOUN": "NN",
    "PROPN": "NNP",
    "VERB": "VB",
    "AUX": "MD",
    "ADJ": "JJ",
    "ADV": "RB",
    "PART": "RB",
    "DET": "DT",
    "NUM": "CD",
    "ADP": "IN",
    "SCONJ": "IN",
    "CCONJ": "CC",
    "PRON": "WP",
    "PUNCT": ".",
}


class Node(NamedTuple):
    """A constituent: its category, and its text in AUTO."""

    category: str
    auto: str


def leaf(category: str, word: Word) -> Node:
    """``(<L category POS POS word category>)``."""
    pos = _PENN[word.upos]
    return Node(category, f"(<L {category} {pos} {pos} {word.form} {category}>)")


def node(category: str, head: int, *children: Node) -> Node:
    """``(<T category head children> ...)``."""
    inner = " ".join([child.auto for child in children])
    return Node(category, f"(<T {category} {head} {len(children)}> {inner} )")


def derivation(own: Grammar, meaning: Meaning) -> Node:
    """A whole sentence with its last punctuation mark."""
    stop = own.stop(meaning)
    body = _body(own, meaning)
    return node(body.category, 0, body, leaf(".", Word(stop, stop, "PUNCT", "punct")))


def _body(own: Grammar, meaning: Meaning) -> Node:
    if isinstance(meaning, Event):
        return clause(own, own.clause(meaning), meaning)
    segments = own.segments(meaning)
    at = next(index for index, (slot, _) in enumerate(segments) if slot == "link")
    link, rest = segments[at][1].words[0], segments[at + 1 :]
    if isinstance(meaning, Report):
        return _report(own, meaning, segments[:at], link, clause(own, rest, meaning.content))
    return _compound(own, meaning, segments[:at], link, rest)


def _report(own: Grammar, report: Report, frame: list[Segment], that: Word, content: Node) -> Node:
    embedded = node("S[em]", 0, leaf("S[em]/S[dcl]", that), content)
    (_, agent), (_, verb) = frame
    says = node(VP, 0, _verb(verb.words, "S[em]"), embedded)
    return node("S[dcl]", 1, noun_phrase(own, agent.words, report.speaker), says)


def _compound(
    own: Grammar, meaning: Compound, first: list[Segment], link: Word, second: list[Segment]
) -> Node:
    if meaning.link == "because":
        reason = node(
            AFTER_VP, 0, leaf(f"({AFTER_VP})/S[dcl]", link), clause(own, second, meaning.second)
        )
        (_, agent), *predicate = first
        told = node(VP, 0, verb_phrase(own, predicate, meaning.first), reason)
        return node("S[dcl]", 1, noun_phrase(own, agent.words, meaning.first.agent), told)
    if second[0][1].text:
        one, two = clause(own, first, meaning.first), clause(own, second, meaning.second)
        return _coordinated("S[dcl]", one, link, two)
    (_, agent), *predicate = first
    one = verb_phrase(own, predicate, meaning.first)
    two = verb_phrase(own, second[1:], meaning.second)
    both = _coordinated(VP, one, link, two)
    return node("S[dcl]", 1, noun_phrase(own, agent.words, meaning.first.agent), both)


def _coordinated(category: str, first: Node, link: Word, second: Node) -> Node:
    return node(category, 0, first, node(f"{category}[conj]", 1, leaf("conj", link), second))


def clause(own: Grammar, segments: list[Segment], event: Event) -> Node:
    """A main clause: question word or fronted adjunct, subject, predicate."""
    (slot, found), *rest = segments
    if slot == event.asks:
        return _question(own, found.words[0], rest, event)
    if slot == event.front:
        moved = _adjunct(own, slot, found.words, event, "S/S")
        return node("S[dcl]", 1, moved, clause(own, rest, event._replace(front=None)))
    subject = noun_phrase(own, found.words, event.agent)
    return node("S[dcl]", 1, subject, verb_phrase(own, rest, event))


def _question(own: Grammar, word: Word, rest: list[Segment], event: Event) -> Node:
    if event.asks == "agent":
        return node("S[wq]", 0, leaf(f"S[wq]/({VP})", word), verb_phrase(own, rest, event))
    if event.asks == "patient":
        return node("S[wq]", 0, leaf("S[wq]/(S[dcl]/NP)", word), _gapped(own, rest, event))
    return node(
        "S[wq]", 0, leaf("S[wq]/S[dcl]", word), clause(own, rest, event._replace(asks=None))
    )


def _gapped(own: Grammar, segments: list[Segment], event: Event) -> Node:
    """A clause without its object: the subject is raised and composed with the verb."""
    (_, agent), (_, verb), *adjuncts = segments
    raised = node(r"S/(S\NP)", 0, noun_phrase(own, agent.words, event.agent))
    body = _verb(verb.words, "NP")
    for slot, found in adjuncts:
        body = node(body.category, 0, body, _adjunct(own, slot, found.words, event, AFTER_VP))
    return node("S[dcl]/NP", 1, raised, body)


def verb_phrase(own: Grammar, segments: list[Segment], event: Event) -> Node:
    """The verb, its complement, and then its adjuncts from left to right."""
    found = dict(segments)
    complement = _complement(own, found, event)
    verb = _verb(found["verb"].words, None if complement is None else complement.category)
    body = verb if complement is None else node(VP, 0, verb, complement)
    for slot, part in segments:
        if slot not in ("verb", "patient"):
            body = node(VP, 0, body, _adjunct(own, slot, part.words, event, AFTER_VP))
    return body


def _complement(own: Grammar, found: dict[str, Phrase], event: Event) -> Node | None:
    if "patient" not in found:
        return None
    words = found["patient"].words
    if isinstance(event.patient, str):
        return leaf(r"S[adj]\NP", words[0])
    return noun_phrase(own, words, event.patient)


def _verb(words: Sequence[Word], complement: str | None) -> Node:
    """The verb group; ``complement`` is the category that the verb still wants."""
    wanted = "" if complement is None else f"/{_bracketed(complement)}"
    *particles, verb = words
    auxiliary = particles[0] if particles and particles[0].upos == "AUX" else None
    bare = VP if auxiliary is None else BARE_VP
    category = f"({bare}){wanted}" if wanted else bare
    group = leaf(category, verb)
    negation = next((word for word in particles if word.upos == "PART"), None)
    if negation is not None:
        group = node(category, 1, leaf(BEFORE_VP, negation), group)
    if auxiliary is not None:
        full = f"({VP}){wanted}" if wanted else VP
        group = node(full, 0, leaf(f"({VP})/({BARE_VP})", auxiliary), group)
    return group


def _bracketed(category: str) -> str:
    return f"({category})" if "\\" in category else category


def _adjunct(own: Grammar, slot: str, words: Sequence[Word], event: Event, category: str) -> Node:
    if slot == "manner":
        return leaf(category, words[0])
    ground = event.place.ground if slot == "place" and event.place is not None else None
    preposition = leaf(f"({category})/NP", words[0])
    return node(category, 0, preposition, noun_phrase(own, words[1:], ground))


def noun_phrase(own: Grammar, words: Sequence[Word], referent: Referent | str | None) -> Node:
    """Determiner, numeral, adjective, noun or name, relative clause."""
    clause_of = referent.clause if isinstance(referent, Thing) else None
    size = len(words)
    if clause_of is not None:
        size = 1 + next(at for at, word in enumerate(words) if word.upos == "NOUN")
    determined = words[0].upos == "DET"
    noun = leaf("N", words[size - 1])
    for word in reversed(words[int(determined) : size - 1]):
        noun = node("N", 1, leaf("N/N", word), noun)
    phrase = (
        node("NP", 0, noun) if not determined else node("NP", 1, leaf("NP[nb]/N", words[0]), noun)
    )
    if clause_of is None:
        return phrase
    that = leaf(rf"(NP\NP)/({VP})", words[size])
    relative = node(r"NP\NP", 0, that, verb_phrase(own, own.clause(clause_of), clause_of))
    return node("NP", 0, phrase, relative)
