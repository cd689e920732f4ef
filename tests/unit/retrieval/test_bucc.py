"""BUCC: definitions that circulate under one name, and the best cut against trying every cut."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stilts_artifact.domain.examples import ComparableCorpus, Sentence
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms.mining import read_pairs, write_pairs
from stilts_artifact.retrieval.bucc import (
    BuccOptions,
    Cut,
    Threshold,
    best_cut,
    choose_cut,
    cut_at,
    find_candidates,
    score_bucc,
)
from stilts_artifact.retrieval.mine import Mining
from tests.unit.retrieval.conftest import HashEncoder
from tests.unit.retrieval.corpora import corpus


def with_copies(base: ComparableCorpus) -> ComparableCorpus:
    """The first source sentence three times, only the first copy in gold."""
    text = base.source[0].text
    copies = (Sentence("xx-100", text), Sentence("xx-101", text))
    return replace(base, source=base.source + copies)


def test_identical_sides_score_100() -> None:
    scored = score_bucc(("xx", Split.DEV), lambda _: corpus(alone=0), HashEncoder(), scale="mini")
    assert scored.metrics == {"f1": 100.0, "precision": 100.0, "recall": 100.0}


def test_only_distinct_texts_are_embedded(hash_encoder: HashEncoder) -> None:
    find_candidates(with_copies(corpus()), hash_encoder, BuccOptions())
    assert [len(texts) for texts in hash_encoder.calls] == [50, 50]


@pytest.mark.parametrize(
    ("duplicates", "expected"), [("product", {"xx-0", "xx-100", "xx-101"}), ("drop", set())]
)
def test_repeated_sentences_are_spelled_out_or_dropped(duplicates: str, expected: set[str]) -> None:
    options = BuccOptions(duplicates=duplicates)  # type: ignore[arg-type]
    found = find_candidates(with_copies(corpus()), HashEncoder(), options)
    assert {source for source, target in found.pairs if target == "en-0"} == expected
    assert found.repeated == 3
    assert ("xx-1", "en-1") in found.pairs


def test_the_threshold_is_tuned_on_development_data_and_applied_elsewhere() -> None:
    dev, test = corpus(noise=" zz"), corpus(pairs=20, alone=30, noise=" qq ww")
    read = {Split.DEV: dev, Split.TEST: test}.__getitem__
    encode = HashEncoder()
    tuned = score_bucc(("xx", Split.DEV), read, encode, scale="mini")
    scored = score_bucc(("xx", Split.TEST), read, encode, scale="mini")
    oracle = score_bucc(
        ("xx", Split.TEST),
        read,
        encode,
        scale="mini",
        options=BuccOptions(threshold=Threshold("oracle")),
    )
    assert scored.cut.threshold == tuned.cut.threshold
    assert scored.cut.threshold != oracle.cut.threshold
    assert scored.metrics["f1"] <= oracle.metrics["f1"]
    assert [found.signature.threshold for found in (tuned, scored, oracle)] == [
        "oracle",
        "dev",
        "oracle",
    ]


def test_a_fixed_threshold_reads_no_development_data() -> None:
    asked: list[Split] = []

    def read(split: Split) -> ComparableCorpus:
        asked.append(split)
        return corpus()

    options = BuccOptions(threshold=Threshold("fixed", 1.06))
    scored = score_bucc(("xx", Split.TEST), read, HashEncoder(), scale="mini", options=options)
    assert asked == [Split.TEST]
    assert (scored.cut.threshold, scored.signature.threshold) == (1.06, "fixed-1.06")


def test_tuning_needs_development_candidates() -> None:
    found = find_candidates(corpus(), HashEncoder(), BuccOptions())
    with pytest.raises(ConfigError, match="development"):
        choose_cut(found, Threshold("dev"), None)


def test_every_choice_is_in_the_signature() -> None:
    options = BuccOptions(Mining(3, "distance", "intersect"), "drop", Threshold("oracle"))
    scored = score_bucc(
        ("xx", Split.DEV), lambda _: corpus(), HashEncoder(), scale="mini", options=options
    )
    text = scored.signature.short()
    assert Signature.parse(text) == scored.signature
    for part in (
        "bucc2018|",
        "|split:dev|",
        "|lang:xx|",
        "|enc:trigrams|",
        "|k:3|",
        "|margin:distance-intersect|",
        "|dup:drop|",
        "|thr:oracle|",
        "|metric:pair-f1|",
        "|scale:mini|",
    ):
        assert part in text


def test_bucc_predictions_read_back_in_xtremes_format(tmp_path: Path) -> None:
    scored = score_bucc(("xx", Split.DEV), lambda _: corpus(), HashEncoder(), scale="mini")
    path = write_pairs(tmp_path, "bucc2018", "xx", scored.predictions)
    assert set(read_pairs(path, ("xx", "en"))) == set(scored.predictions)
    assert len(scored.predictions) == scored.cut.accepted > 0


def test_a_corpus_without_gold_scores_0() -> None:
    empty = replace(corpus(), gold=())
    scored = score_bucc(("xx", Split.DEV), lambda _: empty, HashEncoder(), scale="mini")
    assert (scored.metrics["f1"], scored.predictions) == (0.0, ())


# Few distinct scores, so that ties are common.
RANKED = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.7, 1.0, 1.1]), st.booleans()), max_size=30
)


def f1(correct: int, accepted: int, gold: int) -> float:
    return 200 * correct / (accepted + gold) if correct else 0.0


@pytest.mark.slow
@given(RANKED, st.integers(0, 10))
@example([(0.5, True), (0.4, True)], 0)
def test_no_cut_beats_the_best(ranked: list[tuple[float, bool]], missed: int) -> None:
    scores, correct = (
        np.array([score for score, _ in ranked]),
        np.array([right for _, right in ranked], dtype=bool),
    )
    gold = int(correct.sum()) + missed
    cut = best_cut(scores, correct, gold)
    tried = [
        cut_at(scores, correct, gold, threshold).metrics["f1"] for threshold in [math.inf, *scores]
    ]
    assert cut.metrics["f1"] == pytest.approx(max(tried))
    # Applied as a threshold it is the very same cut, so no equals are torn apart.
    assert cut_at(scores, correct, gold, cut.threshold) == cut
    # Of equally good cuts, the one with fewest pairs.
    equally = [
        cut_at(scores, correct, gold, t).accepted
        for t, value in zip([math.inf, *scores], tried, strict=True)
        if value == max(tried)
    ]
    assert cut.accepted == min(equally)


def test_the_best_cut_may_come_after_the_last_pair() -> None:
    cut = best_cut(np.array([0.9, 0.5]), np.array([True, True]), gold=2)
    assert (cut.accepted, cut.metrics["f1"], cut.threshold) == (2, 100.0, 0.5)


def test_the_threshold_lies_half_way() -> None:
    assert best_cut(
        np.array([0.8, 0.4]), np.array([True, False]), gold=1
    ).threshold == pytest.approx(0.6)


def test_between_neighbouring_floats_the_threshold_is_the_accepted_score() -> None:
    low = 1.0
    high = math.nextafter(low, 2)
    assert best_cut(np.array([low, high]), np.array([False, True]), gold=1).threshold == high


def test_equals_are_rejected_together() -> None:
    cut = best_cut(
        np.array([0.9, 0.5, 0.5, 0.5, 0.5]), np.array([True, True, False, False, False]), gold=2
    )
    assert cut.accepted == 1


@pytest.mark.parametrize(
    ("scores", "correct", "gold"),
    [([], [], 0), ([], [], 3), ([0.5, 0.4], [False, False], 0), ([0.5, 0.4], [False, False], 2)],
)
def test_without_gold_pairs_or_a_correct_pair_nothing_is_accepted(
    scores: list[float], correct: list[bool], gold: int
) -> None:
    cut = best_cut(np.array(scores), np.array(correct, dtype=bool), gold)
    assert cut == Cut(math.inf, 0, 0, gold)
    assert cut.metrics == {"f1": 0.0, "precision": 0.0, "recall": 0.0}


@pytest.mark.parametrize(
    ("threshold", "name"),
    [
        (Threshold("dev"), "dev"),
        (Threshold("oracle"), "oracle"),
        (Threshold("fixed", 1.06), "fixed-1.06"),
    ],
)
def test_a_policy_has_a_name_for_signatures(threshold: Threshold, name: str) -> None:
    assert str(threshold) == name


def test_a_fixed_threshold_needs_its_value_and_others_have_none() -> None:
    with pytest.raises(ConfigError):
        Threshold("fixed")
    with pytest.raises(ConfigError):
        Threshold("dev", 1.0)
