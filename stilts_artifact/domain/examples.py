"""The typed examples that readers return, one dataclass for each form of task."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PairExample:
    """Two texts and the relation between them (NLI, paraphrase)."""

    id: str
    first: str
    second: str
    label: str


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A prompt and its candidate continuations; ``label`` indexes ``choices``, 0-based."""

    id: str
    prompt: str
    choices: tuple[str, ...]
    label: int


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """Words with one tag each: ``len(words) == len(tags)``, never empty."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and its offset: ``context[start:start + len(text)] == text``, in code points."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class SpanExample:
    """A question on a context. No answers means unanswerable (SQuAD v2.0 only)."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of a corpus with its id."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class GoldPair:
    """Ids of two sentences that translate each other."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences at the same position of two aligned files."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class AlignedSentence(SentencePair):
    """The same, and the id of the document that both sides stand in."""

    document: str


Example = PairExample | ChoiceExample | TaggedSentence | SpanExample | GoldPair | SentencePair


@dataclass(frozen=True, slots=True)
class ComparableCorpus:
    """A mining problem (BUCC): two corpora and the translation pairs hidden in them.

    Its size, as tables count it, is the number of gold pairs.
    """

    source: tuple[Sentence, ...]
    target: tuple[Sentence, ...]
    gold: tuple[GoldPair, ...]
