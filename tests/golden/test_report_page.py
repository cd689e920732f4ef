"""The report page in headless Chromium: nothing fetched, wrong or cut off, on any screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stilts_artifact.checking.claims import claims_path, load_claims
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import Run
from tests.golden.browser import Browser, browse, missing_program
from tests.golden.judges import axe, missing_judges
from tests.unit.reporting import studies
from tests.unit.reporting.test_page import runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing_program() is not None, reason=missing_program() or ""),
]

# WCAG contrast of every visible text with what is behind it; returns the worst of them.
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = color => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = c => {
  const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const [r, g, b] = c.slice(0, 3).map(linear);
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = e => {
  for (; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c;
  }
  return [255, 255, 255];
};
let worst = [99, ''];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility() || e.closest('.skip')) continue;
  const style = getComputedStyle(e);
  const ink = light(rgba(e.closest('svg') ? style.fill : style.color)), paper = light(behind(e));
  const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
  if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 120)];
}
return worst;
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report page")
    path = folder / "report.html"
    studies.write_tables(folder, "000")
    study = Run(studies.results("000"), "study-000.paper.json", "4" * 64, folder=folder)
    path.write_text(render_page([*runs(), study], load_claims(claims_path())), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(file: Path) -> Iterator[Browser]:
    with browse() as opened:
        opened.open(file)
        yield opened


@pytest.fixture(autouse=True)
def plain(browser: Browser) -> None:
    browser.resize(1200)
    browser.prefer()


def test_nothing_is_fetched_and_nothing_is_wrong(browser: Browser, file: Path) -> None:
    browser.open(file)
    assert browser.requested()[-1:] == [file.resolve().as_uri()]
    assert {url for url in browser.requested() if url != file.resolve().as_uri()} == set()
    assert browser.log("browser") == []


def test_a_reference_to_elsewhere_would_be_noticed(
    browser: Browser, tmp_path: Path, file: Path
) -> None:
    other = tmp_path / "other.html"
    other.write_text(
        '<!DOCTYPE html><link rel="icon" href="data:,"><img src="absent.png">'
        "<script>nonsense()</script>"
    )
    browser.open(other)
    assert any(url.endswith("absent.png") for url in browser.requested())
    assert any("nonsense" in entry["message"] for entry in browser.log("browser"))
    browser.open(file)
    browser.log("browser")
    browser.log("performance")


@pytest.mark.parametrize("width", [320, 360, 768, 1200])
def test_the_page_never_scrolls_sideways(browser: Browser, width: int) -> None:
    browser.resize(width)
    opened = "document.querySelectorAll('details').forEach(d => d.open = {});"
    browser.script(opened.format("true"))
    assert browser.script("return document.documentElement.scrollWidth") <= width
    browser.script(opened.format("false"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(browser: Browser, scheme: str) -> None:
    browser.prefer(scheme)
    ratio, where = browser.script(CONTRAST)
    assert ratio >= 4.5, where


@pytest.mark.skipif(missing_judges() is not None, reason=missing_judges() or "")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing_wrong_with_the_page(browser: Browser, width: int, scheme: str) -> None:
    """WCAG's A and AA, and axe's best practices, with all opened that can be."""
    browser.resize(width)
    browser.prefer(scheme)
    opened = "document.querySelectorAll('details').forEach(d => d.open = {});"
    browser.script(opened.format("true"))
    found = axe_violations(browser)
    browser.script(opened.format("false"))
    assert found == []


@pytest.mark.skipif(missing_judges() is not None, reason=missing_judges() or "")
def test_axe_would_find_what_is_wrong(browser: Browser, tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.html"
    other.write_text('<!DOCTYPE html><title>A page</title><img src="data:,">')
    browser.open(other)
    found = axe_violations(browser)
    browser.open(file)
    assert {"image-alt", "html-has-lang"} <= {name for name, _ in found}


def axe_violations(browser: Browser) -> list[tuple[str, list[str]]]:
    """Rules that are broken, each with the elements that break it."""
    browser.script(f"{axe()}; window.axe = axe;")
    found = browser.wait_for("axe.run(document, {resultTypes: ['violations']})")
    return [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found["violations"]
    ]


def test_dark_mode_is_dark(browser: Browser) -> None:
    light = browser.picture()
    browser.prefer("dark")
    assert browser.picture() != light
    colour = browser.script("return getComputedStyle(document.body).backgroundColor")
    assert max(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) < 60


def test_print_is_dark_on_light_fits_the_sheet_and_hides_nothing(browser: Browser) -> None:
    browser.resize(695)  # A4 within its margins
    browser.prefer("dark", media="print")
    assert browser.script("return getComputedStyle(document.body).color") == "rgb(28, 36, 48)"
    assert browser.script("return document.querySelector('nav').checkVisibility()") is False
    assert (
        browser.script(
            "return document.querySelector('.claims details p').getBoundingClientRect().height"
        )
        > 0
    )
    assert browser.script("return document.documentElement.scrollWidth") <= 695


def test_tables_and_a_study_are_printed_on_under_ten_sheets(browser: Browser, file: Path) -> None:
    browser.open(file)
    browser.prefer(media="print")
    assert 5 < browser.sheets() < 10


def test_five_studies_are_printed_on_under_ten_sheets(
    browser: Browser, tmp_path: Path, file: Path
) -> None:
    names = ("000", "001", "002", "003", "004")
    five = []
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        studies.write_tables(folder, name)
        result = studies.results(name)
        five.append(Run(result, f"study-{name}.paper.json", "4" * 64, folder=folder))
    page = tmp_path / "studies.html"
    page.write_text(render_page(five), encoding="utf-8")
    browser.open(page)
    browser.prefer(media="print")
    sheets = browser.sheets()
    browser.open(file)
    assert 5 < sheets < 10


def test_everything_is_there_without_scripts(file: Path) -> None:
    with browse(scripts=False) as silent:
        silent.open(file)
        texts = silent.cdp(
            "Runtime.evaluate", expression="1"
        )  # the protocol itself needs no script of the page
        assert texts["result"]["value"] == 1
        tree = silent.cdp("Accessibility.getFullAXTree")["nodes"]
    names = {
        node["name"]["value"]
        for node in tree
        if not node.get("ignored") and node.get("name", {}).get("value")
    }
    assert {
        "Summary",
        "Claims",
        "Known differences from the paper",
        "Provenance and environment",
    } <= names
    assert "SQuAD gains 8.2 points on average" in names
