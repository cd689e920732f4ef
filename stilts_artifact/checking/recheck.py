"""Judging a results file again, from the files that its numbers were computed from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.benchmark.experiments import FAMILY
from stilts_artifact.checking.claims import claims_path, decisive, judge_claims, load_claims
from stilts_artifact.checking.expected import ExpectedTable, expected_cells, load_expected
from stilts_artifact.checking.foundation import Fault, unfounded, weaken_cells, weaken_claims
from stilts_artifact.checking.intervals import SampledErrors
from stilts_artifact.checking.judge import (
    Sampling,
    joint_verdict,
    judge_table,
    unknown_sampling,
)
from stilts_artifact.checking.labels import load_labels
from stilts_artifact.checking.recompute import (
    Recomputation,
    VerifiedFiles,
    difference,
    recompute,
)
from stilts_artifact.checking.results import (
    CellRecord,
    ClaimRecord,
    Disagreement,
    InputRecord,
    Results,
    as_defined,
    disagreements,
    of_one_publication,
    parse_results,
)
from stilts_artifact.checking.studies import (
    analyse_results,
    family_answers,
    study_disagreements,
)
from stilts_artifact.data.library import WAYS
from stilts_artifact.domain.cells import CellKey, Measurement, Verdict
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.files import describe_sums, hash_bytes

if TYPE_CHECKING:
    from stilts_artifact.studies.family import Answer

CONSISTENT = (
    "Checked is that these results are consistent: sources and labels are the benchmark's where no "
    "note says otherwise, and the predictions give these scores. It is no proof that anyone "
    "computed them."
)
"""What a check shows, and what it does not; said wherever its verdicts are."""
TRUST = (
    "What would add trust: a second machine's own run with the same verdicts, or a log of the run "
    "signed by somebody you trust."
)

_NOTHING: Mapping[CellKey, Fault] = {}


@dataclass(frozen=True, slots=True)
class Recheck:
    """A results file with its verdicts as judged now, and the cells where the file said otherwise.

    Args:
        sha256: of the file.
        folder: of the predictions and labels that it rests on.
        results: with every value as its predictions give it.
        notes: what could not be verified.
        answers: of the family of languages, what its runs say.
    """

    path: Path
    sha256: str
    folder: Path
    results: Results
    disagreements: list[Disagreement]
    notes: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The verdicts as JSON values."""
        return {
            "file": str(self.path),
            "experiment": self.results.experiment,
            "scale": self.results.scale,
            "verdict": self.results.verdict,
            "cells": dict(sorted(Counter(cell.verdict for cell in self.results.cells).items())),
            "claims": {claim.claim: claim.verdict for claim in self.results.claims},
            "disagreements": [
                {
                    "cell": str(found.key),
                    "file": found.stored,
                    "judged": found.judged,
                    "reason": found.reason,
                }
                for found in self.disagreements
            ],
            "notes": list(self.notes),
        }


def recheck(path: Path, expected_file: Path | None = None) -> Recheck:
    """Judge the cells of a results file against today's expected values.

    Counts rest on pinned inputs, whose hashes are compared; scores are computed
    again from the predictions and labels in the folder ``{experiment}.{scale}`` beside the file.

    Args:
        path: the results file.
        expected_file: expected cells; by default those of the file's scale.

    Raises:
        DataError, ConfigError: either file is malformed, or they are of different experiments or
            benchmarks.
        IntegrityError: the results rest on a file that is not the pinned one, or is missing,
            altered or surplus.
    """
    return of_one_publication(
        path, lambda data, folder: _recheck(path, data, folder, expected_file)
    )


def _recheck(path: Path, data: bytes, folder: Path, expected_file: Path | None) -> Recheck:
    stored, otherwise = as_defined(parse_results(data, path))
    scale = stored.run_scale
    expected = (
        load_expected(expected_file)
        if expected_file
        else expected_cells(scale.expected, stored.defined, scale.benchmark)
    )
    benchmark = stored.benchmark
    _refuse_other_world(stored, scale.benchmark, expected, path)
    for used in stored.inputs:
        _check_pin(used, benchmark, path, stored.defined.command)
    pins = load_labels(scale)
    faults = unfounded(stored, benchmark, pins)
    if stored.defined.is_counted:
        measured = judge_table((cell.measurement() for cell in stored.cells), expected)
        judged = weaken_cells(measured, faults)
    else:
        found = recompute(stored, folder, benchmark, pins)

        @cache
        def listed() -> VerifiedFiles:
            # Not at once: it lists the whole folder again, and few runs have a cell to ask about.
            return VerifiedFiles(folder, stored.run_name, stored.files)

        sampling = SampledErrors(
            stored.defined, benchmark, stored.seeds, folder, lambda path: listed().read(path)
        )
        judged = judge_recomputed(stored, found, expected, faults, sampling)
    results = _with_verdicts(stored, judged, faults)
    differing = disagreements(stored, results)
    if stored.defined.study is not None:
        files = VerifiedFiles(folder, stored.run_name, stored.files)
        analysis = analyse_results(stored, folder, files.read)
        against = study_disagreements(stored, analysis, files)
        # A file that its own predictions contradict is not reproduced, whatever they say.
        altered = against or any(cell.verdict is Verdict.NOT_REPRODUCED for cell in judged)
        verdict = Verdict.NOT_REPRODUCED if altered else analysis.record.finding
        differing += against
        update = {"study": analysis.record, "verdict": verdict}
        results = results.model_copy(update=update)
    answers: list[Answer] = []
    if stored.defined.name == FAMILY:
        files = VerifiedFiles(folder, stored.run_name, stored.files)
        finding, answers = family_answers(stored, folder, files.read)
        results = results.model_copy(update={"verdict": finding})
    sha256 = hash_bytes(data).sha256
    notes = (*otherwise, *_unpinned(stored, benchmark))
    return Recheck(path, sha256, folder, results, differing, notes, tuple(answers))


def _with_verdicts(
    stored: Results, judged: list[CellRecord], faults: Mapping[CellKey, Fault]
) -> Results:
    """The results with cells as judged, their claims judged on these, and the verdict on both."""
    results = stored.model_copy(update={"cells": judged})
    claims = (
        []
        if stored.defined.is_counted
        else weaken_claims(
            judge_claims([results], load_claims(claims_path()).of_experiment(stored.experiment)),
            faults,
        )
    )
    verdict = joint_verdict((cell.verdict for cell in judged), decisive(claims, stored.scale))
    return results.model_copy(update={"claims": claims, "verdict": verdict})


def judge_all_claims(rechecks: Sequence[Recheck]) -> dict[str, list[ClaimRecord]]:
    """Scale -> every claim, as judged with its table.

    Those of an experiment that is not there are NOT_RUN.
    """
    claims = load_claims(claims_path())
    by_scale: defaultdict[str, dict[str, list[ClaimRecord]]] = defaultdict(dict)
    for found in rechecks:
        if found.results.defined.decides_claims:
            by_scale[found.results.scale][found.results.experiment] = found.results.claims
    missing = {
        name: judge_claims([], claims.of_experiment(name))
        for name in {claim.experiment for claim in claims.claims}
    }
    return {
        scale: [record for name in sorted(missing) for record in (missing | judged)[name]]
        for scale, judged in by_scale.items()
    }


def judge_recomputed(
    stored: Results,
    found: Recomputation,
    expected: ExpectedTable,
    faults: Mapping[CellKey, Fault] = _NOTHING,
    sampling: Sampling = unknown_sampling,
) -> list[CellRecord]:
    """Judge what the predictions give.

    A cell of which the file says something else is NOT_REPRODUCED.

    Args:
        faults: cells without foundation, as
            :func:`stilts_artifact.checking.foundation.unfounded` has them.
        sampling: as in :func:`stilts_artifact.checking.judge.judge_table`.

    Raises:
        ConfigError: a cell stands in the file twice.
    """
    altered = {
        cell.key: text
        for cell in stored.cells
        if (text := difference(cell, found.values[cell.key]))
    }
    measured = judge_table(_measurements(stored, found), expected, sampling)
    judged = weaken_cells(measured, faults)
    return [_spoil(cell, altered, found.misfits) for cell in judged]


def _spoil(
    cell: CellRecord, altered: Mapping[CellKey, str], misfits: Mapping[CellKey, str]
) -> CellRecord:
    """The worse verdict of a cell whose numbers or signature are not those of its files."""
    if cell.key in altered:
        update = {"verdict": Verdict.NOT_REPRODUCED, "reason": altered[cell.key]}
        return cell.model_copy(update=update)
    # A wrong number is worse than a number of something else.
    if cell.key in misfits and cell.verdict is not Verdict.NOT_REPRODUCED:
        [weaker] = weaken_cells([cell], {cell.key: Fault(misfits[cell.key])})
        return weaker
    return cell


def _measurements(stored: Results, found: Recomputation) -> Iterator[Measurement]:
    """The cells of the file with the values of its predictions, then what the file leaves out."""
    for cell in stored.cells:
        value = found.values[cell.key]
        seeds = value.seeds if len(value.seeds) > 1 else None
        # Where the file has no value either, the run knew better than its files why.
        reason = value.reason and (value.reason if cell.value is not None else cell.reason)
        yield Measurement(
            cell.key, value.value, reason, cell.signature, seeds=seeds, flag=value.flag(cell.flag)
        )
    present = {cell.key for cell in stored.cells}
    for key, value in found.values.items():
        # The predictions are there, so it was left out on purpose.
        if key not in present and value.value is not None:
            yield Measurement(key, None, "the results have no such cell", "")


def _refuse_other_world(results: Results, name: str, expected: ExpectedTable, path: Path) -> None:
    """Numbers from the mini world and numbers from the paper must never meet."""
    if (expected.experiment, expected.benchmark) != (results.experiment, name):
        raise ConfigError(
            f"a {results.scale} result cannot be held against these expected values",
            where=str(path),
            got=f"{results.experiment} on benchmark {name}",
            expected=f"{expected.experiment} on benchmark {expected.benchmark}",
            fix="leave --expected out, or name the file of the same experiment and benchmark",
        )


def _check_pin(used: InputRecord, benchmark: Benchmark, path: Path, command: str) -> None:
    """Refuse an input that no source of the benchmark is."""
    name, _, inside = used.source.partition("!")
    source = benchmark.sources.get(name)
    members = {member.path: member for member in source.members} if source is not None else {}
    pinned = members.get(inside) if inside else source
    if source is None or pinned is None:
        raise ConfigError(
            "unknown input", where=str(path), got=used.source, expected="a source of the benchmark"
        )
    if used.satisfied_by not in WAYS:
        raise ConfigError(
            "an input that was satisfied in no known way",
            where=f"{path}: {used.source}",
            got=used.satisfied_by[:100],
            expected=" or ".join(WAYS),
        )
    # Files that only the user can bring (CCGbank, Wikipedia texts) have no hash known beforehand.
    if pinned.sha256 is None:
        return
    # Of a few files the sha256 is public and the size is not.
    if used.sha256 != pinned.sha256 or pinned.bytes not in (None, used.bytes):
        raise IntegrityError(
            "the results rest on a file that is not the pinned one",
            where=f"{path}: {used.source}",
            got=describe_sums(used.bytes, used.sha256),
            expected=describe_sums(pinned.bytes, pinned.sha256),
            fix=f"stilts-artifact {command} --results {path.parent}",
        )


def _unpinned(results: Results, benchmark: Benchmark) -> list[str]:
    """What the results rest on that nobody can verify."""
    names = [
        used.source
        for used in results.inputs
        if "!" not in used.source and benchmark.sources[used.source].sha256 is None
    ]
    own = [name for name in names if name in results.run_scale.own_data]
    others = [name for name in names if name not in own]
    notes = []
    if own:
        what = f"unpinned: own data in place of the benchmark's: {_some(own)}"
        notes.append(f"{what}; nothing is known of these bytes but their hashes here")
    if others:
        what = f"unpinned: no public hash of {_some(others)} is known"
        notes.append(f"{what}; these bytes were not verified")
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
