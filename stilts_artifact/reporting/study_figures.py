"""Figures of a study: its effects against what may explain them, and what else could be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stilts_artifact.metrics.ratios import Array
from stilts_artifact.reporting import svg
from stilts_artifact.reporting.findings import unit_of
from stilts_artifact.reporting.study_tables import LanguageEffect, Specification, StudyTables
from stilts_artifact.studies.protocol import HypothesisDefinition, Protocol
from stilts_artifact.studies.record import FitRecord, HypothesisRecord, StudyRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTERVAL = 1.959964
"""Standard errors on either side of an estimate: 95 %."""

_LEAST_VARIANCE = 1e-6  # of an effect: without any, it alone would decide
_SQUARE = 250.0  # height of such a plot, its legend not counted


@dataclass(frozen=True, slots=True)
class Question:
    """A hypothesis with all that is known of it.

    Args:
        name: of study and hypothesis: the drawings' names begin with it.
        effects: languages with an effect, in its first scale, that the hypothesis is about.
        every: all languages with that effect.
        group: codes of the group that the hypothesis names; none where it names none.
        equal: below which the effect counts as none, where another hypothesis says so.
    """

    name: str
    defined: HypothesisDefinition
    record: HypothesisRecord
    effects: tuple[LanguageEffect, ...]
    every: tuple[LanguageEffect, ...]
    group: frozenset[str]
    tables: StudyTables
    equal: float | None = None

    @property
    def fit(self) -> FitRecord | None:
        """The estimate that decides."""
        return self.record.fits[0] if self.record.fits else None

    @property
    def unit(self) -> str:
        """What the effect is in: points, or what else its scale is called."""
        return unit_of(self.defined.scales[0])

    def z(self, covariate: str) -> Array:
        """A covariate of the languages, in standard deviations [languages]; NaN where unknown."""
        known = self.tables.z.get(covariate, {})
        return np.array([known.get(line.language, np.nan) for line in self.effects])


def questions(
    record: StudyRecord, protocol: Protocol, tables: StudyTables, benchmark: str
) -> list[Question]:
    """The hypotheses of a study with their effects.

    Args:
        benchmark: name of the one that the languages are of.
    """
    found = {one.id: one for one in record.hypotheses}
    equal = {one.effect: one.delta for one in protocol.hypotheses if one.direction == "equivalent"}
    asked = []
    for defined in protocol.hypotheses:
        if defined.id not in found:
            continue
        every = tables.effects.get((defined.effect, defined.scales[0]), ())
        name = defined.languages
        group = frozenset(protocol.group(name, benchmark) if name is not None else ())
        whole = name is None or defined.kind in ("interaction", "contrast")
        asked.append(
            Question(
                name=f"{record.study}-{defined.id}",
                defined=defined,
                record=found[defined.id],
                effects=every if whole else tuple(one for one in every if one.language in group),
                every=every,
                group=group,
                tables=tables,
                equal=equal.get(defined.effect),
            )
        )
    return asked


def study_figures(asked: Sequence[Question]) -> Iterator[svg.Drawing | str]:
    """The figures that every study has, in order; of one that lacks its data a sentence."""
    drawn: set[tuple[object, ...]] = set()
    for question in asked:
        for draw in (association, residual_association, forest):
            defined = question.defined
            if draw is forest and not defined.primary:
                continue
            # Two hypotheses about one effect in the same languages are one picture.
            key: tuple[object, ...] = (draw, defined.effect)
            if draw is not forest:
                key += (question.effects, defined.covariate)
            if draw is residual_association:
                key += (defined.controls,)
            if key not in drawn:
                drawn.add(key)
                yield from draw(question)


def robustness_figures(asked: Sequence[Question]) -> Iterator[svg.Drawing | str]:
    """What else could have been chosen, and what came of it, in the manner of the former."""
    for question in asked:
        if question.defined.primary:
            yield from specification_curve(question)
            yield from without_each(question)


# Effect against a covariate


def association(question: Question) -> Iterator[svg.Drawing | str]:
    """The effect in each language against the covariate of a slope, with the fitted line."""
    defined = question.defined
    if defined.covariate is None:
        return
    name = covariate_title(defined.covariate)
    x, y, errors, lines = _known(question, (defined.covariate,))
    title = f"{effect_title(defined.effect)} against {name}"
    if question.fit is None or len(lines) < 3:
        yield f"{title}: not drawn, for too few languages have both."
        return
    labels = f"{name}, standard deviations", question.unit
    drawing = _scatter(question, x, y, errors, lines, labels)
    controls = _and(map(covariate_title, defined.controls))
    held = f", at average {controls}" if controls else ""
    yield svg.Drawing(
        title=f"{defined.id}: {title}",
        reading=(
            f"Bars: standard errors of items and seeds. {_line_in_words(question, held)}"
            f"{_equal_in_words(question)}"
        ),
        description=_slope_in_words(title, question, lines, y),
        height=drawing.height,
        body=svg.render(drawing.draw, drawing.height, f"{question.name}-association"),
    )


def residual_association(question: Question) -> Iterator[svg.Drawing | str]:
    """The same, both axes less what the controls explain: the slope that was fitted."""
    defined = question.defined
    if defined.covariate is None or not defined.controls:
        return
    x, y, errors, lines = _known(question, (defined.covariate, *defined.controls))
    name = covariate_title(defined.covariate)
    controls = _and(map(covariate_title, defined.controls))
    title = f"{effect_title(defined.effect)} against {name}, at equal {controls}"
    if question.fit is None or len(lines) < len(defined.controls) + 3:
        yield f"{title}: not drawn, for too few languages have all of them."
        return
    z = {line.language: place for place, line in enumerate(question.effects)}
    own = [z[line.language] for line in lines]
    others = np.column_stack(
        [np.ones(len(lines)), *(question.z(control)[own] for control in defined.controls)]
    )
    weights = _weights(errors, lines, question.fit)
    x, y = left_over(x, others, weights), left_over(y, others, weights)
    labels = f"{name}, what is left of it", f"{question.unit}, left"
    drawing = _scatter(question, x, y, errors, lines, labels)
    yield svg.Drawing(
        title=f"{defined.id}: {title}",
        reading=(
            f"Both axes less what {controls} explains. Bars: standard errors of items and seeds. "
            f"{_line_in_words(question, '')}"
        ),
        description=_slope_in_words(title, question, lines, y),
        height=drawing.height,
        body=svg.render(drawing.draw, drawing.height, f"{question.name}-residuals"),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """A fitted line and its band: its middle, slope, and half the 95 % widths of both."""

    x: float
    y: float
    slope: float
    middle: float
    steep: float

    def at(self, x: Array) -> tuple[Array, Array]:
        """The line, and half the width of its band."""
        return self.y + self.slope * (x - self.x), np.hypot(self.middle, self.steep * (x - self.x))


@dataclass(frozen=True, slots=True)
class _Scatter:
    """Languages as points with error bars, a line, and a legend of genera below.

    Args:
        equal: below which an effect counts as none.
        bold: languages whose codes are.
    """

    x: Array
    y: Array
    errors: Array
    lines: Sequence[LanguageEffect]
    line: _Line | None
    labels: tuple[str, str]
    equal: float | None
    bold: frozenset[str]

    @property
    def genera(self) -> list[str]:
        return list(dict.fromkeys(line.genus for line in sorted(self.lines, key=_place)))

    @property
    def height(self) -> float:
        return _SQUARE + _legend_height(self.genera)

    def draw(self, figure: Figure) -> None:
        """Put it into a figure."""
        axes = svg.frame(figure, svg.LEFT, svg.BOTTOM + _legend_height(self.genera))
        axes.set(xlabel=self.labels[0], ylabel=self.labels[1])
        axes.set_xlim(svg.widened(self.x))
        least = self.equal or 0.0
        ends = np.concatenate([self.y - self.errors, self.y + self.errors, [-least, least]])
        axes.set_ylim(svg.widened(ends))
        if self.equal is not None:
            axes.axhspan(-self.equal, self.equal, color=svg.MUTED, alpha=0.15, linewidth=0)
        axes.axhline(0, color=svg.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        if self.line is not None:
            _draw_line(axes, self.line)
        axes.errorbar(
            self.x, self.y, self.errors, fmt="none", ecolor=svg.MUTED, elinewidth=0.7, zorder=2
        )
        for number, genus in enumerate(self.genera):
            own = [place for place, line in enumerate(self.lines) if line.genus == genus]
            axes.plot(
                self.x[own],
                self.y[own],
                linestyle="",
                label=genus,
                markersize=6.0,
                markeredgecolor=svg.SURFACE,
                markeredgewidth=0.5,
                **svg.series(number),
            )
        points = list(zip(self.x.tolist(), self.y.tolist(), strict=True))
        svg.label_points(axes, points, [line.language for line in self.lines], self.bold)
        _legend(figure, axes)


def _draw_line(axes: Axes, line: _Line) -> None:
    """A line with its band, as far as both are within the axes."""
    low, high = axes.get_ylim()
    x = np.linspace(*axes.get_xlim(), 60)
    y, half = line.at(x)
    ends = np.clip(y - half, low, high), np.clip(y + half, low, high)
    axes.fill_between(x, *ends, color=svg.ACCENT, alpha=0.18, linewidth=0)
    inside = (low <= y) & (y <= high)
    axes.plot(x[inside], y[inside], color=svg.ACCENT)


def _scatter(
    question: Question,
    x: Array,
    y: Array,
    errors: Array,
    lines: Sequence[LanguageEffect],
    labels: tuple[str, str],
) -> _Scatter:
    """With the recorded slope; of a difference of two slopes, with the group's languages marked."""
    if question.fit is None or question.defined.kind == "interaction":
        return _Scatter(x, y, errors, lines, None, labels, question.equal, question.group)
    line = _line(x, y, errors, lines, question.fit)
    return _Scatter(x, y, errors, lines, line, labels, question.equal, frozenset())


def _known(
    question: Question, covariates: Sequence[str]
) -> tuple[Array, Array, Array, list[LanguageEffect]]:
    """First covariate, effect and its error in the languages that have all covariates."""
    columns = np.array([question.z(name) for name in covariates])
    has = np.isfinite(columns).all(axis=0)
    lines = [line for line, known in zip(question.effects, has, strict=True) if known]
    y = np.array([line.value for line in lines])
    return columns[0][has], y, np.array([line.error for line in lines]), lines


def _weights(errors: Array, lines: Sequence[LanguageEffect], fit: FitRecord) -> Array:
    """Inverse of the effects' covariance [languages, languages] by the fit's variances."""
    genera = np.array([line.genus for line in lines])
    own = np.maximum(errors**2 + (fit.between_languages or 0.0) ** 2, _LEAST_VARIANCE)
    shared = (fit.between_genera or 0.0) ** 2 * (genera[:, None] == genera[None])
    return np.linalg.inv(np.diag(own) + shared).astype(np.float64)


def left_over(values: Array, others: Array, weights: Array) -> Array:
    """What other columns do not explain of some values, by generalised least squares.

    Args:
        values: array [languages].
        others: array [languages, columns].
        weights: array [languages, languages], inverse of the values' covariance.
    """
    # Not solve(): of two controls that are the same, one is enough here.
    normal = others.T @ weights
    explained = others @ np.linalg.lstsq(normal @ others, normal @ values)[0]
    return (values - explained).astype(np.float64)


def _line(
    x: Array, y: Array, errors: Array, lines: Sequence[LanguageEffect], fit: FitRecord
) -> _Line:
    """The recorded slope, through the weighted middle of the languages."""
    weights = _weights(errors, lines, fit)
    share, total = weights.sum(axis=0) / weights.sum(), weights.sum()
    middle = INTERVAL / float(np.sqrt(total))
    return _Line(float(share @ x), float(share @ y), fit.estimate, middle, (fit.high - fit.low) / 2)


# Every language, by family


def forest(question: Question) -> Iterator[svg.Drawing | str]:
    """The effect in every language, by family, each with its 95 % interval."""
    lines = sorted(question.every, key=_place)
    title = f"{effect_title(question.defined.effect)} in every language, by family"
    if not lines:
        yield f"{title}: not drawn, for no language has it."
        return
    rows = _in_families(lines)
    height = svg.ROW * len(rows) + svg.BOTTOM + 10
    families = list(dict.fromkeys(line.family for line in lines))
    is_mean = question.defined.kind == "group"
    group = question.defined.languages if is_mean else None
    fit = question.fit if is_mean else None

    def draw(figure: Figure) -> None:
        axes = svg.frame(figure, svg.left_of([label for label, _ in rows]), svg.BOTTOM)
        svg.list_axis(axes, [label for label, _ in rows], question.unit)
        if fit is not None:
            axes.axvspan(fit.low, fit.high, color=svg.ACCENT, alpha=0.12, linewidth=0)
            axes.axvline(fit.estimate, color=svg.ACCENT, linewidth=1.0)
        axes.axvline(0, color=svg.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        for place, ((_, line), text) in enumerate(zip(rows, axes.get_yticklabels(), strict=True)):
            if line is None:
                text.set(fontstyle="italic", color=svg.INK)
                continue
            if group is not None and line.language in question.group:
                text.set(fontweight="bold", color=svg.INK)
            axes.errorbar(
                line.value,
                place,
                xerr=INTERVAL * line.error,
                ecolor=svg.MUTED,
                elinewidth=0.9,
                markersize=4.5,
                **svg.series(families.index(line.family)),
            )

    marked = "" if group is None else f" Bold: the group {group}."
    mean = "" if fit is None else " Line and band: the mean, with its 95 % interval."
    extremes = sorted(lines, key=lambda line: line.value)
    yield svg.Drawing(
        title=title,
        reading=f"Bars: 95 % intervals of items and seeds, each language by itself.{marked}{mean}",
        description=(
            f"{title}: {len(lines)} languages, from {svg.number(extremes[0].value)} in "
            f"{_name(question, extremes[0])} to {svg.number(extremes[-1].value)} in "
            f"{_name(question, extremes[-1])}, {question.unit}."
        ),
        height=height,
        body=svg.render(draw, height, f"{question.name}-forest"),
    )


def _in_families(
    lines: Sequence[LanguageEffect],
) -> list[tuple[str, LanguageEffect | None]]:
    """Rows of a list: each family's heading, then its languages with their genus."""
    rows: list[tuple[str, LanguageEffect | None]] = []
    family = None
    for line in lines:
        if line.family != family:
            family = line.family
            rows.append((family, None))
        rows.append((f"{line.genus}  {line.language}", line))
    return rows


# What else could have been chosen


_CHOICES = ("index", "data", "languages")


def specification_curve(question: Question) -> Iterator[svg.Drawing | str]:
    """All specifications of a hypothesis in order of their estimate; a figure a scale."""
    found = question.tables.specifications.get(question.defined.id, ())
    if not found:
        yield f"{question.defined.id}: no specification curve, for there are no specifications."
        return
    for scale in dict.fromkeys(one.scale for one in found):
        own = sorted((one for one in found if one.scale == scale), key=lambda one: one.coefficient)
        yield _curve(question, scale, own)


def _curve(question: Question, scale: str, found: Sequence[Specification]) -> svg.Drawing:
    rows = [
        (choice, value)
        for choice in _CHOICES
        for value in dict.fromkeys(sorted(one.choices[choice] for one in found))
    ]
    labels = [f"{choice}: {covariate_title(value)}" for choice, value in rows]
    matrix, curve, left = svg.ROW * len(rows) + 12, 130.0, svg.left_of(labels)
    height = matrix + curve + 20

    def draw(figure: Figure) -> None:
        top = svg.frame(figure, left, matrix + 18)
        estimates = np.array([one.coefficient for one in found])
        errors = INTERVAL * np.array([one.error for one in found])
        places = np.arange(len(found), dtype=np.float64)
        top.vlines(
            places,
            estimates - errors,
            estimates + errors,
            color=svg.MUTED,
            linewidth=0.5,
            alpha=0.6,
        )
        _signed(top, places, estimates)
        top.axhline(0, color=svg.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        if question.fit is not None and question.fit.scale == scale:
            top.axhline(question.fit.estimate, color=svg.ACCENT, linewidth=1.0)
        top.set(ylabel=unit_of(scale), xlim=(-1, len(found)))
        top.tick_params(axis="x", labelbottom=False, length=0)
        bottom = svg.frame(figure, left, 8.0, top=curve + 12)
        for number, (choice, value) in enumerate(rows):
            own = np.array([one.choices[choice] == value for one in found])
            bottom.plot(places[own], np.full(own.sum(), number), "|", color=svg.INK, markersize=6.5)
        svg.list_axis(bottom, labels, "")
        bottom.set_xlim(-1, len(found))
        bottom.tick_params(axis="x", labelbottom=False, length=0)

    positive = sum(one.coefficient > 0 for one in found)
    title = f"{question.defined.id}: every specification, {unit_of(scale)}"
    return svg.Drawing(
        title=title,
        reading=(
            "Above: estimates in order, with 95 % intervals; filled above 0, hollow below. "
            "Below: what was chosen for each."
        ),
        description=(
            f"{title}: {len(found)} estimates from {svg.number(found[0].coefficient)} to "
            f"{svg.number(found[-1].coefficient)}, {positive} of them above 0."
        ),
        height=height,
        body=svg.render(draw, height, f"{question.name}-specifications-{scale}"),
    )


def without_each(question: Question) -> Iterator[svg.Drawing | str]:
    """The estimate without each family, and at each seed alone."""
    fit, record = question.fit, question.record
    if fit is None or not (record.without or record.seeds):
        yield f"{question.defined.id}: no estimates without each family, for none could be fitted."
        return
    rows = [("all", fit.estimate)]
    rows += [(f"without {name}", value) for name, value in record.without.items()]
    rows += [(f"run {number} alone", value) for number, value in enumerate(record.seeds, 1)]
    height = svg.ROW * len(rows) + svg.BOTTOM + 10

    def draw(figure: Figure) -> None:
        axes = svg.frame(figure, svg.left_of([label for label, _ in rows]), svg.BOTTOM)
        svg.list_axis(axes, [label for label, _ in rows], question.unit)
        axes.axvspan(fit.low, fit.high, color=svg.ACCENT, alpha=0.12, linewidth=0)
        axes.axvline(0, color=svg.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axvline(fit.estimate, color=svg.ACCENT, linewidth=1.0)
        values = np.array([value for _, value in rows])
        _signed(axes, values, np.arange(len(rows), dtype=np.float64), of=values)

    values = [value for _, value in rows[1:]]
    title = f"{question.defined.id}: without each family, and by run"
    yield svg.Drawing(
        title=title,
        reading=(
            "Line and band: the estimate with all, and its 95 % interval; filled above 0, hollow "
            "below."
        ),
        description=(
            f"{title}: with all {svg.number(fit.estimate)}; otherwise from "
            f"{svg.number(min(values))} to {svg.number(max(values))}, {question.unit}."
        ),
        height=height,
        body=svg.render(draw, height, f"{question.name}-without"),
    )


def _signed(axes: Axes, x: Array, y: Array, of: Array | None = None) -> None:
    """Points filled where the estimate is above 0, hollow where it is not."""
    estimates = y if of is None else of
    for above, fill in ((True, svg.ACCENT), (False, svg.SURFACE)):
        own = (estimates > 0) == above
        axes.plot(
            x[own],
            y[own],
            linestyle="",
            marker="o",
            markersize=3.4,
            markerfacecolor=fill,
            markeredgecolor=svg.ACCENT,
            markeredgewidth=0.9,
        )


# What several figures share


def _legend_height(entries: Sequence[str]) -> float:
    return 12.0 * ((len(entries) + 1) // 2) + 4


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, in two columns."""
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0, 1.0, 0.1),
        mode="expand",
        ncols=2,
        frameon=False,
        borderaxespad=0.2,
        handletextpad=0.1,
        labelspacing=0.25,
    )
    legend.set_zorder(5)


def _place(line: LanguageEffect) -> tuple[str, str, str]:
    return line.family, line.genus, line.language


def _name(question: Question, line: LanguageEffect) -> str:
    return question.tables.names.get(line.language, line.language)


def _and(names: Iterator[str] | Sequence[str]) -> str:
    return " and ".join(names)


def effect_title(name: str) -> str:
    """An effect of a protocol as a heading begins.

    Example:
        >>> effect_title("standard-pos")
        'Standard POS'
    """
    words = [_ACRONYMS.get(word, word) for word in name.split("-")]
    return " ".join([words[0].capitalize(), *words[1:]])


_ACRONYMS = {"pos": "POS", "ner": "NER", "english": "English"}


def covariate_title(name: str) -> str:
    """A covariate in a sentence."""
    return _COVARIATES.get(name, name.replace("_", " "))


_COVARIATES: Mapping[str, str] = {
    "complexity": "morphological complexity",
    "data": "pre-training data",
    "size": "raw data size",
    "subwords": "splitting into subwords",
    "mattr": "MATTR",
    "msp": "MSP",
}


def _line_in_words(question: Question, held: str) -> str:
    defined = question.defined
    if defined.kind == "interaction":
        return f"{defined.id} is how much steeper it is in the group {defined.languages}, bold."
    return f"Line: the slope of {defined.id}{held}, with its 95 % band."


def _equal_in_words(question: Question) -> str:
    if question.equal is None:
        return ""
    return (
        f" Grey: differences of less than {question.equal:g} {question.unit}, which count as none."
    )


def _slope_in_words(
    title: str, question: Question, lines: Sequence[LanguageEffect], y: Array
) -> str:
    fit = question.fit
    slope = (
        ""
        if fit is None or question.defined.kind == "interaction"
        else (
            f" The slope is {svg.number(fit.estimate)} per standard deviation, 95 % interval "
            f"{svg.number(fit.low)} to {svg.number(fit.high)}."
        )
    )
    lowest, highest = lines[int(y.argmin())], lines[int(y.argmax())]
    return (
        f"{title}: {len(lines)} languages. Lowest {_name(question, lowest)}, "
        f"{svg.number(float(y.min()))}; highest {_name(question, highest)}, "
        f"{svg.number(float(y.max()))} {question.unit}.{slope}"
    )
