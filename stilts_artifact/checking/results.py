"""Results files: ``results/table{N}.{scale}.json``, written by ``reproduce``, re-judged by ``check``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stilts_artifact.benchmark.experiments import table_name
from stilts_artifact.config.schema import ScaleName
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

    @cached_property
    def key(self) -> CellKey:
        """Place of the cell."""
        return CellKey(self.row, self.column, self.language)

    def measurement(self) -> Measurement:
        """The measured part of the record, to be judged again."""
        reason = self.reason if self.value is None else None
        seeds = tuple(self.seeds) if self.seeds else None
        return Measurement(
            self.key, self.value, reason, self.signature, seeds=seeds, flag=self.flag
        )


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
        table: its number; :data:`stilts_artifact.benchmark.experiments.CALIBRATION` for it.
        seeds: of the trained runs behind the cells, of which the median is reported; none where
            nothing is trained.
        files: what the cells were computed from; none for Table 1, which is counted from
            ``inputs``.
    """

    table: Annotated[int, Field(ge=0, le=3)]
    scale: ScaleName
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
    """A cell or claim whose verdict in the file is not the verdict that its numbers deserve, and why."""

    key: CellKey | str
    stored: Verdict
    judged: Verdict
    reason: str


def results_path(folder: Path, table: int, scale: str) -> Path:
    """Where the results of a table at a scale lie."""
    return folder / f"{table_name(table)}.{scale}.json"


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
            seeds=list(judgement.seeds) if judgement.seeds else None,
            flag=judgement.flag,
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
        ConfigError: an unknown or missing key or a value of the wrong type; a cell whose signature
            cannot be read, or is of another scale than the file.
    """
    where = str(path)
    document = parse_json(read_document(path), where)
    try:
        results = Results.model_validate(document, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(document, first["loc"])
        raise ConfigError(
            "not a results file", where=f"{where}: {place}", got=first["msg"]
        ) from error
    for cell in results.cells:
        _check_signature(cell, results, where)
    return results


def _place(document: Any, location: tuple[int | str, ...]) -> str:
    """Where pydantic found a fault; a cell is named, not numbered."""
    match location:
        case ("cells", int(number), *rest) if isinstance(document["cells"][number], dict):
            cell = document["cells"][number]
            names = [str(cell[part]) for part in ("row", "column", "language") if cell.get(part)]
            return ": ".join(["/".join(names), ".".join(map(str, rest))])
    return ".".join(map(str, location))


def read_signature(cell: CellRecord, where: str) -> Signature | None:
    """The signature of a cell, ``None`` for an expected cell that was never measured.

    Raises:
        ConfigError: it cannot be read.
    """
    if not cell.signature and cell.value is None:
        return None
    try:
        return Signature.parse(cell.signature)
    except ConfigError as error:
        place = f"{where}: {cell.key}"
        raise ConfigError(
            error.what, where=place, got=error.got, expected=error.expected
        ) from error


def _check_signature(cell: CellRecord, results: Results, where: str) -> None:
    signature = read_signature(cell, where)
    if signature is None:
        return
    place = f"{where}: {cell.key}"
    if signature.scale != results.scale:
        raise ConfigError(
            "cell of another scale", where=place, got=signature.scale, expected=results.scale
        )
    # In Table 1 a row is a task; in the others a column is, and recompute.py holds the signature
    # against it.
    if results.table == 1 and signature.task != cell.row:
        raise ConfigError(
            "signature of another row", where=place, got=signature.task, expected=cell.row
        )


def disagreements(stored: Results, judged: Results) -> list[Disagreement]:
    """Cells, then claims, whose stored verdict is not the one just judged."""
    cells = {cell.key: cell for cell in judged.cells}
    claims = {claim.claim: claim for claim in judged.claims}
    found: list[Disagreement] = []
    for cell in stored.cells:
        now = cells[cell.key]
        if now.verdict is not cell.verdict:
            found.append(Disagreement(cell.key, cell.verdict, now.verdict, now.reason))
    for claim in stored.claims:
        judgement = claims.get(claim.claim)
        if judgement is None:
            found.append(
                Disagreement(
                    claim.claim, claim.verdict, Verdict.NOT_CHECKABLE, "there is no such claim"
                )
            )
        elif judgement.verdict is not claim.verdict:
            found.append(
                Disagreement(claim.claim, claim.verdict, judgement.verdict, judgement.reason)
            )
    return found
