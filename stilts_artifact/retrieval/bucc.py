"""BUCC 2018: mine the translation pairs hidden in two comparable corpora, and score them by F1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.domain.examples import ComparableCorpus
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms import MINING
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.ratios import precision_recall_f1
from stilts_artifact.retrieval.encode import Ran, SentenceEncoder, sign
from stilts_artifact.retrieval.knn import Search
from stilts_artifact.retrieval.mine import Duplicates, Mining, distinct, expand, mine
from stilts_artifact.retrieval.vectors import Float64


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where the threshold comes from.

    Args:
        policy: ``dev`` tuned on development gold and applied elsewhere; ``oracle`` tuned on the
            very gold it is scored on, an upper bound (the paper's library on development data);
            ``fixed`` given.
        value: of a fixed threshold.
    """

    policy: Literal["dev", "oracle", "fixed"]
    value: float | None = None

    def __post_init__(self) -> None:
        if (self.policy == "fixed") != (self.value is not None):
            raise ConfigError("a threshold has a value if and only if it is fixed", got=repr(self))

    def __str__(self) -> str:
        return f"fixed-{self.value!r}" if self.value is not None else self.policy


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut through a ranked list, and what it accepts.

    Args:
        threshold: pairs with this score or a higher one are accepted; infinity accepts none.
        correct, accepted, gold: numbers of pairs.
    """

    threshold: float
    correct: int
    accepted: int
    gold: int

    @property
    def metrics(self) -> dict[str, float]:
        """F1, precision, recall in points; 0 if undefined (XTREME evaluate.py:87-98 at 838c13b)."""
        sums = np.array([self.correct, self.accepted, self.gold], dtype=np.float64)
        return {name: value.item() for name, value in precision_recall_f1(sums).items()}


@dataclass(frozen=True, slots=True)
class BuccOptions:
    """What a BUCC score means; defaults are the paper's library's, XTREME's is dropping."""

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
    """One language's result: pairs of ids, as XTREME writes them, and the cut that chose them."""

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
    # Gold is of ids, and a copy of a sentence has an id of its own: this is where policies differ.
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


def cut_at(scores: Float64, correct: NDArray[np.bool_], gold: int, threshold: float) -> Cut:
    """The cut that accepts every pair with at least this score."""
    accepted = scores >= threshold
    return Cut(
        threshold, int(np.count_nonzero(correct & accepted)), int(np.count_nonzero(accepted)), gold
    )


def best_cut(scores: Float64, correct: NDArray[np.bool_], gold: int) -> Cut:
    """The cut with the highest F1; of equal ones, that with the fewest pairs.

    Pairs of equal score are accepted or rejected together. The threshold lies half-way to the next
    lower score, as in XTREME utils_retrieve.py (``bucc_optimize``) at 838c13b, which cannot cut
    after the last pair and may cut between equals. No gold, no pairs or no correct pair: nothing is
    accepted, F1 is 0.

    Args:
        scores: array [pairs], in any order.
        correct: array [pairs], whether a pair is gold.
        gold: number of gold pairs.

    Example:
        >>> best_cut(np.array([0.9, 0.8, 0.4]), np.array([True, True, False]), gold=2)
        Cut(threshold=0.6000000000000001, correct=2, accepted=2, gold=2)
    """
    curve = cut_curve(scores, correct, gold)
    # 2PR / (P + R) in one division: cuts that tie are equal floats.
    f1 = curve.points["f1"]
    if not f1.size or f1.max() == 0:
        return Cut(math.inf, 0, 0, gold)
    best = int(np.argmax(f1))
    right, accepted, _ = map(int, curve.sums[best])
    return Cut(float(curve.thresholds[best]), right, accepted, gold)


@dataclass(frozen=True, slots=True, eq=False)
class CutCurve:
    """Every cut through a ranked list, that of the fewest pairs first.

    Args:
        thresholds: float64 array [cuts], descending.
        sums: float64 array [cuts, 3]: correct, accepted and gold pairs.
    """

    thresholds: Float64
    sums: Float64

    @property
    def points(self) -> dict[str, Float64]:
        """F1, precision and recall of each cut, as :attr:`Cut.metrics` has them."""
        return precision_recall_f1(self.sums)


def cut_curve(scores: Float64, correct: NDArray[np.bool_], gold: int) -> CutCurve:
    """Every cut that accepts a pair; pairs of equal score are accepted or rejected together.

    Args:
        scores, correct, gold: as :func:`best_cut` takes them.

    Example:
        >>> curve = cut_curve(np.array([0.9, 0.8, 0.8]), np.array([True, True, False]), gold=2)
        >>> curve.thresholds.round(2).tolist(), curve.points["precision"].round(1).tolist()
        ([0.85, 0.8], [100.0, 66.7])
    """
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(correct[order])
    # A threshold cannot part equals, so a cut is possible only after the last of them.
    last_of_equals = np.flatnonzero(np.diff(ranked, append=-np.inf))
    accepted = last_of_equals + 1
    sums = [right[last_of_equals], accepted, np.full_like(accepted, gold)]
    return CutCurve(_thresholds(ranked, last_of_equals), np.stack(sums, axis=1).astype(np.float64))


def _thresholds(ranked: Float64, last: NDArray[np.int64]) -> Float64:
    """For each place in a descending list, a threshold that accepts up to it and no more."""
    score = ranked[last]
    following = np.append(ranked, -np.inf)[last + 1]
    middle = (score + following) / 2
    # Between neighbouring floats there is nothing half-way, nor behind the last.
    thresholds: Float64 = np.where(middle > following, middle, score)
    return thresholds


@dataclass(frozen=True, slots=True)
class Mined:
    """Candidates and the cut through them.

    Args:
        ran: what was computed; its ``threshold`` is the policy that really chose the cut.
    """

    candidates: Candidates
    cut: Cut
    ran: Ran

    @property
    def predictions(self) -> tuple[tuple[str, str], ...]:
        """The accepted pairs of ids, best first."""
        # Candidates are in order of score, so what a cut accepts is the first so many.
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
    # Centring searches each direction by itself, so that another library may serve.
    search = (search or Search()).chosen(both=not options.mining.center)
    candidates = find_candidates(read(split), encode, options, search)
    threshold = options.threshold
    tuning = None
    if threshold.policy == "dev" and split is Split.DEV:
        threshold = Threshold("oracle")  # tuned on what it is scored on
    elif threshold.policy == "dev":
        tuning = find_candidates(read(Split.DEV), encode, options, search)
    ran = {
        **encode.description.vectors,
        "neighbours": options.mining.neighbours,
        "margin": options.mining.name,
        "duplicates": options.duplicates,
        "threshold": str(threshold),
        "backend": search.backend,
    }
    return Mined(candidates, choose_cut(candidates, threshold, tuning), ran)


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
        mined.ran,
        task="bucc2018",
        split=split,
        language=language,
        metric=MINING.metric,
        metric_version=METRIC_VERSION,
        scale=scale,
    )
    return BuccScore(language, mined.predictions, mined.cut, mined.candidates.repeated, signature)
