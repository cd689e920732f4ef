"""Learning curves of the training runs behind a table: ``training.csv`` beside its predictions.

    phase,row,seed,target,task,planned,step,loss,score
    intermediate,mnli,1,,mnli,47,5,1.107316,
    target,mnli,1,xnli,xnli,30,30,0.731209,68.000000

One line a point. ``loss`` is the mean of the training losses of the steps since the point before; a
run has twenty such points, or one a step if it has fewer steps. ``score`` is in points on the
development data that choose which weights are kept. An empty field is what was not measured:
nothing is evaluated for this file.

No cell comes from it and no verdict rests on it: nobody can compute it again without training.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from statistics import fmean
from typing import Any, Literal, NamedTuple, get_args

from stilts_artifact.documents import CsvRow, parse_csv, whole_number
from stilts_artifact.errors import DataError

CURVES = "training.csv"
"""In the folder of predictions; results from before it was written have none."""

Phase = Literal["intermediate", "target"]
HEADER = ("phase", "row", "seed", "target", "task", "planned", "step", "loss", "score")
_NUMBER = re.compile(r"(?:[0-9]{1,40}\.[0-9]{6})?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class CurveKey:
    """One task of one training run.

    Args:
        target: that the run is for; empty where all targets of the row start from it.
        task: whose data it was trained on; a run on several has a curve for each.
    """

    phase: Phase
    row: str
    seed: int
    target: str
    task: str

    @property
    def run(self) -> RunName:
        """Its run, whatever the task."""
        return RunName(self.phase, self.row, self.seed, self.target)


class RunName(NamedTuple):
    """A training run, as in :class:`CurveKey`."""

    phase: Phase
    row: str
    seed: int
    target: str


class Point(NamedTuple):
    """What is known after ``step`` optimiser steps; loss, score or both."""

    step: int
    loss: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a run by their steps, of ``planned``; fewer were done where patience ran out."""

    planned: int
    points: tuple[Point, ...]

    @property
    def losses(self) -> list[tuple[int, float]]:
        """(step, mean training loss up to it)."""
        return [(point.step, point.loss) for point in self.points if point.loss is not None]

    @property
    def scores(self) -> list[tuple[int, float]]:
        """(step, points on development data)."""
        return [(point.step, point.score) for point in self.points if point.score is not None]


Curves = Mapping[CurveKey, Curve]


def reported_curves(report: Mapping[str, Any]) -> dict[str, Curve]:
    """Task -> its curve, of what a run of :func:`stilts_artifact.training.loop.train` reported.

    Example:
        >>> reported_curves({
        ...     "planned": 3,
        ...     "steps": 3,
        ...     "losses": {"mnli": [1.5, None]},
        ...     "evaluations": [{"step": 3, "score": 70.0, "tasks": {"mnli": 70.0}}],
        ... })["mnli"].points
        (Point(step=2, loss=1.5, score=None), Point(step=3, loss=None, score=70.0))
    """
    planned, done = report["planned"], report["steps"]
    scores: dict[str, dict[int, float]] = {task: {} for task in report["losses"]}
    for evaluation in report["evaluations"]:
        for task, score in evaluation["tasks"].items():
            scores.setdefault(task, {})[evaluation["step"]] = score
    found = {}
    for task, own in scores.items():
        parts = report["losses"].get(task, [])
        # Step s, from 0, is in part s * parts // planned; the last part begun may not be ended.
        losses = {
            min(done, math.ceil(planned * (part + 1) / len(parts))): loss
            for part, loss in enumerate(parts)
            if loss is not None
        }
        steps = sorted(losses.keys() | own.keys())
        points = tuple(Point(step, losses.get(step), own.get(step)) for step in steps)
        found[task] = Curve(planned, points)
    return found


def kept_scores(curves: Curves) -> dict[RunName, float]:
    """Run -> points on development data of the weights that it kept; without runs that have none.

    They are those of its best evaluation; where a run has several tasks, by their mean.
    """
    runs: defaultdict[RunName, defaultdict[int, list[float]]]
    runs = defaultdict(lambda: defaultdict(list))
    for key, curve in curves.items():
        for step, score in curve.scores:
            runs[key.run][step].append(score)
    return {run: max(map(fmean, steps.values())) for run, steps in runs.items()}


def dump_curves(curves: Curves) -> bytes:
    """The bytes of the file: the same curves give the same bytes."""
    return "".join(f"{','.join(line)}\n" for line in (HEADER, *_lines(curves))).encode()


def _lines(curves: Curves) -> Iterator[tuple[str, ...]]:
    for key, curve in sorted(curves.items(), key=lambda item: item[0]):
        for step, *numbers in curve.points:
            written = ("" if number is None else f"{number:.6f}" for number in numbers)
            yield (*map(str, astuple(key)), str(curve.planned), str(step), *written)


def parse_curves(data: bytes, where: str) -> dict[CurveKey, Curve]:
    """The curves in the bytes of a file.

    Raises:
        DataError: not such a file, a point that says nothing or what cannot be, or points that are
            not in the order of their steps.
    """
    found: dict[CurveKey, tuple[int, list[Point]]] = {}
    for line in parse_csv(data, where, HEADER):
        key, planned, point = _parse(line)
        due, points = found.setdefault(key, (planned, []))
        last = points[-1].step if points else 0
        if planned != due or not last < point.step <= planned:
            raise _fault("a point out of its order", line, f"a step after {last}, of {due}")
        points.append(point)
    return {key: Curve(planned, tuple(points)) for key, (planned, points) in found.items()}


def _parse(line: CsvRow) -> tuple[CurveKey, int, Point]:
    cells = line.cells
    phase: Phase | None = next((one for one in get_args(Phase) if one == cells["phase"]), None)
    seed, planned, step = (whole_number(cells[name]) for name in ("seed", "planned", "step"))
    texts = cells["loss"], cells["score"]
    if phase is None or seed is None or planned is None or step is None or not any(texts):
        raise _fault("not a point of a learning curve", line, ",".join(HEADER))
    if not all(map(_NUMBER.fullmatch, texts)):
        raise _fault("not a point of a learning curve", line, "numbers with six decimals")
    loss, score = (float(text) if text else None for text in texts)
    if score is not None and score > 100:
        raise _fault("not a score", line, "0 to 100 points")
    key = CurveKey(phase, cells["row"], seed, cells["target"], cells["task"])
    return key, planned, Point(step, loss, score)


def _fault(what: str, line: CsvRow, expected: str) -> DataError:
    got = ",".join(line.cells.values())
    return DataError(what, where=line.where, got=got, expected=expected)
