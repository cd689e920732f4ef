"""Expected cells: ``expected_results/{paper,mini}/{experiment}.yaml``, strictly parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stilts_artifact.benchmark.experiments import Experiment, experiment_named
from stilts_artifact.checking.sums import expected_root, read_protected, read_sums
from stilts_artifact.config.schema import ScaleName
from stilts_artifact.documents import parse_yaml
from stilts_artifact.domain.cells import CellKey, Reported
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ConfigError

_Size = Annotated[int | float, Field(ge=0)]
_Count = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """A document's part: no unknown key, no value of another type, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Column(Strict):
    tolerance: _Size
    seed_sd: _Size | None = None
    reason: str | None = None
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
    source: str | None = None
    reason: str | None = None
    n: _Count | None = None
    tolerance: _Size | None = None
    signature: str | None = None

    @model_validator(mode="after")
    def _value_or_reason(self) -> _Cell:
        if (self.value is None) != (self.reason is not None) or (self.value is None) == (
            self.source is not None
        ):
            raise ValueError("a cell has a value and its source, or value null and the reason")
        return self


class _Document(Strict):
    experiment: str
    benchmark: Literal["mini", "xtreme"]
    scale: ScaleName | None = None
    citation: str
    columns: dict[str, _Column]
    sources: dict[str, str]
    reasons: dict[str, str]
    cells: list[_Cell]


@dataclass(frozen=True, slots=True)
class ColumnNoise:
    """What is declared about chance in a column, for cells that say nothing about it themselves.

    Args:
        seed_sd: standard deviation over seeds, in points, for a column whose rows were all run with
            one seed.
        reason: why that much.
        examples: test examples behind the mean over languages: of each language, where each has its
            own; of one, where they are translations of each other. None: sampling error unknown,
            taken as 0.
    """

    seed_sd: float
    reason: str
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectedTable:
    """The reported cells of one experiment on one benchmark, and the band each column allows.

    Args:
        noise: column -> what is declared about chance; a column without holds no random number.
        scale: the only scale that the values hold for; ``None`` where the scale does not matter.
    """

    experiment: str
    benchmark: str
    citation: str
    tolerances: dict[str, float]
    cells: dict[CellKey, Reported]
    noise: Mapping[str, ColumnNoise] = field(default_factory=dict)
    scale: str | None = None

    def band(self, reported: Reported) -> float:
        """The declared tolerance of a cell: its own, else its column's."""
        return (
            self.tolerances[reported.key.column]
            if reported.tolerance is None
            else reported.tolerance
        )


def expected_path(folder: str, experiment: str) -> Path:
    """Where the expected cells of an experiment lie: in the checkout, or in the installed package."""
    return expected_root() / folder / f"{experiment}.yaml"


def expected_cells(folder: str, experiment: Experiment, benchmark: str) -> ExpectedTable:
    """What an experiment is held against at a scale: nothing, before anything was recorded.

    Raises:
        DataError: the file is gone although its sum is recorded.
        ConfigError, IntegrityError: as :func:`load_expected`.
    """
    path = expected_path(folder, experiment.name)
    root = expected_root()
    if path.is_file() or path.relative_to(root).as_posix() in read_sums(root):
        return load_expected(path)
    return ExpectedTable(experiment.name, benchmark, "nothing is recorded yet", {}, {})


def load_expected(path: Path) -> ExpectedTable:
    """The expected table in a file.

    Raises:
        DataError: the file cannot be read or is not strict YAML.
        ConfigError: an unknown or missing key, a value without source, a null without reason, a
            column without tolerance, a cell given twice, a signature that cannot be read.
        IntegrityError: the file is not the one that was summed.
    """
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
    cells = _reported(document, where)
    return ExpectedTable(
        experiment_named(document.experiment).name,
        document.benchmark,
        document.citation,
        tolerances,
        cells,
        noise,
        document.scale,
    )


def _reported(document: _Document, where: str) -> dict[CellKey, Reported]:
    cells: dict[CellKey, Reported] = {}
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
        cells[key] = Reported(
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
