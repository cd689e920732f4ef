"""Tatoeba: for each English sentence, find its translation among those of another language.

XTREME asks from English; others, MTEB among them, to English: not the same number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms import SEARCH
from stilts_artifact.forms.search import english_order
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.ratios import accuracy, accuracy_counts
from stilts_artifact.retrieval.encode import Ran, SentenceEncoder, sign
from stilts_artifact.retrieval.knn import Search, nearest

Direction = Literal["from-english", "to-english"]
"""Which side asks: English, and the other language answers; or the other way."""
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
FROM_ENGLISH: Direction = "from-english"


@dataclass(frozen=True, slots=True)
class TatoebaScore:
    """One language's result: for each line of the asking side, one of the answering side.

    English lines are those of the sorted file (:func:`english_order`).
    """

    language: str
    predictions: tuple[int, ...]
    labels: tuple[int, ...]
    signature: Signature

    @property
    def metrics(self) -> Mapping[str, float]:
        """Accuracy in points."""
        sums = accuracy_counts(self.predictions, self.labels).sum(axis=0)
        return {name: value.item() for name, value in accuracy(sums).items()}


@dataclass(frozen=True, slots=True)
class Translations:
    """For each sentence of the asking side a line of the answering one; and what ran."""

    lines: tuple[int, ...]
    ran: Ran


def find_translations(
    pairs: Sequence[SentencePair],
    encode: SentenceEncoder,
    search: Search | None = None,
    direction: Direction = FROM_ENGLISH,
) -> Translations:
    """For each English sentence, in sorted order, the line of the nearest of the other language.

    By cosine, in one direction (XTREME utils_retrieve.py:331-339 at 838c13b: index the other
    language, query in English, top 1); or for each of the other language, in the order of its file,
    the line of the nearest in the sorted English one.

    Raises:
        DataError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.
    """
    english = [pairs[line].target for line in english_order(pairs)]
    other = [pair.source for pair in pairs]
    asking, answering = (english, other) if direction == FROM_ENGLISH else (other, english)
    # Two calls: each side is embedded as one corpus, in its own order.
    queries, corpus = encode(asking), encode(answering)
    search = (search or Search()).chosen(both=False)
    lines = tuple(nearest(queries, corpus, 1, search).indices[:, 0].tolist())
    ran = {
        **encode.description.vectors,
        "neighbours": 1,
        "margin": "absolute",
        "backend": search.backend,
    }
    return Translations(lines, ran)


def score_tatoeba(
    language: str,
    pairs: Sequence[SentencePair],
    encode: SentenceEncoder,
    *,
    scale: str,
    search: Search | None = None,
    direction: Direction = FROM_ENGLISH,
) -> TatoebaScore:
    """Search and score one language.

    Args:
        pairs: source in the other language, target in English.
        scale: for the signature.

    Raises:
        DataError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.
    """
    found = find_translations(pairs, encode, search, direction)
    order = english_order(pairs)
    labels = order if direction == FROM_ENGLISH else np.argsort(order).tolist()
    signature = sign(
        encode.description,
        found.ran,
        task="tatoeba",
        split=Split.TEST,
        language=language,
        # XTREME's direction has the plain name.
        metric=SEARCH.metric if direction == FROM_ENGLISH else f"{SEARCH.metric}-{direction}",
        metric_version=METRIC_VERSION,
        scale=scale,
    )
    return TatoebaScore(language, found.lines, tuple(labels), signature)
