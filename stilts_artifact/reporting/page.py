"""One HTML page that holds a whole report: no script, no reference to anything outside itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import jinja2

from stilts_artifact import __version__
from stilts_artifact.benchmark.titles import Titles
from stilts_artifact.checking.claims import Claim, Claims, claims_path, load_claims
from stilts_artifact.checking.judge import exit_code, headline
from stilts_artifact.checking.learning_curves import CURVES
from stilts_artifact.checking.recheck import CONSISTENT, TRUST
from stilts_artifact.checking.results import ClaimRecord, Results
from stilts_artifact.checking.studies import load_protocol
from stilts_artifact.checking.usage import together
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.domain.units import readable_size, readable_time
from stilts_artifact.metrics.bootstrap import RESAMPLES
from stilts_artifact.reporting import comparison, figures, findings, svg
from stilts_artifact.reporting.against import SideBySide
from stilts_artifact.reporting.answers import answers
from stilts_artifact.reporting.calibration_figures import arms_of, calibration_figures
from stilts_artifact.reporting.differences import known_differences
from stilts_artifact.reporting.exports import USAGE, export
from stilts_artifact.reporting.layer_figures import layer_figures, load_layers
from stilts_artifact.reporting.layout import (
    GROUP_TITLES,
    Column,
    Layout,
    arrange,
    describe_seeds,
    flagged,
)
from stilts_artifact.reporting.learning_figures import training_view
from stilts_artifact.reporting.runs import Run
from stilts_artifact.reporting.study_figures import questions, robustness_figures, study_figures
from stilts_artifact.reporting.study_particulars import arm_dots
from stilts_artifact.reporting.study_tables import load_tables
from stilts_artifact.studies.confidence import CONFIDENCE_METRICS
from stilts_artifact.studies.record import StudyRecord

VERDICT_WORDS: Mapping[StrEnum, tuple[str, str]] = {
    Verdict.REPRODUCED: ("✓", "Reproduced"),
    Verdict.NOT_REPRODUCED: ("✗", "Not reproduced"),
    Verdict.INCONCLUSIVE: ("≈", "Inconclusive"),
    Verdict.NOT_RUN: ("–", "Not run"),
    Verdict.NOT_CHECKABLE: ("○", "Not checkable"),
    **findings.SIGNS,
}
"""Sign and words of each verdict and finding; never told by colour alone."""

PAGE = "report.html"
_LISTED = 400  # lines of a list on the page; the results file has all


def render_page(
    runs: Sequence[Run],
    claims: Claims | None = None,
    files: Sequence[str] = (),
    pairs: Sequence[SideBySide] = (),
) -> str:
    """The report of some runs: the same runs give the same text, wherever and whenever it is made.

    Args:
        runs: in the order of their tables; at least one.
        claims: what the claims' records refer to by their id: statements, sources and readings.
        files: tables that lie beside the page, as paths from it.
        pairs: the runs that have another beside them.
    """
    environment = _environment()
    template = environment.get_template("report.html.j2")
    every = [run.results for run in runs]
    return template.render(
        named=_named(every),
        answers=answers(every),
        runs=runs,
        tables=[_table(run, files) for run in runs],
        pairs=[(pair, _grid(pair)) for pair in pairs],
        verdict=headline(every),
        code=exit_code(results.verdict for results in every),
        evidence=all(results.run_scale.evidence for results in every),
        invented=not any(results.is_real for results in every),
        stamps=list(dict.fromkeys(results.stamp for results in every)),
        claims=[_claim(claim, run.results.titles) for run in runs for claim in run.results.claims],
        explained={claim.id: claim for claim in claims.claims} if claims else _NOTHING,
        differences=known_differences(),
        version=__version__,
        shows=(CONSISTENT, TRUST),
        heat_steps=figures.HEAT_STEPS,
        resamples=RESAMPLES,
    )


def _named(runs: Sequence[Results]) -> str:
    """The runs by their titles, with the scale once where all have the same."""
    scales = {results.scale for results in runs}
    if len(scales) == 1:
        return f"{', '.join(results.title for results in runs)} ({scales.pop()})"
    return ", ".join(f"{results.title} ({results.scale})" for results in runs)


_NOTHING: Mapping[str, Claim] = {}


def report_files(
    runs: Sequence[Run], name: str = PAGE, pairs: Sequence[SideBySide] = ()
) -> dict[str, bytes]:
    """The page under its name, and the tables that lie beside it, which it links to.

    Args:
        runs, pairs: as in :func:`render_page`.
    """
    folder = f"{PurePosixPath(name).stem}-tables"
    tables = {f"{folder}/{file}": data for file, data in export(runs).items()}
    page = render_page(runs, load_claims(claims_path()), list(tables), pairs)
    return {name: page.encode(), **tables}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stilts_artifact.reporting"),
        # Not select_autoescape: it goes by the suffix .html, and the templates end in .j2.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["key"] = CellKey
    environment.filters |= {
        "points": lambda value: _typographic(comparison.points(value)),
        "signed": lambda value: _typographic(comparison.signed(value)),
        "typographic": _typographic,
        "heat": figures.heat,
        "size": readable_size,
        "time": lambda seconds: "–" if seconds is None else readable_time(seconds),
        "together": together,
        "thousands": lambda number: f"{number:,}",
        "sign": lambda verdict: VERDICT_WORDS[verdict][0],
        "words": lambda verdict: VERDICT_WORDS[verdict][1],
        "number": lambda number: _typographic(f"{round(number, 2):g}"),
        "label": lambda name: name.replace("_", " "),
        "signs": signs,
        "p": lambda p: _typographic(findings.p_value(p)),
        "interval": lambda fit: signs(findings.interval(fit.estimate, fit.low, fit.high)),
        "unit": findings.unit_of,
        "decimals": lambda value: "–" if value is None else signs(f"{value:.2f}"),
    }
    return environment


def _typographic(text: str) -> str:
    """Dash and minus as printed.

    Example:
        >>> _typographic("-"), _typographic("-0.3")
        ('–', '−0.3')
    """
    return "–" if text == "-" else text.replace("-", "−", 1) if text.startswith("-") else text


def signs(text: str) -> str:
    """Every minus of a sentence as printed; hyphens stay.

    Example:
        >>> signs("a so-called gain of -0.1 [-0.7, +0.5]")
        'a so-called gain of −0.1 [−0.7, +0.5]'
    """
    return re.sub(r"(?<![\w.])-(?=[\d.])", "−", text)


def _grid(pair: SideBySide) -> tuple[Layout, list[Column]] | None:
    """Layout and columns of a table of scores in which both runs have a mean."""
    if pair.here.results.defined.is_counted:
        return None
    layout, twins = arrange(pair.here.results), pair.by_key
    columns = [
        column
        for column in layout.with_role("score", "average")
        if any(CellKey(row.row, column.name) in twins for row in layout.rows)
    ]
    return (layout, columns) if columns else None


def _table(run: Run, files: Sequence[str]) -> dict[str, Any]:
    """What the template needs of one table."""
    results, expected = run.results, comparison.expected_word(run.results)
    titles = results.titles
    gaps = comparison.gaps(results)
    asked = comparison.asked_cells(results)
    listing = comparison.listing(results, _LISTED)
    view: dict[str, Any] = {
        "run": run,
        "results": results,
        "name": results.title,
        "title": results.defined.caption,
        "counts": comparison.verdict_counts(asked),
        "unasked": len(results.cells) - len(asked),
        "claim_counts": _claim_counts(results.claims),
        "listing": listing,
        "all_met": [verdict for verdict, _ in listing.counts] == [Verdict.REPRODUCED],
        "expected": expected,
        "measured": sum(cell.value is not None for cell in results.cells),
        "gaps": [gap for gap in gaps if gap.verdict is not Verdict.NOT_RUN][:_LISTED],
        "not_run": [gap for gap in gaps if gap.verdict is Verdict.NOT_RUN][:_LISTED],
        "flags": [(cell, titles.of(cell.key)) for cell in flagged(results.cells)],
        "files": [name for name in files if PurePosixPath(name).stem == results.run_name],
        "bytes": sum(file.bytes for file in results.files),
        "usage": run.usage if run.usage and run.usage.steps else None,
        "usage_files": [name for name in files if name.endswith(f"/{results.run_name}.{USAGE}")],
    }
    if results.defined.is_counted:
        view["sizes"] = comparison.row_sizes(results)
    else:
        layout = arrange(results)
        columns = layout.with_role("score", "average")
        shown = [column for column in columns if _has_values(layout, column)]
        view |= {
            "layout": layout,
            "columns": shown,
            "empty": [column for column in columns if column not in shown],
            "seeds": describe_seeds(results),
            "gains": figures.gain_panels(layout, run.intervals),
            "dumbbells": figures.dumbbell_figures(layout, run.intervals, expected),
            "figures": figures.language_figures(layout, run.intervals),
            "group_titles": GROUP_TITLES,
            "training": training_view(run.curves, layout, results.benchmark),
            "training_files": [
                name for name in files if name.endswith(f"/{results.run_name}.{CURVES}")
            ],
        }
    if results.study is not None:
        view |= {"study": _study(results.study, run, view["layout"])}
    return view


def _has_values(layout: Layout, column: Column) -> bool:
    return any(layout.value(row.row, column.name) is not None for row in layout.rows)


def _study(record: StudyRecord, run: Run, layout: Layout) -> dict[str, Any]:
    """What the template needs of a study beside its scores."""
    protocol = load_protocol(str(run.results.defined.study)).protocol
    record = findings.as_asked(record, protocol)
    asked = questions(record, protocol, load_tables(run.folder), run.results.benchmark.name)
    drawn, choices = list(study_figures(asked)), list(robustness_figures(asked))
    # Of measures in a group: several hypotheses may be about the same.
    armed: set[tuple[tuple[str, ...], frozenset[str]]] = set()
    layers = load_layers(run.folder)
    for question in asked:
        if question.defined.primary:
            effect = protocol.effects[question.defined.effect]
            if effect.metric in CONFIDENCE_METRICS:
                if question.defined.kind == "group":
                    arms = arms_of(effect, run.results)
                    drawn += calibration_figures(question, arms)
            else:
                new = [one for one in effect.measures if (one, question.group) not in armed]
                armed |= {(one, question.group) for one in new}
                drawn += arm_dots(question, new, layout, run.results.benchmark.source_language)
            if layers.rows and question.defined.kind == "slope":
                reported = run.results.run_scale.retrieval.layer
                drawn += layer_figures(question, effect, layers, reported)
    return {
        "record": record,
        "protocol": protocol,
        "asked": asked,
        "evidence": findings.is_evidence(record),
        "premise_finding": findings.premise_finding(record),
        "premise": findings.premise_sentence(record),
        "no_evidence": findings.NO_EVIDENCE,
        "altered": findings.ALTERED,
        "left_out": findings.left_out(record),
        "robustness": findings.robustness,
        "drawings": [one for one in drawn if isinstance(one, svg.Drawing)],
        "choices": [one for one in choices if isinstance(one, svg.Drawing)],
        "missing": [one for one in (*drawn, *choices) if isinstance(one, str)],
    }


def _claim(claim: ClaimRecord, titles: Titles) -> ClaimRecord:
    """A claim whose cells are called as everywhere on the page."""
    named = [titles.of(CellKey(*cell.split("/"))) for cell in claim.cells]
    return claim.model_copy(update={"cells": named})


def _claim_counts(claims: Sequence[ClaimRecord]) -> list[tuple[Verdict, int]]:
    counts = Counter(claim.verdict for claim in claims)
    return [(verdict, counts[verdict]) for verdict in Verdict if counts[verdict]]
