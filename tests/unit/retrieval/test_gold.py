"""Mined pairs against known ones: the reader, the numbers, the command, the plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.cli.mine import mine
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.metrics.ratios import pair_counts, precision_recall_f1
from stilts_artifact.retrieval.gold import read_gold, score_pairs
from stilts_artifact.retrieval.mine import Pairs
from tests.unit.retrieval.test_commands import run


def written(folder: Path, data: bytes) -> Path:
    path = folder / "x.gold"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [b"0\t2\n1\t0\n", b"\xef\xbb\xbf0\t2\r\n1\t0\r\n", b"0\t2\n1\t0"])
def test_gold_pairs_are_read_with_or_without_a_byte_order_mark(tmp_path: Path, data: bytes) -> None:
    assert read_gold(written(tmp_path, data), (3, 3)) == {(0, 2), (1, 0)}


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"0\t0\n0 1\n", 2, "not a pair"),
        (b"0\t0\n1\t1\t1\n", 2, "not a pair"),
        (b"0\t0\n\n", 2, "not a pair"),
        (b"a\tb\n", 1, "not a pair"),
        (b"-1\t0\n", 1, "not a pair"),
        (b"00\t0\n", 1, "not a pair"),
        (b"0\t0\n3\t0\n", 2, "the source does not have"),
        (b"0\t4\n", 1, "the target does not have"),
        (b"0\t0\n1\t1\n0\t0\n", 3, "twice"),
        (b"0\t0\n\xff\n", 2, "UTF-8"),
    ],
)
def test_a_gold_file_that_is_none_is_refused_with_its_line(
    tmp_path: Path, data: bytes, line: int, message: str
) -> None:
    path = written(tmp_path, data)
    with pytest.raises(DataError, match=message) as caught:
        read_gold(path, (3, 4))
    assert caught.value.where == f"{path}:{line}"


def test_no_gold_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no gold pairs"):
        read_gold(written(tmp_path, b""), (3, 4))


def test_scores_are_those_of_xtremes_pair_metric() -> None:
    draw = np.random.default_rng(0)
    pairs = Pairs(draw.random(40).round(1), np.arange(40), draw.permutation(40)).ordered()
    gold = {(line, int(draw.integers(40))) for line in range(20)} | set(
        zip(pairs.source.tolist()[::3], pairs.target.tolist()[::3], strict=True)
    )
    scores = score_pairs(pairs, gold, 0.5)
    kept = pairs.take(pairs.scores >= 0.5)
    named = [
        [(f"a-{one}", f"b-{other}") for one, other in some]
        for some in (zip(kept.source.tolist(), kept.target.tolist(), strict=True), gold)
    ]
    expected = precision_recall_f1(pair_counts(*named).sum(axis=0))
    assert scores.given.metrics == {name: float(value) for name, value in expected.items()}
    assert scores.given.accepted == len(kept) < len(pairs)
    assert scores.best.metrics["f1"] == max(scores.curve.points["f1"])


@pytest.fixture
def corpora(tmp_path: Path) -> tuple[Path, ...]:
    """Four source and five target vectors: three translations, of which one is also mistaken."""
    source = np.eye(4, 8, dtype=np.float32)
    target = np.stack([source[1], source[0], source[2], *np.eye(8, dtype=np.float32)[5:7]])
    target[2, 3] = 1.5  # nearer to the last source, whose translation it is not
    np.save(tmp_path / "a.npy", source)
    np.save(tmp_path / "b.npy", target)
    gold = written(tmp_path, b"0\t1\n1\t0\n2\t2\n")
    return tmp_path / "a.npy", tmp_path / "b.npy", gold


def command(corpora: tuple[Path, ...], *arguments: object) -> str:
    source, target, gold = corpora
    inputs = ("--src-emb", source, "--trg-emb", target, "--gold", gold, "--margin", "absolute")
    return run(mine, *inputs, "--out", source.parent / "pairs.tsv", *arguments)


def test_mine_scores_the_given_threshold_and_the_best_which_is_an_upper_bound(
    corpora: tuple[Path, ...],
) -> None:
    shown = command(corpora, "--threshold", "0.5")
    assert "threshold: 0.5: F1 66.7, precision 66.7, recall 66.7 (2 right of 3, 3 gold)" in shown
    assert "an upper bound: 0.916" in shown
    assert "F1 80.0, precision 100.0, recall 66.7 (2 right of 2, 3 gold)" in shown
    content = json.loads(command(corpora, "--threshold", "0.5", "--json"))
    assert content["gold"]["at_threshold"]["f1"] == pytest.approx(200 / 3)
    best = content["gold"]["best"]
    assert (best["f1"], best["accepted"], best["correct"]) == (80.0, 2, 2)
    assert "upper bound" in content["gold"]["best_is"]
    # The best threshold, given, gives the best score.
    again = json.loads(command(corpora, "--threshold", best["threshold"], "--json"))
    assert again["gold"]["at_threshold"] == best
    assert json.loads(command(corpora, "--json"))["gold"]["at_threshold"]["threshold"] == "-inf"


def test_the_file_of_pairs_is_the_same_with_and_without_gold(corpora: tuple[Path, ...]) -> None:
    out = corpora[0].parent / "pairs.tsv"
    command(corpora)
    with_gold = out.read_bytes()
    run(
        mine, "--src-emb", corpora[0], "--trg-emb", corpora[1], "--margin", "absolute", "--out", out
    )
    assert out.read_bytes() == with_gold


@pytest.mark.slow
def test_precision_recall_and_f1_are_drawn_over_the_threshold(corpora: tuple[Path, ...]) -> None:
    plot = corpora[0].parent / "plot.svg"
    command(corpora, "--plot", plot)
    assert "<svg" in plot.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="nothing to draw"):
        run(mine, "--src-emb", corpora[0], "--trg-emb", corpora[1], "--out", plot, "--plot", plot)
    for wrong in (corpora[2], corpora[0].parent / "pairs.tsv"):
        with pytest.raises(ConfigError, match="one of the inputs"):
            command(corpora, "--plot", wrong)


def test_where_no_pair_is_right_no_threshold_is_best(corpora: tuple[Path, ...]) -> None:
    corpora[2].write_bytes(b"0\t4\n")
    assert "an upper bound: inf: F1 0.0" in command(corpora)
