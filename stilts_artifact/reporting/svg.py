"""Drawings of matplotlib that stand in the page as SVG: in its fonts and colours, light and dark.

A figure is as wide as a telephone's screen, so that its letters are as large there as the page's.
Nothing is told by colour alone, and no colour by itself: a marker's shape goes with its colour,
which the page replaces in dark mode and a printer by a grey.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stilts_artifact.errors import ResourceError
from stilts_artifact.metrics.ratios import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 340.0  # points, as all lengths here
TEXT = 9.5
ROW = 12.5  # from one line of a list to the next
LEFT, BOTTOM = 40.0, 32.0  # margins of a plot with numbers on both axes

INK, MUTED, LINE, SURFACE, ACCENT = "#1c2430", "#5a6472", "#e4e1d9", "#ffffff", "#2b5b84"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c510a")
"""Okabe and Ito's (2008), which the colour-blind can tell apart; a brown for black and yellow."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "d", "*")
"""Without those that are a circle at this size: pentagon, hexagon, octagon."""

# What the page calls each of them; a colour that is none of these is refused.
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    SURFACE: "surface",
    ACCENT: "accent",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)},
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # letters stay letters: read aloud, searched for, in the page's font
    "text.parse_math": False,  # a dollar in a language's name is a dollar
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "xtick.labelsize": TEXT - 1,
    "ytick.labelsize": TEXT - 1,
    "legend.fontsize": TEXT - 1,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "lines.markersize": 5.0,
    "hatch.color": MUTED,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the page.

    Args:
        title: what it shows.
        reading: how to read it.
        description: what somebody who cannot see it should know.
        height: in points, :data:`WIDTH` wide.
        body: the inside of its ``svg`` element.
    """

    title: str
    reading: str
    description: str
    height: float
    body: str


def series(number: int) -> dict[str, Any]:
    """Marker and colour of the ``number``-th of several things: the first 77 pairs all differ."""
    return {"marker": MARKERS[number % len(MARKERS)], "color": SERIES[number % len(SERIES)]}


def render(draw: Callable[[Figure], None], height: float, name: str) -> str:
    """What stands within the ``svg`` element of a drawing of :data:`WIDTH` by ``height`` points.

    Args:
        name: of the drawing on its page: what it defines is called by no other's name.

    Raises:
        ResourceError: matplotlib is not installed.
    """
    try:
        # The object-oriented face: pyplot would look for a display.
        from matplotlib import style
        from matplotlib.figure import Figure as Canvas
    except ModuleNotFoundError as error:
        raise ResourceError(
            "a plot needs matplotlib", got=str(error), fix="pip install matplotlib"
        ) from error
    # Nor does it look as a matplotlibrc of this machine or folder says.
    with style.context(["default", _STYLE | {"svg.hashsalt": name}]):
        figure = Canvas(figsize=(WIDTH / 72, height / 72))
        draw(figure)
        for axes in figure.axes:
            _unclip(axes)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata=_NO_METADATA, transparent=True)
    return _for_the_page(stream.getvalue())


def _unclip(axes: Axes) -> None:
    """Nothing here leaves its axes; a clip would be a reference, which the page has none of."""
    for artist in axes.findobj():
        artist.set_clip_on(False)


def _for_the_page(drawing: str) -> str:
    """The inside of an SVG file, without what only a file needs: names, sizes, fonts, digits."""
    inner = drawing[drawing.index(">", drawing.index("<svg")) + 1 : drawing.rindex("</svg>")]
    inner = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata.*?</metadata>", "", inner, flags=re.S)
    inner = re.sub(r"<defs>\s*</defs>", "", inner)
    inner = re.sub(r"<[a-z][^>]*>", _tidy, inner)
    return re.sub(r"\n\s*", "\n", inner).strip()


def _tidy(tag: re.Match[str]) -> str:
    """One tag: its colours the page's, its numbers of two digits, a name only if it is used."""
    text = re.sub(r' id="[\w.]+_\d+"| transform="rotate\(-0 [^"]*"', "", tag[0].replace("\n", ""))
    text = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", text)
    text = re.sub(r"font-family: [^;\"]*(?:; ?)?", "", text)
    return re.sub(r"#[0-9a-f]{6}\b(?=[;\"])", lambda colour: _variable(colour[0]), text)


def _variable(colour: str) -> str:
    return f"var(--{_VARIABLES[colour]})"


def frame(figure: Figure, left: float, bottom: float, right: float = 8.0, top: float = 8.0) -> Axes:
    """Axes within margins in points; no layout engine, whose result would be one of its version."""
    width, height = figure.get_size_inches() * 72
    box = (left / width, bottom / height)
    size = ((width - left - right) / width, (height - bottom - top) / height)
    axes = figure.add_axes((*box, *size))
    axes.set_axisbelow(True)
    axes.grid(color=LINE, linewidth=0.7)
    axes.tick_params(length=2.5, width=0.7)
    return axes


def list_axis(axes: Axes, labels: Sequence[str], unit: str) -> None:
    """A vertical axis of texts, from the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit)


def left_of(labels: Sequence[str]) -> float:
    """Margin for the longest of some texts beside an axis, any of which may be bold."""
    return 10.0 + 0.6 * (TEXT - 1) * max(map(len, labels))


def widened(values: Array) -> tuple[float, float]:
    """Limits of an axis with room around all values for their labels."""
    low, high = float(values.min()), float(values.max())
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def number(value: float) -> str:
    """An estimate in a description.

    Example:
        >>> number(-0.123)
        '−0.12'
    """
    return f"{value:+.2f}".replace("-", "−")


_PLACES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    labels: Sequence[str],
    bold: Collection[str] = (),
) -> None:
    """Write each label beside its point, where it covers least of other points and labels.

    Axes must have their limits.

    Args:
        bold: labels that are.
    """
    size, away = TEXT - 2.0, 4.0
    # In the units of the drawing's points, as text is.
    scale = 72 / axes.figure.dpi
    spots = [tuple(axes.transData.transform(point) * scale) for point in points]
    taken = [(x - 2.5, y - 2.5, x + 2.5, y + 2.5) for x, y in spots]
    for (x, y), label, point in zip(spots, labels, points, strict=True):
        wide, high = 0.62 * size * len(label), size
        boxes = []
        for right, up in _PLACES:
            middle = x + right * (away + wide / 2), y + up * (away + high / 2)
            boxes.append(
                (
                    middle[0] - wide / 2,
                    middle[1] - high / 2,
                    middle[0] + wide / 2,
                    middle[1] + high / 2,
                )
            )
        best = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken))
        taken.append(best)
        axes.annotate(
            label,
            point,
            xytext=((best[0] + best[2]) / 2 - x, (best[1] + best[3]) / 2 - y),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=size,
            fontweight="bold" if label in bold else "normal",
            color=INK,
        )


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Common area of two boxes (left, bottom, right, top)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
