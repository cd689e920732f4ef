"""Tatoeba: for each English sentence, find its translation among those of another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.metrics.metrics import accuracy, accuracy_counts
from stilts_artifact.retrieval.backends import backend_of, choose_engine
from stilts_artifact.retrieval.encode import SentenceEncoder, sign
from stilts_artifact.retrieval.knn import Search, nearest

METRIC = "accuracy"
METRIC_VERSION = "xtreme-838c13b"


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


def english_order(pairs: Sequence[SentencePair]) -> list[int]:
    """Lines in the order of XTREME's English file: sorted, so that position gives nothing away.

    The order is also the file of labels. Source: XTREME utils_preprocess.py:376-405 at 838c13b.

    Example:
        >>> english_order([SentencePair("zwei", "two"), SentencePair("eins", "one")])
        [1, 0]
    """
    return sorted(range(len(pairs)), key=lambda line: pairs[line].target.strip())


def find_translations(
    pairs: Sequence[SentencePair], encode: SentenceEncoder, search: Search | None = None
) -> tuple[int, ...]:
    """For each English sentence, in sorted order, the line of the nearest of the other language.

    By cosine, in one direction (XTREME utils_retrieve.py:331-339 at 838c13b: index the other
    language, query in English, top 1).

    Raises:
        DataError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`.
    """
    # Two calls: each side is embedded as one corpus, in its own order.
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
