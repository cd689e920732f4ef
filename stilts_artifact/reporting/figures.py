"""Figures: the geometry of the page's, which a template draws as SVG, and plots of retrieval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.checking.intervals import Intervals
from stilts_artifact.checking.results import CellRecord
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.metrics.bootstrap import Estimate
from stilts_artifact.reporting.layout import Column, Layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stilts_artifact.retrieval.gold import GoldScores
    from stilts_artifact.retrieval.sweep import SweepScores

WIDTH, LEFT, RIGHT = 340.0, 44.0, 14.0
TOP, STEP, BOTTOM = 8.0, 19.0, 22.0
GAIN_STEP = 15.0  # of a row with one mark
BAR = 5.0  # from a mark to its error bar: above for the one row, below for the other

_DASHES = ("-", "--", ":", "-.")
_INSIDE = 6  # entries of a legend that a plot has room for

HEAT_STEPS = (0.5, 2.0, 5.0, 10.0, 20.0)
"""Gains, in points, at which a heat map's colour gets deeper."""


_Pair = tuple[CellRecord | None, CellRecord | None]
_Ends = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Mark:
    """One score with its error bar.

    Args:
        x, y: position in the drawing.
        bar, low, high: height and ends of the error bar, which stands beside the mark; no ends
            where the predictions are not there.
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


@dataclass(frozen=True, slots=True)
class Gain:
    """What a row has over the first one in a column.

    Args:
        name: of the line that it stands on.
        x, low, high: positions; no ends where the predictions are not there.
        points, interval: the same in points.
    """

    name: str
    y: float
    x: float
    low: float | None
    high: float | None
    points: float
    interval: tuple[float, float] | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval is on one side of zero."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, slots=True)
class GainPanel:
    """Gains of all rows in one column, or of one row in all columns; all panels have one axis.

    Args:
        names: title and height of every line, whether it has a gain here or not.
        left: where the axis begins.
        zero: position of no gain.
    """

    title: str
    names: tuple[tuple[str, float], ...]
    gains: tuple[Gain, ...]
    ticks: tuple[tuple[float, int], ...]
    left: float
    zero: float
    height: float


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


def gain_panels(layout: Layout, intervals: Intervals) -> list[GainPanel]:
    """Every task's gain over no intermediate task on every target, with a paired interval.

    A panel for each target, or for each row where these are fewer.
    """
    rows = [row for _, rows in layout.measured for row in rows if row.row != NONE]
    columns = layout.with_role("score", "average")
    found: dict[tuple[str, str], tuple[float, Estimate | None]] = {
        (row.row, column.name): (gain, intervals.gains.get(CellKey(row.row, column.name)))
        for column in columns
        for row in rows
        if layout.has_gains and (gain := layout.gain(row.row, column.name)) is not None
    }
    rows = [row for row in rows if any(row.row == name for name, _ in found)]
    columns = tuple(one for one in columns if any(one.name == name for _, name in found))
    if not found:
        return []
    ends = [0.0]
    for gain, estimate in found.values():
        ends += [gain] if estimate is None else [gain, estimate.low, estimate.high]
    titled = [(row.row, row.title) for row in rows], [(one.name, one.title) for one in columns]
    by_row = len(rows) < len(columns)
    panels, lines = titled if by_row else titled[::-1]
    # A letter of the drawing is 10.5 points high; those of titles are up to two thirds as wide.
    left = min(12 + 7.0 * max(len(title) for _, title in lines), WIDTH / 2)
    axis = _Axis(*_rounded(min(ends), max(ends)), left)
    names = tuple(
        (title, _round(TOP + GAIN_STEP * (number + 0.5))) for number, (_, title) in enumerate(lines)
    )
    drawn = []
    for name, title in panels:
        keys = [(name, line) if by_row else (line, name) for line, _ in lines]
        gains = tuple(
            _gain(line, y, *found[key], axis)
            for key, (line, y) in zip(keys, names, strict=True)
            if key in found
        )
        height = TOP + GAIN_STEP * len(lines) + BOTTOM
        drawn.append(GainPanel(title, names, gains, axis.ticks(), left, axis.at(0.0), height))
    return drawn


def _gain(name: str, y: float, gain: float, estimate: Estimate | None, axis: _Axis) -> Gain:
    ends = None if estimate is None else (estimate.low, estimate.high)
    low, high = (None, None) if ends is None else (axis.at(ends[0]), axis.at(ends[1]))
    return Gain(name, y, axis.at(gain), low, high, gain, ends)


def _rounded(low: float, high: float) -> tuple[float, float]:
    """Limits of an axis in whole fives, or tens where it is long."""
    step = 5.0 if high - low <= 30 else 10.0
    first, last = math.floor(low / step) * step, math.ceil(high / step) * step
    return (first, last) if first < last else (first, first + step)


def language_figures(layout: Layout, intervals: Intervals) -> list[Figure]:
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
        if (pair := _pairs(layout, column, other.row, intervals))
    }
    ends = [end for lines in pairs.values() for line in lines for end in _ends(*line[1:])]
    axis = _axis(ends)
    return [
        _figure(
            column,
            (layout.baseline.title, layout.chosen.get(column.title, other.title)),
            [(code, layout.languages.get(code, code), pair, own) for code, pair, own in lines],
            axis,
        )
        for column, lines in pairs.items()
    ]


def dumbbell_figures(layout: Layout, intervals: Intervals, expected: str) -> list[Figure]:
    """Of a table with one row, as the calibration: each language's measured value and expected one.

    Args:
        expected: what expected values are called.
    """
    if len(layout.rows) != 1:
        return []
    row = layout.rows[0].row
    cells = {
        column: [
            (code, cell)
            for code in layout.languages_of(column.name)
            if (cell := layout.cell(row, column.name, code)) is not None
            and cell.value is not None
            and cell.expected is not None
        ]
        for column in layout.with_role("score", "part")
    }
    pairs = {
        column: [(code, _dumbbell(cell, intervals)) for code, cell in lines]
        for column, lines in cells.items()
        if lines
    }
    axis = _axis([end for lines in pairs.values() for _, line in lines for end in _ends(*line)])
    return [
        _figure(
            column,
            (expected, "measured"),
            [(code, layout.languages.get(code, code), *line) for code, line in lines],
            axis,
        )
        for column, lines in pairs.items()
    ]


def _dumbbell(
    cell: CellRecord, intervals: Intervals
) -> tuple[tuple[CellRecord, CellRecord], tuple[_Ends, _Ends]]:
    """The expected value, as a cell with its limit for a bar, and the measured one."""
    due = float(cell.expected or 0)
    limit = None if cell.limit is None else (due - cell.limit, due + cell.limit)
    expected = cell.model_copy(update={"value": due, "seeds": None})
    return (expected, cell), (limit, _interval(cell, intervals))


@dataclass(frozen=True, slots=True)
class _Axis:
    """The horizontal axis, from ``low`` to ``high`` points."""

    low: float
    high: float
    left: float = LEFT

    def at(self, points: float) -> float:
        """Position of a number of points, held within the axis."""
        share = (min(max(points, self.low), self.high) - self.low) / (self.high - self.low)
        return _round(self.left + (WIDTH - self.left - RIGHT) * share)

    def mark(self, cell: CellRecord | None, ends: _Ends, y: float, bar: float) -> Mark | None:
        """A cell's mark at height ``y``, with its error bar ``bar`` below."""
        if cell is None or cell.value is None:
            return None
        low, high = (None, None) if ends is None else (self.at(ends[0]), self.at(ends[1]))
        seeds = tuple(self.at(value) for value in cell.seeds or ())
        return Mark(self.at(cell.value), y, _round(y + bar), low, high, seeds, cell.value)

    def ticks(self) -> tuple[tuple[float, int], ...]:
        """(position, number) of the whole fives, tens or twenties, zero among them if it is."""
        length = self.high - self.low
        step = 5 if length <= 20 else 10 if length <= 50 else 20
        first = math.ceil(self.low / step) * step
        return tuple((self.at(value), value) for value in range(first, int(self.high) + 1, step))


def _pairs(
    layout: Layout, column: Column, row: str, intervals: Intervals
) -> list[tuple[str, _Pair, tuple[_Ends, _Ends]]]:
    """Each language with its cells of both rows and their intervals; none without any value."""
    lines = []
    for code in layout.languages_of(column.name):
        pair = layout.cell(NONE, column.name, code), layout.cell(row, column.name, code)
        ends = _interval(pair[0], intervals), _interval(pair[1], intervals)
        lines.append((code, pair, ends))
    values = [cell.value for _, pair, _ in lines for cell in pair if cell is not None]
    return lines if any(value is not None for value in values) else []


def _interval(cell: CellRecord | None, intervals: Intervals) -> _Ends:
    found = None if cell is None or cell.value is None else intervals.scores.get(cell.key)
    return None if found is None else (found.low, found.high)


def _figure(
    column: Column,
    titles: tuple[str, str],
    pairs: Sequence[tuple[str, str, _Pair, tuple[_Ends, _Ends]]],
    axis: _Axis,
) -> Figure:
    lines = []
    for number, (code, name, (base, other), ends) in enumerate(pairs):
        y = _round(TOP + STEP * (number + 0.5))
        marks = axis.mark(base, ends[0], y, -BAR), axis.mark(other, ends[1], y, BAR)
        lines.append(Line(code, name, y, *marks))
    height = TOP + STEP * len(pairs) + BOTTOM
    known = any(ends[1] is not None for *_, ends in pairs)
    return Figure(column, *titles, tuple(lines), axis.ticks(), height, known)


def _ends(pair: _Pair, intervals: tuple[_Ends, _Ends]) -> list[float]:
    """Everything that is drawn of a language, in points."""
    ends: list[float] = []
    for cell, own in zip(pair, intervals, strict=True):
        if cell is not None and cell.value is not None:
            ends += [cell.value, *(own or ()), *(cell.seeds or ())]
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
    """Draw points by layer: each pooling's mean over languages, and thin lines of the languages.

    Raises:
        ResourceError: matplotlib is not installed, or the file cannot be written.
        ConfigError: not a suffix that it can draw.
    """
    with _axes(path) as axes:
        means = scores.means
        for number, pooling in enumerate(dict.fromkeys(name for name, _ in means)):
            layers = [layer for name, layer in means if name == pooling]
            style = _DASHES[number % len(_DASHES)]
            own = [means[pooling, layer] for layer in layers]
            axes.plot(layers, own, marker="o", color="black", linestyle=style, label=pooling)
            for place, (language, n) in enumerate(scores.n.items() if len(scores.n) > 1 else ()):
                axes.plot(
                    layers,
                    [scores.points[pooling, layer][language] for layer in layers],
                    color=f"C{place % 10}",
                    linestyle=style,
                    linewidth=0.8,
                    # Every pooling has the same languages: the first line stands for all.
                    label=f"{language} (n = {n:,})" if number == 0 else None,
                )
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
        entries = len(axes.get_legend_handles_labels()[1])
        if entries <= _INSIDE:
            axes.legend()
        else:
            # Beside the plot, in as many columns as keep it from being higher than that.
            columns = 1 + (entries - 1) // 18
            drawing.set_size_inches(7 + 1.3 * columns, 4)
            drawing.legend(loc="outside right upper", fontsize=8, ncols=columns)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            drawing.savefig(path)
        except ValueError as error:
            raise ConfigError(
                "not a format to draw in", got=path.suffix, expected=".png, .svg or .pdf"
            ) from error
