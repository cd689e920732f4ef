"""What a task is: its names, its languages, and the upstream bytes each split is read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Split(StrEnum):
    """A part of a task's data."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class Role(StrEnum):
    """Where a task stands in the paper: trained on in phase (ii), or evaluated in phase (iii)."""

    INTERMEDIATE = "intermediate"
    TARGET = "target"


class TaskForm(StrEnum):
    """The form of a task, which decides example type, head and metric."""

    PAIR = "sentence-pair classification"
    CHOICE = "multiple choice"
    TAGGING = "tagging"
    SPAN = "span question answering"
    MINING = "bitext mining"
    SEARCH = "translation search"
    ALIGNMENT = "sentence alignment"


Normalisation = Literal["squad", "mlqa"]
"""Whose rules decide when two answers are the same: SQuAD v1.1's, or MLQA's of each language."""


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of upstream bytes that (part of) a split is read from.

    Args:
        source: name of a source of the same benchmark.
        reader: name of a reader in :mod:`stilts_artifact.data.readers`.
        member: path inside the source's archive, ``outer.tar.gz!inner`` for an archive in an
            archive; ``None`` where the source is the file itself. May hold ``*`` (any characters
            but ``/``), which then stands for *every* matching member, read in sorted order.
        options: keyword arguments of the reader.
    """

    source: str
    reader: str
    member: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One task as literal data.

    Args:
        metrics: the first one counts.
        labels: in the order of the head's outputs; none where they are no closed set.
        parts: (split, language) -> the parts whose examples, in order, make that split. For
            :attr:`TaskForm.MINING` they are source text, target text and gold; for
            :attr:`TaskForm.SEARCH` source and target; for :attr:`TaskForm.ALIGNMENT` the same and
            the document of each line.
        group: of targets that XTREME averages first; ``None`` for intermediate tasks.
        tuning: name of the training numbers in a scale file; ``None`` if nothing is trained.
        normalisation: of answers.
        short: heading of at most six characters, where the title is longer.
        source_language: of the benchmark: that of the training data, and the other side of the
            pairs that retrieval finds.
        study: whether only the studies have it, and no table of the paper.
        permuted: whether the features in its tags stand at other words of the same part of speech
            than they are true of.
    """

    name: str
    title: str
    role: Role
    form: TaskForm
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    licence: str
    parts: Mapping[tuple[Split, str], tuple[Part, ...]]
    group: str | None = None
    tuning: str | None = None
    normalisation: Normalisation = "squad"
    short: str | None = None
    source_language: str = "en"
    study: bool = False
    permuted: bool = False

    def languages_of(self, split: Split) -> tuple[str, ...]:
        """Languages that have this split, in the task's order."""
        return tuple(language for language in self.languages if (split, language) in self.parts)


@dataclass(frozen=True, slots=True)
class Text:
    """A collection of running text, for masked language modelling.

    Args:
        parts: language -> what it is read from, in order: one document, paragraph or sentence a
            line, or tagged sentences, of which only the words are taken.
        held_out: language -> tagged sentences that must not be in it: what targets are judged by.
        task: whose training sentences it is the text of; as many of them are taken, and the scale's
            own number of texts does not count.
    """

    parts: Mapping[str, tuple[Part, ...]]
    held_out: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    task: str | None = None

    def of(self, languages: Iterable[str]) -> tuple[Part, ...]:
        """Everything that some of its languages are read from, or held against."""
        return tuple(
            part
            for language in languages
            for part in (*self.parts[language], *self.held_out.get(language, ()))
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive whose hash is public, so that it can stand in for the archive."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """One upstream file.

    Args:
        name: unique in its benchmark; file name under which people know it.
        urls: where it is downloaded from, tried in order; empty if it can only be brought by hand.
        bytes, sha256: its pin. ``None`` only where no public pin exists (a licensed corpus): such a
            file is taken by its ``name`` from a data folder, its hash recorded, and the result
            marked as unpinned.
        licence: of the data, as its publisher states it.
        obtain: how a person gets the file, in one sentence.
        pinned_by: where the pin was published.
        members: known files inside the archive.
        complete: member patterns for which ``members`` lists every match, so that the members
            together can stand in for the archive.
    """

    name: str
    urls: tuple[str, ...]
    bytes: int | None
    sha256: str | None
    licence: str
    obtain: str
    pinned_by: str
    members: tuple[Member, ...] = ()
    complete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Language:
    """A language of a world; ``code`` is ISO 639-1, or a private-use code in the mini world."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A complete benchmark: the same tasks over one set of languages and sources.

    ``texts`` are collections of running text by name, for masked language modelling.
    """

    name: str
    source_language: str
    languages: Mapping[str, Language]
    tasks: Mapping[str, Task]
    sources: Mapping[str, Source]
    texts: Mapping[str, Text]
