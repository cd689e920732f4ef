"""The tables as a Markdown text, for an issue, a review or a README."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.checking.judge import headline
from stilts_artifact.checking.recheck import CONSISTENT, TRUST
from stilts_artifact.checking.results import CellRecord, ClaimRecord, Results, RowRecord
from stilts_artifact.checking.studies import load_protocol
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.reporting import findings
from stilts_artifact.reporting.comparison import (
    SIZES,
    Listing,
    asked_cells,
    expected_word,
    gaps,
    listing,
    points,
    row_sizes,
    signed,
    verdict_counts,
)
from stilts_artifact.reporting.layout import (
    Column,
    Layout,
    arrange,
    flagged,
)
from stilts_artifact.reporting.runs import Run
from stilts_artifact.studies.record import HypothesisRecord, StudyRecord

_LISTED = 400  # lines of a list; the results file has all
_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")


def render_markdown(runs: Sequence[Run]) -> str:
    """The report of some runs; the same runs give the same text."""
    verdict = headline(run.results for run in runs)
    parts = ["# Reproduction report", f"Verdict: **{verdict}**", escape(f"{CONSISTENT} {TRUST}")]
    for run in runs:
        parts += list(_table(run))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line.

    Example:
        >>> print(escape("a|b <i> *x*"))
        a\\|b &lt;i&gt; \\*x\\*
    """
    # quote=False: a quote would become &#x27;, whose # would then be escaped in its turn.
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table of texts that are escaped already; the first ``left`` columns are aligned left."""
    rule = [":--"] * left + ["--:"] * (len(headings) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in (headings, rule, *rows))


def _table(run: Run) -> Iterable[str]:
    results = run.results
    counts = ", ".join(
        f"{count:,} {verdict}" for verdict, count in verdict_counts(asked_cells(results))
    )
    yield f"## {results.title} ({escape(results.stamp)}): {results.verdict}"
    yield f"{counts}. Results file `{run.file}`, sha256 `{run.sha256}`."
    if results.study is not None:
        yield from _study(results.study, str(results.defined.study))
    yield from _sizes(results) if results.defined.is_counted else _scores(results)
    reasons = gaps(results)
    if reasons:
        rows = [
            (str(gap.verdict), escape(gap.reason), escape("; ".join(gap.examples)), str(gap.cells))
            for gap in reasons
        ]
        yield "### Not decided, and why"
        yield grid(("verdict", "reason", "such as", "cells"), rows, 3)
    yield from (f"- Note: {escape(note)}" for note in run.notes)
    yield from _claims(results.claims)


def _study(record: StudyRecord, study: str) -> Iterable[str]:
    protocol = load_protocol(study).protocol
    record = findings.as_asked(record, protocol)
    evidence = findings.is_evidence(record)
    yield f"Question: {escape(protocol.question)}"
    if record.altered:
        yield f"**Altered protocol** (sha256 `{record.protocol}`). {escape(findings.ALTERED)}"
    premise = escape(findings.premise_sentence(record))
    yield f"**PREMISE {findings.premise_finding(record)}.** {premise}"
    if not evidence:
        yield f"**{record.finding}.** {escape(findings.NO_EVIDENCE)}"
    rows = [
        (
            f"{one.id}{'' if one.primary else ' (exploratory)'}",
            escape(one.statement),
            str(one.finding),
            escape(_estimate(one) if evidence else "-"),
            escape(one.reason),
        )
        for one in record.hypotheses
    ]
    yield "### Findings"
    yield grid(("hypothesis", "statement", "finding", "estimate", "reason"), rows, 5)
    yield from (
        f"- Validation: {escape(findings.validation_sentence(check))}"
        for check in record.validations
    )
    for reason, languages in findings.left_out(record).items():
        yield f"- Left out: {escape(', '.join(languages))}: {escape(reason)}"
    yield from (f"- Note: {escape(note)}" for note in record.notes)


def _estimate(hypothesis: HypothesisRecord) -> str:
    return findings.fit_sentence(hypothesis.fits[0]) if hypothesis.fits else "-"


def _sizes(results: Results) -> Iterable[str]:
    yield grid(("task", *SIZES), [(escape(row.title), *sizes) for row, sizes in row_sizes(results)])
    yield from _comparison(listing(results, _LISTED))


def _scores(results: Results) -> Iterable[str]:
    layout, titles = arrange(results), results.titles
    columns = layout.with_role("score", "average")
    yield "### Scores (points)"
    yield _grid_of(layout, columns, gains=False)
    yield from (
        f"- {cell.flag}: {escape(titles.of(cell.key))}, {cell.flag.meaning}"
        for cell in flagged(results.cells)
        if cell.flag
    )
    if layout.has_gains:
        yield "### Gains over the first row (points)"
        yield _grid_of(layout, columns, gains=True)
        yield from (f"- {escape(note)}" for note in layout.gain_notes())
    found = listing(results, _LISTED)
    if found.counts:
        yield from _comparison(found)
    else:
        word = expected_word(results)
        yield f"Nothing is {word} for these cells: there is no value to compare them with."


def _grid_of(layout: Layout, columns: Sequence[Column], *, gains: bool) -> str:
    def text(row: RowRecord, column: Column) -> str:
        if gains and row.row != NONE:
            return signed(layout.gain(row.row, column.name))
        cell = layout.cell(row.row, column.name)
        return points(layout.value(row.row, column.name)) + (
            "" if gains or cell is None else _marks(cell)
        )

    rows = [(escape(row.title), *(text(row, column) for column in columns)) for row in layout.rows]
    return grid(("", *(escape(column.title) for column in columns)), rows)


def _marks(cell: CellRecord) -> str:
    return (" ✗" if cell.verdict is Verdict.NOT_REPRODUCED else "") + (" !" if cell.flag else "")


def _comparison(found: Listing) -> Iterable[str]:
    rows = [
        (
            escape(line.row),
            escape(line.column),
            line.verdict,
            line.measured,
            line.expected,
            line.difference,
            line.limit,
        )
        for line in found.lines
    ]
    yield "### Measured and expected"
    yield grid(("row", "column", "verdict", "measured", "expected", "difference", "limit"), rows, 3)
    yield f"{found.summary}."


def _claims(claims: Sequence[ClaimRecord]) -> Iterable[str]:
    if not claims:
        return
    rows = [
        (
            str(claim.verdict),
            escape(claim.title),
            escape("; ".join(f"{name} {value:g}" for name, value in claim.numbers.items())),
            escape(claim.reason),
        )
        for claim in claims
    ]
    yield "### Claims"
    yield grid(("verdict", "claim", "numbers", "reason"), rows, 4)
