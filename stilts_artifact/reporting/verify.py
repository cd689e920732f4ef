"""Judging a crate on another machine: nothing in it is believed but what its predictions give.

A crate brings no standards of its own: it is judged by the expected values and claims of the
installed package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stilts_artifact.checking.recheck import CONSISTENT, TRUST, recheck
from stilts_artifact.checking.results import Results, load_results, results_files
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import DataError, IntegrityError, MissingDataError
from stilts_artifact.files import describe_sums, disk_errors
from stilts_artifact.reporting.crate import EXPECTED, RESULTS, expected_files, is_label
from stilts_artifact.reporting.packing import is_plain, unpack
from stilts_artifact.reporting.page import report_files
from stilts_artifact.reporting.runs import Run, run_of


@dataclass(frozen=True, slots=True)
class VerifiedTable:
    """One results file of a crate.

    Args:
        results: judged again; INCONCLUSIVE in every cell, and without claims, if they could not be
            computed again.
        missing: label files without which they could not.
        run: as a report shows it, if they could.
    """

    results: Results
    missing: tuple[str, ...]
    run: Run | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What is true of a crate.

    Args:
        files: how many have the hash of the manifest.
        notes: what could not be verified, and where the crate says otherwise.
    """

    files: int
    tables: tuple[VerifiedTable, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, object]:
        """As JSON."""
        tables = [
            {
                "experiment": table.results.experiment,
                "scale": table.results.scale,
                "verdict": table.results.verdict,
                "computed_again": table.run is not None,
                "claims": {claim.claim: claim.verdict for claim in table.results.claims},
            }
            for table in self.tables
        ]
        shows = f"{CONSISTENT} {TRUST}"
        return {"files": self.files, "tables": tables, "notes": list(self.notes), "shows": shows}


def verify_crate(path: Path, labels: Path | None = None) -> Verification:
    """Verify every hash of a crate, and compute and judge every cell and claim again.

    Args:
        labels: a results folder with the label files that the crate leaves out; each must have the
            hash that the results name.

    Raises:
        DataError: not a crate, or an unsafe one (see
            :func:`stilts_artifact.reporting.packing.unpack`).
        IntegrityError: a file of the crate, or a label file given, is not the one that it should
            be.
        ResourceError: no room to unpack it.
    """
    with disk_errors(Path(os.environ.get("TMPDIR", "TMPDIR")), instead="another TMPDIR"):
        scratch = tempfile.TemporaryDirectory(prefix="stilts-artifact-verify-")
    with scratch as name:
        folder = Path(name)
        sums = unpack(path, folder)
        try:
            files = results_files(folder / RESULTS)
        except MissingDataError as error:
            raise DataError("a crate without results", where=str(path)) from error
        tables = tuple(_verify(file, labels) for file in files)
        notes = [*_other_standards(sums), *_notes(tables)]
        # Without all labels the page cannot be made again, and a difference would say nothing.
        if not any(table.missing for table in tables):
            notes += _other_page(folder, tables)
    return Verification(len(sums), tables, tuple(notes))


def _verify(file: Path, labels: Path | None) -> VerifiedTable:
    stored = load_results(file)
    _add_labels(file, stored, labels)
    missing = tuple(
        record.path for record in stored.files if not (file.parent / record.path).exists()
    )
    foreign = [name for name in missing if not is_label(name)]
    if foreign:
        raise IntegrityError(
            "a crate without a file that its results rest on",
            where=foreign[0],
            fix="get the crate again",
        )
    if missing:
        return VerifiedTable(_unjudged(stored), missing, None)
    run = run_of(recheck(file))
    return VerifiedTable(run.results, (), run)


def _unjudged(stored: Results) -> Results:
    """Results that could not be computed again: what they say of themselves is no verdict."""
    undecided = {"verdict": Verdict.INCONCLUSIVE, "reason": "not computed again", "limit": None}
    cells = [
        cell if cell.value is None else cell.model_copy(update=undecided) for cell in stored.cells
    ]
    update = {"verdict": Verdict.INCONCLUSIVE, "cells": cells, "claims": []}
    return stored.model_copy(update=update)


def _add_labels(file: Path, stored: Results, labels: Path | None) -> None:
    """Put the label files that a crate left out beside its results, as far as they are given.

    Whether they are the right ones is decided by their hashes, when the results are judged.
    """
    for record in stored.files:
        # The path is the crate's word, and is joined to two folders here.
        if not is_plain(record.path):
            raise DataError(
                "a path that leaves the results folder",
                where=f"{file.name}: files",
                got=record.path,
            )
        target = file.parent / record.path
        if target.exists() or not is_label(record.path) or labels is None:
            continue
        given = labels / record.path
        if given.is_file():
            size = given.stat().st_size
            # Before it is copied: a file of another size can be of any.
            if size != record.bytes:
                raise IntegrityError(
                    "a label file that is not the one the results rest on",
                    where=str(given),
                    got=f"{size:,} bytes",
                    expected=describe_sums(record.bytes, record.sha256),
                )
            with disk_errors(target, size, "another TMPDIR"):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(given, target)


def _notes(tables: tuple[VerifiedTable, ...]) -> list[str]:
    notes = []
    for table in tables:
        name = f"{table.results.title} ({table.results.scale})"
        if table.missing:
            notes.append(
                f"{name}: not computed again: {len(table.missing)} label files were left out, "
                "as they belong to others; give your own with --labels RESULTS"
            )
        if table.results.defined.is_counted:
            notes.append(
                f"{name}: its counts are compared, not counted again: the data are not in the crate"
            )
        if table.run is not None:
            notes += [f"{name}: {note}" for note in table.run.notes]
    return notes


def _other_standards(sums: Mapping[str, str]) -> list[str]:
    """Whether the crate was judged by other expected values than this package has."""
    own = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in expected_files()}
    theirs = {name: sha256 for name, sha256 in sums.items() if name.startswith(f"{EXPECTED}/")}
    names = sorted(name for name in own.keys() | theirs.keys() if own.get(name) != theirs.get(name))
    if not names:
        return []
    which = f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]
    return [
        f"the crate was judged by other expected values ({which}); "
        "these verdicts are by the installed ones"
    ]


def _other_page(folder: Path, tables: tuple[VerifiedTable, ...]) -> list[str]:
    """Whether the page in the crate, and its tables, are those that its files give."""
    made = report_files([table.run for table in tables if table.run is not None])
    other = [
        name
        for name, data in made.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != data
    ]
    return [
        f"{name} in the crate is not the one that its files give here: "
        "made by another version, or edited"
        for name in other[:1]
    ]
