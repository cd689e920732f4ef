"""Learning curves of a table's training runs: a panel for each task, and all panels on one scale.

Horizontal is the share of the planned steps, for tasks have unlike numbers of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stilts_artifact.benchmark.experiments import MLM, NONE
from stilts_artifact.benchmark.titles import column_title
from stilts_artifact.checking.learning_curves import Curve, CurveKey, Curves, RunName, kept_scores
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.reporting.figures import WIDTH
from stilts_artifact.reporting.layout import Layout

LEFT, RIGHT, TOP, BOTTOM = 40.0, 12.0, 8.0, 22.0
HEIGHT = 160.0
_NAMED = 4  # runs that a description spells out
_LEAST = 1e-3  # A loss on a logarithmic axis: what is less stands at its foot.

Series = Sequence[tuple[int, float]]
"""(step, value) of a run."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run in a panel.

    Args:
        name: of its row, and its seed.
        is_base: whether its row has no intermediate task.
        path: as SVG has it.
        first, last: its values at either end.
    """

    name: str
    is_base: bool
    path: str
    first: float
    last: float

    @property
    def in_words(self) -> str:
        """Which run it is, and its values at either end."""
        return f"{self.name}: {self.first:.3g} to {self.last:.3g}"


@dataclass(frozen=True, slots=True)
class Panel:
    """The runs that train on one task; those of the row without an intermediate task are last.

    Args:
        steps: that were planned, such as ``30`` or ``30 to 48``.
    """

    title: str
    steps: str
    lines: tuple[Line, ...]

    @property
    def description(self) -> str:
        """For those who cannot see it: the first row's runs one by one, the others together."""
        base = [line.in_words for line in self.lines if line.is_base]
        others = [line for line in self.lines if not line.is_base]
        if len(others) > _NAMED:
            first, last = ([line.first for line in others], [line.last for line in others])
            begin, end = (f"{min(one):.3g} to {max(one):.3g}" for one in (first, last))
            together = [f"{len(others)} other runs: {begin} at first, {end} at last"]
        else:
            together = [line.in_words for line in others]
        return f"{'; '.join([*base, *together])}."


@dataclass(frozen=True, slots=True)
class Panels:
    """Panels on the same axes.

    Args:
        unit: of the vertical axis.
        ticks: (position, number) of it; ``shares``, of the horizontal one.
    """

    title: str
    unit: str
    ticks: tuple[tuple[float, float], ...]
    shares: tuple[tuple[float, int], ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class DevelopmentRow:
    """The scores of the weights that a row's runs kept: one a seed under each heading."""

    title: str
    is_base: bool
    scores: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Training:
    """What the page shows of a table's training runs.

    Args:
        runs: how many there are; targets with the same training data share theirs.
        headings: of the columns of ``rows``.
        unscored: targets whose runs have no development data.
    """

    runs: int
    headings: tuple[str, ...]
    rows: tuple[DevelopmentRow, ...]
    unscored: tuple[str, ...]
    figures: tuple[Panels, ...]


def training_view(curves: Curves, layout: Layout, benchmark: Benchmark) -> Training | None:
    """Curves and kept scores of a table's training runs; ``None`` if nothing is known of any."""
    groups = _groups(curves, layout, benchmark)
    if not groups:
        return None
    loss, development = "training loss", "points on development data"
    figures = [
        _panels(f"Phase ({sign}): {loss}", loss, own, layout, lambda curve: curve.losses)
        for sign, own in groups.items()
    ]
    # One evaluation is a number of the table, and no curve.
    if any(len(curve.scores) > 1 for curve in curves.values()):
        figures += [
            _panels(f"Phase ({sign}): {development}", "points", own, layout, lambda one: one.scores)
            for sign, own in groups.items()
        ]
    headings, rows = _development(kept_scores(curves), layout)
    targets = {key.target for key in curves if key.phase == "target"}
    scored = {key.target for key, curve in curves.items() if curve.scores}
    return Training(
        runs=len({key.run for own in groups.values() for _, curves in own for key in curves}),
        headings=headings,
        rows=rows,
        unscored=tuple(column_title(one, benchmark).title for one in sorted(targets - scored)),
        figures=tuple(one for one in figures if one.panels),
    )


Groups = Mapping[str, Sequence[tuple[str, Mapping[CurveKey, Curve]]]]
"""Sign of a phase -> (title, curves) of each of its panels."""


def _groups(curves: Curves, layout: Layout, benchmark: Benchmark) -> Groups:
    """Phase (ii) by the task that is trained on, phase (iii) by target, in the tables' order."""

    def title(name: str) -> str:
        return "MLM" if name == MLM else column_title(name, benchmark).title

    tasks: defaultdict[str, dict[CurveKey, Curve]] = defaultdict(dict)
    targets: defaultdict[str, dict[CurveKey, Curve]] = defaultdict(dict)
    for key, curve in curves.items():
        if key.phase == "intermediate":
            tasks[key.task][key] = curve
        else:
            targets[key.target][key] = curve
    order = {name: place for place, name in enumerate([*benchmark.tasks, MLM])}
    found: dict[str, list[tuple[str, Mapping[CurveKey, Curve]]]] = {}
    if tasks:
        names = sorted(tasks, key=order.__getitem__)
        found["ii"] = [(title(name), tasks[name]) for name in names]
    # Of one model that several targets share there is one panel.
    same: dict[frozenset[tuple[str, int, Curve]], list[str]] = {}
    for name in sorted(targets, key=order.__getitem__):
        own = frozenset((key.row, key.seed, curve) for key, curve in targets[name].items())
        same.setdefault(own, []).append(name)
    if same:
        found["iii"] = [
            (", ".join(map(title, names)), targets[names[0]]) for names in same.values()
        ]
    return found


def _panels(
    title: str,
    unit: str,
    groups: Sequence[tuple[str, Mapping[CurveKey, Curve]]],
    layout: Layout,
    series: Callable[[Curve], Series],
) -> Panels:
    values = [
        value for _, own in groups for curve in own.values() for _, value in series(curve)
    ] or [1.0]
    scale = _losses(values) if unit == "training loss" else _points(values)
    panels = []
    for name, own in groups:
        lines = [
            _line(key, curve, series(curve), layout, scale)
            for key, curve in sorted(own.items(), key=lambda item: item[0])
            if series(curve)
        ]
        if lines:
            planned = sorted({curve.planned for curve in own.values()})
            steps = f"{planned[0]:,}" + (f" to {planned[-1]:,}" if len(planned) > 1 else "")
            lines.sort(key=lambda line: line.is_base)
            panels.append(Panel(name, steps, tuple(lines)))
    shares = tuple((_across(share / 100), share) for share in (0, 50, 100))
    return Panels(title, unit, scale.ticks, shares, tuple(panels))


def _name(key: CurveKey, layout: Layout) -> str:
    """Row and seed of a run, and the target if the row has another run for each."""
    row = next((row.title for row in layout.rows if row.row == key.row), key.row)
    target = next((one.title for one in layout.columns if one.name == key.target), key.target)
    chosen = f" for {target}" if key.phase == "intermediate" and target else ""
    return f"{row}{chosen}, seed {key.seed}"


def _line(key: CurveKey, curve: Curve, series: Series, layout: Layout, scale: _Scale) -> Line:
    spots = [f"{_across(step / curve.planned):g} {scale.at(value):g}" for step, value in series]
    # Of a single point nothing would be seen: a line of no length has round ends.
    path = f"M{' '.join(spots)}" + ("h0" if len(spots) == 1 else "")
    return Line(
        name=_name(key, layout),
        is_base=key.row == NONE,
        path=path,
        first=series[0][1],
        last=series[-1][1],
    )


def _across(share: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)


@dataclass(frozen=True, slots=True)
class _Scale:
    """A vertical axis, linear in ``of`` a value, from ``low`` to ``high``."""

    of: Callable[[float], float]
    low: float
    high: float
    numbers: tuple[float, ...]

    def at(self, value: float) -> float:
        """Position of a value, held within the axis."""
        low, high = self.of(self.low), self.of(self.high)
        share = (self.of(min(max(value, self.low), self.high)) - low) / (high - low)
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)

    @property
    def ticks(self) -> tuple[tuple[float, float], ...]:
        """(position, number)."""
        return tuple((self.at(number), number) for number in self.numbers)


def _losses(values: Sequence[float]) -> _Scale:
    """A logarithmic axis from one of 1, 3, 10, 30 ... to another, around all values."""
    steps = [digit * 10.0**power for power in range(-3, 39) for digit in (1, 3)]
    low = max((step for step in steps if step <= min(values)), default=_LEAST)
    high = min(step for step in steps if step >= max(values) and step > low)
    return _Scale(math.log, low, high, tuple(step for step in steps if low <= step <= high))


def _points(values: Sequence[float]) -> _Scale:
    """Whole twenties around all values."""
    low, high = math.floor(min(values) / 20) * 20, math.ceil(max(values) / 20) * 20
    high = max(high, low + 20)
    return _Scale(float, low, high, tuple(range(low, high + 1, 20)))


def _development(
    kept: Mapping[RunName, float], layout: Layout
) -> tuple[tuple[str, ...], tuple[DevelopmentRow, ...]]:
    """Headings and rows of the table of kept scores."""
    places: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for run, score in sorted(kept.items()):
        places[run.phase, run.target, run.row].append(score)
    columns = [("intermediate", "", "Phase (ii)")]
    columns += [("target", one.name, one.title) for one in layout.with_role("score")]
    known = {place[:2] for place in places}
    columns = [one for one in columns if one[:2] in known]
    rows = [
        DevelopmentRow(
            title=row.title,
            is_base=row.row == NONE,
            scores=tuple(
                tuple(places.get((phase, name, row.row), ())) for phase, name, _ in columns
            ),
        )
        for row in layout.rows
        if any(row.row == place[2] for place in places)
    ]
    return tuple(title for *_, title in columns), tuple(rows)
