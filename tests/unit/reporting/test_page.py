"""The HTML page: the same for the same runs, self-contained, escaped, complete and well-formed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.checking.claims import claims_path, load_claims
from stilts_artifact.checking.intervals import Intervals
from stilts_artifact.checking.results import (
    CellRecord,
    ClaimRecord,
    FileRecord,
    InputRecord,
    Results,
    RowRecord,
)
from stilts_artifact.checking.usage import StepUsage, Usage
from stilts_artifact.config.load import as_own, definition, load_scale
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.metrics.bootstrap import Estimate
from stilts_artifact.reporting.differences import known_differences
from stilts_artifact.reporting.figures import (
    LEFT,
    RIGHT,
    WIDTH,
    dumbbell_figures,
    gain_panels,
    language_figures,
)
from stilts_artifact.reporting.layout import arrange
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import Run
from tests.unit.reporting.synthetic import (
    HOSTILE,
    STAMP,
    calibration,
    learning_curves,
    table1,
    table2,
    table3,
)

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "circle"}
ROOT = Path(__file__).resolve().parents[3]


class Page(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def runs() -> list[Run]:
    second = table2()
    return [
        Run(table1(), "table1.mini.json", "1" * 64, notes=(f"a note {HOSTILE}",)),
        Run(
            second,
            "table2.mini.json",
            "2" * 64,
            intervals(second),
            usage=usage(),
            curves=learning_curves(second),
        ),
        Run(table3(), "table3.mini.json", "3" * 64),
    ]


def usage(**update: object) -> Usage:
    """Made up: a training run on a GPU, and data prepared on a machine of another name."""
    own = StepUsage(
        kind="target",
        machine=f"a card {HOSTILE}",
        run="this",
        steps=1200,
        seconds=7290.0,
        cpu_seconds=None,
        gpu_seconds=7200.0,
        memory=5_000_000_000,
        gpu_memory=0,
        written=1,
    )
    earlier = own.model_copy(
        update={"kind": "prepare", "machine": "2 cores", "run": "earlier", "steps": 34}
    )
    steps = [earlier.model_copy(update={"gpu_seconds": 0.0, "seconds": 75.0}), own]
    made = Usage(results="2" * 64, seconds=90.0, unknown=0, kept=False, steps=steps)
    return made.model_copy(update=update)


def intervals(results: Results) -> Intervals:
    """Made-up ones, of every cell with a value and of every gain."""
    layout = arrange(results)
    cells = [cell for cell in results.cells if cell.value is not None]
    scores = {cell.key: around(cell.value or 0.0, 2.0) for cell in cells}
    gains = {
        cell.key: around(gain, 1.5)
        for cell in cells
        if (gain := layout.gain(cell.row, cell.column, cell.language)) is not None
    }
    return Intervals(scores, gains)


def around(value: float, error: float) -> Estimate:
    return Estimate(value, error, value - 2 * error, value + 2 * error)


@pytest.fixture(scope="module")
def text() -> str:
    return render_page(runs(), load_claims(claims_path()))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.mark.slow
def test_rows_and_columns_are_called_as_the_paper_prints_them(text: str) -> None:
    """Nowhere by the names that files have for them, but where the page names a file."""
    spoken = re.sub(r"<style>.*?</style>|<code>.*?</code>|<[^>]*>", " ", text, flags=re.DOTALL)
    for name in ("anli_plus", "squad_v1", "commonsense_qa", "udpos", "panx", "bucc2018", "@q"):
        assert name not in spoken
    chosen = text[text.index("chosen on development data</summary>") :]
    assert "<dt>POS</dt><dd>SQuAD v1.1</dd>" in chosen
    assert "<b>POS</b>XLM-R and SQuAD v1.1; " in chosen


@pytest.mark.slow
def test_what_each_table_took_is_a_line_and_its_kinds_are_folded(text: str) -> None:
    section = text[text.index('<section id="usage"') : text.index('<section id="differences"')]
    cells = ["1 min 30 s", "1,234", "34", "2 h 2 min", "–", "2 h", "5.00 GB"]
    line = "".join(f'<td class="num">{cell}</td>' for cell in cells)
    assert f'<tr><th scope="row">Table 2 (mini)</th>{line}<td>2 cores; a card ' in section
    assert section.count("<tr><th") == 1 + 1 + 1 + 2, "two headings, one table, two kinds"
    assert '<th scope="row">prepare</th><td class="num">34</td>' in section
    assert "not all steps are in these numbers" not in section
    assert 'href="#usage"' in text


@pytest.mark.slow
def test_nothing_is_said_of_time_where_nobody_noted_it() -> None:
    bare = render_page([Run(table2(), "table2.mini.json", "2" * 64)])
    assert "usage" not in re.sub(r"<style>.*?</style>", "", bare, flags=re.DOTALL)
    lacking = Run(table2(), "t.json", "2" * 64, usage=usage(unknown=3, kept=True))
    said = "of 3 the store knew nothing; cells of an earlier run were kept"
    assert said in render_page([lacking])


def test_every_element_is_closed(page: Page) -> None:
    assert page.faults == []
    assert page.open == []


@pytest.mark.slow
def test_what_results_say_is_text_and_never_markup(text: str, page: Page) -> None:
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in text
    assert not page.of("script")
    allowed = {
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "body",
        "a",
        "div",
        "header",
        "p",
        "h1",
        "h2",
        "h3",
        "span",
        "cite",
        "nav",
        "ul",
        "li",
        "main",
        "section",
        "strong",
        "b",
        "dl",
        "dt",
        "dd",
        "details",
        "summary",
        "code",
        "pre",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "small",
        "abbr",
        "figure",
        "figcaption",
        "svg",
        "desc",
        "g",
        "path",
        "text",
        "circle",
        "footer",
    }
    assert {name for name, _ in page.found} <= allowed
    handlers = [key for _, attributes in page.found for key in attributes if key.startswith("on")]
    assert handlers == []


def hostile(value: Any) -> Any:
    """A results document with markup in every text that is free."""
    if isinstance(value, dict):
        kept = ("experiment", "row", "language", "verdict", "scale", "column", "signature", "flag")
        return {
            key if key in FIELDS else HOSTILE: item if key in kept else hostile(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return f'{HOSTILE}"><img src=x onerror=alert(1)>' if isinstance(value, str) else value


FIELDS = {
    field
    for model in (Results, CellRecord, RowRecord, ClaimRecord, InputRecord, FileRecord)
    for field in model.model_fields
}


@pytest.mark.slow
@pytest.mark.parametrize("make", [table1, table2, table3, calibration])
def test_markup_in_any_text_of_a_results_file_stays_text(make: Callable[[], Results]) -> None:
    document = hostile(make().model_dump(mode="json"))
    for cell in document["cells"]:
        if cell["column"] == "tatoeba":
            cell["column"] = HOSTILE
    results = Results.model_validate(document, strict=False)
    page = Page(render_page([Run(results, HOSTILE, HOSTILE, notes=(HOSTILE,))]))
    assert not page.of("script") + page.of("img")
    assert page.faults == []
    assert {reference["href"] for reference in page.of("link")} == {"data:,"}


def test_nothing_outside_the_page_is_referred_to(text: str, page: Page) -> None:
    references = [
        value
        for _, attributes in page.found
        for key, value in attributes.items()
        if key in ("src", "href", "srcset", "action", "data", "xlink:href")
    ]
    assert all(value is not None and value.startswith(("#", "data:,")) for value in references)
    assert "url(" not in text
    assert "@import" not in text


def test_links_lead_to_places_on_the_page(page: Page) -> None:
    identifiers = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    named = [
        reference
        for _, attributes in page.found
        for reference in (attributes.get("aria-labelledby") or "").split()
    ]
    linked = [(attributes["href"] or "")[1:] for attributes in page.of("a")]
    assert set(named + linked) <= set(identifiers)


def test_tables_have_captions_and_scopes_and_figures_have_texts(page: Page) -> None:
    assert len(page.of("table")) == len(page.of("caption")) > 10
    assert all(
        attributes.get("scope") in ("col", "row", "rowgroup") for attributes in page.of("th")
    )
    drawn = [svg for svg in page.of("svg") if svg.get("aria-hidden") != "true"]
    assert all(svg["role"] == "img" and svg["aria-labelledby"] for svg in drawn)
    assert len(page.of("desc")) == len(drawn) == 29 + 26, "and learning curves"
    levels = [int(name[1]) for name, _ in page.found if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.slow
def test_every_verdict_claim_and_difference_is_told_in_words(text: str) -> None:
    for words in ("Reproduced", "Not reproduced", "Inconclusive", "Not run", "Not checkable"):
        assert f"</span>{words}</span>" in text
    for claim in table2().claims[:4]:
        assert claim.title in text
    assert (
        "Averaged over the nine intermediate tasks" in text
    )  # a statement, from the list of claims
    assert all(difference.title in text for difference in known_differences())
    assert text.count(STAMP) > 3
    assert "3.11.16" in text
    assert "2" * 64 in text


@pytest.mark.slow
def test_scores_and_gains_are_those_of_the_cells(text: str) -> None:
    layout = arrange(table2())
    rows = re.findall(r'<tr><th scope="row">MNLI</th>(.*?)</tr>', text, flags=re.DOTALL)
    gains, scores = (
        [
            re.sub(r"<small>.*?</small>|<[^>]*>|\s", "", cell)
            for cell in re.findall(r"<td.*?</td>", row)
        ]
        for row in rows
        if row.count("<td") == 10
    )
    columns = [column.name for column in layout.with_role("score", "average")]
    assert scores == [f"{layout.value('mnli', name):.1f}" for name in columns]
    assert gains == [f"{layout.gain('mnli', name):+.1f}".replace("-", "−") for name in columns]


@pytest.mark.slow
def test_a_page_on_evidence_has_no_warning_and_one_without_has() -> None:
    warning = "neither supports nor refutes the paper"
    assert warning in render_page(runs()[:1])
    paper = table1().model_copy(update={"scale": "paper", "stamp": "paper"})
    assert warning not in render_page([Run(paper, "table1.paper.json", "1" * 64)])


@pytest.mark.slow
def test_real_languages_at_a_scale_of_ones_own_are_not_called_invented() -> None:
    own = as_own(load_scale("small").model_copy(update={"name": "mine"}), "mine.yaml")
    update = {"scale": "mine", "stamp": own.stamp, "definition": definition(own)}
    page = render_page([Run(table1().model_copy(update=update), "table1.mine.json", "1" * 64)])
    assert "encoder, scale and data: it neither supports nor refutes the paper." in page
    assert "neither supports nor refutes the paper" in page
    for said_of_mini in ("invented languages", "recorded from an earlier run"):
        assert said_of_mini in render_page(runs()[:1])
        assert said_of_mini not in page


def test_the_calibration_is_shown_by_its_name() -> None:
    text = render_page([Run(calibration(), "calibration.mini.json", "1" * 64)])
    assert "Calibration: Published retrieval scores of the untuned encoder" in text
    assert "Table 0" not in text
    assert "Gains over" not in text


@pytest.mark.slow
def test_a_table_without_any_reported_value_says_so() -> None:
    cells = [
        cell.model_copy(update={"expected": None, "verdict": Verdict.NOT_CHECKABLE})
        for cell in table2().cells
    ]
    text = render_page(
        [Run(table2().model_copy(update={"cells": cells}), "table2.mini.json", "2" * 64)]
    )
    assert "nothing to compare its cells with" in text


def test_measured_beside_expected_is_drawn_of_a_table_with_one_row_alone() -> None:
    results = table2()
    cells = [one.model_copy(update={"expected": one.value}) for one in results.cells]
    layout = arrange(results.model_copy(update={"cells": cells}))
    assert dumbbell_figures(layout, Intervals(), "recorded") == []
    first = [one for one in cells if one.row == NONE]
    alone = results.model_copy(update={"cells": first, "rows": results.rows[:1]})
    assert dumbbell_figures(arrange(alone), Intervals(), "recorded")


def test_names_have_room_and_error_bars_and_seeds_stand_beside_their_marks() -> None:
    results = table2()
    layout, known = arrange(results), intervals(results)
    for panel in gain_panels(layout, known):
        # Letters of 10.5 points are at least half as wide as high.
        assert panel.left - 8 >= 5.25 * max(len(name) for name, _ in panel.names)
    lines = [line for figure in language_figures(layout, known) for line in figure.lines]
    for line in lines:
        assert line.base is not None and line.other is not None
        assert line.base.bar < line.base.y == line.other.y < line.other.bar
        assert len(line.base.seeds) == len(line.other.seeds) == len(results.seeds)


def test_the_axis_of_gains_is_as_long_as_the_longest_interval() -> None:
    results = table2()
    gains = {key: around(0.0, 30.0) for key in intervals(results).gains}
    panels = gain_panels(arrange(results), Intervals({}, gains))
    (first, low), (second, high) = panels[0].ticks[:2]
    unit = (second - first) / (high - low)
    every = [gain for panel in panels for gain in panel.gains]
    assert every
    assert all(gain.high - gain.low == pytest.approx(120 * unit, abs=0.1) for gain in every)  # type: ignore[operator]


def test_error_bars_are_the_intervals() -> None:
    layout, key = arrange(table2()), CellKey(NONE, "xnli", "qaa")
    value = layout.value(key.row, key.column, key.language)
    assert value is not None
    known = Intervals({key: Estimate(value, 1.5, value - 2.0, value + 4.0)})
    figure = next(item for item in language_figures(layout, known) if item.column.name == "xnli")
    mark, bare = figure.lines[0].base, figure.lines[1].base
    assert mark is not None and bare is not None
    assert mark.low is not None and mark.high is not None
    (x0, low), *_, (x1, high) = figure.ticks
    per_point = (x1 - x0) / (high - low)
    assert (mark.x - mark.low) / per_point == pytest.approx(2.0, abs=0.01)
    assert (mark.high - mark.x) / per_point == pytest.approx(4.0, abs=0.01)
    assert mark.x == pytest.approx(x0 + per_point * (value - low), abs=0.01)
    assert bare.low is None


@pytest.mark.slow
def test_gains_of_all_rows_and_targets_stand_on_one_axis() -> None:
    results = table2()
    layout = arrange(results)
    panels = gain_panels(layout, intervals(results))
    columns = layout.with_role("score", "average")
    assert [panel.title for panel in panels] == [column.title for column in columns]
    assert len({(panel.ticks, panel.zero, panel.left) for panel in panels}) == 1
    (x0, low), *_, (x1, high) = panels[0].ticks
    per_point = (x1 - x0) / (high - low)
    measured = [row for _, rows in layout.measured for row in rows if row.row != NONE]
    for panel, column in zip(panels, columns, strict=True):
        assert [name for name, _ in panel.names] == [row.title for row in measured]
        assert [gain.name for gain in panel.gains] == [row.title for row in measured]
        for row, gain in zip(measured, panel.gains, strict=True):
            points = layout.gain(row.row, column.name)
            assert points is not None
            assert gain.points == points
            assert gain.x == pytest.approx(panel.zero + per_point * points, abs=0.02)
            assert gain.interval is not None
            assert gain.low is not None and gain.high is not None
            assert panel.left <= gain.low <= gain.x <= gain.high <= WIDTH - RIGHT
            assert gain.is_clear == (gain.interval[0] > 0 or gain.interval[1] < 0)


def test_where_rows_are_fewer_than_targets_each_row_has_a_panel() -> None:
    results = table3()
    layout = arrange(results)
    [panel] = gain_panels(layout, intervals(results))
    assert panel.title == "Best for each target"
    columns = layout.with_role("score", "average")
    assert [name for name, _ in panel.names] == [column.title for column in columns]
    assert [gain.points for gain in panel.gains] == [
        layout.gain("best", column.name) for column in columns
    ]


@pytest.mark.slow
def test_the_calibration_is_drawn_beside_what_was_expected() -> None:
    results = calibration()
    cells = [
        cell.model_copy(update={"expected": (cell.value or 0) - 5.0, "limit": 3.0})
        if cell.language
        else cell
        for cell in results.cells
    ]
    results = results.model_copy(update={"cells": cells})
    figures = dumbbell_figures(arrange(results), intervals(results), "recorded")
    assert [figure.column.name for figure in figures] == ["bucc2018", "tatoeba"]
    assert len({figure.ticks for figure in figures}) == 1
    (x0, low), *_, (x1, high) = figures[0].ticks
    per_point = (x1 - x0) / (high - low)
    for figure in figures:
        assert (figure.base, figure.other) == ("recorded", "measured")
        for line in figure.lines:
            base, other = line.base, line.other
            assert base is not None and other is not None
            assert base.low is not None and base.high is not None
            assert (other.x - base.x) / per_point == pytest.approx(5.0, abs=0.05)
            assert (base.high - base.low) / per_point == pytest.approx(6.0, abs=0.05)
    assert dumbbell_figures(arrange(table2()), Intervals(), "recorded") == []
    page = render_page([Run(results, "calibration.mini.json", "1" * 64, intervals(results))])
    assert "Measured beside recorded, by language" in page


@pytest.mark.slow
def test_a_gain_without_predictions_has_no_interval_and_is_not_clear() -> None:
    for panel in gain_panels(arrange(table2()), Intervals()):
        assert all(gain.low is None and not gain.is_clear for gain in panel.gains)
    without = render_page([Run(table2(), "table2.mini.json", "2" * 64)])
    assert "The predictions were not at hand, so no interval is drawn." in without
    assert "paired bootstrap" not in without


@pytest.mark.slow
def test_everything_is_drawn_within_the_frame() -> None:
    layout = arrange(table2())
    wide = {
        CellKey(NONE, "tatoeba", "qaa"): Estimate(20.0, 40.0, -10.0, 90.0),
        CellKey(NONE, "pawsx", "qab"): Estimate(80.0, 40.0, 10.0, 120.0),
    }
    for figure in language_figures(layout, Intervals(wide)):
        marks = [
            mark for line in figure.lines for mark in (line.base, line.other) if mark is not None
        ]
        ends = [
            x for mark in marks for x in (mark.x, mark.low, mark.high, *mark.seeds) if x is not None
        ]
        assert LEFT <= min(ends) <= max(ends) <= WIDTH - RIGHT
        assert max(mark.bar for mark in marks) < figure.height


PROGRAM = """
import locale, sys
locale.setlocale(locale.LC_ALL, "")
from tests.unit.reporting.test_page import runs
from stilts_artifact.checking.claims import claims_path, load_claims
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.page import render_page
sys.stdout.buffer.write(render_page(runs(), load_claims(claims_path())).encode())
sys.stdout.buffer.write(render_markdown(runs()).encode())
"""


def surroundings() -> Iterator[dict[str, str]]:
    yield {"LC_ALL": "C", "TZ": "UTC", "COLUMNS": "40", "PYTHONHASHSEED": "1"}
    yield {
        "LC_ALL": "C.UTF-8",
        "TZ": "Pacific/Kiritimati",
        "COLUMNS": "300",
        "PYTHONHASHSEED": "2",
        "FORCE_COLOR": "1",
    }


@pytest.mark.slow
def test_the_page_depends_on_nothing_but_the_results() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env={**os.environ, **extra},
            capture_output=True,
            check=True,
        ).stdout
        for extra in surroundings()
    }
    assert len(outputs) == 1
    assert len(outputs.pop()) > 100_000


def test_known_differences_name_places_that_exist() -> None:
    differences = known_differences()
    named = [difference.change for difference in differences if "/" in difference.change]
    assert all((ROOT / name).exists() for name in named), named
    assert {difference.status for difference in differences} == {"unverified", "choice", "limit"}
