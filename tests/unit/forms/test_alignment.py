"""Alignment: documents are what is counted and drawn, in every language the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.examples import AlignedSentence
from stilts_artifact.errors import DataError
from stilts_artifact.forms import ALIGNMENT
from stilts_artifact.forms.alignment import Ranks, read_documents, read_ranks
from stilts_artifact.forms.base import PartRead
from stilts_artifact.forms.labels import evaluated_rows
from stilts_artifact.metrics.bootstrap import resample_task
from tests.unit.forms.test_forms import compare, reuse

MINI = load_benchmark("mini")
NTREX = MINI.tasks["ntrex"]


def sentences(*lengths: int) -> list[AlignedSentence]:
    """Documents of these lengths, ``d0`` first."""
    return [
        AlignedSentence(f"{number}.{line}", f"english {number}.{line}", f"d{number}")
        for number, length in enumerate(lengths)
        for line in range(length)
    ]


def ranks_of(size: int, seed: int) -> Ranks:
    """Random ranks, many of them the first."""
    r = np.random.default_rng(seed)
    drawn = np.where(r.random((size, 3, 2)) < 0.5, 1, r.integers(1, size + 1, (size, 3, 2)))
    return drawn.astype(np.int64)


def written(folder: Path, data: list[AlignedSentence], ranks: Ranks) -> tuple[Path, Path]:
    """Predictions and labels."""
    return (
        ALIGNMENT.write_predictions(folder / "predictions", NTREX, "qaa", "test", ranks),
        ALIGNMENT.write_gold(folder / "labels", NTREX, "qaa", "test", data),
    )


def test_files_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    data, ranks = sentences(2, 3, 1), ranks_of(6, 1)
    predicted, gold = written(tmp_path, data, ranks)
    assert gold.read_text().startswith("d0\t0\nd0\t1\nd1\t2\n")
    assert read_documents(gold) == [sentence.document for sentence in data]
    assert np.array_equal(read_ranks(predicted), ranks)


def test_points_are_the_mean_of_both_directions_in_each_variant(tmp_path: Path) -> None:
    ranks = np.ones((4, 3, 2), np.int64)
    ranks[0, 0, 0] = 2  # raw, from English: one of eight is missed
    ranks[:2, 1] = 3  # centred: half of the sentences, in both directions
    ranks[:, 2, 1] = 4  # reduced: one direction altogether
    predicted, gold = written(tmp_path, sentences(2, 2), ranks)
    sample = ALIGNMENT.count(NTREX, "qaa", predicted, gold)
    points = ALIGNMENT.points(sample.counts.sum(axis=0))
    assert {name: value.item() for name, value in points.items()} == {
        "accuracy": 87.5,
        "centred": 50.0,
        "reduced": 50.0,
    }


def test_a_document_is_what_is_counted(tmp_path: Path) -> None:
    ranks = ranks_of(6, 2)
    predicted, gold = written(tmp_path, sentences(2, 3, 1), ranks)
    sample = ALIGNMENT.count(NTREX, "qaa", predicted, gold)
    assert sample.keys is not None and sample.keys.tolist() == ["d0", "d1", "d2"]
    assert sample.counts[:, -1].tolist() == [2, 3, 1]
    assert sample.counts[1, 0] == (ranks[2:5, 0] == 1).sum() / 2
    assert ALIGNMENT.read_gold(NTREX, "qaa", gold).examples == 6


def test_documents_are_drawn_whole_and_with_their_translations(tmp_path: Path) -> None:
    """Two languages with the same ranks stay equal in every resample; right documents stay so."""
    ranks = np.ones((9, 3, 2), np.int64)
    ranks[:3] = 2  # the first of three documents is missed whole
    predicted, gold = written(tmp_path, sentences(3, 3, 3), ranks)
    sample = ALIGNMENT.count(NTREX, "qaa", predicted, gold)
    drawn = resample_task({"qaa": sample, "qab": sample}, task="ntrex", resamples=300)
    assert np.array_equal(drawn["qaa"], drawn["qab"])
    shares = set((drawn["qaa"][:, 0] / drawn["qaa"][:, -1]).round(6).tolist())
    assert shares == {0.0, 0.333333, 0.666667, 1.0}, "never a part of a document"


@reuse
@given(
    lengths=st.lists(st.integers(1, 5), min_size=2, max_size=6),
    seed=st.integers(0, 10**6),
    spoilt=st.sampled_from(
        [None, ("\t", " "), ("\n", "\r\n"), ("1", "0"), ("1", "01"), ("1", "99"), ("\n", "\n\n")]
    ),
)
def test_the_fast_count_is_the_careful_one(
    tmp_path: Path, lengths: list[int], seed: int, spoilt: tuple[str, str] | None
) -> None:
    data = sentences(*lengths)
    predicted, gold = written(tmp_path, data, ranks_of(len(data), seed))
    text = predicted.read_text()
    if spoilt is not None:
        text = text.replace(*spoilt, 1)
    accepted = compare(MINI, "ntrex", "qaa", tmp_path, gold.read_text(), text.encode())
    assert accepted or spoilt is not None


def test_a_cap_takes_whole_documents_from_the_front() -> None:
    data = sentences(3, 2, 4, 1)
    sizes = {rows: len(ALIGNMENT.first(data, rows)) for rows in (None, 100, 10, 9, 8, 5)}
    assert sizes == {None: 10, 100: 10, 10: 10, 9: 9, 8: 5, 5: 5}
    assert ALIGNMENT.first(data, 8) == data[:5]
    with pytest.raises(DataError, match="too few whole documents") as caught:
        ALIGNMENT.first(data, 4)
    assert caught.value.got == "1 within 4 sentences"
    with pytest.raises(DataError, match="too few whole documents"):
        ALIGNMENT.first(sentences(7), None)


def test_a_scale_caps_it_and_no_other_retrieval() -> None:
    scale = load_scale("mini")
    capped = {name: evaluated_rows(task, scale) for name, task in MINI.tasks.items()}
    assert capped["ntrex"] == scale.evaluation_rows == 120
    assert capped["tatoeba"] is capped["bucc2018"] is None


def test_parts_of_unequal_length_are_refused() -> None:
    class Line:
        text = "x"

    parts = [PartRead([Line()] * 2, "a"), PartRead([Line()] * 2, "b"), PartRead(["d"] * 3, "c")]
    with pytest.raises(DataError, match="same number of lines") as caught:
        ALIGNMENT.join(parts)
    assert (caught.value.where, caught.value.got) == ("a, b, c", "2 and 2 and 3")


@pytest.mark.parametrize(
    ("gold", "line"),
    [
        ("d0\t0\nd0\t2\n", 2),  # a sentence is left out
        ("d0\t0\nd0\n", 2),
        ("d 0\t0\n", 1),
        ("d0\t00\n", 1),
    ],
)
def test_a_label_that_is_no_document_and_number_is_refused(
    tmp_path: Path, gold: str, line: int
) -> None:
    path = tmp_path / "gold.tsv"
    path.write_text(gold)
    with pytest.raises(DataError) as caught:
        read_documents(path)
    assert caught.value.where == f"{path}:{line}"
