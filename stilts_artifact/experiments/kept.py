"""What an earlier run with ``--only`` measured, and a later run of other cells keeps.

Runs of disjoint cells thus add up to a table. What is kept was verified first: every file against
the hash in the results file, every score against what its predictions give. Where earlier results
do not fit to a run, it is refused before anything is measured, and nothing of them is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from stilts_artifact.benchmark.asked import Place, asked_places
from stilts_artifact.checking.learning_curves import CURVES, Curves, parse_curves
from stilts_artifact.checking.recompute import verify_scores
from stilts_artifact.checking.results import (
    CellRecord,
    FileRecord,
    Results,
    RowRecord,
    parse_results,
    predictions_folder,
    results_path,
)
from stilts_artifact.config.load import definition
from stilts_artifact.data.library import InputRecord
from stilts_artifact.documents import read_document
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.signature import SHORT_KEYS, Signature
from stilts_artifact.domain.tasks import Benchmark, Task
from stilts_artifact.errors import ArtifactError, ConfigError, IntegrityError
from stilts_artifact.experiments.session import Session
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.files import hash_bytes, own_disk_errors
from stilts_artifact.forms.alignment_scores import SCORES
from stilts_artifact.forms.probabilities import PROBABILITIES

# Fields of a signature that a cell's place and its run decide; steps report the others.
_OF_PLACE = frozenset(
    {"task", "split", "languages", "encoder", "revision", "metric", "metric_version"}
    | {"seeds", "scale", "version"}
)


@dataclass(frozen=True)
class Kept:
    """Cells of the results that are there, and the files that they come from.

    Args:
        results: as they are there.
        folder: of their predictions and labels.
        places: measured then, and not asked for now.
        curves: of the training runs behind them, as far as that is known.
    """

    results: Results
    folder: Path
    places: frozenset[Place]
    curves: Curves = field(default_factory=dict)

    @cached_property
    def cells(self) -> Mapping[CellKey, CellRecord]:
        """Every cell that is there, kept or not."""
        return {cell.key: cell for cell in self.results.cells}

    def holds(self, row: str, task: Task) -> bool:
        """Whether a row's cells of a task are kept."""
        return (row, task.name) in self.places

    def cell(self, key: CellKey) -> Measurement | None:
        """What was measured then."""
        record = self.cells.get(key)
        return None if record is None else record.measurement()

    def reported(self, row: str, task: Task) -> list[Mapping[str, object]]:
        """What the steps behind a row's cells of a task said of how they computed."""
        record = self.cells.get(CellKey(row, task.name))
        if record is None or record.value is None:
            return []
        signature = Signature.parse(record.signature)
        fields = {name: getattr(signature, name) for name in SHORT_KEYS if name not in _OF_PLACE}
        return [{name: value for name, value in fields.items() if value is not None}]

    @property
    def rows(self) -> list[RowRecord]:
        """The rows that have a kept cell."""
        names = {row for row, _ in self.places}
        return [row for row in self.results.rows if row.row in names]

    def asked(self, benchmark: Benchmark, only: Sequence[str]) -> list[list[str]]:
        """What each run was asked for whose cells are there once ``only`` is measured, too."""
        before = [
            entry
            for entry in self.results.asked
            if asked_places(benchmark, self.results.defined, entry) & self.places
        ]
        return [*(entry for entry in before if entry != list(only)), list(only)]

    def inputs(self, found: Sequence[InputRecord]) -> list[InputRecord]:
        """The verified files behind the kept cells and the new ones.

        Raises:
            IntegrityError: the two rest on different bytes of a source.
        """
        by_source = {record.source: record for record in found}
        for record in self.results.inputs:
            now = by_source.setdefault(record.source, InputRecord(**record.model_dump()))
            if now.sha256 != record.sha256:
                raise IntegrityError(
                    "cells that are kept rest on another version of a file",
                    where=record.source,
                    got=f"sha256 {now.sha256}",
                    expected=f"sha256 {record.sha256}",
                    fix="name another folder with --results, or bring the file of then",
                )
        return sorted(by_source.values())

    def add_to(self, folder: Path) -> None:
        """Copy the kept files into a folder; those that are there already are only verified.

        Raises:
            IntegrityError: one was changed, or a new run has made other labels.
            ResourceError: the disk is full.
        """
        for record in self._files():
            name = record.path.removeprefix(f"{self.results.run_name}/")
            target = folder / name
            source = target if target.exists() else self.folder / name
            data = _verified(source, record)
            if source != target:
                with own_disk_errors(folder, folder):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)

    def _files(self) -> Iterator[FileRecord]:
        tasks = {task for _, task in self.places}
        made = ("predictions", PROBABILITIES, SCORES)
        for record in self.results.files:
            match record.path.split("/"):
                case [_, "labels", task, _] if task in tasks:
                    yield record
                case [_, kind, row, _, task, _] if kind in made and (row, task) in self.places:
                    yield record


def _verified(path: Path, record: FileRecord) -> bytes:
    """The bytes of a file that the results list."""
    data = read_document(path)
    found = hash_bytes(data).sha256
    if found != record.sha256:
        raise IntegrityError(
            "a file that the kept cells do not rest on",
            where=str(path),
            got=f"sha256 {found}",
            expected=f"sha256 {record.sha256}",
            fix="name another folder with --results",
        )
    return data


def find_kept(session: Session, environment: Mapping[str, str]) -> Kept | None:
    """The cells of earlier runs that a run with ``--only`` keeps; ``None`` if there are none.

    A run of everything, or of all that is there, replaces it.

    Args:
        environment: what the run computes with.

    Raises:
        ConfigError, DataError, IntegrityError: the results that are there are damaged, or of
            another version, encoder, environment or seeds, and would be lost.
    """
    path = results_path(session.results, session.experiment.name, session.scale.name)
    if not session.only or not path.exists():
        return None
    try:
        return _find(session, path, environment)
    except ArtifactError as error:
        raise type(error)(
            f"with --only, earlier results are kept, and these cannot be: {error.what}",
            where=error.where or str(path),
            got=error.got,
            expected=error.expected,
            fix=f"name another folder with --results; or remove {path}, and lose its results",
        ) from error


def _find(session: Session, path: Path, environment: Mapping[str, str]) -> Kept | None:
    data = read_document(path)
    results = parse_results(data, path)
    benchmark, experiment = session.benchmark, session.experiment
    measured = {
        place for only in results.asked for place in asked_places(benchmark, experiment, only)
    }
    places = measured - asked_places(benchmark, experiment, session.only)
    if not places:
        return None
    kept = Kept(results, predictions_folder(path, data), frozenset(places))
    _refuse_unlike(kept, session, environment, path)
    verify_scores(results, path, kept.folder, benchmark)
    return replace(kept, curves=_curves(kept))


def _curves(kept: Kept) -> Curves:
    """Of the training runs behind the kept cells; none of results that have no such file."""
    name = f"{kept.results.run_name}/{CURVES}"
    record = next((one for one in kept.results.files if one.path == name), None)
    if record is None:
        return {}
    path = kept.folder / CURVES
    rows = {row for row, _ in kept.places}
    return {
        key: curve
        for key, curve in parse_curves(_verified(path, record), str(path)).items()
        if (key.row, key.target) in kept.places or (not key.target and key.row in rows)
    }


def _refuse_unlike(
    kept: Kept, session: Session, environment: Mapping[str, str], path: Path
) -> None:
    """Refuse results that were made otherwise than those which would stand beside them."""
    results = kept.results
    pairs: dict[str, tuple[object, object]] = {
        "experiment": (results.experiment, session.experiment.name),
        "scale": (results.scale, session.scale.name),
        "seeds": (results.seeds, list(session.seeds)),
        **{
            name: (results.environment.get(name), environment.get(name))
            for name in sorted(results.environment.keys() | environment.keys())
        },
    }
    now, before = definition(session.scale) or {}, results.definition or {}
    pairs |= {f"the scale's {name}": (before.get(name), now[name]) for name in now}
    builder = StepBuilder.of(session)
    for used in results.inputs:
        # Of members that stood in for their archive, the pins are the benchmark's.
        if used.source in builder.pins:
            pairs[used.source] = (f"sha256 {used.sha256}", f"sha256 {builder.pins[used.source]}")
    sizes = {row.name: row.encoder for row in session.experiment.rows(session.benchmark)}
    for row, task in sorted(kept.places):
        cell = kept.cells.get(CellKey(row, task))
        if cell is not None and cell.signature:
            signature = Signature.parse(cell.signature)
            own = builder.origin(sizes.get(row, "own"))
            encoder = "none" if own is None else f"{own.label} {own.revision[:12]}"
            pairs["encoder"] = (f"{signature.encoder} {signature.revision}", encoder)
            if pairs["encoder"][0] != encoder:
                break
    for name, (found, due) in pairs.items():
        if found != due:
            raise ConfigError(
                "they were made otherwise",
                where=str(path),
                got=f"{name} {found}",
                expected=f"{name} {due}",
            )
