"""The paper's claims as predicates over cells: ``expected_results/claims.yaml``, and their verdicts.

A claim is more than its cells: a cell outside its band does not sink it, and cells inside theirs do
not prove it. It is REPRODUCED if it holds for the measured cells and for at least 95 % of what
chance might have made of them, NOT_REPRODUCED if it does not hold and holds for at most 5 %, and
INCONCLUSIVE between the two.

Chance is the spread over seeds. The sampling of the test sets is left out: all rows are scored on
the same examples, and the claims are about these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from stilts_artifact.benchmark.experiments import experiment_named
from stilts_artifact.checking.expected import Strict, invalid, look_up
from stilts_artifact.checking.judge import column_spreads, is_trained
from stilts_artifact.checking.predicates import Node, Vocabulary, parse_number, parse_predicate
from stilts_artifact.checking.results import ClaimRecord, Results
from stilts_artifact.checking.selections import Cells, Reference
from stilts_artifact.checking.statistics import NO_NOISE, Noise, Spread, median_error
from stilts_artifact.checking.sums import expected_root, read_protected
from stilts_artifact.config.load import load_scale
from stilts_artifact.config.schema import ScaleName
from stilts_artifact.documents import parse_yaml
from stilts_artifact.domain.cells import Measurement, Verdict
from stilts_artifact.errors import ConfigError

CERTAIN = 0.95
"""Share of draws in which a claim has to hold (or fail) before either is said."""
_NAMED = 5  # missing cells that a reason spells out


class _Claim(Strict):
    id: str
    title: str
    statement: str
    source: str
    reading: str | None = None
    experiment: str
    about: Literal["size", "direction"]
    reported: float | None = None
    tolerance: float | None = None
    predicate: str
    numbers: dict[str, str]
    inconclusive: str
    gap: str | None = None


class _Document(Strict):
    scale: ScaleName
    citation: str
    sources: dict[str, str]
    sets: dict[str, list[str]]
    seed_sd: dict[str, float]
    seed_sd_reason: str
    claims: list[_Claim]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Args:
        statement: in this project's words.
        source: where it is made.
        reading: what an ambiguous source was taken to mean.
        about: ``size`` for a number of points, which holds for the paper's encoder only;
            ``direction`` for an order.
        predicate: true if the claim holds.
        numbers: name -> number that the verdict is shown with.
        inconclusive: what INCONCLUSIVE means for it.
        gap: why the claim cannot be checked where the table has none of its rows.
    """

    id: str
    title: str
    statement: str
    source: str
    reading: str | None
    experiment: str
    about: Literal["size", "direction"]
    text: str
    predicate: Node
    numbers: Mapping[str, Node]
    inconclusive: str
    gap: str | None

    @property
    def references(self) -> list[Reference]:
        """The cells that the predicate and the numbers need."""
        return [
            reference
            for node in (self.predicate, *self.numbers.values())
            for reference in node.references
        ]


@dataclass(frozen=True, slots=True)
class Claims:
    """All claims.

    Args:
        scale: that the claimed sizes are of.
        seed_sd: column -> spread over seeds where every row has one seed only.
    """

    scale: ScaleName
    citation: str
    seed_sd: Mapping[str, float]
    claims: tuple[Claim, ...]

    def of_experiment(self, experiment: str) -> Claims:
        """Those that one experiment decides."""
        return replace(
            self, claims=tuple(claim for claim in self.claims if claim.experiment == experiment)
        )


def claims_path() -> Path:
    """Where the claims lie: in the checkout, or in the installed package."""
    return expected_root() / "claims.yaml"


def load_claims(path: Path) -> Claims:
    """The claims in a file.

    Raises:
        DataError: the file cannot be read or is not strict YAML.
        ConfigError: an unknown or missing key, a claim given twice, an undefined source, or a
            predicate that cannot be read, with the position in it.
        IntegrityError: the file is not the one that was summed.
    """
    where = str(path)
    try:
        document = _Document.model_validate(parse_yaml(read_protected(path), where))
    except ValidationError as error:
        raise invalid("a list of claims", error, where) from error
    claims = tuple(
        _claim(written, document, f"{where}: {written.id}") for written in document.claims
    )
    names = [claim.id for claim in claims]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError("claim given twice", where=f"{where}: {name}")
    return Claims(document.scale, document.citation, document.seed_sd, claims)


def _claim(written: _Claim, document: _Document, where: str) -> Claim:
    given = {"reported": written.reported, "tolerance": written.tolerance}
    constants = {name: value for name, value in given.items() if value is not None}
    vocabulary = Vocabulary(
        {name: tuple(items) for name, items in document.sets.items()}, constants
    )
    numbers = {
        name: parse_number(text, vocabulary, f"{where}: {name}")
        for name, text in written.numbers.items()
    }
    return Claim(
        written.id,
        written.title,
        written.statement,
        look_up(document.sources, written.source, where) or "",
        written.reading,
        experiment_named(written.experiment).name,
        written.about,
        written.predicate,
        parse_predicate(written.predicate, vocabulary, f"{where}: predicate"),
        numbers,
        written.inconclusive,
        written.gap,
    )


def judge_claims(results: Sequence[Results], claims: Claims) -> list[ClaimRecord]:
    """A verdict on every claim, in the order of the file; results without evidence are stamped in the reason.

    Args:
        results: of any of the experiments, at one scale.

    Raises:
        ConfigError: two results of one experiment, or of different scales; a column without any spread
            over seeds.
    """
    tables: dict[str, Results] = {}
    for result in results:
        if result.experiment in tables or result.scale != results[0].scale:
            raise ConfigError(
                "claims need one result for each experiment, all of one scale",
                got=f"{result.experiment} at scale {result.scale}",
            )
        tables[result.experiment] = result
    prepared = {number: _Table(result, claims.seed_sd) for number, result in tables.items()}
    return [_judge(claim, claims.scale, prepared.get(claim.experiment)) for claim in claims.claims]


def decisive(records: Sequence[ClaimRecord], scale: str) -> list[Verdict]:
    """Verdicts that count towards a table's and the exit code: none at a scale that is no evidence."""
    return [record.verdict for record in records] if load_scale(scale).evidence else []


class _Table:
    """The measured cells of one experiment, without those of single languages."""

    def __init__(self, result: Results, seed_sd: Mapping[str, float]) -> None:
        self.result = result
        self.evidence = load_scale(result.scale).evidence
        self._seed_sd = seed_sd
        self._cells = {
            (cell.row, cell.column): cell.measurement()
            for cell in result.cells
            if cell.language is None and cell.value is not None
        }
        self._spreads = column_spreads(self._cells.values())
        self.cells = Cells([row.row for row in result.rows], self._value)

    def missing(self, places: Sequence[tuple[str, str]]) -> list[str]:
        """Those of the cells that were not measured."""
        return ["/".join(place) for place in places if place not in self._cells]

    def _value(self, row: str, column: str) -> tuple[float, Noise]:
        cell = self._cells[row, column]
        return float(cell.value or 0), self._noise(cell)

    def _noise(self, cell: Measurement) -> Noise:
        if not is_trained(cell.signature):
            return NO_NOISE
        column = cell.key.column
        spread = self._spreads.get((column, None))
        if spread is None and column not in self._seed_sd:
            raise ConfigError(
                "no spread over seeds, neither measured nor declared",
                where=column,
                fix="run more than one seed, or declare the column's seed_sd in claims.yaml",
            )
        spread = spread or Spread(self._seed_sd[column])
        return Noise(median_error(len(cell.seeds or (0,))) * spread.sd, spread.df)


def _judge(claim: Claim, scale: str, table: _Table | None) -> ClaimRecord:
    def record(
        verdict: Verdict,
        reason: str,
        numbers: Mapping[str, float] | None = None,
        cells: Sequence[str] = (),
    ) -> ClaimRecord:
        stamp = "" if table is None or table.evidence else f" [{table.result.stamp}]"
        return ClaimRecord(
            claim=claim.id,
            title=claim.title,
            verdict=verdict,
            reason=reason + stamp,
            numbers=dict(numbers or {}),
            cells=list(cells),
        )

    if table is None:
        return record(
            Verdict.NOT_RUN, f"there are no results of {experiment_named(claim.experiment).title}"
        )
    if claim.about == "size" and table.evidence and table.result.scale != scale:
        reason = f"the size is claimed for scale {scale}; scale {table.result.scale} shows directions only"
        return record(Verdict.NOT_CHECKABLE, reason)
    rows = table.cells.rows
    for reference in claim.references:
        if not reference.pairs(rows):
            return record(
                Verdict.NOT_CHECKABLE,
                claim.gap or f"the table has no row of {reference.rows.title}",
            )
    places = list(
        dict.fromkeys(place for reference in claim.references for place in reference.places(rows))
    )
    used = ["/".join(place) for place in places]
    missing = table.missing(places)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        return record(
            Verdict.NOT_RUN, f"not measured: {', '.join(missing[:_NAMED])}{more}", cells=used
        )
    numbers = {
        name: round(float(node.evaluate(table.cells)[0, 0]), 4)
        for name, node in claim.numbers.items()
    }
    return record(*_weigh(claim, table.cells), numbers, used)


def _weigh(claim: Claim, cells: Cells) -> tuple[Verdict, str]:
    truth = claim.predicate.evaluate(cells)[0]
    holds = bool(truth[0])
    share = float(np.mean(truth[1:]))
    reason = f"{'holds' if holds else 'does not hold'} as measured, and in {share:.1%} of what chance allows"
    if holds and share >= CERTAIN:
        return Verdict.REPRODUCED, reason
    if not holds and share <= 1 - CERTAIN:
        return Verdict.NOT_REPRODUCED, reason
    return Verdict.INCONCLUSIVE, f"{reason}: {claim.inconclusive}"
