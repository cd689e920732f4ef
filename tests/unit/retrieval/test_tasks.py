"""BUCC and Tatoeba: definitions that circulate under one name, each by its own signature."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stilts_artifact.domain.examples import ComparableCorpus, GoldPair, Sentence, SentencePair
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms.mining import read_pairs, write_pairs
from stilts_artifact.forms.search import english_order
from stilts_artifact.forms.submission import read_indices, write_indices
from stilts_artifact.retrieval.bucc import BuccOptions, choose_cut, find_candidates, score_bucc
from stilts_artifact.retrieval.duplicates import distinct, expand
from stilts_artifact.retrieval.mine import Mining, mine
from stilts_artifact.retrieval.tatoeba import score_tatoeba
from stilts_artifact.retrieval.threshold import Threshold
from tests.unit.retrieval.conftest import HashEncoder

WORDS = (
    "river stone house bright morning tall green bottle quiet engine paper window silver forest market bridge yellow",
    "garden winter summer letter doctor hammer kitchen ocean mountain pencil basket ladder mirror",
)
VOCABULARY = " ".join(WORDS).split()


def sentence(number: int) -> str:
    return (
        " ".join(VOCABULARY[(number * step + step) % len(VOCABULARY)] for step in (1, 7, 11, 13))
        + f" {number}"
    )


def corpus(pairs: int = 30, alone: int = 20, *, noise: str = "") -> ComparableCorpus:
    """Two corpora; sentence i of the first ``pairs`` occurs on both sides, with ``noise`` appended on one."""
    source = tuple(Sentence(f"xx-{i}", sentence(i) + noise) for i in range(pairs + alone))
    target = tuple(
        Sentence(f"en-{i}", sentence(i if i < pairs else 500 + i))
        for i in reversed(range(pairs + alone))
    )
    return ComparableCorpus(
        source, target, tuple(GoldPair(f"xx-{i}", f"en-{i}") for i in range(pairs))
    )


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


def test_expanding_keeps_scores_and_order() -> None:
    source, target = distinct(["a", "b", "a"]), distinct(["A", "B", "B"])
    vectors = HashEncoder()
    pairs = mine(vectors(source.texts), vectors(["a", "b"]), Mining(1))
    spelled = expand(pairs, source, target, "product")
    assert list(zip(spelled.source.tolist(), spelled.target.tolist(), strict=True)) == [
        (0, 0),
        (1, 1),
        (1, 2),
        (2, 0),
    ]
    assert len(expand(pairs, source, target, "drop")) == 0


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
    assert set(read_pairs(path)) == set(scored.predictions)
    assert len(scored.predictions) == scored.cut.accepted > 0


def test_a_corpus_without_gold_scores_0() -> None:
    empty = replace(corpus(), gold=())
    scored = score_bucc(("xx", Split.DEV), lambda _: empty, HashEncoder(), scale="mini")
    assert (scored.metrics["f1"], scored.predictions) == (0.0, ())


PAIRS = [SentencePair(f"{sentence(i)} x", sentence(i)) for i in range(40)]


def test_identical_sides_are_found_100() -> None:
    same = [SentencePair(pair.target, pair.target) for pair in PAIRS]
    scored = score_tatoeba("xx", same, HashEncoder(), scale="mini")
    assert scored.metrics == {"accuracy": 100.0}


def test_predictions_follow_the_sorted_english_file(tmp_path: Path) -> None:
    scored = score_tatoeba("xx", PAIRS, HashEncoder(), scale="mini")
    english = [PAIRS[line].target for line in scored.labels]
    assert english == sorted(english)
    assert scored.metrics["accuracy"] == 100.0
    path = write_indices(tmp_path, "tatoeba", "xx", scored.predictions)
    assert read_indices(path) == list(scored.labels)


def test_permuting_the_lines_leaves_the_score() -> None:
    hard = [SentencePair(pair.source[:11], pair.target) for pair in PAIRS]
    plain = score_tatoeba("xx", hard, HashEncoder(), scale="mini")
    turned = score_tatoeba("xx", hard[7:] + hard[:7], HashEncoder(), scale="mini")
    assert 0 < plain.metrics["accuracy"] < 100
    assert turned.metrics == plain.metrics


def test_english_asks_and_the_other_language_answers() -> None:
    # Both English sentences are nearest to line 0; in the other direction each line would have an
    # answer of its own.
    pairs = [SentencePair("aaa bbb", "aaa bbb ccc"), SentencePair("zzz", "aaa bbb zz")]
    scored = score_tatoeba("xx", pairs, HashEncoder(), scale="mini")
    assert scored.predictions == (0, 0)


def test_sorting_strips_as_xtreme_does() -> None:
    assert english_order(
        [SentencePair("1", " b"), SentencePair("2", "a"), SentencePair("3", "b")]
    ) == [1, 0, 2]
