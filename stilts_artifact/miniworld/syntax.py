"""Dependency trees of whole sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stilts_artifact.miniworld.grammar import Grammar, Segment, clause_tree
from stilts_artifact.miniworld.meanings import Compound, Event, Meaning, Report
from stilts_artifact.miniworld.morphology import Word
from stilts_artifact.miniworld.nominal import shift


class Piece(NamedTuple):
    """Words, the index of their root, and the relation of that root to the head of the whole."""

    words: Sequence[Word]
    root: int
    deprel: str


def tree(own: Grammar, meaning: Meaning) -> list[Word]:
    """The words of a sentence with its final punctuation; heads are indices, -1 for the root."""
    words, root = _tree(own, meaning)
    stop = own.stop(meaning)
    return [*words, Word(stop, stop, "PUNCT", "punct", root)]


def _tree(own: Grammar, meaning: Meaning) -> tuple[list[Word], int]:
    if isinstance(meaning, Event):
        return clause_tree(own.clause(meaning), meaning)
    segments = own.segments(meaning)
    if isinstance(meaning, Compound):
        at = next(index for index, (slot, _) in enumerate(segments) if slot == "link")
        first = Piece(*clause_tree(segments[:at], meaning.first), "root")
        second = _linked(
            segments[at],
            segments[at + 1 :],
            meaning.second,
            "cc" if meaning.link == "and" else "mark",
        )
        return merge([first, second._replace(deprel="conj" if meaning.link == "and" else "advcl")])
    return _report(own, meaning, segments)


def _linked(link: Segment, clause: list[Segment], event: Event, deprel: str) -> Piece:
    words, root = merge(
        [Piece(link[1].words, 0, deprel), Piece(*clause_tree(clause, event), "root")]
    )
    return Piece(words, root, "root")


def _report(own: Grammar, report: Report, segments: list[Segment]) -> tuple[list[Word], int]:
    at = next(index for index, (slot, _) in enumerate(segments) if slot == "link")
    mark = Piece(segments[at][1].words, 0, "mark")
    if own.language.order == "SOV":
        content = Piece(*clause_tree(segments[1:at], report.content), "root")
        embedded = Piece(*merge([content, mark]), "ccomp")
        agent, verb = segments[0][1], segments[-1][1]
        return merge(
            [
                Piece(agent.words, agent.root, "nsubj"),
                embedded,
                Piece(verb.words, verb.root, "root"),
            ]
        )
    content = Piece(*clause_tree(segments[at + 1 :], report.content), "root")
    embedded = Piece(*merge([mark, content]), "ccomp")
    frame = [
        Piece(found.words, found.root, "root" if slot == "verb" else "nsubj")
        for slot, found in segments[:at]
    ]
    return merge([*frame, embedded])


def merge(pieces: Sequence[Piece]) -> tuple[list[Word], int]:
    """Pieces in order as one tree, headed by the piece whose relation is ``root``."""
    words: list[Word] = []
    roots: list[tuple[int, str]] = []
    for piece in pieces:
        roots.append((len(words) + piece.root, piece.deprel))
        words = shift(words, list(piece.words))
    head = next(at for at, deprel in roots if deprel == "root")
    for at, deprel in roots:
        words[at] = words[at]._replace(head=-1 if at == head else head, deprel=deprel)
    return words, head
