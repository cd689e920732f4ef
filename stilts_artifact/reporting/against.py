"""Two runs of one experiment side by side: which cells both have, and how far apart they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stilts_artifact.checking.results import CellRecord, Results
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.signature import Signature, require_comparable
from stilts_artifact.errors import ConfigError, MissingDataError
from stilts_artifact.reporting.runs import Run

_SAME = 1e-9
_LARGEST = 20  # differences that are listed


@dataclass(frozen=True, slots=True)
class Twin:
    """A cell that both runs have measured.

    Args:
        title: of the cell.
        difference: this run minus the other; ``None`` where the two are not of the same thing.
        unlike: in what they are not.
    """

    key: CellKey
    title: str
    here: float
    there: float
    difference: float | None
    unlike: str | None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two runs of one experiment.

    Args:
        twins: cells that both have measured, in this run's order.
        only_here, only_there: number of cells that one of them alone has measured.
    """

    here: Run
    there: Run
    twins: tuple[Twin, ...]
    only_here: int
    only_there: int

    @property
    def by_key(self) -> Mapping[CellKey, Twin]:
        """The twins by their place."""
        return {twin.key: twin for twin in self.twins}

    @property
    def largest(self) -> tuple[Twin, ...]:
        """The cells that lie furthest apart, none that are equal."""
        apart = [twin for twin in self.twins if twin.difference and abs(twin.difference) > _SAME]
        return tuple(sorted(apart, key=lambda twin: -abs(twin.difference or 0.0))[:_LARGEST])

    @property
    def summary(self) -> str:
        """How many cells both have, and how many of them are equal, in words."""
        compared = [twin for twin in self.twins if twin.difference is not None]
        equal = sum(abs(twin.difference or 0.0) <= _SAME for twin in compared)
        text = f"{len(self.twins):,} cells in both, {equal:,} of them equal"
        unlike = len(self.twins) - len(compared)
        for count, what in (
            (unlike, "of unlike things, without a difference"),
            (self.only_here, "here alone"),
            (self.only_there, "in the other alone"),
        ):
            text += f"; {count:,} {what}" if count else ""
        return text

    @property
    def reasons(self) -> tuple[str, ...]:
        """In what cells of both runs are unlike, each once."""
        return tuple(dict.fromkeys(twin.unlike for twin in self.twins if twin.unlike is not None))


def side_by_side(runs: Sequence[Run], others: Sequence[Run]) -> list[SideBySide]:
    """Each run beside the other folder's of the same experiment, at the same scale if there is one.

    Raises:
        MissingDataError: the folders have no experiment in common.
    """
    pairs = []
    for run in runs:
        same = [one for one in others if one.results.experiment == run.results.experiment]
        exact = [one for one in same if one.results.scale == run.results.scale]
        if found := exact or (same if len(same) == 1 else []):
            pairs.append(_pair(run, found[0]))
    if not pairs:
        raise MissingDataError(
            "no experiment that both folders have",
            where="--against",
            got=", ".join(run.results.run_name for run in others),
            expected=", ".join(run.results.run_name for run in runs),
        )
    return pairs


def _pair(run: Run, other: Run) -> SideBySide:
    titles = run.results.titles
    here, there = _measured(run.results), _measured(other.results)
    twins = []
    for key, cell in here.items():
        if key in there:
            unlike = _unlike(cell, there[key])
            values = float(cell.value or 0), float(there[key].value or 0)
            difference = None if unlike else values[0] - values[1]
            twins.append(Twin(key, titles.of(key), *values, difference, unlike))
    both = here.keys() & there.keys()
    return SideBySide(run, other, tuple(twins), len(here) - len(both), len(there) - len(both))


def _measured(results: Results) -> dict[CellKey, CellRecord]:
    return {cell.key: cell for cell in results.cells if cell.value is not None}


def _unlike(cell: CellRecord, other: CellRecord) -> str | None:
    """In what two cells are not the same measurement, seeds and the package's version apart."""
    if cell.signature == other.signature:
        return None
    signatures = [Signature.parse(cell.signature), Signature.parse(other.signature)]
    try:
        require_comparable(signatures, varying=("seeds", "version"))
    except ConfigError as error:
        return f"{error.expected} here, {error.got} there"
    return None
