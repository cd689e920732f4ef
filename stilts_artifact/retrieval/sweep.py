"""Scores of every layer and pooling, from one pass of the encoder over each language."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

import numpy as np

from stilts_artifact.data.library import Library
from stilts_artifact.documents import dump_json
from stilts_artifact.domain.examples import ComparableCorpus, SentencePair
from stilts_artifact.domain.tasks import Split, Task, TaskForm
from stilts_artifact.errors import ConfigError, DataError, unknown_name
from stilts_artifact.files import hash_bytes
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
from stilts_artifact.retrieval.tatoeba import FROM_ENGLISH, Direction, score_tatoeba
from stilts_artifact.retrieval.texts import places_of, read_corpus
from stilts_artifact.retrieval.transformer import LAST, Transformer, require_layer
from stilts_artifact.retrieval.vectors import Rows

Score = Callable[[SentenceEncoder], float]
"""Points of one language under one encoder."""


@dataclass(frozen=True, slots=True)
class SweepLanguage:
    """One language of a sweep.

    Args:
        texts: every text its score will ask for.
        n: number of pairs that the score is over.
        data: sha256 of everything that was read of the language, gold included.
        place_of: where own texts stand.
    """

    language: str
    texts: tuple[str, ...]
    score: Score
    n: int
    data: str
    place_of: PlaceOf | None = None


@dataclass(frozen=True, slots=True)
class SweepScores:
    """What a sweep found.

    Args:
        points: (name of the pooling, layer) -> language -> points, in the order of the views.
        n: language -> number of pairs that its points are over.
        metric: what the points are, in words.
    """

    points: Mapping[tuple[str, int], Mapping[str, float]]
    n: Mapping[str, int]
    metric: str

    @property
    def means(self) -> dict[tuple[str, int], float]:
        """(name of the pooling, layer) -> mean over languages, in points."""
        return {view: fmean(languages.values()) for view, languages in self.points.items()}

    @property
    def best(self) -> tuple[str, int]:
        """Name of the pooling, and layer, with the highest mean; the first of equals."""
        means = self.means
        return max(means, key=lambda view: means[view])

    @property
    def measured(self) -> str:
        """What was measured on how much, as a heading says it."""
        languages = f"{len(self.n)} languages, " if len(self.n) > 1 else ""
        return f"{self.metric}; {languages}n = {sum(self.n.values()):,}"

    def to_json(self) -> dict[str, object]:
        """As JSON: what was measured, and one object for each view."""
        views = [
            {"pooling": name, "layer": layer, "languages": languages, "mean": mean}
            for ((name, layer), languages), mean in zip(
                self.points.items(), self.means.values(), strict=True
            )
        ]
        return {"metric": self.metric, "n": dict(self.n), "views": views}


@dataclass(frozen=True, slots=True)
class _Known:
    """Vectors that are already there, looked up by text."""

    description: Description
    rows: Rows
    places: Mapping[str, int]

    def __call__(self, texts: Sequence[str]) -> Rows:
        return np.asarray(self.rows[[self.places[text] for text in texts]])


def parse_layers(text: str, depth: int) -> tuple[int, ...]:
    """Layers of an option such as ``1-24`` or ``7,13-15,last``, ascending.

    Args:
        depth: number of layers of the encoder.

    Raises:
        ConfigError: not such a list, or a layer beyond the depth.

    Example:
        >>> parse_layers("7,10-last", depth=12)
        (7, 10, 11, 12)
    """
    layers: set[int] = set()
    for item in text.split(","):
        # No encoder has a thousand layers: a range of more would only fill the memory.
        match = re.fullmatch(rf"([0-9]{{1,3}}|{LAST})(?:-([0-9]{{1,3}}|{LAST}))?", item.strip())
        ends = (
            [depth if end == LAST else int(end) for end in match.groups(match[1])] if match else []
        )
        if not ends or ends[0] > ends[1]:
            raise ConfigError(
                "not a list of layers",
                got=repr(text),
                expected=f"numbers and ranges, as 1-24 or 7,13-15, or {LAST}",
            )
        layers.update(range(ends[0], ends[1] + 1))
    require_layer(max(layers), depth)
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


def search_language(
    language: str,
    pairs: Sequence[SentencePair],
    scale: str,
    direction: Direction = FROM_ENGLISH,
) -> SweepLanguage:
    """Tatoeba's accuracy on aligned sentences."""

    def score(encode: SentenceEncoder) -> float:
        found = score_tatoeba(language, pairs, encode, scale=scale, direction=direction)
        return found.metrics["accuracy"]

    texts = tuple(text for pair in pairs for text in (pair.source, pair.target))
    return SweepLanguage(language, texts, score, len(pairs), _sum_of(map(asdict, pairs)))


def mining_language(language: str, corpus: ComparableCorpus, scale: str) -> SweepLanguage:
    """BUCC's F1 on development data, cut where it is best."""
    options = BuccOptions(threshold=Threshold("oracle"))

    def score(encode: SentenceEncoder) -> float:
        scored = score_bucc(
            (language, Split.DEV), lambda _: corpus, encode, scale=scale, options=options
        )
        return scored.metrics["f1"]

    texts = tuple(sentence.text for sentence in corpus.source + corpus.target)
    return SweepLanguage(language, texts, score, len(corpus.gold), _sum_of([asdict(corpus)]))


def _sum_of(examples: Iterable[Mapping[str, Any]]) -> str:
    """Sha256 of examples as they were read."""
    return hash_bytes(dump_json(list(examples))).sha256


def task_languages(
    task: Task,
    library: Library,
    scale: str,
    only: Sequence[str] = (),
    direction: Direction = FROM_ENGLISH,
) -> list[SweepLanguage]:
    """The languages of a retrieval task, read from this machine's files.

    Args:
        only: these languages; none for all.
        direction: of a search task; mining looks both ways.

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
            search_language(name, SEARCH.read(task, Split.TEST, name, library), scale, direction)
            for name in names
        ]
    return [
        mining_language(name, MINING.read(task, Split.DEV, name, library), scale) for name in names
    ]


def own_language(source: Path, target: Path, direction: Direction = FROM_ENGLISH) -> SweepLanguage:
    """Anyone's own texts, the second (the English one) the translation of the first, line by line.

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
    language = search_language("own text", list(map(SentencePair, *sides)), "own", direction)
    return replace(language, place_of=places_of(*corpora))
