"""From measured and expected cells to verdicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from stilts_artifact.benchmark.encoders import pin_of
from stilts_artifact.benchmark.experiments import experiment_named
from stilts_artifact.checking.expected import ColumnNoise, ExpectedTable
from stilts_artifact.checking.results import CellRecord, Results
from stilts_artifact.checking.statistics import (
    NO_NOISE,
    Noise,
    Spread,
    binomial_error,
    decide,
    difference_noise,
    mean_error,
    pooled_spread,
)
from stilts_artifact.config.load import is_evidence, load_scale
from stilts_artifact.domain.cells import (
    CellKey,
    ExpectedCell,
    Finding,
    Flag,
    Measurement,
    Verdict,
)
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ConfigError, ExitCode

SpreadKey = tuple[str, str | None, Signature]
"""Column, language and signature: what cells have in common that share a spread over seeds."""
Spreads = Mapping[SpreadKey, Spread]


Sampling = Callable[[CellKey], float | None]
"""Standard error that the sampling of the test set gives a measured cell, where that is known."""


def unknown_sampling(_: CellKey) -> None:
    """Of no cell: nothing but what the expected values declare is known."""
    return None


def judge_table(
    measured: Iterable[Measurement],
    expected: ExpectedTable,
    sampling: Sampling = unknown_sampling,
) -> list[CellRecord]:
    """A verdict for every cell that was measured or is expected, in the order measured.

    Args:
        sampling: asked for cells that chance has a part in
            (:class:`stilts_artifact.checking.intervals.SampledErrors`); where it knows nothing, the
            declared numbers of examples bound the error.

    Raises:
        ConfigError: a cell was measured twice, or has a signature that cannot be read.
    """
    by_key: dict[CellKey, Measurement] = {}
    for cell in measured:
        if cell.key in by_key:
            raise ConfigError("cell measured twice", where=str(cell.key))
        by_key[cell.key] = cell
    absent = [
        Measurement(key, None, "the results have no such cell", "")
        for key in expected.cells
        if key not in by_key
    ]
    cells = [*by_key.values(), *absent]
    compared = sum(_has_both(cell, expected) for cell in cells)
    judge = _Judge(expected, column_spreads(cells), compared, sampling)
    return [judge.judge(cell) for cell in cells]


def column_spreads(cells: Iterable[Measurement]) -> Spreads:
    """Spread over seeds of each column and language, pooled over its rows.

    Only like numbers are pooled: rows of a column whose signatures differ have spreads of their
    own. So an untrained row, which has no seeds and no spread, does not narrow the others'; and one
    row that was computed otherwise costs the other rows nothing, where
    :func:`stilts_artifact.domain.signature.require_comparable` would refuse the whole column.
    Collapsed runs are left out: what they add to the spread would excuse every other cell of the
    column.
    """
    samples: dict[SpreadKey, list[tuple[float, ...]]] = defaultdict(list)
    for cell in cells:
        if cell.seeds is not None and cell.flag != Flag.DEGENERATE:
            samples[spread_key(cell)].append(cell.seeds)
    pooled = {key: pooled_spread(values) for key, values in samples.items()}
    return {key: spread for key, spread in pooled.items() if spread is not None}


def spread_key(cell: Measurement) -> SpreadKey:
    """Where the spread of a measured cell stands among those of its table."""
    return cell.key.column, cell.key.language, Signature.parse(cell.signature)


def _has_both(cell: Measurement, table: ExpectedTable) -> bool:
    expected = table.cells.get(cell.key)
    return cell.value is not None and expected is not None and expected.value is not None


class _Judge:
    """Judges the cells of one table, which share its false alarms.

    Args:
        compared: number of cells that have both a measured and an expected value.
    """

    def __init__(
        self, table: ExpectedTable, spreads: Spreads, compared: int, sampling: Sampling
    ) -> None:
        self.table = table
        self.spreads = spreads
        self.compared = compared
        self.sampling = sampling

    def judge(self, cell: Measurement) -> CellRecord:
        expected = self.table.cells.get(cell.key)
        value = expected.value if expected is not None else None
        if cell.value is None:
            return _record(cell, value, Verdict.NOT_RUN, cell.reason or "not measured")
        if expected is None or expected.value is None:
            reason = (expected and expected.reason) or "no expected value is recorded for this cell"
            return _record(cell, None, Verdict.NOT_CHECKABLE, reason)
        if cell.flag is Flag.PARTIAL:
            return _record(cell, None, Verdict.NOT_CHECKABLE, cell.flag.meaning)
        if self.table.scale is not None:
            scale = Signature.parse(cell.signature).scale
            if scale != self.table.scale:
                places = f"reported for scale {self.table.scale}, measured at scale {scale}"
                # Without the value: beside the measured one it would be shown with a difference.
                return _record(
                    cell, None, Verdict.NOT_CHECKABLE, f"{places}: only the claims apply"
                )
        foreign = self._foreign(cell, expected)
        if foreign is not None:
            return _record(cell, None, Verdict.NOT_CHECKABLE, foreign)
        doubt = _difference_in_meaning(cell, expected) or self._unknown(cell)
        if doubt is not None:
            return _record(cell, value, Verdict.INCONCLUSIVE, doubt)
        return self._compare(cell, expected, cell.value - expected.value)

    def _compare(self, cell: Measurement, expected: ExpectedCell, difference: float) -> CellRecord:
        noise = self._noise(cell, expected)
        decision = decide(
            difference,
            self.table.tolerance_of(expected),
            self._rounding(expected),
            noise,
            self.compared,
        )
        reason = f"differs by {difference:+g}, limit {decision.limit:g}" if difference else "equal"
        if decision.verdict is Verdict.INCONCLUSIVE:
            error = f"standard error {noise.error:.3g}"
            reason += (
                f"; only up to {decision.proven:.3g} would it be proven equal (noise: {error})"
                if decision.proven > 0
                else f"; noise ({error}) and rounding hide a difference that matters"
            )
        return _record(cell, expected.value, decision.verdict, reason, decision.limit)

    def _foreign(self, cell: Measurement, expected: ExpectedCell) -> str | None:
        """Why a cell may not be held against a published one, ``None`` if it may."""
        recorded = expected.signature is not None
        if recorded or experiment_named(self.table.experiment).is_counted:
            return None
        signature, own = Signature.parse(cell.signature), self.table.encoder
        if own is not None and signature.encoder != own:
            return f"published of {own}, measured with {signature.encoder}"
        pin = pin_of(own, signature.revision) if own is not None else None
        return (pin and _misfit(signature, pin.signed)) or foreign_encoder(signature)

    def _unknown(self, cell: Measurement) -> str | None:
        """Why nobody can tell whether the published encoder ran, ``None`` if that is known."""
        if self.table.encoder is None:
            return None
        return unknown_bytes(Signature.parse(cell.signature))

    def _noise(self, cell: Measurement, expected: ExpectedCell) -> Noise:
        """Chance in measured minus expected."""
        declared = self.table.noise.get(cell.key.column)
        # A baseline is met with the same seeds and the same data: nothing is left to chance. And an
        # untrained encoder's scores depend on no seed.
        if declared is None or expected.signature is not None:
            return NO_NOISE
        if Signature.parse(cell.signature).seeds is None:
            return NO_NOISE
        spread = self.spreads.get(spread_key(cell), Spread(declared.seed_sd))
        sampling = self.sampling(cell.key)
        if sampling is None:
            sampling = max(
                _sampling_error(cell, value, declared) for value in (cell.value, expected.value)
            )
        return difference_noise(spread, len(cell.seeds or (0,)), expected.n, sampling)

    def _rounding(self, expected: ExpectedCell) -> float:
        """Half a unit of the last printed digit; a count is printed in full, a score never is."""
        counts = not expected.decimals and experiment_named(self.table.experiment).is_counted
        return 0.0 if counts else float(0.5 * 10**-expected.decimals)


def _record(
    cell: Measurement,
    expected: float | None,
    verdict: Verdict,
    reason: str,
    limit: float | None = None,
) -> CellRecord:
    return CellRecord(
        row=cell.key.row,
        column=cell.key.column,
        language=cell.key.language,
        value=cell.value,
        expected=expected,
        limit=limit,
        verdict=verdict,
        reason=reason,
        signature=cell.signature,
        seeds=cell.seeds,
        flag=cell.flag,
    )


def _difference_in_meaning(cell: Measurement, expected: ExpectedCell) -> str | None:
    """Why a measured cell is not what was recorded: another task, seed, encoder.

    The package's version may move on. Of a stale baseline a reader wants every field that has
    changed, where ``require_comparable`` would name the first.
    """
    if expected.signature is None:
        return None
    recorded, now = Signature.parse(expected.signature), Signature.parse(cell.signature)
    fields = [name for name in recorded.differences(now) if name != "version"]
    if not fields:
        return None
    details = [
        f"{name} is {getattr(now, name)!r}, recorded {getattr(recorded, name)!r}" for name in fields
    ]
    return "not comparable, the signature has changed: " + "; ".join(details)


def foreign_encoder(signature: Signature) -> str | None:
    """Why a number was not made by the pinned encoder of its scale, ``None`` if it was.

    By the bytes that ran, as its signature has them: a name, and the commit that was asked for, say
    nothing about them. At a scale without evidence nothing is published, and no encoder is foreign.
    """
    due = _pinned_fields(signature.scale)
    if due is None:
        return None
    if not due:
        return f"the encoder of scale {signature.scale} is not pinned: nothing published is of it"
    return _misfit(signature, due)


def unknown_bytes(signature: Signature) -> str | None:
    """Why nobody can tell whose bytes ran, ``None`` where their sha256 is public.

    A difference between two runs of the same bytes says what it says whoever's they are; a
    published number is one of particular bytes.
    """
    pin = pin_of(signature.encoder or "", signature.revision)
    if pin is not None and pin.files:
        return None
    ran = f"that ran ({signature.weights})" if signature.weights else "that ran"
    which = f"{signature.encoder} at {signature.revision}"
    return f"no public sha256 of {which} is known here: whether the weights {ran} are its own, open"


def _misfit(signature: Signature, due: Mapping[str, str]) -> str | None:
    for name, value in due.items():
        found = getattr(signature, name)
        if found != value:
            return f"another encoder than the published one: {name} {found}, pinned {value}"
    return None


@cache
def _pinned_fields(scale: str) -> Mapping[str, str] | None:
    """What a signature says of the pinned encoder of a scale; nothing of one that is not pinned."""
    if not is_evidence(scale):
        return None
    encoder = load_scale(scale).encoder
    pin = pin_of(encoder.name, encoder.revision)
    return {} if pin is None else pin.signed


def _sampling_error(cell: Measurement, value: float | None, declared: ColumnNoise) -> float:
    """Sampling error of a cell if its score is this one."""
    # The declared numbers of examples are of the mean over languages, not of one language.
    if not declared.examples or value is None or cell.key.language is not None:
        return 0.0
    return mean_error([binomial_error(value, examples) for examples in declared.examples])


def joint_verdict(cells: Iterable[Verdict], claims: Iterable[Verdict] = ()) -> Verdict:
    """The verdict on several cells together: the worst of those checkable and of the claims.

    If none was checkable, that is no pass.

    Args:
        claims: verdicts of the claims that decide
            (:func:`stilts_artifact.checking.claims.decisive`).
    """
    verdicts = Counter([*cells, *claims])
    if verdicts[Verdict.NOT_REPRODUCED]:
        return Verdict.NOT_REPRODUCED
    if (
        verdicts[Verdict.NOT_RUN]
        or verdicts[Verdict.INCONCLUSIVE]
        or not verdicts[Verdict.REPRODUCED]
    ):
        return Verdict.INCONCLUSIVE
    return Verdict.REPRODUCED


def headline(results: Iterable[Results]) -> Verdict | Finding:
    """The verdict on several runs together: on the tables, and only without any on the studies.

    What a study finds says nothing about whether the paper's numbers were reproduced.
    """
    every = [one.verdict for one in results]
    tables = [one for one in every if isinstance(one, Verdict)]
    if tables:
        return joint_verdict(tables)
    (finding, *others) = dict.fromkeys(every)
    return Verdict.INCONCLUSIVE if others else finding


_EXIT_CODES = {
    Verdict.REPRODUCED: ExitCode.REPRODUCED,
    Verdict.NOT_REPRODUCED: ExitCode.NOT_REPRODUCED,
    Verdict.INCONCLUSIVE: ExitCode.INCOMPLETE,
}

_COUNTS_AS = {
    Finding.SUPPORTED: Verdict.REPRODUCED,
    Finding.NOT_SUPPORTED: Verdict.REPRODUCED,
    Finding.PIPELINE_VALID: Verdict.REPRODUCED,
    Finding.PIPELINE_INVALID: Verdict.NOT_REPRODUCED,
}


def exit_code(verdicts: Iterable[Verdict | Finding]) -> ExitCode:
    """The exit code for several tables, claims and studies: that of :func:`joint_verdict`.

    A study that has an answer, whichever it is, has succeeded.
    """
    counted = [
        one if isinstance(one, Verdict) else _COUNTS_AS.get(one, Verdict.INCONCLUSIVE)
        for one in verdicts
    ]
    return _EXIT_CODES[joint_verdict(counted)]


def summary(verdicts: Iterable[Verdict]) -> str:
    """How many cells have each verdict, in words.

    Example:
        >>> summary([Verdict.NOT_RUN, Verdict.REPRODUCED, Verdict.REPRODUCED])
        'cells: 2 REPRODUCED, 1 NOT_RUN'
    """
    counts = Counter(verdicts)
    named = [f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]]
    return "cells: " + (", ".join(named) or "none")
