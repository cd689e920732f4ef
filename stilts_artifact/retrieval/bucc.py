"""BUCC 2018: mine the translation pairs hidden in two comparable corpora, and score them by F1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.domain.examples import ComparableCorpus
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.retrieval.duplicates import Duplicates, distinct, expand
from stilts_artifact.retrieval.encoder import SentenceEncoder, sign
from stilts_artifact.retrieval.engines import backend_of, choose_engine
from stilts_artifact.retrieval.knn import Search
from stilts_artifact.retrieval.mine import Mining, mine
from stilts_artifact.retrieval.rows import Float64
from stilts_artifact.retrieval.threshold import Cut, Threshold, best_cut, cut_at

METRIC = "pair-f1"


@dataclass(frozen=True, slots=True)
class BuccOptions:
    """What a BUCC score means; defaults are those of the paper's library. XTREME's: ``duplicates="drop"``."""

    mining: Mining = field(default_factory=Mining)
    duplicates: Duplicates = "product"
    threshold: Threshold = field(default_factory=lambda: Threshold("dev"))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Mined pairs of one corpus before a threshold, best first.

    Args:
        pairs: ids of source and target.
        scores: array [pairs].
        correct: array [pairs], whether a pair is gold.
        gold: number of gold pairs.
        repeated: number of sentences, on either side, that the duplicates policy affects.
    """

    pairs: tuple[tuple[str, str], ...]
    scores: Float64
    correct: NDArray[np.bool_]
    gold: int
    repeated: int


@dataclass(frozen=True, slots=True)
class BuccScore:
    """One language's result: the pairs in XTREME's sense (ids), the cut that chose them, metrics in points."""

    language: str
    predictions: tuple[tuple[str, str], ...]
    cut: Cut
    repeated: int
    signature: Signature

    @property
    def metrics(self) -> Mapping[str, float]:
        """F1, precision and recall."""
        return self.cut.metrics


def find_candidates(
    corpus: ComparableCorpus,
    encode: SentenceEncoder,
    options: BuccOptions,
    search: Search | None = None,
) -> Candidates:
    """Embed and mine the distinct texts of a corpus, and say which pairs are gold.

    Raises:
        DataError, ConfigError, ResourceError: as :func:`stilts_artifact.retrieval.mine.mine`.
    """
    source = distinct([sentence.text for sentence in corpus.source])
    target = distinct([sentence.text for sentence in corpus.target])
    mined = mine(encode(source.texts), encode(target.texts), options.mining, search)
    found = expand(mined, source, target, options.duplicates)
    pairs = tuple(
        (corpus.source[left].id, corpus.target[right].id)
        for left, right in zip(found.source.tolist(), found.target.tolist(), strict=True)
    )
    gold = {(pair.source, pair.target) for pair in corpus.gold}
    correct = np.fromiter((pair in gold for pair in pairs), dtype=np.bool_, count=len(pairs))
    return Candidates(pairs, found.scores, correct, len(gold), source.repeated + target.repeated)


def choose_cut(scored: Candidates, threshold: Threshold, tuning: Candidates | None) -> Cut:
    """The cut through ``scored``: tuned on ``tuning`` under the policy ``dev``.

    Raises:
        ConfigError: the policy ``dev`` without candidates to tune on.
    """
    if threshold.policy == "oracle":
        return best_cut(scored.scores, scored.correct, scored.gold)
    value = threshold.value
    if value is None:
        if tuning is None:
            raise ConfigError(
                "a threshold from development data needs development candidates", got=str(threshold)
            )
        value = best_cut(tuning.scores, tuning.correct, tuning.gold).threshold
    return cut_at(scored.scores, scored.correct, scored.gold, value)


@dataclass(frozen=True, slots=True)
class Mined:
    """Candidates and the cut through them; ``threshold`` is the policy that chose it, called what it is."""

    candidates: Candidates
    cut: Cut
    threshold: Threshold

    @property
    def predictions(self) -> tuple[tuple[str, str], ...]:
        """The accepted pairs of ids, best first."""
        return self.candidates.pairs[: self.cut.accepted]


def mine_split(
    split: Split,
    read: Callable[[Split], ComparableCorpus],
    encode: SentenceEncoder,
    options: BuccOptions,
    search: Search | None = None,
) -> Mined:
    """Mine the corpora of a split, and cut where the policy says.

    Args:
        read: the corpus of a split; asked for development data only if the threshold is tuned
            there.
    """
    candidates = find_candidates(read(split), encode, options, search)
    threshold = options.threshold
    tuning = None
    if threshold.policy == "dev" and split is Split.DEV:
        threshold = Threshold("oracle")  # tuned on what it is scored on
    elif threshold.policy == "dev":
        tuning = find_candidates(read(Split.DEV), encode, options, search)
    return Mined(candidates, choose_cut(candidates, threshold, tuning), threshold)


def score_bucc(
    place: tuple[str, Split],
    read: Callable[[Split], ComparableCorpus],
    encode: SentenceEncoder,
    *,
    scale: str,
    options: BuccOptions | None = None,
    search: Search | None = None,
) -> BuccScore:
    """Mine and score one language.

    Args:
        place: language and split.
        read: the corpus of a split; asked for development data only if the threshold is tuned
            there.
        scale: for the signature.
    """
    language, split = place
    options = options or BuccOptions()
    mined = mine_split(split, read, encode, options, search)
    signature = sign(
        encode.description,
        task="bucc2018",
        split=split,
        language=language,
        neighbours=options.mining.neighbours,
        margin=options.mining.name,
        duplicates=options.duplicates,
        threshold=str(mined.threshold),
        metric=METRIC,
        metric_version=METRIC_VERSION,
        backend=backend_of(choose_engine((search or Search()).engine, both=True)),
        scale=scale,
    )
    return BuccScore(language, mined.predictions, mined.cut, mined.candidates.repeated, signature)
