"""Text to pretrain on: passages of the mini world in its languages, alone or translated.

The passages come from random streams of their own, and no sentence of any task's development or
test set, in any language, is among them: those are gathered here too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from stilts_artifact.data.fetch import Openers, fetch
from stilts_artifact.data.library import Library
from stilts_artifact.domain.tasks import Benchmark, Split
from stilts_artifact.forms import form_of
from stilts_artifact.miniworld import SEED, passages, realise
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.meanings import Meaning
from stilts_artifact.miniworld.tasks_tagging import named_event
from stilts_artifact.pretraining.recipe import ALIKE

NAMED = 0.15
"""Share of sentences about named people, cities and offices, which passages seldom mention."""

_STOPS = (".", "?")
_BREAK = re.compile(r"(?<=[.?])\s+")


def urn(text: Mapping[str, int]) -> tuple[str, ...]:
    """The languages, each as often as its amount of text says, to draw one from.

    Example:
        >>> urn({"qaa": 1, "qab": 2})
        ('qaa', 'qab', 'qab')
    """
    return tuple(code for code, amount in text.items() for _ in range(amount))


class Window(NamedTuple):
    """One input of the masked language model: a text, or two with a separator between them."""

    first: str
    second: str | None


def key(text: str) -> str:
    """A sentence without spaces and punctuation, which treebanks and tag files set differently.

    Example:
        >>> key("ba limes wime."), key("ba limes wime .")
        ('balimeswime', 'balimeswime')
    """
    return "".join(filter(str.isalnum, text))


def documents(language: str, name: str, forbidden: Collection[str]) -> Iterator[str]:
    """Endless texts in one language.

    Args:
        name: of the random stream.
        forbidden: sentences, as :func:`key` writes them, that must not occur.
    """
    for passage in _told(f"{name}/{language}"):
        sentences = [realise(meaning, language) for meaning in passage]
        if not _any_forbidden(sentences, forbidden):
            yield " ".join(sentences)


def windows(
    name: str,
    parallel_share: float,
    forbidden: Collection[str],
    text: Mapping[str, int] = ALIKE,
) -> Iterator[Window]:
    """Endless windows of the stream with this name; ``forbidden`` as for :func:`documents`.

    Args:
        text: language -> how much likelier it is than one of amount 1 in monolingual windows; a
            parallel one takes any two.

    A parallel window holds one sentence in two languages. A monolingual one holds a passage, split
    in two as often as not, so that a separator does not always mean translation.
    """
    # A stream of its own: how passages are shown must not change which come next.
    r = Stream(SEED, "windows", name)
    codes = urn(text)
    for passage in _told(name):
        if r.chance(parallel_share):
            meaning, pair = r.choice(passage), r.sample(tuple(text), 2)
            sentences = [realise(meaning, code) for code in pair]
            cut = 1
        else:
            # Never two languages but as translations: other pairs would have nothing in common.
            code = r.choice(codes)
            sentences = [realise(meaning, code) for meaning in passage]
            cut = (
                1 + r.below(len(sentences) - 1)
                if len(sentences) > 1 and r.chance(0.5)
                else len(sentences)
            )
        if not _any_forbidden(sentences, forbidden):
            yield Window(" ".join(sentences[:cut]), " ".join(sentences[cut:]) or None)


def _told(name: str) -> Iterator[tuple[Meaning, ...]]:
    """Passages and single sentences about names."""
    r = Stream(SEED, "pretraining", name)
    connected = passages(SEED, f"pretraining/{name}")
    while True:
        yield (named_event(r),) if r.chance(NAMED) else next(connected)


def _any_forbidden(sentences: list[str], forbidden: Collection[str]) -> bool:
    return any(key(sentence) in forbidden for sentence in sentences)


def held_out_sentences(benchmark: Benchmark, library: Library, openers: Openers) -> frozenset[str]:
    """:func:`evaluation_sentences`, whose files are generated first where they are not here yet.

    Args:
        openers: by URL scheme, what generates a file.

    Raises:
        ArtifactError: the first of the files that could not be had.
    """
    report = fetch(list(benchmark.sources.values()), library, offline=True, openers=openers)
    for failure in report.absent:
        raise failure.error
    return evaluation_sentences(benchmark, library)


def evaluation_sentences(benchmark: Benchmark, library: Library) -> frozenset[str]:
    """Every sentence of every development and test set in every language, as :func:`key` writes it.

    What does not end in a full stop or question mark, such as the one-word answers of
    CommonsenseQA, is no sentence.
    """
    return frozenset(
        key(sentence)
        for task in benchmark.tasks.values()
        for split, language in task.parts
        if split is not Split.TRAIN
        for text in form_of(task).texts(form_of(task).read(task, split, language, library))
        for sentence in _BREAK.split(text)
        if sentence.rstrip().endswith(_STOPS)
    )
