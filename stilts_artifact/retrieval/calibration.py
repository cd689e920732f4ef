"""Reading the splits of retrieval tasks."""

from __future__ import annotations

from stilts_artifact.data.library import Library
from stilts_artifact.data.splits import read_split
from stilts_artifact.domain.examples import ComparableCorpus, SentencePair
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.errors import DataError


def read_corpus(task: Task, split: Split, language: str, library: Library) -> ComparableCorpus:
    """A split of a mining task.

    Raises:
        DataError, MissingDataError: as :func:`stilts_artifact.data.splits.read_split`.
    """
    data = read_split(task, split, language, library)
    if not isinstance(data, ComparableCorpus):
        raise DataError("not a comparable corpus", where=f"{task.name} {split} {language}")
    return data


def read_pairs(task: Task, split: Split, language: str, library: Library) -> list[SentencePair]:
    """A split of a search task.

    Raises:
        DataError, MissingDataError: as :func:`stilts_artifact.data.splits.read_split`.
    """
    data = read_split(task, split, language, library)
    pairs = (
        []
        if isinstance(data, ComparableCorpus)
        else [pair for pair in data if isinstance(pair, SentencePair)]
    )
    if not pairs:
        raise DataError("not aligned sentences", where=f"{task.name} {split} {language}")
    return pairs
