"""Figures: the geometry of the page's, which a template draws as SVG, and plots of retrieval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.checking.results import CellRecord
from stilts_artifact.checking.statistics import binomial_error
from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.reporting.layout import Column, Layout
from stilts_artifact.reporting.runs import Examples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stilts_artifact.retrieval.gold import GoldScores
    from stilts_artifact.retrieval.sweep import SweepScores

WIDTH, LEFT, RIGHT = 340.0, 44.0, 14.0
TOP, STEP, BOTTOM = 8.0, 19.0, 22.0
BAR = 5.0  # from a mark to its error bar: above for the one row, below for the other

INTERVAL = 1.959964
"""Standard errors on either side of a score: 95 %."""

HEAT_STEPS = (0.5, 2.0, 5.0, 10.0, 20.0)
"""Gains, in points, at which a heat map's colour gets deeper."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One score with its error bar.

    Args:
        x, y: position in the drawing.
        bar, low, high: height and ends of the error bar, which stands beside the mark; no ends
            where the test set's size is unknown.
        seeds: positions of single seeds, where there are several.
        value: in points.
    """

    x: float
    y: float
    bar: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """One language: the row without an intermediate task, and another."""

    language: str
    name: str
    y: float
    base: Mark | None
    other: Mark | None


@dataclass(frozen=True, slots=True)
class Figure:
    """Scores of two rows in every language of a column.

    Args:
        ticks: (position, number) of the horizontal axis.
        has_errors: whether any mark has an error bar.
    """

    column: Column
    base: str
    other: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, int], ...]
    height: float
    has_errors: bool


def heat(gain: float | None) -> str:
    """Class of a gain in a heat map: ``p0`` .. ``p5``, ``n0`` .. ``n5`` for losses, or ``none``.

    Example:
        >>> heat(0.2), heat(3.0), heat(-11.0), heat(None)
        ('p0', 'p2', 'n4', 'none')
    """
    if gain is None:
        return "none"
    depth = sum(abs(gain) >= step for step in HEAT_STEPS)
    return f"{'n' if gain < 0 else 'p'}{depth}"


def language_figures(layout: Layout, examples: Examples) -> list[Figure]:
    """For each target the row without an intermediate task beside another, all on one axis.

    The other is the chosen one, where rows were chosen on other data; else it is the same for all
    targets (:attr:`Layout.example`): the best on these very data would look better than it is.
    """
    other = layout.example
    if other is None or not layout.has_gains:
        return []
    pairs = {
        column: pair
        for column in layout.with_role("score")
        if (pair := _pairs(layout, column, other.row, examples))
    }
    ends = [end for lines in pairs.values() for line in lines for end in _ends(*line[1:])]
    axis = _axis(ends)
    return [
        _figure(layout, column, other.details.get(column.name, other.title), lines, axis)
        for column, lines in pairs.items()
    ]


@dataclass(frozen=True, slots=True)
class _Axis:
    """The horizontal axis, from ``low`` to ``high`` points."""

    low: float
    high: float

    def at(self, points: float) -> float:
        """Position of a number of points, held within the axis."""
        share = (min(max(points, self.low), self.high) - self.low) / (self.high - self.low)
        return _round(LEFT + (WIDTH - LEFT - RIGHT) * share)

    def mark(
        self, cell: CellRecord | None, error: float | None, y: float, bar: float
    ) -> Mark | None:
        """A cell's mark at height ``y``, with its error bar ``bar`` below."""
        if cell is None or cell.value is None:
            return None
        low, high = (
            (None, None)
            if error is None
            else (self.at(cell.value - error), self.at(cell.value + error))
        )
        seeds = tuple(self.at(value) for value in cell.seeds or ())
        return Mark(self.at(cell.value), y, _round(y + bar), low, high, seeds, cell.value)

    def ticks(self) -> tuple[tuple[float, int], ...]:
        """(position, number) of the whole tens, or twenties."""
        step = 10 if self.high - self.low <= 50 else 20
        return tuple(
            (self.at(value), value) for value in range(int(self.low), int(self.high) + 1, step)
        )


_Pair = tuple[CellRecord | None, CellRecord | None]
_Errors = list[float | None]


def _pairs(
    layout: Layout, column: Column, row: str, examples: Examples
) -> list[tuple[str, _Pair, _Errors]]:
    """Each language with its cells of both rows and their errors; none without any value."""
    lines = []
    for code in layout.languages_of(column.name):
        pair = layout.cell(NONE, column.name, code), layout.cell(row, column.name, code)
        lines.append((code, pair, _errors(pair, examples.get((column.name, code)))))
    values = [cell.value for _, pair, _ in lines for cell in pair if cell is not None]
    return lines if any(value is not None for value in values) else []


def _figure(
    layout: Layout,
    column: Column,
    title: str,
    pairs: Sequence[tuple[str, _Pair, _Errors]],
    axis: _Axis,
) -> Figure:
    lines = []
    for number, (code, (base, other), error) in enumerate(pairs):
        y = _round(TOP + STEP * (number + 0.5))
        marks = axis.mark(base, error[0], y, -BAR), axis.mark(other, error[1], y, BAR)
        lines.append(Line(code, layout.languages.get(code, code), y, *marks))
    height = TOP + STEP * len(pairs) + BOTTOM
    known = any(one is not None for _, _, errors in pairs for one in errors)
    return Figure(column, layout.baseline.title, title, tuple(lines), axis.ticks(), height, known)


def _errors(pair: _Pair, examples: int | None) -> _Errors:
    """Half a 95 % interval of each score, from the size of its test set."""
    return [
        None
        if cell is None or cell.value is None or not examples
        else INTERVAL * binomial_error(cell.value, examples)
        for cell in pair
    ]


def _ends(pair: _Pair, errors: _Errors) -> list[float]:
    ends: list[float] = []
    for cell, error in zip(pair, errors, strict=True):
        if cell is not None and cell.value is not None:
            ends += [cell.value - (error or 0), cell.value + (error or 0), *(cell.seeds or ())]
    return ends


def _axis(ends: Sequence[float]) -> _Axis:
    """Whole tens around all ends, within 0 and 100."""
    if not ends:
        return _Axis(0.0, 100.0)
    low = max(0.0, math.floor(min(ends) / 10) * 10.0)
    high = min(100.0, math.ceil(max(ends) / 10) * 10.0)
    # All ends on one whole ten: an axis without a length would divide by zero.
    return _Axis(low, high) if low < high else _Axis(max(0.0, low - 10), max(high, low + 10))


def _round(value: float) -> float:
    return round(value, 2)


def draw_sweep(scores: SweepScores, path: Path, title: str) -> None:
    """Draw one line for each pooling: mean over languages by layer.

    Raises:
        ResourceError: matplotlib is not installed, or the file cannot be written.
        ConfigError: not a suffix that it can draw.
    """
    with _axes(path) as axes:
        means = scores.means
        for pooling in dict.fromkeys(name for name, _ in means):
            points = {layer: mean for (name, layer), mean in means.items() if name == pooling}
            axes.plot(list(points), list(points.values()), marker="o", label=pooling)
        mean = "mean of " if len(scores.n) > 1 else ""
        axes.set(title=title, xlabel="layer (0: embeddings)", ylabel=f"{mean}{scores.measured}")
        axes.locator_params(axis="x", integer=True)


def draw_cuts(scores: GoldScores, path: Path, title: str) -> None:
    """Draw precision, recall and F1 over the threshold, and where F1 is highest.

    Raises:
        ResourceError, ConfigError: as :func:`draw_sweep`.
    """
    with _axes(path) as axes:
        for name in ("precision", "recall", "f1"):
            axes.plot(scores.curve.thresholds, scores.curve.points[name], label=name)
        best = scores.best
        if math.isfinite(best.threshold):
            label = f"best F1 {best.metrics['f1']:.1f} at {best.threshold:.4f} (upper bound)"
            axes.axvline(best.threshold, color="grey", linestyle=":", label=label)
        axes.set(title=title, xlabel="threshold: lowest score that is kept", ylabel="points")


@contextmanager
def _axes(path: Path) -> Iterator[Axes]:
    """Axes to draw in, which become the file."""
    try:
        # The object-oriented face: pyplot would look for a display.
        from matplotlib import style
        from matplotlib.figure import Figure as Drawing
    except ModuleNotFoundError as error:
        raise ResourceError(
            "a plot needs matplotlib", got=str(error), fix="pip install matplotlib"
        ) from error
    # Nor does it look as a matplotlibrc of this machine or folder says.
    with style.context("default"):
        drawing = Drawing(figsize=(7, 4), layout="constrained")
        axes = drawing.subplots()
        yield axes
        axes.grid(alpha=0.3)
        axes.legend()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            drawing.savefig(path)
        except ValueError as error:
            raise ConfigError(
                "not a format to draw in", got=path.suffix, expected=".png, .svg or .pdf"
            ) from error
