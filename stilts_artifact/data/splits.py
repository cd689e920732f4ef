"""Read a split of a task: its parts through their readers, joined into examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stilts_artifact.data.library import Library
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.examples import ComparableCorpus, Example, SentencePair
from stilts_artifact.domain.tasks import Part, Split, Task, TaskForm
from stilts_artifact.errors import ConfigError, DataError

SplitData = list[Example] | ComparableCorpus

# The examples of one part, and the names of its files.
_Read = tuple[list[Any], str]


def read_split(task: Task, split: Split, language: str, library: Library) -> SplitData:
    """All examples of one split in one language, in the order of its files.

    Raises:
        ConfigError: the task has no such split.
        DataError: a file that breaks its format, sides of unequal length, gold ids that no sentence
            has, or no example at all; ``MissingDataError`` where a source is not on this machine.
        IntegrityError: a file whose bytes are not those it is pinned to.
    """
    parts = task.parts.get((split, language))
    if parts is None:
        expected = ", ".join(task.languages_of(split)) or "no language"
        raise ConfigError(
            f"{task.name} has no {split} split in {language}", got=language, expected=expected
        )
    library.prefetch(parts)
    data = _JOINS.get(task.form, _concatenate)([_read_part(part, library) for part in parts])
    if count(data) == 0:
        where = ", ".join(part.source for part in parts)
        what = f"{task.name} has an empty {split} split in {language}"
        raise DataError(what, where=where, got="0 examples", expected="at least 1")
    return data


def count(data: SplitData) -> int:
    """Size of a split as tables count it: examples, or gold pairs of a mining problem."""
    return len(data.gold) if isinstance(data, ComparableCorpus) else len(data)


def _read_part(part: Part, library: Library) -> _Read:
    documents = library.documents(part)
    read = READERS[part.reader]
    options = dict(part.options)
    examples = [
        example
        for document in documents
        for example in read(document.data, document.where, **options)
    ]
    return examples, ", ".join(document.where for document in documents)


def _concatenate(parts: Sequence[_Read]) -> SplitData:
    return [example for examples, _ in parts for example in examples]


def _align(parts: Sequence[_Read]) -> SplitData:
    """Line n of the source translates line n of the target."""
    (source, source_name), (target, target_name) = parts
    if len(source) != len(target):
        raise DataError(
            "the two sides do not have the same number of sentences",
            where=f"{source_name}, {target_name}",
            got=f"{len(source):,} and {len(target):,}",
            expected="equal numbers: line n of one translates line n of the other",
        )
    return [SentencePair(one.text, other.text) for one, other in zip(source, target, strict=True)]


def _corpus(parts: Sequence[_Read]) -> SplitData:
    """Source text, target text and gold; the readers vouch that ids and pairs are unique."""
    (source, source_name), (target, target_name), (gold, gold_name) = parts
    source_ids, target_ids = ({sentence.id for sentence in side} for side in (source, target))
    for line, pair in enumerate(gold, start=1):
        for identity, ids, name in (
            (pair.source, source_ids, source_name),
            (pair.target, target_ids, target_name),
        ):
            if identity not in ids:
                swapped = pair.source in target_ids and pair.target in source_ids
                raise DataError(
                    "gold pair with an unknown id"
                    + (": its two columns are swapped" if swapped else ""),
                    where=f"{gold_name}:{line}",
                    got=repr(identity),
                    expected=f"an id of {name}",
                )
    return ComparableCorpus(tuple(source), tuple(target), tuple(gold))


_JOINS: dict[TaskForm, Callable[[Sequence[_Read]], SplitData]] = {
    TaskForm.SEARCH: _align,
    TaskForm.MINING: _corpus,
}
