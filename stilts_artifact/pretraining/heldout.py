"""The sentences that nobody may be pretrained on: those of the development and test sets of all tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stilts_artifact.data.library import Library
from stilts_artifact.data.splits import SplitData, read_split
from stilts_artifact.domain.examples import (
    ChoiceExample,
    ComparableCorpus,
    PairExample,
    SentencePair,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import Benchmark, Split
from stilts_artifact.pretraining.corpus import key

_STOPS = (".", "?")
_BREAK = re.compile(r"(?<=[.?])\s+")


def evaluation_sentences(benchmark: Benchmark, library: Library) -> frozenset[str]:
    """Every sentence of every development and test set in every language, as :func:`corpus.key` writes it.

    What does not end in a full stop or question mark, such as the one-word answers of
    CommonsenseQA, is no sentence.
    """
    return frozenset(
        key(sentence)
        for task in benchmark.tasks.values()
        for split, language in task.parts
        if split is not Split.TRAIN
        for text in texts(read_split(task, split, language, library))
        for sentence in _BREAK.split(text)
        if sentence.rstrip().endswith(_STOPS)
    )


def texts(data: SplitData) -> Iterator[str]:
    """All running text of a split."""
    if isinstance(data, ComparableCorpus):
        yield from (sentence.text for side in (data.source, data.target) for sentence in side)
        return
    for example in data:
        match example:
            case PairExample():
                yield from (example.first, example.second)
            case ChoiceExample():
                yield from (example.prompt, *example.choices)
            case TaggedSentence():
                yield " ".join(example.words)
            case SpanExample():
                yield from (example.context, example.question)
            case SentencePair():
                yield from (example.source, example.target)
