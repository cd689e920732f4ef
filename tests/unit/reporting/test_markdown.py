"""The Markdown report: the console's numbers, and no live markup."""

from __future__ import annotations

from stilts_artifact.reporting.layout import arrange
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.runs import Run
from tests.unit.reporting.synthetic import calibration, table1, table2


def test_the_calibration_has_one_row_no_gains_and_every_language() -> None:
    text = render_markdown([Run(calibration(), "calibration.mini.json", "0" * 64)])
    assert "## Calibration (" in text
    assert "Gains" not in text
    comparison = text[text.index("### Measured and expected") :]
    assert comparison.count("| mini encoder |") == len(calibration().cells)
    assert "| Tatoeba qag |" in comparison


def test_markdown_holds_the_same_numbers_and_no_live_markup() -> None:
    results = table2()
    text = render_markdown(
        [Run(results, "table2.mini.json", "0" * 64), Run(table1(), "table1.mini.json", "1" * 64)]
    )
    line = next(line for line in text.splitlines() if line.startswith("| MNLI |"))
    layout = arrange(results)
    names = [column.name for column in layout.with_role("score", "average")]
    assert line.rstrip(" |").split(" | ")[1:] == [
        f"{layout.value('mnli', name):.1f}" for name in names
    ]
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    widths = {
        line.count("|") - line.count("\\|")
        for line in text.splitlines()
        if line.startswith(("| MNLI", "| XLM"))
    }
    assert widths <= {12, 8, 6}
