"""Mined pairs held against known translations: precision, recall and F1 at every threshold."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stilts_artifact.data.readers.text import shown
from stilts_artifact.documents import whole_number
from stilts_artifact.errors import DataError
from stilts_artifact.retrieval.bucc import Cut, CutCurve, best_cut, cut_at, cut_curve
from stilts_artifact.retrieval.mine import Pairs
from stilts_artifact.retrieval.texts import read_lines

UPPER_BOUND = "chosen on these very gold pairs: an upper bound"


def read_gold(path: Path, sizes: tuple[int, int]) -> frozenset[tuple[int, int]]:
    """Known translations: two 0-based line numbers with a tab between them, one pair a line.

    Args:
        sizes: number of sentences of the source and of the target.

    Raises:
        DataError: no such file, not UTF-8, no pairs, a line that is no such pair, a number that no
            line has, or one pair twice.
    """
    first: dict[tuple[int, int], int] = {}
    for number, line in enumerate(read_lines(path), 1):
        pair = _gold_pair(line, f"{path}:{number}", sizes)
        if first.setdefault(pair, number) != number:
            got = f"the same as in line {first[pair]}"
            raise DataError(
                "one gold pair twice", where=f"{path}:{number}", got=got, expected="each once"
            )
    if not first:
        raise DataError("no gold pairs", where=str(path), got="an empty file")
    return frozenset(first)


def _gold_pair(line: str, place: str, sizes: tuple[int, int]) -> tuple[int, int]:
    """The two numbers of a line."""
    cells = line.split("\t")
    source, target = map(whole_number, cells) if len(cells) == len(sizes) else (None, None)
    if source is None or target is None:
        raise DataError(
            "not a pair of line numbers",
            where=place,
            got=shown(line),
            expected="two numbers with a tab between them, 0 for the first line",
        )
    for side, index, size in zip(("source", "target"), (source, target), sizes, strict=True):
        if index >= size:
            raise DataError(
                f"a line that the {side} does not have",
                where=place,
                got=str(index),
                expected=f"0 to {size - 1}",
            )
    return source, target


@dataclass(frozen=True, slots=True)
class GoldScores:
    """Mined pairs held against known translations.

    Args:
        given: the cut at the threshold that was asked for.
        best: the cut with the highest F1 on these very pairs: an upper bound for any threshold
            that is chosen without them.
        curve: every cut.
    """

    given: Cut
    best: Cut
    curve: CutCurve

    def to_json(self) -> dict[str, Any]:
        """Both cuts; JSON has no infinity, so a threshold that is none is a text."""
        cuts = {"at_threshold": _cut_json(self.given), "best": _cut_json(self.best)}
        return {"pairs": self.given.gold, **cuts, "best_is": UPPER_BOUND}


def _cut_json(cut: Cut) -> dict[str, Any]:
    threshold = cut.threshold if math.isfinite(cut.threshold) else str(cut.threshold)
    numbers = {"accepted": cut.accepted, "correct": cut.correct}
    return {"threshold": threshold, **numbers, **cut.metrics}


def score_pairs(
    pairs: Pairs, gold: Collection[tuple[int, int]], threshold: float = -math.inf
) -> GoldScores:
    """Precision, recall and F1 of mined pairs.

    Args:
        pairs: all that were mined, whatever their score.
        gold: distinct pairs of lines.

    Example:
        >>> pairs = Pairs(np.array([1.2, 1.1, 0.9]), np.array([0, 1, 2]), np.array([0, 1, 0]))
        >>> scores = score_pairs(pairs, {(0, 0), (1, 1)})
        >>> scores.given.metrics["f1"], scores.best.metrics["f1"], scores.best.threshold
        (80.0, 100.0, 1.0)
    """
    found = zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)
    correct = np.fromiter((pair in gold for pair in found), dtype=np.bool_, count=len(pairs))
    ranked = (pairs.scores, correct, len(gold))
    return GoldScores(cut_at(*ranked, threshold), best_cut(*ranked), cut_curve(*ranked))
