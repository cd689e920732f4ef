"""Scores of every layer and pooling, from one pass of the encoder over each language."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from types import MappingProxyType

import numpy as np

from stilts_artifact.data.library import Library
from stilts_artifact.domain.examples import ComparableCorpus, SentencePair
from stilts_artifact.domain.tasks import Split, Task, TaskForm
from stilts_artifact.errors import ConfigError, DataError, unknown_name
from stilts_artifact.forms import MINING, SEARCH
from stilts_artifact.retrieval.bucc import BuccOptions, Threshold, score_bucc
from stilts_artifact.retrieval.encode import (
    POOLINGS,
    Advance,
    Batching,
    Description,
    Inspection,
    PlaceOf,
    Pooling,
    SentenceEncoder,
    View,
    describe,
    embed,
)
from stilts_artifact.retrieval.tatoeba import score_tatoeba
from stilts_artifact.retrieval.texts import places_of, read_corpus
from stilts_artifact.retrieval.transformer import Transformer
from stilts_artifact.retrieval.vectors import Rows

Score = Callable[[SentenceEncoder], float]
"""Points of one language under one encoder."""


@dataclass(frozen=True, slots=True)
class SweepLanguage:
    """One language of a sweep: every text its score will ask for, how it is scored, and where own
    texts stand.
    """

    language: str
    texts: tuple[str, ...]
    score: Score
    place_of: PlaceOf | None = None


@dataclass(frozen=True, slots=True)
class SweepScores:
    """What a sweep found.

    Args:
        points: (name of the pooling, layer) -> language -> points, in the order of the views.
    """

    points: Mapping[tuple[str, int], Mapping[str, float]]

    @classmethod
    def of(cls, scored: Iterable[tuple[str, View, float]]) -> SweepScores:
        """Everything that :func:`sweep` yields."""
        points: defaultdict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        for language, view, value in scored:
            points[view.name, view.layer][language] = value
        return cls(points)

    @property
    def means(self) -> dict[tuple[str, int], float]:
        """(name of the pooling, layer) -> mean over languages, in points."""
        return {view: fmean(languages.values()) for view, languages in self.points.items()}

    @property
    def best(self) -> tuple[str, int]:
        """Name of the pooling, and layer, with the highest mean; the first of equals."""
        means = self.means
        return max(means, key=lambda view: means[view])

    def to_json(self) -> list[dict[str, object]]:
        """As JSON: one object for each view."""
        return [
            {"pooling": name, "layer": layer, "languages": languages, "mean": mean}
            for ((name, layer), languages), mean in zip(
                self.points.items(), self.means.values(), strict=True
            )
        ]


@dataclass(frozen=True, slots=True)
class _Known:
    """Vectors that are already there, looked up by text."""

    description: Description
    rows: Rows
    places: Mapping[str, int]

    def __call__(self, texts: Sequence[str]) -> Rows:
        return np.asarray(self.rows[[self.places[text] for text in texts]])


def parse_layers(text: str) -> tuple[int, ...]:
    """Layers of an option such as ``1-24`` or ``7,13-15``, ascending.

    Raises:
        ConfigError: not such a list.

    Example:
        >>> parse_layers("7,13-15")
        (7, 13, 14, 15)
    """
    layers: set[int] = set()
    for item in text.split(","):
        # No encoder has a thousand layers: a range of more would only fill the memory.
        match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", item.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if first > last:
            raise ConfigError(
                "not a list of layers",
                got=repr(text),
                expected="numbers and ranges, as 1-24 or 7,13-15",
            )
        layers.update(range(first, last + 1))
    return tuple(sorted(layers))


def parse_poolings(text: str) -> tuple[Pooling, ...]:
    """Poolings of an option such as ``mean,cls``.

    Raises:
        ConfigError: an unknown pooling.
    """
    wanted = [item.strip() for item in text.split(",")]
    unknown = [item for item in wanted if item not in POOLINGS]
    if unknown:
        raise ConfigError("unknown pooling", got=repr(unknown[0]), expected=", ".join(POOLINGS))
    return tuple(pooling for pooling in POOLINGS if pooling in wanted)


def sweep(
    transformer: Transformer,
    views: Sequence[View],
    languages: Sequence[SweepLanguage],
    *,
    batching: Batching | None = None,
    advance: Advance | None = None,
    cut: set[str] | None = None,
) -> Iterator[tuple[str, View, float]]:
    """Score every view in every language: (language, view, points).

    Args:
        cut: receives the sentences with more tokens than are kept.

    Raises:
        ConfigError, DataError: as :func:`stilts_artifact.retrieval.encode.embed`.
    """
    batching = batching or Batching()
    cut = cut if cut is not None else set()
    for language in languages:
        # Each text once: sentences occur on both sides, and every score asks for them in its order.
        texts = tuple(dict.fromkeys(language.texts))
        places = MappingProxyType({text: place for place, text in enumerate(texts)})
        # 25 layers of 40,000 sentences of XLM-R large are 4 GB: on disk, one language at a time.
        with tempfile.TemporaryDirectory(prefix="stilts-sweep-") as folder:
            inspection = Inspection(language.place_of, cut)
            outputs = {view: Path(folder) / f"{view.layer}-{view.name}.npy" for view in views}
            made = embed(
                transformer,
                texts,
                outputs,
                batching=batching,
                advance=advance,
                inspection=inspection,
            )
            for view in views:
                known = _Known(describe(transformer, view, batching), made[view], places)
                yield language.language, view, language.score(known)


def search_language(language: str, pairs: Sequence[SentencePair], scale: str) -> SweepLanguage:
    """Tatoeba's accuracy on aligned sentences."""

    def score(encode: SentenceEncoder) -> float:
        return score_tatoeba(language, pairs, encode, scale=scale).metrics["accuracy"]

    return SweepLanguage(
        language, tuple(text for pair in pairs for text in (pair.source, pair.target)), score
    )


def mining_language(language: str, corpus: ComparableCorpus, scale: str) -> SweepLanguage:
    """BUCC's F1 on development data, cut where it is best."""
    options = BuccOptions(threshold=Threshold("oracle"))

    def score(encode: SentenceEncoder) -> float:
        scored = score_bucc(
            (language, Split.DEV), lambda _: corpus, encode, scale=scale, options=options
        )
        return scored.metrics["f1"]

    return SweepLanguage(
        language, tuple(sentence.text for sentence in corpus.source + corpus.target), score
    )


def task_languages(
    task: Task, library: Library, scale: str, only: Sequence[str] = ()
) -> list[SweepLanguage]:
    """The languages of a retrieval task, read from this machine's files.

    Args:
        only: these languages; none for all.

    Raises:
        ConfigError: a language that the task does not have.
        MissingDataError, DataError: a file is not here, or cannot be read.
    """
    for name in only:
        if name not in task.languages:
            raise unknown_name("language", name, task.languages)
    names = only or task.languages
    if task.form is TaskForm.SEARCH:
        return [
            search_language(name, SEARCH.read(task, Split.TEST, name, library), scale)
            for name in names
        ]
    return [
        mining_language(name, MINING.read(task, Split.DEV, name, library), scale) for name in names
    ]


def own_language(source: Path, target: Path) -> SweepLanguage:
    """Anyone's own texts, the second the translation of the first, line by line.

    Raises:
        DataError: a text cannot be read, or they have not the same number of lines.
    """
    corpora = read_corpus("source", source, None), read_corpus("target", target, None)
    sides = [side.texts or () for side in corpora]
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            "the two texts do not have the same number of lines",
            where=f"{source}, {target}",
            got=f"{len(sides[0]):,} and {len(sides[1]):,} lines",
        )
    language = search_language("own text", list(map(SentencePair, *sides)), "own")
    return replace(language, place_of=places_of(*corpora))
