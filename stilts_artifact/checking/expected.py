"""Expected cells: ``expected_results/{paper,mini}/table{N}.yaml``, strictly parsed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from stilts_artifact.documents import parse_yaml, read_document
from stilts_artifact.domain.cells import CellKey, Reported
from stilts_artifact.errors import ConfigError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Column(_Strict):
    tolerance: int | float


class _Cell(_Strict):
    row: str
    column: str
    language: str | None = None
    value: int | float | None
    decimals: int
    source: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _value_or_reason(self) -> _Cell:
        if (self.value is None) != (self.reason is not None) or (self.value is None) == (self.source is not None):
            raise ValueError("a cell has a value and its source, or value null and the reason")
        return self


class _Document(_Strict):
    table: int
    world: Literal["mini", "xtreme"]
    citation: str
    columns: dict[str, _Column]
    sources: dict[str, str]
    reasons: dict[str, str]
    cells: list[_Cell]


@dataclass(frozen=True, slots=True)
class ExpectedTable:
    """The reported cells of one table of one world, and the band each column allows."""

    table: int
    world: str
    citation: str
    tolerances: dict[str, float]
    cells: dict[CellKey, Reported]


def expected_path(folder: str, table: int) -> Path:
    """Where the expected cells of a table lie: in the checkout, or in the installed package."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent / "expected_results"
    root = checkout if checkout.is_dir() else package / "expected_results"
    return root / folder / f"table{table}.yaml"


def load_expected(path: Path) -> ExpectedTable:
    """The expected table in a file.

    Raises:
        DataError: the file cannot be read or is not strict YAML.
        ConfigError: an unknown or missing key, a value without source, a null without reason, a column
            without tolerance, a cell given twice.
    """
    where = str(path)
    try:
        document = _Document.model_validate(parse_yaml(read_document(path), where))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError("not an expected table", where=f"{where}: {place}", got=first["msg"]) from error
    cells: dict[CellKey, Reported] = {}
    for cell in document.cells:
        key = CellKey(cell.row, cell.column, cell.language)
        if key in cells:
            raise ConfigError("cell given twice", where=f"{where}: {key}")
        if cell.column not in document.columns:
            raise ConfigError("column without a tolerance", where=f"{where}: {key}", got=cell.column)
        source = _look_up(document.sources, cell.source, f"{where}: {key}")
        reason = _look_up(document.reasons, cell.reason, f"{where}: {key}")
        cells[key] = Reported(key, cell.value, cell.decimals, source, reason)
    tolerances = {name: float(column.tolerance) for name, column in document.columns.items()}
    return ExpectedTable(document.table, document.world, document.citation, tolerances, cells)


def _look_up(texts: dict[str, str], name: str | None, where: str) -> str | None:
    if name is None:
        return None
    if name not in texts:
        raise ConfigError("citation or reason that the file does not define", where=where, got=name)
    return texts[name]
