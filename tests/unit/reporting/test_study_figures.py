"""Figures of studies: what they show, in which signs, and that nothing is told by colour alone."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from stilts_artifact.domain.cells import Finding
from stilts_artifact.reporting import svg
from stilts_artifact.reporting.layout import arrange
from stilts_artifact.reporting.study_figures import (
    left_over,
    questions,
    robustness_figures,
    study_figures,
)
from stilts_artifact.reporting.study_particulars import arm_dots
from stilts_artifact.reporting.study_tables import StudyTables, load_tables
from tests.unit.reporting import studies
from tests.unit.reporting.synthetic import HOSTILE


def drawings(study: str, folder: Path) -> list[svg.Drawing]:
    studies.write_tables(folder, study)
    asked = questions(studies.record(study), studies.protocol(study), load_tables(folder), "xtreme")
    every = [*study_figures(asked), *robustness_figures(asked)]
    return [one for one in every if isinstance(one, svg.Drawing)]


@pytest.fixture(scope="module")
def of_000(tmp_path_factory: pytest.TempPathFactory) -> list[svg.Drawing]:
    return drawings("000", tmp_path_factory.mktemp("000"))


@pytest.mark.slow
def test_a_study_of_a_slope_has_every_figure(of_000: list[svg.Drawing]) -> None:
    assert [one.title for one in of_000] == [
        "H1: Gain against morphological complexity",
        "H1: Gain against morphological complexity, at equal pre-training data",
        "Gain in every language, by family",
        "H2: Gain against morphological complexity, at equal pre-training data and splitting into "
        "subwords",
        "H1: every specification, points",
        "H1: every specification, 100 × log ratio",
        "H1: without each family, and by run",
        "H2: every specification, points",
        "H2: every specification, 100 × log ratio",
        "H2: without each family, and by run",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("study", ["001", "002", "004"])
def test_every_other_study_is_drawn_too(study: str, tmp_path: Path) -> None:
    found = drawings(study, tmp_path)
    assert any("in every language" in one.title for one in found)
    assert all(one.title.removeprefix(f"{one.title[:2]}: ") in one.description for one in found)
    assert len({one.title for one in found}) == len(found)


@pytest.mark.slow
def test_what_counts_as_none_is_drawn_where_a_hypothesis_says_so(tmp_path: Path) -> None:
    [against_data] = [
        one
        for one in drawings("003", tmp_path)
        if one.title == "H3: Difference against pre-training data"
    ]
    assert "Grey: differences of less than 1 points, which count as none" in against_data.reading


@pytest.mark.slow
def test_a_difference_of_two_slopes_has_no_line_and_its_group_in_bold(tmp_path: Path) -> None:
    [_, both] = [
        one
        for one in drawings("002", tmp_path)
        if one.title.endswith("Degradation against morphological complexity")
    ]
    assert "H2 is how much steeper it is in the group low-resource, bold" in both.reading
    assert "slope is" not in both.description
    group = studies.protocol("002").group("low-resource", "xtreme")
    bold = re.findall(r"font-weight: 700[^>]*>(\w+)</text>", both.body)
    assert set(bold) == set(group) & {code for code, *_ in studies.SPLIT}


def test_a_figure_without_its_data_is_a_sentence() -> None:
    asked = questions(studies.record("000"), studies.protocol("000"), StudyTables(), "xtreme")
    bare = [
        question.record.model_copy(update={"without": {}, "seeds": [], "fits": []})
        for question in asked
    ]
    record = studies.record("000").model_copy(update={"hypotheses": bare})
    asked = questions(record, studies.protocol("000"), StudyTables(), "xtreme")
    found = [*study_figures(asked), *robustness_figures(asked)]
    assert found
    assert all(isinstance(one, str) for one in found)
    assert "Gain in every language, by family: not drawn, for no language has it." in found


@pytest.mark.slow
def test_every_language_is_named_beside_its_point(of_000: list[svg.Drawing]) -> None:
    codes = {code for code, *_ in studies.SPLIT}
    for drawing in of_000[:2]:
        assert codes <= set(re.findall(r">([a-z]{2})</text>", drawing.body))
    assert codes <= set(re.findall(r" ([a-z]{2})</text>", of_000[2].body))


def test_a_drawing_refers_to_nothing_outside_itself(of_000: list[svg.Drawing]) -> None:
    names: list[str] = []
    for drawing in of_000:
        own = re.findall(r'id="([^"]+)"', drawing.body)
        names += own
        assert set(re.findall(r'href="#([^"]+)"', drawing.body)) == set(own)
        assert not re.search(r"url\(|https?:|<style|<script|font-family", drawing.body)
    assert len(names) == len(set(names))


def test_every_colour_is_one_of_the_pages_and_dark_where_the_page_is(
    of_000: list[svg.Drawing],
) -> None:
    css = resources.files("stilts_artifact.reporting").joinpath("templates/report.css").read_text()
    defined = set(re.findall(r"(--[\w-]+):", css.partition("}")[0]))
    for drawing in of_000:
        assert not re.search(r"#[0-9a-f]{6}[;\"]|black|white", drawing.body)
        assert set(re.findall(r"var\((--[\w-]+)\)", drawing.body)) <= defined


def test_no_two_genera_have_the_same_sign() -> None:
    signs = [(one["marker"], one["color"]) for one in map(svg.series, range(77))]
    assert len(set(signs)) == 77
    assert len({marker for marker, _ in signs[: len(svg.MARKERS)]}) == len(svg.MARKERS)


def test_estimates_are_filled_above_0_and_hollow_below(of_000: list[svg.Drawing]) -> None:
    without = of_000[6].body
    fills = re.findall(r'<use [^>]*style="fill: var\(--(\w+)\); stroke: var\(--accent\)', without)
    values = [-0.12, *studies.record("000").hypotheses[0].without.values()]
    values += studies.record("000").hypotheses[0].seeds
    assert fills.count("accent") == sum(value > 0 for value in values)
    assert fills.count("surface") == sum(value <= 0 for value in values)


def test_a_drawing_is_the_same_whatever_surrounds_it(
    of_000: list[svg.Drawing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}.items():
        monkeypatch.setitem(matplotlib.rcParams, name, value)
    studies.write_tables(tmp_path, "000")
    asked = questions(
        studies.record("000"), studies.protocol("000"), load_tables(tmp_path), "xtreme"
    )
    assert next(study_figures(asked)) == of_000[0]


def test_what_controls_explain_is_taken_away_and_nothing_else() -> None:
    chance = np.random.default_rng(1)
    control, own = chance.normal(size=(2, 30))
    others = np.column_stack([np.ones(30), control])
    weights = np.diag(chance.uniform(0.5, 2, size=30))
    left = left_over(2 * own + 3 * control + 1, others, weights)
    assert left == pytest.approx(2 * left_over(own, others, weights))
    assert others.T @ weights @ left == pytest.approx([0, 0], abs=1e-9)


def test_labels_do_not_cover_one_another_where_there_is_room() -> None:
    points = [(x, y) for x in (0.2, 0.5, 0.8) for y in (0.2, 0.5, 0.8)]

    def draw(figure: object) -> None:
        axes = svg.frame(figure, svg.LEFT, svg.BOTTOM)  # type: ignore[arg-type]
        axes.set(xlim=(0, 1), ylim=(0, 1))
        svg.label_points(axes, points, ["xx"] * len(points))

    body = svg.render(draw, 200, "labels")
    spots = [
        (float(x), float(y))
        for x, y in re.findall(r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>xx<', body)
    ]
    assert len(spots) == 9
    assert all(
        abs(a[0] - b[0]) > 9 or abs(a[1] - b[1]) > 7
        for place, a in enumerate(spots)
        for b in spots[:place]
    )


@pytest.mark.slow
def test_texts_of_a_table_are_texts_of_the_drawing(tmp_path: Path) -> None:
    studies.write_tables(tmp_path, "000")
    path = tmp_path / "effects.csv"
    path.write_text(path.read_text().replace("Uralic", f"$\\frac$ {HOSTILE.replace(chr(34), '')}"))
    asked = questions(
        studies.record("000"), studies.protocol("000"), load_tables(tmp_path), "xtreme"
    )
    forest = next(one for one in study_figures(asked) if "by family" in getattr(one, "title", ""))
    assert isinstance(forest, svg.Drawing)
    assert "$\\frac$ &lt;script&gt;" in forest.body
    assert "<script" not in forest.body


@pytest.mark.slow
def test_arms_are_drawn_by_group_over_the_first_one(tmp_path: Path) -> None:
    studies.write_tables(tmp_path, "001")
    asked = questions(
        studies.record("001"), studies.protocol("001"), load_tables(tmp_path), "xtreme"
    )
    layout = arrange(studies.results("000"))
    [drawing] = arm_dots(asked[1], [["panx"]], layout, "en")
    group = {line.language for line in asked[1].effects}
    gains = [layout.gain("mnli", "panx", code) or 0 for code in sorted(group)]
    assert f"Mean of {len(group)} agglutinative: XLM-R +0.00" in drawing.description
    assert f"MNLI {svg.number(float(np.mean(gains)))}" in drawing.description
    assert f">agglutinative: {len(group)}</text>" in drawing.body
    others = set(layout.languages_of("panx")) - group - {"en"}
    assert f">others: {len(others)}</text>" in drawing.body, "nothing is transferred to English"
    assert arm_dots(asked[3], [["panx"]], layout, "en") == []


def test_mini_figures_need_nothing_of_evidence(tmp_path: Path) -> None:
    studies.write_tables(tmp_path, "000")
    record = studies.mini_record("000")
    assert record.finding is Finding.PIPELINE_VALID
    asked = questions(record, studies.protocol("000"), load_tables(tmp_path), "mini")
    assert any(isinstance(one, svg.Drawing) for one in study_figures(asked))
