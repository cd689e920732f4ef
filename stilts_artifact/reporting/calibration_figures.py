"""Figures of a study of calibration: reliability diagrams, and what one temperature does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from stilts_artifact.benchmark.experiments import SMALLER
from stilts_artifact.checking.results import Results
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.reporting import svg
from stilts_artifact.reporting.study_figures import Question
from stilts_artifact.reporting.study_tables import StudyTables
from stilts_artifact.studies.calibration_tables import VERSIONS, Version
from stilts_artifact.studies.protocol import EffectDefinition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL, _GAP = 132.0, 24.0  # a panel's side, and what lies between two
_TOP, _LEGEND = 30.0, 30.0
_DENSE = 0.02  # of the highest density: below it a curve rests on next to nothing, and is not drawn
_STRIP = 0.16  # of a panel's height, for the densities
_EACH = 2 * svg.ROW  # height of a language


@dataclass(frozen=True, slots=True)
class Arm:
    """Rows of one encoder that are drawn as one.

    Args:
        rows: names, those that were run.
        encoder: which it is, as a panel's heading.
        title: of the rows.
        treated: whether an intermediate task came before.
    """

    rows: tuple[str, ...]
    encoder: str
    title: str
    treated: bool

    @property
    def colour(self) -> str:
        """One kind of rows looks alike in every panel."""
        return svg.SERIES[1 if self.treated else 0]


def arms_of(effect: EffectDefinition, results: Results) -> list[Arm]:
    """The arms of an effect whose terms are rows against rows: treated ones, and their baseline."""
    rows = {row.name: row for row in results.defined.rows(results.benchmark)}
    run = {row.row for row in results.rows}
    arms = []
    for number, term in enumerate(effect.terms):
        own = tuple(row for row in term.rows if row in run)
        if own:
            # As the larger encoder's rows are called: which encoder it is, the panel says.
            titles = (rows[row.removesuffix(SMALLER)].title for row in own)
            encoder = "smaller encoder" if rows[own[0]].encoder == "smaller" else "larger encoder"
            arms.append(Arm(own, encoder, ", ".join(titles), treated=number % 2 == 0))
    return arms


def calibration_figures(question: Question, arms: Sequence[Arm]) -> Iterator[svg.Drawing | str]:
    """Of the arms of an effect on overconfidence; of a figure without data a sentence."""
    yield from reliability_diagrams(question, arms)
    yield from before_and_after(question, arms)


# Reliability


def reliability_diagrams(question: Question, arms: Sequence[Arm]) -> Iterator[svg.Drawing | str]:
    """Accuracy by confidence, each encoder in a column: as published, and with one temperature."""
    group = question.defined.languages or "all"
    title = f"Reliability in {group} languages"
    curves = {
        (arm, version): points
        for arm in arms
        for version in VERSIONS
        if (points := _curve(question.tables, question.defined.effect, arm, version)).size
    }
    if not curves:
        yield f"{title}: not drawn, for no run's probabilities are there."
        return
    encoders = list(dict.fromkeys(arm.encoder for arm, _ in curves))
    versions = [one for one in VERSIONS if any(version == one for _, version in curves)]
    least = min(points[:2].min() for points in curves.values())
    height = _TOP + len(versions) * (_PANEL + _GAP) - _GAP + svg.BOTTOM + _LEGEND

    def draw(figure: Figure) -> None:
        for number, version in enumerate(versions):
            for place, encoder in enumerate(encoders):
                above = _TOP + number * (_PANEL + _GAP)
                left = svg.LEFT + place * (_PANEL + _GAP)
                axes = svg.frame(
                    figure,
                    left,
                    height - above - _PANEL,
                    right=svg.WIDTH - left - _PANEL,
                    top=above,
                )
                axes.set(xlim=(least, 100), ylim=(least, 100))
                own = [arm for arm in arms if arm.encoder == encoder]
                _panel(axes, {a: curves[a, version] for a in own if (a, version) in curves})
                if place == 0:
                    axes.set_ylabel(f"accuracy, {_VERSION_WORDS[version]}")
                else:
                    axes.set_yticklabels([])
                if number == 0:
                    axes.set_title(encoder, pad=4)
                if number == len(versions) - 1:
                    axes.set_xlabel("confidence")
        _legend(figure)

    yield svg.Drawing(
        title=title,
        reading=(
            "Dotted: a calibrated model; below it confidence is too high. Shaded: how confidences "
            "lie. Lower panels: every run with the temperature that suits its English development "
            "data. All languages of the group and all runs together."
        ),
        description=f"{title}. "
        + " ".join(
            f"{arm.title}, {arm.encoder}, {_VERSION_WORDS[version]}: confidence is "
            f"{svg.number(np.average(points[0] - points[1], weights=points[2]))} points above "
            "accuracy on average."
            for (arm, version), points in curves.items()
        ),
        height=height,
        body=svg.render(draw, height, f"{question.name}-reliability"),
    )


_VERSION_WORDS: Mapping[Version, str] = {"published": "as it is", "tempered": "one temperature"}


def _curve(tables: StudyTables, effect: str, arm: Arm, version: Version) -> Array:
    """Confidence, accuracy and density where there are confidences enough, array [3, points]."""
    points = tables.reliability.get((effect, " ".join(arm.rows), version), ())
    most = max((point.density for point in points), default=0.0)
    known = [
        (point.confidence, point.accuracy, point.density)
        for point in points
        if point.accuracy is not None and point.density > _DENSE * most
    ]
    return np.array(known).reshape(-1, 3).T


def _panel(axes: Axes, curves: Mapping[Arm, Array]) -> None:
    """A diagonal and curves; axes must have their limits."""
    axes.plot(
        axes.get_xlim(), axes.get_xlim(), color=svg.MUTED, linewidth=0.9, linestyle=(0, (1, 2))
    )
    for arm, (confidence, accuracy, density) in curves.items():
        axes.fill_between(
            confidence,
            0,
            _STRIP * density / density.max(),
            transform=axes.get_xaxis_transform(),
            color=arm.colour,
            alpha=0.25,
            linewidth=0,
        )
        axes.plot(
            confidence,
            accuracy,
            color=arm.colour,
            linestyle=(0, (5, 2)) if arm.treated else "-",
            label=arm.title,
        )


# Overconfidence before and after one temperature


def before_and_after(question: Question, arms: Sequence[Arm]) -> Iterator[svg.Drawing | str]:
    """Overconfidence of every language, each encoder in a column: as published, and tempered."""
    title = "Overconfidence before and after one temperature a run"
    known = question.tables.overconfidence
    languages = sorted(
        {language for row, language, _ in known if any(row in arm.rows for arm in arms)},
        key=lambda code: (code not in question.group, code),
    )
    values = {
        (arm, language, version): fmean(found)
        for arm in arms
        for language in languages
        for version in VERSIONS
        if (found := [one for row in arm.rows for one in known.get((row, language, version), ())])
    }
    if not values:
        yield f"{title}: not drawn, for no run's probabilities are there."
        return
    encoders = list(dict.fromkeys(arm.encoder for arm in arms))
    left = svg.left_of(languages)
    wide = (svg.WIDTH - left - 8 - _GAP / 2 * (len(encoders) - 1)) / len(encoders)
    height = _TOP + _EACH * len(languages) + svg.BOTTOM + _LEGEND
    ends = np.array([0.0, *values.values()])

    def draw(figure: Figure) -> None:
        for number, encoder in enumerate(encoders):
            start = left + number * (wide + _GAP / 2)
            right = svg.WIDTH - start - wide
            axes = svg.frame(figure, start, svg.BOTTOM + _LEGEND, right=right, top=_TOP)
            svg.list_axis(axes, languages if number == 0 else [""] * len(languages), "points")
            axes.set(xlim=svg.widened(ends))
            axes.set_title(encoder, pad=4)
            axes.axvline(0, color=svg.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            for code, text in zip(languages, axes.get_yticklabels(), strict=True):
                if code in question.group:
                    text.set(fontweight="bold", color=svg.INK)
            for arm in arms:
                if arm.encoder == encoder:
                    _moves(axes, arm, languages, values)
        _legend(figure)

    marked = "" if not question.group else f" Bold: the group {question.defined.languages}."
    yield svg.Drawing(
        title=title,
        reading=(
            "Hollow: as it is; full: with the temperature that suits the run's English development "
            f"data. Means over rows and seeds; right of 0 confidence is too high.{marked}"
        ),
        description=f"{title}. " + " ".join(_moved(arm, languages, values) for arm in arms),
        height=height,
        body=svg.render(draw, height, f"{question.name}-temperature"),
    )


_Values = Mapping[tuple[Arm, str, Version], float]


def _moves(axes: Axes, arm: Arm, languages: Sequence[str], values: _Values) -> None:
    """A line for every language, from the hollow marker to the full one."""
    marker, above = ("s", 0.2) if arm.treated else ("o", -0.2)
    for number, language in enumerate(languages):
        ends = [
            (version, values[arm, language, version])
            for version in VERSIONS
            if (arm, language, version) in values
        ]
        place = number + above
        axes.plot(
            [value for _, value in ends],
            [place] * len(ends),
            color=arm.colour,
            linewidth=0.8,
            zorder=2,
        )
        for version, value in ends:
            axes.plot(
                value,
                place,
                marker=marker,
                markersize=4.5,
                markerfacecolor=arm.colour if version == "tempered" else svg.SURFACE,
                markeredgecolor=arm.colour,
                markeredgewidth=0.9,
                linestyle="",
                label=arm.title,
                zorder=3,
            )


def _moved(arm: Arm, languages: Sequence[str], values: _Values) -> str:
    """The means over languages, in words."""
    means = [
        fmean(found)
        for version in VERSIONS
        if (found := [values[key] for code in languages if (key := (arm, code, version)) in values])
    ]
    return f"{arm.title}, {arm.encoder}: " + " to ".join(map(svg.number, means)) + "."


def _legend(figure: Figure) -> None:
    """One entry for each kind of rows, below the panels."""
    entries = {
        label: handle
        for axes in reversed(figure.axes)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0, 1.0, 0.1),
        ncols=1,
        frameon=False,
        borderaxespad=0.2,
        labelspacing=0.25,
    )
