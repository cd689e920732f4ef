"""Figures of single studies: arms by group of languages."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from stilts_artifact.checking.results import CellRecord
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.reporting import svg
from stilts_artifact.reporting.layout import Layout
from stilts_artifact.reporting.study_figures import Question

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Arms of an experiment, by group of languages


def arm_dots(
    question: Question, measures: Sequence[Sequence[str]], layout: Layout, source: str
) -> list[svg.Drawing]:
    """What each row has over the first one in every language of a group, and in all others.

    Args:
        measures: columns, over whose languages together each is one measure.
        source: language of the training data, to which nothing is transferred.
    """
    group = question.defined.languages
    if group is None or question.defined.kind != "group" or len(layout.rows) < 3:
        return []
    members = question.group
    drawings = []
    for columns in measures:
        gains = {code: gain for code, gain in _gains(layout, columns).items() if code != source}
        panels = {
            group: {code: values for code, values in gains.items() if code in members},
            "others": {code: values for code, values in gains.items() if code not in members},
        }
        panels = {name: values for name, values in panels.items() if values}
        if panels:
            titles = {column.name: column.title for column in layout.columns}
            name = titles.get(columns[0], columns[0])
            drawings.append(_arms(f"{question.name}-{columns[0]}", name, panels, layout))
    return drawings


def _gains(layout: Layout, columns: Sequence[str]) -> dict[str, Array]:
    """Language -> points of each row over the first one [rows]; without what was not measured."""
    found = {}
    for column in columns:
        for language in layout.languages_of(column):
            cells = [layout.cell(row.row, column, language) for row in layout.rows]
            values = [
                float("nan") if cell is None or cell.value is None else _mean(cell)
                for cell in cells
            ]
            if np.isfinite(values).all():
                found[language] = np.array(values) - values[0]
    return found


def _mean(cell: CellRecord) -> float:
    """Over seeds: studies have means, where tables have medians."""
    return fmean(cell.seeds) if cell.seeds else float(cell.value or 0)


def _arms(
    name: str, measure: str, panels: Mapping[str, Mapping[str, Array]], layout: Layout
) -> svg.Drawing:
    titles = [textwrap.fill(row.title, 13) for row in layout.rows]
    lines = max(title.count("\n") + 1 for title in titles)
    below, each = 10.0 * lines + 12, 135.0
    height = below + each * len(panels)
    ends = np.concatenate([values for panel in panels.values() for values in panel.values()])

    def draw(figure: Figure) -> None:
        places = np.arange(len(titles))
        for number, (group, gains) in enumerate(reversed(list(panels.items()))):
            top = each * (len(panels) - 1 - number) + 14
            axes = svg.frame(figure, svg.LEFT, below + each * number, top=top)
            axes.set(ylabel="points", ylim=svg.widened(ends), xlim=(-0.4, len(titles) - 0.6))
            axes.set_title(f"{group}: {len(gains)}", loc="left", pad=3)
            axes.set_xticks(places, titles if number == 0 else [""] * len(titles))
            axes.axhline(0, color=svg.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            for values in gains.values():
                axes.plot(
                    places,
                    values,
                    color=svg.MUTED,
                    linewidth=0.5,
                    marker="o",
                    markersize=2.5,
                    markerfacecolor=svg.SURFACE,
                    markeredgewidth=0.6,
                    alpha=0.8,
                )
            axes.plot(
                places,
                np.mean(list(gains.values()), axis=0),
                color=svg.ACCENT,
                linewidth=1.8,
                marker="D",
                markersize=6.0,
                markeredgecolor=svg.SURFACE,
            )

    means = {group: np.mean(list(gains.values()), axis=0) for group, gains in panels.items()}
    title = f"{measure}: every arm over {layout.rows[0].title}, by group of languages"
    return svg.Drawing(
        title=title,
        reading="Thin lines: languages, means over runs. Thick, with diamonds: their mean.",
        description=f"{title}. "
        + " ".join(
            f"Mean of {len(panels[group])} {group}: "
            + ", ".join(
                f"{row.title} {svg.number(value)}"
                for row, value in zip(layout.rows, values, strict=True)
            )
            + "."
            for group, values in means.items()
        ),
        height=height,
        body=svg.render(draw, height, f"{name}-arms"),
    )
