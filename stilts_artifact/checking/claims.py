"""The paper's claims: one plain function each, over what the claimed cells may have been.

A claim is more than its cells: a cell outside its tolerance does not sink it, and cells inside
theirs do not prove it. It is REPRODUCED if it holds for the measured cells and for at least 95 % of
what chance might have made of them, NOT_REPRODUCED if it does not hold and holds for at most 5 %,
and INCONCLUSIVE between the two.

A claim is about the paper's encoder, or one like it: at a scale without evidence none is judged,
and a size is judged at the paper's own scale only. Elsewhere it is NOT_CHECKABLE, and no number of
the paper enters a gain.

Chance is the spread over seeds. The sampling of the test sets is left out: all rows are scored on
the same examples, and the claims are about these.

What is claimed, where, and with which numbers is data: ``expected_results/claims.yaml``, under the
sums of the expected values. How a claim is decided is code, below: every array there has ``1 +
DRAWS`` values along its last axis, the first as measured, the others as chance might have had it,
so that one evaluation gives the truth of a claim together with its uncertainty.
"""

from __future__ import annotations

import fnmatch
import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from stilts_artifact.benchmark.experiments import (
    AVERAGE,
    BEST,
    MLM,
    MULTI,
    NONE,
    OVERALL,
    experiment_named,
)
from stilts_artifact.checking.expected import ExperimentName, Strict, invalid, look_up
from stilts_artifact.checking.judge import (
    column_spreads,
    foreign_encoder,
    spread_key,
    unknown_bytes,
)
from stilts_artifact.checking.results import ClaimRecord, Results
from stilts_artifact.checking.statistics import NO_NOISE, Noise, Spread, median_error
from stilts_artifact.checking.sums import expected_root, read_protected
from stilts_artifact.config.load import is_evidence
from stilts_artifact.config.schema import ShippedScale
from stilts_artifact.documents import parse_yaml
from stilts_artifact.domain.cells import CellKey, Measurement, Verdict
from stilts_artifact.domain.signature import Signature, require_comparable
from stilts_artifact.errors import ConfigError, unknown_name

CERTAIN = 0.95
"""Share of draws in which a claim has to hold (or fail) before either is said."""
# The paper's arXiv number.
SEED = 2005_13013
DRAWS = 4000
"""Enough to place a probability of 5 % to within 0.7 %."""
_NAMED = 5  # missing cells that a reason spells out

Draws = NDArray[np.float64]
"""``[..., 1 + DRAWS]``: in points, the measured value first."""
Truths = NDArray[np.bool_]


class _NoSuchRows(LookupError):
    """No fault: a table has none of the rows of a set; the argument is the set's name."""


class Cells:
    """Scores of one table, and gains of its rows over one another.

    Rows and columns are named one by one or by a set of ``claims.yaml``; in a set, ``*@*`` stands
    for all rows of the table that match.

    Args:
        rows: of the table.
        sets: name -> rows or columns.
        draws: row and column -> array [1 + DRAWS].
    """

    def __init__(
        self,
        rows: Sequence[str],
        sets: Mapping[str, Sequence[str]],
        draws: Callable[[str, str], Draws],
    ) -> None:
        self._rows = rows
        self._sets = sets
        self._draws = draws

    def score(self, row: str, column: str) -> Draws:
        """Array [1 + DRAWS]: one cell."""
        return self._draws(row, column)

    def scores(self, rows: str, column: str) -> Draws:
        """Array [rows, 1 + DRAWS]: one column of a set of rows."""
        return np.array([self._draws(row, column) for row in self._members(rows)])

    def gain(self, row: str, column: str) -> Draws:
        """Array [1 + DRAWS]: a row's score less that of XLM-R without an intermediate task."""
        return self._draws(row, column) - self._draws(NONE, column)

    def gains(self, rows: str, columns: str, over: Callable[[str], str] = lambda _: NONE) -> Draws:
        """Array [rows, columns, 1 + DRAWS]: each row's scores less those of another row.

        Args:
            over: the row that a row is compared with.
        """
        return np.array(
            [
                [
                    self._draws(row, column) - self._draws(over(row), column)
                    for column in self._sets.get(columns, (columns,))
                ]
                for row in self._members(rows)
            ]
        )

    def _members(self, name: str) -> list[str]:
        found: list[str] = []
        for item in self._sets.get(name, (name,)):
            # A name stands for itself even where the table lacks it: it is then named as missing.
            found += fnmatch.filter(self._rows, item) if "*" in item else [item]
        if not found:
            raise _NoSuchRows(name)
        return found


class Finding(NamedTuple):
    """What a claim's function says.

    Args:
        holds: array [1 + DRAWS]: whether the claim does.
        numbers: name -> array [1 + DRAWS], or a constant: what the verdict is shown with.
    """

    holds: Truths
    numbers: Mapping[str, Draws | float]


def plain_row(row: str) -> str:
    """The row with the same tasks in English and without masked language modelling.

    Example:
        >>> [plain_row(row) for row in ("mnli+mlm", "qqp@de", "mlm")]
        ['mnli', 'qqp', 'none']
    """
    return NONE if row == MLM else row.partition("@")[0].removesuffix(f"+{MLM}")


def improves(cells: Cells) -> Finding:
    """The mean gain of the single tasks on the average is above 0.

    Source: abstract of arXiv 2005.13013v2.
    """
    # [rows, 1, 1 + DRAWS] -> [rows, 1 + DRAWS]: one column.
    gains = cells.gains("singles", AVERAGE)[:, 0]
    mean = gains.mean(axis=0)
    return Finding(mean > 0, {"mean_gain": mean, "rows_that_gain": _count(gains > 0)})


def squad_gain(cells: Cells, *, reported: float, tolerance: float) -> Finding:
    """The gain of SQuAD v1.1 on the average is the reported one, within the tolerance.

    Source: not verified against the paper's PDF. The authors' own guide to this paper trains on
    v1.1; the gain of v2.0 is shown beside it.
    """
    found = _as_reported(cells.gain("squad_v1", AVERAGE), reported, tolerance)
    return Finding(found.holds, {**found.numbers, "gain_of_v2": cells.gain("squad_v2", AVERAGE)})


def mnli_gain(cells: Cells, *, reported: float, tolerance: float) -> Finding:
    """The gain of MNLI on the average is the reported one, within the tolerance.

    Source: not verified against the paper's PDF.
    """
    return _as_reported(cells.gain("mnli", AVERAGE), reported, tolerance)


def hellaswag_gain(cells: Cells, *, reported: float, tolerance: float) -> Finding:
    """The gain of HellaSwag on the average is the reported one, within the tolerance.

    Source: not verified against the paper's PDF.
    """
    return _as_reported(cells.gain("hellaswag", AVERAGE), reported, tolerance)


def multi_gain(cells: Cells, *, reported: float, tolerance: float) -> Finding:
    """The gain of all nine tasks together on the average is the reported one, within the tolerance.

    Source: not verified against the paper's PDF.
    """
    return _as_reported(cells.gain(MULTI, AVERAGE), reported, tolerance)


def multi_best(cells: Cells) -> Finding:
    """All nine tasks together have a higher average than every single one.

    Source: not verified against the paper's PDF.
    """
    # The best of each draw, not the row that is best as measured: the maximum of several noisy
    # scores is high by luck, and this counts it.
    lead = cells.score(MULTI, AVERAGE) - cells.scores("singles", AVERAGE).max(axis=0)
    return Finding(lead > 0, {"lead": lead})


def best_three(cells: Cells) -> Finding:
    """MNLI, the better SQuAD and HellaSwag each have a higher average than every other single task.

    Source: abstract of arXiv 2005.13013v2, which does not say which SQuAD it means.
    """
    mnli, other = cells.score("mnli", AVERAGE), cells.scores("others", AVERAGE).max(axis=0)
    squad = cells.scores("squads", AVERAGE).max(axis=0)
    hellaswag = cells.score("hellaswag", AVERAGE)
    base = cells.score(NONE, AVERAGE)
    numbers = {"mnli": mnli, "squad": squad, "hellaswag": hellaswag, "best_other": other}
    return Finding(
        (mnli > other) & (squad > other) & (hellaswag > other),
        {name: score - base for name, score in numbers.items()},
    )


def best_gain(cells: Cells, *, baseline: float, reported: float, tolerance: float) -> Finding:
    """The best task's score on XTREME less the published baseline is the reported gain, within the
    tolerance.

    Source: abstract of arXiv 2005.13013v2; the baseline from VECO's comparison table (public entry
    of XLM-R large). Its retrieval scores were made with other settings than this paper's, so the
    gain over our own row ``none`` is another number, shown beside it.
    """
    found = _as_reported(cells.score(BEST, OVERALL) - baseline, reported, tolerance)
    own = cells.gain(BEST, OVERALL)
    return Finding(found.holds, {**found.numbers, "gain_over_own_baseline": own})


def best_improves(cells: Cells) -> Finding:
    """The best task's score on XTREME is above that of XLM-R, run alike.

    Source: abstract of arXiv 2005.13013v2.
    """
    gain = cells.gain(BEST, OVERALL)
    return Finding(gain > 0, {"gain": gain})


def largest_on_retrieval(cells: Cells) -> Finding:
    """The mean gain of the single tasks is larger on either retrieval target than on any other.

    Source: abstract of arXiv 2005.13013v2.
    """
    # [rows, columns, 1 + DRAWS] -> [columns, 1 + DRAWS]; below, -> [1 + DRAWS].
    retrieval = cells.gains("singles", "retrieval").mean(axis=0)
    other = cells.gains("singles", "not_retrieval").mean(axis=0).max(axis=0)
    bucc2018, tatoeba = retrieval
    numbers = {"bucc2018": bucc2018, "tatoeba": tatoeba, "largest_other": other}
    # The lesser of the two targets: "either" means both.
    return Finding(retrieval.min(axis=0) > other, numbers)


def moderate_on_qa(cells: Cells) -> Finding:
    """The single tasks' mean gain on question answering is above 0 and below that on retrieval.

    Source: abstract of arXiv 2005.13013v2.
    """
    answering = _mean_of_cells(cells.gains("singles", "answering"))
    retrieval = _mean_of_cells(cells.gains("singles", "retrieval"))
    return Finding(
        (answering > 0) & (answering < retrieval),
        {"question_answering": answering, "retrieval": retrieval},
    )


def tydiqa_from_many(cells: Cells, *, at_least: float) -> Finding:
    """So many single tasks raise TyDiQA-GoldP, or more.

    Source: not verified against the paper's PDF. 'Many' is read as more than half.
    """
    gains = cells.gains("singles", "tydiqa")[:, 0]
    count = _count(gains > 0)
    numbers = {"rows_that_gain": count, "mean_gain": gains.mean(axis=0)}
    return Finding(count >= at_least, numbers)


def xnli_from_none(cells: Cells, *, tolerance: float) -> Finding:
    """No single task raises XNLI by more than the tolerance.

    Source: not verified against the paper's PDF. The best of nine rows stands above the baseline by
    chance alone, hence the tolerance.
    """
    largest = cells.gains("singles", "xnli")[:, 0].max(axis=0)
    return Finding(largest <= tolerance, {"largest_gain": largest})


def mlm_no_consistent_gain(cells: Cells, *, consistent: float) -> Finding:
    """The share of rows whose average masked language modelling raises is below a consistent one.

    Source: abstract of arXiv 2005.13013v2. 'Consistent' is nine rows or more of ten: sign test,
    one-sided p = 0.011.
    """
    return _no_consistent_gain(cells, "with_mlm", consistent)


def translated_no_consistent_gain(cells: Cells, *, consistent: float) -> Finding:
    """The share of rows whose average translation raises is below a consistent one.

    Source: abstract of arXiv 2005.13013v2. 'Consistent' is eight rows or more of nine: sign test,
    one-sided p = 0.020.
    """
    return _no_consistent_gain(cells, "translated", consistent)


def english_over_mlm(cells: Cells) -> Finding:
    """Masked language modelling lowers the average, in the mean over the rows that have it.

    Source: not verified against the paper's PDF; consistent with the abstract of arXiv
    2005.13013v2.
    """
    return _lowers(cells, "with_mlm")


def english_over_translated(cells: Cells) -> Finding:
    """Translation lowers the average, in the mean over the rows that have it.

    Source: not verified against the paper's PDF; consistent with the abstract of arXiv
    2005.13013v2.
    """
    return _lowers(cells, "translated")


def _as_reported(gain: Draws, reported: float, tolerance: float) -> Finding:
    return Finding(np.abs(gain - reported) <= tolerance, {"gain": gain, "reported": reported})


def _no_consistent_gain(cells: Cells, rows: str, consistent: float) -> Finding:
    gains = cells.gains(rows, AVERAGE, plain_row)[:, 0]
    numbers = {"rows_that_gain": _count(gains > 0), "mean_gain": gains.mean(axis=0)}
    # [rows, 1 + DRAWS] -> [1 + DRAWS]: the share of rows that gain, in each draw.
    return Finding(np.mean(gains > 0, axis=0) < consistent, numbers)


def _lowers(cells: Cells, rows: str) -> Finding:
    mean = cells.gains(rows, AVERAGE, plain_row)[:, 0].mean(axis=0)
    return Finding(mean < 0, {"mean_gain": mean})


def _count(holds: Truths) -> Draws:
    """How many rows: [rows, 1 + DRAWS] -> [1 + DRAWS]."""
    count: Draws = holds.sum(axis=0).astype(np.float64)
    return count


def _mean_of_cells(gains: Draws) -> Draws:
    """[rows, columns, 1 + DRAWS] -> [1 + DRAWS]: every cell weighs the same."""
    mean: Draws = gains.reshape(-1, gains.shape[-1]).mean(axis=0)
    return mean


Rule = Callable[..., Finding]
"""Of :class:`Cells` and the claim's own numbers, by keyword."""

RULES: Mapping[str, Rule] = {
    "improves": improves,
    "squad-gain": squad_gain,
    "mnli-gain": mnli_gain,
    "hellaswag-gain": hellaswag_gain,
    "multi-gain": multi_gain,
    "multi-best": multi_best,
    "best-three": best_three,
    "best-gain": best_gain,
    "best-improves": best_improves,
    "largest-on-retrieval": largest_on_retrieval,
    "moderate-on-qa": moderate_on_qa,
    "tydiqa-from-many": tydiqa_from_many,
    "xnli-from-none": xnli_from_none,
    "mlm-no-consistent-gain": mlm_no_consistent_gain,
    "translated-no-consistent-gain": translated_no_consistent_gain,
    "english-over-mlm": english_over_mlm,
    "english-over-translated": english_over_translated,
}
"""Id of each claim -> what decides it."""


class _Claim(Strict):
    id: str
    title: str
    statement: str
    source: str
    reading: str | None = None
    experiment: ExperimentName
    about: Literal["size", "direction"]
    numbers: dict[str, float] = Field(default_factory=dict)
    inconclusive: str
    gap: str | None = None


class _Document(Strict):
    scale: ShippedScale
    citation: str
    sources: dict[str, str]
    sets: dict[str, list[str]]
    seed_sd: dict[str, float]
    seed_sd_reason: str
    claims: list[_Claim]


class Needs(NamedTuple):
    """What a claim needs of a table.

    Args:
        cells: (row, column) of every cell, in the order of use.
        absent: name of a set of rows of which the table has none; the cells are then not all.
    """

    cells: tuple[tuple[str, str], ...]
    absent: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Args:
        statement: in this project's words.
        source: where it is made.
        reading: what an ambiguous source was taken to mean.
        about: ``size`` for a number of points, which holds for the paper's encoder only;
            ``direction`` for an order.
        numbers: reported sizes, tolerances and thresholds, as its rule names them.
        sets: name -> rows or columns that rules speak of.
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
    numbers: Mapping[str, float]
    sets: Mapping[str, Sequence[str]]
    inconclusive: str
    gap: str | None

    @property
    def condition(self) -> str:
        """In words, when it holds; empty where Python was told to drop its docstrings."""
        text = inspect.getdoc(RULES[self.id]) or ""
        return " ".join(text.partition("\n\n")[0].split())

    def find(self, rows: Sequence[str], draws: Callable[[str, str], Draws]) -> Finding:
        """Whether it holds in a table with these rows and cells."""
        return RULES[self.id](Cells(rows, self.sets, draws), **self.numbers)

    def needs(self, rows: Sequence[str]) -> Needs:
        """The cells that it needs of a table with these rows.

        They are those that its rule asks for when it is tried on nothing, and so can never be
        other ones than it uses.
        """
        asked: dict[tuple[str, str], None] = {}

        def note(row: str, column: str) -> Draws:
            asked[row, column] = None
            # [1 + DRAWS] without a draw: which cells are asked for does not depend on their values.
            return np.zeros(1)

        try:
            self.find(rows, note)
        except _NoSuchRows as error:
            return Needs(tuple(asked), str(error))
        return Needs(tuple(asked), None)


@dataclass(frozen=True, slots=True)
class Claims:
    """All claims.

    Args:
        scale: that the claimed sizes are of.
        seed_sd: column -> spread over seeds where every row has one seed only.
    """

    scale: ShippedScale
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
        ConfigError: an unknown or missing key, an unknown claim or one given twice, an undefined
            source, or numbers that are not those of the claim's rule.
        IntegrityError: the file is not the one that was summed.
    """
    where = str(path)
    try:
        document = _Document.model_validate(parse_yaml(read_protected(path), where))
    except ValidationError as error:
        raise invalid("a list of claims", error, where) from error
    names = [claim.id for claim in document.claims]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError("claim given twice", where=f"{where}: {name}")
    claims = tuple(
        _claim(written, document, f"{where}: {written.id}") for written in document.claims
    )
    return Claims(document.scale, document.citation, document.seed_sd, claims)


def _claim(written: _Claim, document: _Document, where: str) -> Claim:
    if written.id not in RULES:
        raise unknown_name("claim", written.id, RULES, where)
    # A number that is missing, and one that nothing reads (a misspelt threshold), are both refused.
    _, *own = inspect.signature(RULES[written.id]).parameters
    if set(own) != set(written.numbers):
        raise ConfigError(
            "not the numbers that decide this claim",
            where=where,
            got=", ".join(written.numbers) or "none",
            expected=", ".join(own) or "none",
        )
    return Claim(
        id=written.id,
        title=written.title,
        statement=written.statement,
        source=look_up(document.sources, written.source, where) or "",
        reading=written.reading,
        experiment=written.experiment,
        about=written.about,
        numbers=written.numbers,
        sets=document.sets,
        inconclusive=written.inconclusive,
        gap=written.gap,
    )


def judge_claims(results: Sequence[Results], claims: Claims) -> list[ClaimRecord]:
    """A verdict on every claim, in the order of the file; the reason stamps what is no evidence.

    Args:
        results: of any of the experiments, at one scale.

    Raises:
        ConfigError: two results of one experiment, or of different scales; a column without any
            spread over seeds.
    """
    tables: dict[str, Results] = {}
    for result in results:
        if result.experiment in tables or result.scale != results[0].scale:
            raise ConfigError(
                "claims need one result for each experiment, all of one scale",
                got=f"{result.experiment} at scale {result.scale}",
            )
        tables[result.experiment] = result
    prepared = {name: _Table(result, claims.seed_sd) for name, result in tables.items()}
    return [_judge(claim, claims.scale, prepared.get(claim.experiment)) for claim in claims.claims]


def decisive(records: Sequence[ClaimRecord], scale: str) -> list[Verdict]:
    """Verdicts that count towards a table's and the exit code: none at a scale without evidence."""
    return [record.verdict for record in records] if is_evidence(scale) else []


class _Table:
    """The measured cells of one experiment, without those of single languages."""

    def __init__(self, result: Results, seed_sd: Mapping[str, float]) -> None:
        self.result = result
        self.evidence = result.run_scale.evidence
        self.rows = [row.row for row in result.rows]
        self._seed_sd = seed_sd
        self._cells = {
            (cell.row, cell.column): cell.measurement()
            for cell in result.cells
            if cell.language is None and cell.value is not None
        }
        # Over the rows of the table itself: its own seeds say more than any declared spread.
        self._spreads = column_spreads(self._cells.values())
        self._drawn: dict[tuple[str, str], Draws] = {}

    def missing(self, needed: Sequence[tuple[str, str]]) -> list[str]:
        """Those of the cells that were not measured, as people call them."""
        titles = self.result.titles
        return [titles.of(CellKey(*place)) for place in needed if place not in self._cells]

    def foreign(self, needed: Sequence[tuple[str, str]]) -> str | None:
        """Why the cells are not of the scale's pinned encoder, ``None`` if all are."""
        reasons = (
            foreign_encoder(Signature.parse(self._cells[place].signature)) for place in needed
        )
        return next((reason for reason in reasons if reason is not None), None)

    def unknown(self, needed: Sequence[tuple[str, str]]) -> str | None:
        """Why nobody can tell whose bytes the encoder's are, ``None`` where that is public.

        All cells have the same: what differs within a column is refused as incomparable.
        """
        row, column = needed[0]
        return unknown_bytes(Signature.parse(self._cells[row, column].signature))

    def incomparable(self, needed: Sequence[tuple[str, str]]) -> str | None:
        """Why the cells of a column cannot be held against each other, ``None`` if they can.

        Seeds may differ: an untrained row has none.
        """
        columns: defaultdict[str, list[Signature]] = defaultdict(list)
        for row, column in needed:
            columns[column].append(Signature.parse(self._cells[row, column].signature))
        try:
            for signatures in columns.values():
                require_comparable(signatures, varying=("seeds",))
        except ConfigError as error:
            return f"{error.what}: {error.got}, {error.expected}"
        return None

    def draws(self, row: str, column: str) -> Draws:
        """Array [1 + DRAWS]: the measured value, then what chance might have made of it.

        A draw is ``value + error t``, with Student's t on the noise's degrees of freedom. A cell's
        draws depend on its name alone: they are the same wherever it is used, so what two claims
        or two gains share (the baseline) cancels.
        """
        place = (row, column)
        if place not in self._drawn:
            cell = self._cells[place]
            self._drawn[place] = draws_of(row, column, float(cell.value or 0), self._noise(cell))
        return self._drawn[place]

    def _noise(self, cell: Measurement) -> Noise:
        if Signature.parse(cell.signature).seeds is None:
            return NO_NOISE
        column = cell.key.column
        spread = self._spreads.get(spread_key(cell))
        if spread is None and column not in self._seed_sd:
            raise ConfigError(
                "no spread over seeds, neither measured nor declared",
                where=column,
                fix="run more than one seed, or declare the column's seed_sd in claims.yaml",
            )
        spread = spread or Spread(self._seed_sd[column])
        return Noise(median_error(len(cell.seeds or (0,))) * spread.sd, spread.df)


def draws_of(row: str, column: str, value: float, noise: Noise) -> Draws:
    """Array [1 + DRAWS] for one cell, from a stream of random numbers that its name seeds."""
    # crc32, not hash(): Python's own hash of a text is another one in every process.
    generator = np.random.Generator(np.random.PCG64([SEED, crc32(f"{row}/{column}".encode())]))
    chance = (
        generator.standard_normal(DRAWS)
        if np.isinf(noise.df)
        else generator.standard_t(noise.df, DRAWS)
    )
    drawn: Draws = value + np.concatenate([[0.0], noise.error * chance])
    return drawn


def _judge(claim: Claim, scale: str, table: _Table | None) -> ClaimRecord:
    if table is None:
        title = experiment_named(claim.experiment).title
        return _record(claim, Verdict.NOT_RUN, f"there are no results of {title}")
    stamp = "" if table.evidence else f" [{table.result.stamp}]"
    if claim.about == "size" and table.result.scale != scale:
        reason = f"the size is claimed for scale {scale}, and was measured at {table.result.scale}"
        return _record(claim, Verdict.NOT_CHECKABLE, reason + stamp)
    needed, absent = claim.needs(table.rows)
    # Rows that the table can never have, before cells that were only not run this time.
    if absent is not None:
        reason = claim.gap or f"the table has no row of {absent}"
        return _record(claim, Verdict.NOT_CHECKABLE, reason + stamp)
    used = ["/".join(place) for place in needed]
    missing = table.missing(needed)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        reason = f"not measured: {'; '.join(missing[:_NAMED])}{more}"
        return _record(claim, Verdict.NOT_RUN, reason + stamp, cells=used)
    foreign = table.foreign(needed)
    if foreign is not None:
        return _record(claim, Verdict.NOT_CHECKABLE, foreign, cells=used)
    # Refused before any number is formed: a gain between unlike cells would mean nothing.
    refusal = table.incomparable(needed)
    if refusal is not None:
        return _record(claim, Verdict.INCONCLUSIVE, refusal + stamp, cells=used)
    found = claim.find(table.rows, table.draws)
    numbers = {name: round(_measured(value), 4) for name, value in found.numbers.items()}
    verdict, reason = _weigh(claim, found.holds)
    if not table.evidence:
        verdict, reason = Verdict.NOT_CHECKABLE, f"not about the paper; what it says {reason}"
    elif (unknown := table.unknown(needed)) is not None:
        reason = f"{reason} [{unknown}]"
    return _record(claim, verdict, reason + stamp, numbers=numbers, cells=used)


def _record(claim: Claim, verdict: Verdict, reason: str, **found: Any) -> ClaimRecord:
    return ClaimRecord(
        claim=claim.id,
        title=claim.title,
        verdict=verdict,
        reason=reason,
        **{"numbers": {}, "cells": [], **found},
    )


def _measured(number: Draws | float) -> float:
    return number if isinstance(number, float) else float(number[0])


def _weigh(claim: Claim, truth: Truths) -> tuple[Verdict, str]:
    holds, share = bool(truth[0]), float(np.mean(truth[1:]))
    said = "holds" if holds else "does not hold"
    reason = f"{said} as measured, and in {share:.1%} of what chance allows"
    if holds and share >= CERTAIN:
        return Verdict.REPRODUCED, reason
    if not holds and share <= 1 - CERTAIN:
        return Verdict.NOT_REPRODUCED, reason
    return Verdict.INCONCLUSIVE, f"{reason}: {claim.inconclusive}"
