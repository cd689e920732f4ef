"""Expected cells: ``expected_results/{folder}/{experiment}.yaml``, strictly parsed.

Beside the YAML files may lie ``entered.csv``: values that somebody entered from a copy of the paper
(:mod:`stilts_artifact.checking.entered`). They are laid over the cells of the YAML, which stays as
it was shipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from stilts_artifact.benchmark.experiments import Experiment, experiment_named
from stilts_artifact.checking.sums import REFRESH, expected_root, is_recorded, read_protected
from stilts_artifact.config.schema import ShippedScale
from stilts_artifact.documents import parse_csv, parse_yaml
from stilts_artifact.domain.cells import CellKey, ExpectedCell
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.texts import visible

ENTERED = "entered.csv"
ENTERED_HEADER = ("experiment", "row", "column", "language", "value", "replaces", "source")
"""``value`` in the digits that the paper prints; ``replaces``: that of the YAML cell, if any."""
_PRINTED = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,4})?")
_LONGEST_SOURCE = 500

_Size = Annotated[int | float, Field(ge=0)]
_Count = Annotated[int, Field(ge=1)]


def _known_experiment(name: str) -> str:
    try:
        return experiment_named(name).name
    except ConfigError as error:
        raise ValueError(f"{error.what}, {error.expected}") from error


ExperimentName = Annotated[str, AfterValidator(_known_experiment)]
"""In a document: the name of an experiment of the benchmark."""


VisibleText = Annotated[str, AfterValidator(visible)]
"""In a document: a text that people are shown, whoever wrote it."""


class Strict(BaseModel):
    """A document's part: no unknown key, no value of another type, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Column(Strict):
    tolerance: _Size
    basis: VisibleText | None = None
    seed_sd: _Size | None = None
    reason: VisibleText | None = None
    examples: _Count | list[_Count] | None = None

    @model_validator(mode="after")
    def _spread_with_reason(self) -> _Column:
        if (self.seed_sd is None) != (self.reason is None):
            raise ValueError("a column has a seed_sd and its reason, or neither")
        if self.examples is not None and self.seed_sd is None:
            raise ValueError("a column with examples has a seed_sd")
        return self


class _Cell(Strict):
    row: str
    column: str
    language: str | None = None
    value: int | float | None
    decimals: Annotated[int, Field(ge=0, le=12)]
    source: VisibleText | None = None
    reason: VisibleText | None = None
    n: _Count | None = None
    tolerance: _Size | None = None
    basis: VisibleText | None = None
    signature: str | None = None

    @model_validator(mode="after")
    def _value_or_reason(self) -> _Cell:
        if (self.value is None) != (self.reason is not None) or (self.value is None) == (
            self.source is not None
        ):
            raise ValueError("a cell has a value and its source, or value null and the reason")
        if self.basis is not None and self.tolerance is None:
            raise ValueError("a cell with a basis has a tolerance")
        return self


class _Document(Strict):
    experiment: ExperimentName
    benchmark: Literal["mini", "xtreme"]
    scale: ShippedScale | None = None
    encoder: str | None = None
    citation: str
    columns: dict[str, _Column]
    sources: dict[str, str]
    reasons: dict[str, str]
    cells: list[_Cell]

    @model_validator(mode="after")
    def _tolerances_with_basis(self) -> _Document:
        # What this program recorded of its own runs has the tolerances of checking/baseline.py.
        if all(cell.signature is not None for cell in self.cells):
            return self
        for name, column in self.columns.items():
            if column.tolerance > 0 and column.basis is None:
                raise ValueError(f"column {name} has a tolerance without its basis")
        return self


@dataclass(frozen=True, slots=True)
class ColumnNoise:
    """What is declared about chance in a column, for cells that say nothing about it themselves.

    Args:
        seed_sd: standard deviation over seeds, in points, for a column whose rows were all run with
            one seed.
        reason: why that much.
        examples: test examples behind the mean over languages: of each language, where each has its
            own; of one, where they are translations of each other, and of the smallest, where they
            share some. None: sampling error unknown, taken as 0. Of F1 and exact match only where
            the predictions are not at hand.
    """

    seed_sd: float
    reason: str
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectedTable:
    """The expected cells of one experiment on one benchmark, and the tolerance of each column.

    Args:
        tolerances: column -> up to how far apart a measured and an expected value count as equal.
        noise: column -> what is declared about chance; a column without holds no random number.
        scale: the only scale that the values hold for; ``None`` where the scale does not matter.
        encoder: repository of the only encoder that they are of; ``None`` where the scale says it.
        bases: column, or cell with a tolerance of its own -> what the tolerance rests on.
    """

    experiment: str
    benchmark: str
    citation: str
    tolerances: dict[str, float]
    cells: dict[CellKey, ExpectedCell]
    noise: Mapping[str, ColumnNoise] = field(default_factory=dict)
    scale: str | None = None
    encoder: str | None = None
    bases: Mapping[str | CellKey, str] = field(default_factory=dict)

    def tolerance_of(self, cell: ExpectedCell) -> float:
        """The declared tolerance of a cell: its own, else its column's."""
        return self.tolerances[cell.key.column] if cell.tolerance is None else cell.tolerance

    def basis_of(self, cell: ExpectedCell) -> str | None:
        """What its tolerance rests on; ``None`` for counts, and for what was recorded here."""
        return self.bases.get(cell.key, self.bases.get(cell.key.column))


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that somebody entered.

    Args:
        printed: digits as the paper prints them; ``71.50`` is not ``71.5``.
        source: where it is printed.
        where: what a message calls the entry.
        replaces: the value that the YAML cell has; empty for one that had none.
    """

    key: CellKey
    printed: str
    source: str
    where: str
    replaces: str = ""

    @property
    def decimals(self) -> int:
        """Digits after the point."""
        return len(self.printed.partition(".")[2])


def expected_path(folder: str, experiment: str) -> Path:
    """Where an experiment's expected cells lie: in the checkout, or in the installed package."""
    return expected_root() / folder / f"{experiment}.yaml"


def expected_cells(folders: Iterable[str], experiment: Experiment, benchmark: str) -> ExpectedTable:
    """What an experiment is held against at a scale: nothing, before anything was recorded.

    Args:
        folders: of the scale's expected values; the first that has the experiment's is taken.

    Raises:
        DataError: the file is gone although its sum is recorded.
        ConfigError, IntegrityError: as :func:`load_expected`.
    """
    for folder in folders:
        path = expected_path(folder, experiment.name)
        if is_recorded(path):
            return load_expected(path)
    return ExpectedTable(experiment.name, benchmark, "nothing is recorded yet", {}, {})


def load_expected(path: Path) -> ExpectedTable:
    """The expected table in a file, with the values that were entered for it.

    Raises:
        DataError: the file cannot be read or is not strict YAML; or the entered values cannot, or
            are gone although their sum is recorded.
        ConfigError: an unknown or missing key, a value without source, a null without reason, a
            column without tolerance, a tolerance without its basis, a cell given twice, a signature
            that cannot be read; an entered value that the table has no cell for, or another cell
            than when it was entered.
        IntegrityError: either file is not the one that was summed.
    """
    table = load_shipped(path)
    entries = load_entered(path.with_name(ENTERED)).get(table.experiment, {})
    return with_entries(table, entries)


def with_entries(table: ExpectedTable, entries: Mapping[CellKey, Entry]) -> ExpectedTable:
    """A table with entered values laid over its cells.

    Raises:
        ConfigError: there is no such cell, or it does not have the value that was replaced.
    """
    return replace(
        table, cells=table.cells | {key: _laid_over(table, entries[key]) for key in entries}
    )


def _laid_over(table: ExpectedTable, entry: Entry) -> ExpectedCell:
    # Checked again, though it was when it was entered: the shipped table may have changed since.
    cell, place = table.cells.get(entry.key), f"{entry.where}: {entry.key}"
    if cell is None:
        raise ConfigError("a value entered for no cell", where=place)
    if cell.signature is not None:
        raise ConfigError("a value entered over a recorded one", where=place)
    require_decimals(entry, cell)
    if entry.replaces != value_text(cell):
        raise ConfigError(
            "a value entered for a cell that has changed since",
            where=place,
            got=value_text(cell) or "null",
            expected=entry.replaces or "null",
            fix=f"take its line out of {ENTERED}, or change what it replaces; then {REFRESH}",
        )
    # A count stays one: 392702, not 392702.0, wherever it is shown.
    value = float(entry.printed) if entry.decimals else int(entry.printed)
    return replace(cell, value=value, source=entry.source, reason=None)


def require_decimals(entry: Entry, cell: ExpectedCell) -> None:
    """A value is entered with the decimals that the table prints: they say how it was rounded.

    Raises:
        ConfigError: it has others.
    """
    if entry.decimals != cell.decimals:
        raise ConfigError(
            "another number of decimals than the table has",
            where=f"{entry.where}: {entry.key}",
            got=entry.printed,
            expected=f"{cell.decimals} after the point",
        )


def value_text(cell: ExpectedCell) -> str:
    """A cell's value as the YAML file has it, empty if it has none.

    Example:
        >>> value_text(ExpectedCell(CellKey("none", "xnli"), 71.5, 1, "s", None))
        '71.5'
    """
    return "" if cell.value is None else str(cell.value)


def load_entered(path: Path) -> dict[str, dict[CellKey, Entry]]:
    """Experiment -> the values entered for its cells; empty where nobody has entered any.

    Raises:
        DataError: the file cannot be read, is not strict CSV, or is gone although its sum is
            recorded; an experiment, a printed number or a source that is none; a cell entered
            twice.
        IntegrityError: the file is not the one that was summed.
    """
    if not is_recorded(path):
        return {}
    entered: dict[str, dict[CellKey, Entry]] = {}
    for row in parse_csv(read_protected(path), str(path), ENTERED_HEADER):
        found, where = row.cells, row.where
        key = CellKey(found["row"], found["column"], found["language"] or None)
        entry = Entry(key, found["value"], found["source"], where, found["replaces"])
        cells = entered.setdefault(_experiment_of(found["experiment"], where), {})
        if key in cells:
            raise DataError("cell entered twice", where=f"{where}: {key}")
        if not is_printed_number(entry.printed) or not is_source(entry.source):
            raise DataError("not an entered value", where=f"{where}: {key}", got=str(found))
        cells[key] = entry
    return entered


def _experiment_of(name: str, where: str) -> str:
    try:
        return experiment_named(name).name
    except ConfigError as error:
        raise DataError(error.what, where=where, got=error.got, expected=error.expected) from error


def is_printed_number(text: str) -> bool:
    """Whether these are digits as a paper prints them: without sign and exponent, in ASCII."""
    return _PRINTED.fullmatch(text) is not None


def is_source(text: str) -> bool:
    """Whether a text can stand as a source: something printable, and not a page of it."""
    return 1 <= len(text.strip()) <= _LONGEST_SOURCE and text.isprintable()


def load_shipped(path: Path) -> ExpectedTable:
    """The expected table of a YAML file alone; the same errors as :func:`load_expected`."""
    where = str(path)
    try:
        document = _Document.model_validate(parse_yaml(read_protected(path), where))
    except ValidationError as error:
        raise invalid("an expected table", error, where) from error
    noise = {
        name: ColumnNoise(
            float(column.seed_sd),
            look_up(document.reasons, column.reason, f"{where}: {name}") or "",
            _tuple(column.examples),
        )
        for name, column in document.columns.items()
        if column.seed_sd is not None
    }
    tolerances = {name: float(column.tolerance) for name, column in document.columns.items()}
    return ExpectedTable(
        document.experiment,
        document.benchmark,
        document.citation,
        tolerances,
        _cells(document, where),
        noise,
        document.scale,
        document.encoder,
        _bases(document, where),
    )


def _bases(document: _Document, where: str) -> dict[str | CellKey, str]:
    named: dict[str | CellKey, str | None] = {
        name: column.basis for name, column in document.columns.items()
    }
    named |= {CellKey(cell.row, cell.column, cell.language): cell.basis for cell in document.cells}
    found = {key: look_up(document.reasons, name, f"{where}: {key}") for key, name in named.items()}
    return {key: text for key, text in found.items() if text is not None}


def _cells(document: _Document, where: str) -> dict[CellKey, ExpectedCell]:
    cells: dict[CellKey, ExpectedCell] = {}
    for cell in document.cells:
        key = CellKey(cell.row, cell.column, cell.language)
        place = f"{where}: {key}"
        if key in cells:
            raise ConfigError("cell given twice", where=place)
        if cell.column not in document.columns:
            raise ConfigError("column without a tolerance", where=place, got=cell.column)
        if cell.signature is not None:
            _check_signature(cell.signature, place)
        source = look_up(document.sources, cell.source, place)
        reason = look_up(document.reasons, cell.reason, place)
        tolerance = None if cell.tolerance is None else float(cell.tolerance)
        cells[key] = ExpectedCell(
            key, cell.value, cell.decimals, source, reason, cell.n, tolerance, cell.signature
        )
    return cells


def _check_signature(text: str, place: str) -> None:
    try:
        Signature.parse(text)
    except ConfigError as error:
        raise ConfigError(
            error.what, where=place, got=error.got or text, expected=error.expected
        ) from error


def _tuple(examples: int | list[int] | None) -> tuple[int, ...]:
    return (examples,) if isinstance(examples, int) else tuple(examples or ())


def look_up(texts: Mapping[str, str], name: str | None, where: str) -> str | None:
    """The citation or reason with this name.

    Raises:
        ConfigError: the document does not define it.
    """
    if name is None:
        return None
    if name not in texts:
        raise ConfigError("citation or reason that the file does not define", where=where, got=name)
    return texts[name]


def invalid(kind: str, error: ValidationError, where: str) -> ConfigError:
    """A document that does not have its form, by the first of pydantic's complaints."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return ConfigError(f"not {kind}", where=f"{where}: {place}", got=first["msg"])
