"""The sentences that nobody may be pretrained on: those of the development and test sets of all tasks."""

from __future__ import annotations

import re

from stilts_artifact.data.library import Library
from stilts_artifact.domain.tasks import Benchmark, Split
from stilts_artifact.forms import form_of
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
        for text in form_of(task).texts(form_of(task).read(task, split, language, library))
        for sentence in _BREAK.split(text)
        if sentence.rstrip().endswith(_STOPS)
    )
