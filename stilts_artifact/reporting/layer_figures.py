"""Figures of a study of alignment: scores of every layer and language, raw and centred."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from stilts_artifact.forms.alignment_scores import SCORES, Measure, read_scores
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.reporting import svg
from stilts_artifact.reporting.study_figures import Question
from stilts_artifact.studies.protocol import EffectDefinition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shown = Literal["raw", "centred"]
_SHOWN: tuple[Shown, ...] = get_args(Shown)
_PANEL, _TOP, _LEFT = 130.0, 22.0, 52.0

Layers = Mapping[tuple[str, str], Array]
"""(language, variant) -> a number for each layer."""


@dataclass(frozen=True, slots=True)
class LayerScores:
    """What the runs of a study say of every layer.

    Args:
        rows: row -> measure -> its numbers, means over seeds.
    """

    rows: Mapping[str, Mapping[Measure, Layers]]

    def mean(self, rows: Sequence[str], measure: Measure) -> Layers:
        """Mean over those of the rows that were run; empty without any."""
        every = [self.rows[row][measure] for row in rows if row in self.rows]
        places = set.intersection(*(set(own) for own in every)) if every else set()
        return {place: np.mean([own[place] for own in every], axis=0) for place in sorted(places)}


def load_layers(folder: Path) -> LayerScores:
    """The scores in a study's results folder; none where there are none.

    Raises:
        DataError: a file that is none of scores.
    """
    runs: defaultdict[str, dict[str, Mapping[Measure, Layers]]] = defaultdict(dict)
    for path in sorted((folder / SCORES).glob("*/seed-*/*/*.csv")):
        row, seed = path.relative_to(folder / SCORES).parts[:2]
        runs[row][seed] = _layers(path)
    rows = {}
    for row, seeds in runs.items():
        # Over seeds as, later on, over rows.
        own = LayerScores(seeds)
        rows[row] = {measure: own.mean(list(seeds), measure) for measure in _USED}
    return LayerScores(rows)


_USED: tuple[Measure, ...] = ("accuracy", "log-odds")


def _layers(path: Path) -> Mapping[Measure, Layers]:
    scores = read_scores(path)
    found: dict[Measure, dict[tuple[str, str], list[float]]] = {name: {} for name in _USED}
    for place, measures in scores.items():
        for name, layers in found.items():
            layers.setdefault((place.language, place.variant), []).append(measures[name])
    return {
        name: {place: np.array(values) for place, values in layers.items()}
        for name, layers in found.items()
    }


def layer_figures(
    question: Question, effect: EffectDefinition, scores: LayerScores, reported: int
) -> Iterator[svg.Drawing | str]:
    """How well translations are found in every layer, and what an effect is there.

    Args:
        scores: of the study's runs.
        reported: the layer of the study's cells.
    """
    first, *others = effect.terms
    before = scores.mean(first.rows, "accuracy")
    title = "Translations found, by layer"
    if not before:
        yield f"{title}: not drawn, for no scores of row {first.rows[0]} are there."
        return
    yield _figure(question, title, "accuracy", before, reported)
    title = "Alignment lost, by layer"
    terms = [
        (term.weight, own)
        for term in (first, *others)
        if (own := scores.mean(term.rows, "log-odds"))
    ]
    if len(terms) < len(effect.terms):
        yield f"{title}: not drawn, for no other row was run."
        return
    lost = {
        place: np.sum([weight * own[place] for weight, own in terms], axis=0)
        for place in before
        if all(place in own for _, own in terms)
    }
    yield _figure(question, title, "log-odds", lost, reported)


def _figure(
    question: Question, title: str, unit: str, layers: Layers, reported: int
) -> svg.Drawing:
    below = svg.BOTTOM
    height = below + len(_SHOWN) * (_PANEL + _TOP)
    group = question.defined.languages or "all"

    def draw(figure: Figure) -> None:
        for number, variant in enumerate(reversed(_SHOWN)):
            bottom = below + number * (_PANEL + _TOP)
            axes = svg.frame(figure, _LEFT, bottom, top=height - bottom - _PANEL)
            own = {language: values for (language, of), values in layers.items() if of == variant}
            _panel(axes, own, question.group)
            axes.set_title(variant, loc="left", pad=3)
            axes.set_ylabel(unit)
            if unit != "accuracy":
                axes.axhline(0, color=svg.MUTED, linewidth=0.8)
            axes.axvline(reported, color=svg.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            if number == 0:
                axes.set_xlabel("layer")
            else:
                axes.set_xticklabels([])
        ends = svg.widened(np.concatenate([layers[place] for place in _drawn(layers)]))
        for axes in figure.axes:
            axes.set_ylim(*ends)

    return svg.Drawing(
        title=title,
        reading=(
            f"Thin lines: languages, those of the group {group} solid, others dotted; thick: their "
            "means, diamonds and squares. Dashed: the layer that the study reports."
        ),
        description=f"{title}. " + " ".join(_described(question, layers, unit, reported)),
        height=height,
        body=svg.render(draw, height, f"{question.name}-{unit}-by-layer"),
    )


def _drawn(layers: Layers) -> list[tuple[str, str]]:
    return [place for place in layers if place[1] in _SHOWN]


def _panel(axes: Axes, own: Mapping[str, Array], group: frozenset[str]) -> None:
    depth = np.arange(len(next(iter(own.values()))))
    for language, values in own.items():
        dots = "-" if language in group else (0, (1, 2))
        axes.plot(depth, values, color=svg.MUTED, linewidth=0.6, linestyle=dots, alpha=0.8)
    for inside, marker, colour in ((False, "s", svg.SERIES[1]), (True, "D", svg.ACCENT)):
        part = [values for language, values in own.items() if (language in group) == inside]
        if part:
            mean = np.mean(part, axis=0)
            axes.plot(depth, mean, color=colour, linewidth=1.8, marker=marker, markersize=4.0)
    axes.set(xlim=(-0.4, depth[-1] + 0.4))
    axes.set_xticks(depth)


def _described(question: Question, layers: Layers, unit: str, reported: int) -> Iterator[str]:
    group, name = question.group, question.defined.languages or "all"
    for variant in _SHOWN:
        for inside, called in ((True, name), (False, "others")):
            part = [
                values
                for (language, of), values in layers.items()
                if of == variant and (language in group) == inside
            ]
            if part:
                mean = np.mean(part, axis=0)
                least, most = int(mean.argmin()), int(mean.argmax())
                at, low, high = (_number(mean[layer], unit) for layer in (reported, least, most))
                yield (
                    f"Mean of {len(part)} {called}, {variant}: {at} at layer {reported}, "
                    f"from {low} at layer {least} to {high} at layer {most}."
                )


def _number(value: float, unit: str) -> str:
    return f"{value:.1f}" if unit == "accuracy" else svg.number(value)
