"""Tatoeba: for each English sentence, find its translation among those of another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms import SEARCH
from stilts_artifact.forms.search import english_order
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.ratios import accuracy, accuracy_counts
from stilts_artifact.retrieval.encode import Ran, SentenceEncoder, sign
from stilts_artifact.retrieval.knn import Search, nearest


@dataclass(frozen=True, slots=True)
class TatoebaScore:
    """One language's result: for each line of the sorted English file, one of the other."""

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
    """For each English sentence, in sorted order, a line of the other language; and what ran."""

    lines: tuple[int, ...]
    ran: Ran


def find_translations(
    pairs: Sequence[SentencePair], encode: SentenceEncoder, search: Search | None = None
) -> Translations:
    """For each English sentence, in sorted order, the line of the nearest of the other language.

    By cosine, in one direction (XTREME utils_retrieve.py:331-339 at 838c13b: index the other
    language, query in English, top 1).

    Raises:
        DataError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.
    """
    # Two calls: each side is embedded as one corpus, in its own order.
    queries = encode([pairs[line].target for line in english_order(pairs)])
    corpus = encode([pair.source for pair in pairs])
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
) -> TatoebaScore:
    """Search and score one language.

    Args:
        pairs: source in the other language, target in English.
        scale: for the signature.

    Raises:
        DataError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.
    """
    found = find_translations(pairs, encode, search)
    signature = sign(
        encode.description,
        found.ran,
        task="tatoeba",
        split=Split.TEST,
        language=language,
        metric=SEARCH.metric,
        metric_version=METRIC_VERSION,
        scale=scale,
    )
    return TatoebaScore(language, found.lines, tuple(english_order(pairs)), signature)
