"""Tatoeba: English asks, the other language answers, and the order of lines gives nothing away."""

from __future__ import annotations

from pathlib import Path

from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.forms.submission import read_indices, write_indices
from stilts_artifact.retrieval.tatoeba import english_order, score_tatoeba
from tests.unit.retrieval.conftest import HashEncoder
from tests.unit.retrieval.corpora import PAIRS


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
