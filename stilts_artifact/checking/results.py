"""Results files: ``results/table{N}.{scale}.json``, written by ``reproduce``, re-judged by ``check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.cells import CellKey, Judgement, Measurement, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ConfigError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CellRecord(_Strict):
    """One cell of a results file."""

    row: str
    column: str
    language: str | None = None
    value: int | float | None
    reported: int | float | None
    tolerance: float | None
    verdict: Verdict
    reason: str
    signature: str
    seeds: list[float] | None = None
    """Value of each seed, in the order of the file's seeds, where there is more than the one."""
    flag: str | None = None
    """Such as ``DEGENERATE``: a run that collapsed is reported, never dropped."""

    def measurement(self) -> Measurement:
        """The measured part of the record, to be judged again."""
        key = CellKey(self.row, self.column, self.language)
        return Measurement(key, self.value, self.reason if self.value is None else None, self.signature)


class RowRecord(_Strict):
    """What a row says beside its numbers; ``group`` is the block of the table that it stands in."""

    row: str
    title: str
    group: str
    details: dict[str, str] = {}


class InputRecord(_Strict):
    """One verified input file: ``source``, or ``source!member`` where members stood in for their archive."""

    source: str
    bytes: int
    sha256: str
    satisfied_by: str


class FileRecord(_Strict):
    """A file that cells were computed from (predictions, labels); ``path`` is relative to the results folder."""

    path: str
    bytes: int
    sha256: str


class ClaimRecord(_Strict):
    """The verdict on one claim, with the numbers and the cells that it rests on."""

    claim: str
    title: str
    verdict: Verdict
    reason: str
    numbers: dict[str, float]
    cells: list[str]


class Results(_Strict):
    """A whole results file.

    Attributes:
        seeds: of the trained runs behind the cells, of which the median is reported; none where nothing is trained.
        files: what the cells were computed from; none for Table 1, which is counted from ``inputs``.
    """

    table: int
    scale: Literal["mini", "base", "paper"]
    scale_reason: str
    stamp: str
    verdict: Verdict
    rows: list[RowRecord]
    cells: list[CellRecord]
    claims: list[ClaimRecord]
    seeds: list[int] = []
    inputs: list[InputRecord]
    files: list[FileRecord] = []
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A cell whose verdict in the file is not the verdict that its numbers deserve."""

    key: CellKey
    stored: Verdict
    judged: Verdict


def results_path(folder: Path, table: int, scale: str) -> Path:
    """Where the results of a table at a scale lie."""
    return folder / f"table{table}.{scale}.json"


def cell_records(judgements: Sequence[Judgement]) -> list[CellRecord]:
    """Judgements as they stand in a results file."""
    return [
        CellRecord(
            row=judgement.key.row,
            column=judgement.key.column,
            language=judgement.key.language,
            value=judgement.value,
            reported=judgement.reported,
            tolerance=judgement.tolerance,
            verdict=judgement.verdict,
            reason=judgement.reason,
            signature=judgement.signature,
        )
        for judgement in judgements
    ]


def dump_results(results: Results) -> bytes:
    """The bytes of a results file: the same results give the same bytes."""
    document = results.model_dump(mode="json")
    for cell in document["cells"]:
        for name in ("language", "seeds", "flag"):
            if cell[name] is None:
                del cell[name]
    return dump_json(document)


def load_results(path: Path) -> Results:
    """The results in a file.

    Raises:
        DataError: the file cannot be read or is not strict JSON.
        ConfigError: an unknown or missing key or a value of the wrong type; a cell whose signature cannot be
            read, or is of another scale than the file.
    """
    where = str(path)
    try:
        results = Results.model_validate(parse_json(read_document(path), where), strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError("not a results file", where=f"{where}: {place}", got=first["msg"]) from error
    for cell in results.cells:
        _check_signature(cell, results.scale, where)
    return results


def _check_signature(cell: CellRecord, scale: str, where: str) -> None:
    place = f"{where}: {cell.measurement().key}"
    if not cell.signature and cell.value is None:
        return  # an expected cell that was never measured
    try:
        signature = Signature.parse(cell.signature)
    except ConfigError as error:
        raise ConfigError(error.what, where=place, got=error.got, expected=error.expected) from error
    if signature.scale != scale:
        raise ConfigError("cell of another scale", where=place, got=signature.scale, expected=scale)
    if signature.task != cell.row:
        raise ConfigError("signature of another row", where=place, got=signature.task, expected=cell.row)


def disagreements(stored: Sequence[CellRecord], judged: Sequence[Judgement]) -> list[Disagreement]:
    """Cells whose stored verdict is not the one just judged."""
    verdicts: Mapping[CellKey, Verdict] = {judgement.key: judgement.verdict for judgement in judged}
    found = []
    for cell in stored:
        key = cell.measurement().key
        if verdicts[key] is not cell.verdict:
            found.append(Disagreement(key, cell.verdict, verdicts[key]))
    return found
