"""Tatoeba: for each English sentence, find its translation among the sentences of another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms.search import english_order
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.ratios import accuracy, accuracy_counts
from stilts_artifact.retrieval.encoder import SentenceEncoder, sign
from stilts_artifact.retrieval.engines import backend_of, choose_engine
from stilts_artifact.retrieval.knn import Search, nearest

METRIC = "accuracy"


@dataclass(frozen=True, slots=True)
class TatoebaScore:
    """One language's result: a line number of the other language for each line of the sorted English file."""

    language: str
    predictions: tuple[int, ...]
    labels: tuple[int, ...]
    signature: Signature

    @property
    def metrics(self) -> Mapping[str, float]:
        """Accuracy in points."""
        sums = accuracy_counts(self.predictions, self.labels).sum(axis=0)
        return {name: value.item() for name, value in accuracy(sums).items()}


def find_translations(
    pairs: Sequence[SentencePair], encode: SentenceEncoder, search: Search | None = None
) -> tuple[int, ...]:
    """For each English sentence, in sorted order, the line of the nearest sentence of the other language.

    By cosine, in one direction (XTREME utils_retrieve.py:331-339 at 838c13b: index the other
    language, query in English, top 1).

    Raises:
        DataError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.
    """
    queries = encode([pairs[line].target for line in english_order(pairs)])
    corpus = encode([pair.source for pair in pairs])
    return tuple(nearest(queries, corpus, 1, search).indices[:, 0].tolist())


def score_tatoeba(
    language: str,
    pairs: Sequence[SentencePair],
    encode: SentenceEncoder,
    *,
    scale: str,
    search: Search | None = None,
) -> TatoebaScore:
    """Search and score one language.

    Args:
        pairs: source in the other language, target in English.
        scale: for the signature.

    Raises:
        DataError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.
    """
    signature = sign(
        encode.description,
        task="tatoeba",
        split=Split.TEST,
        language=language,
        neighbours=1,
        margin="absolute",
        metric=METRIC,
        metric_version=METRIC_VERSION,
        backend=backend_of(choose_engine((search or Search()).engine, both=False)),
        scale=scale,
    )
    predictions = find_translations(pairs, encode, search)
    return TatoebaScore(language, predictions, tuple(english_order(pairs)), signature)
