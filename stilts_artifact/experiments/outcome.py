"""From what an experiment measured to its results file: judged, with its claims, in one place."""

from __future__ import annotations

import os
import pkgutil
import platform
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from stilts_artifact import __version__
from stilts_artifact.benchmark.asked import asked_places
from stilts_artifact.benchmark.experiments import FAMILY
from stilts_artifact.checking.claims import (
    Claims,
    claims_path,
    decisive,
    judge_claims,
    load_claims,
)
from stilts_artifact.checking.expected import ExpectedTable, expected_cells
from stilts_artifact.checking.foundation import unfounded, weaken_cells, weaken_claims
from stilts_artifact.checking.intervals import SampledErrors
from stilts_artifact.checking.judge import (
    Sampling,
    joint_verdict,
    judge_table,
    unknown_sampling,
)
from stilts_artifact.checking.labels import load_labels
from stilts_artifact.checking.results import (
    FileRecord,
    InputRecord,
    Results,
    dump_results,
    results_path,
)
from stilts_artifact.checking.studies import analyse_results, family_answers
from stilts_artifact.checking.usage import StepUsage, Usage, usage_path
from stilts_artifact.config.load import definition
from stilts_artifact.domain.cells import Finding, Verdict
from stilts_artifact.errors import ArtifactError, IntegrityError
from stilts_artifact.experiments.kept import find_kept
from stilts_artifact.experiments.session import Measured, Session
from stilts_artifact.experiments.setup import require_packages
from stilts_artifact.files import (
    FileManifest,
    hash_bytes,
    plain_files,
    publish_together,
    write_file,
)
from stilts_artifact.metrics.tables import table_columns
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.runs import Runs
from stilts_artifact.pipeline.store import ResultManifest, Store
from stilts_artifact.pipeline.upkeep import hold

# Packages that a number may depend on.
_PACKAGES = (
    "numpy",
    "torch",
    "transformers",
    "datasets",
    "sentencepiece",
    "faiss-cpu",
    "faiss-gpu",
    "seqeval",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an experiment.

    Args:
        results: as published.
        asked_for: the verdict on the cells that were asked for.
        errors: why cells have no value.
    """

    results: Results
    asked_for: Verdict | Finding
    errors: list[ArtifactError]


def reproduce(session: Session) -> Outcome:
    """Measure an experiment, judge it, and publish its results file.

    Raises:
        ConfigError: cells that it does not have.
        ResourceError, IntegrityError, DataError: what stops all of it; what stops only some cells
            is in the outcome.
    """
    scale, experiment = session.scale, session.experiment
    # First: what is refused must not be met after days of training.
    require_packages(experiment)
    expected = expected_cells(scale.expected, experiment, scale.benchmark)
    claims = load_claims(claims_path()).of_experiment(experiment.name)
    # By name: the benchmark, which defines experiments, lies below the modules that measure them.
    measure: Callable[..., Measured] = pkgutil.resolve_name(experiment.measured_by)
    path = results_path(session.results, experiment.name, scale.name)
    # What is counted has no predictions, and so no folder.
    if experiment.is_counted:
        measured = measure(session)
        results = _judge(measured, session, expected, claims)
        write_file(path, dump_results(results))
        return Outcome(results, verdict_asked_for(results, session), measured.errors)

    store, steps, took = Store(session.machine.store), set[str](), Took()

    def make(session: Session, folder: Path) -> tuple[Results, list[ArtifactError]]:
        measured = measure(session, folder)
        took.add(measured, session)
        # Before it is published, and beside what the results rest on that it replaces.
        steps.update(measured.steps)
        _hold(store, path, steps)
        files = _list_files(folder, session.folder.name)
        sampling = SampledErrors(experiment, session.benchmark, session.seeds, folder)
        results = _judge(measured, session, expected, claims, files, sampling)
        if experiment.study is not None:
            results = _analysed(results, folder)
        elif experiment.name == FAMILY:
            finding, _ = family_answers(results, folder)
            results = results.model_copy(update={"verdict": finding})
        return results, measured.errors

    with Runs(store).session():
        results, errors = publish(session, path, make)
        data = dump_results(results)
        every = _hold(store, path, steps, None if session.only else data)
    write_file(usage_path(path), took.usage(store, every, data).dump())
    return Outcome(results, verdict_asked_for(results, session), errors)


def publish(
    session: Session,
    path: Path,
    make: Callable[[Session, Path], tuple[Results, list[ArtifactError]]],
) -> tuple[Results, list[ArtifactError]]:
    """Publish what a run measured with the cells that it keeps of earlier ones.

    Of two runs at once with different ``--only``, the later to end keeps the earlier one's cells:
    it gathers its own again, whose steps are done, beside what is there by then.

    Args:
        path: of the results file.
        make: measures into a folder, where what is kept lies already.

    Raises:
        ConfigError, DataError, IntegrityError: what is there cannot be kept, as
            :func:`stilts_artifact.experiments.kept.find_kept` has it.
        ResourceError: the disk is full or the folder cannot be written.
    """
    while True:
        before = _content(path)
        session = replace(session, kept=find_kept(session, environment()))
        with publish_together(path, session.folder) as publication:
            if session.kept is not None:
                # Now: while this run goes on, another may replace what is there.
                session.kept.add_to(publication.made)
            results, errors = make(session, publication.made)
            if session.only and _content(path) != before:
                continue
            publication.commit(dump_results(results))
            return results, errors


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _hold(store: Store, path: Path, steps: set[str], alone: bytes | None = None) -> set[str]:
    """Have the store keep what a results file rests on, if it may be written; what that is."""
    return hold(store, path, steps, alone=alone) if os.access(store.root, os.W_OK) else steps


@dataclass
class Took:
    """What a run took; it may measure twice, the second time of what is made by then.

    Args:
        made: addresses of the steps that it made.
        seconds: of it all.
        kept: whether cells of an earlier run stand beside its own.
    """

    made: set[str] = field(default_factory=set)
    seconds: float = 0.0
    kept: bool = False

    def add(self, measured: Measured, session: Session) -> None:
        """What was measured, and made for it."""
        self.made |= measured.made
        self.seconds += measured.seconds
        self.kept = session.kept is not None

    def usage(self, store: Store, addresses: Collection[str], results: bytes) -> Usage:
        """Of every step below some, by the manifests of their making."""
        known, unknown, waiting = dict[str, ResultManifest](), set[str](), list(addresses)
        while waiting:
            address = waiting.pop()
            if address in known or address in unknown:
                continue
            manifest = _manifest(store, address)
            if manifest is None:
                unknown.add(address)
            else:
                known[address] = manifest
                waiting += manifest.step.inputs.values()
        alike: defaultdict[tuple[str, str, str], list[ResultManifest]] = defaultdict(list)
        for address, manifest in known.items():
            run = "this" if address in self.made else "earlier"
            machine = str(manifest.made.get("machine", ""))
            alike[manifest.step.kind, machine, run].append(manifest)
        order = {kind: at for at, kind in enumerate(KINDS)}
        return Usage(
            results=hash_bytes(results).sha256,
            seconds=round(self.seconds, 1),
            unknown=len(unknown),
            kept=self.kept,
            steps=[
                _usage(*key, alike[key])
                for key in sorted(alike, key=lambda key: (order.get(key[0], len(order)), key))
            ],
        )


def _manifest(store: Store, address: str) -> ResultManifest | None:
    """How a step was made last, as far as the store knows; another run may drop it meanwhile."""
    with suppress(IntegrityError):
        if store.has(address):
            return store.manifest(address)
    with suppress(IntegrityError):
        if (record := store.dropped(address)) is not None:
            return record.first
    return None


def _usage(kind: str, machine: str, run: str, manifests: Sequence[ResultManifest]) -> StepUsage:
    used = [manifest.made.get("used", {}) for manifest in manifests]
    seconds = [float(manifest.made.get("seconds", 0)) for manifest in manifests]
    noted = all("cpu_ms" in one for one in used)
    # A worker speaks of a GPU from its first step on one, whatever it does later.
    needs_gpu = kind in KINDS and KINDS[kind].needs_gpu
    on_gpu = [needs_gpu and "gpu_memory" in one for one in used]
    return StepUsage(
        kind=kind,
        machine=machine or None,
        run="this" if run == "this" else "earlier",
        steps=len(manifests),
        seconds=round(sum(seconds), 1),
        cpu_seconds=round(sum(one["cpu_ms"] for one in used) / 1000, 1) if noted else None,
        gpu_seconds=round(sum(time for time, gpu in zip(seconds, on_gpu, strict=True) if gpu), 1),
        memory=max(one.get("memory", 0) for one in used),
        gpu_memory=max(one.get("gpu_memory", 0) for one in used),
        written=sum(one.get("written", 0) for one in used),
    )


def _analysed(results: Results, folder: Path) -> Results:
    """A study's results with its analysis, whose tables are written beside its predictions."""
    analysis = analyse_results(results, folder)
    for name, table in analysis.tables.items():
        write_file(folder / name, table)
    files = _list_files(folder, results.run_name)
    update = {"study": analysis.record, "verdict": analysis.record.finding, "files": files}
    return results.model_copy(update=update)


def _list_files(folder: Path, name: str) -> list[FileRecord]:
    """The files that cells were computed from, as they will be called once they are published."""
    files = FileManifest.of(plain_files(folder)).files
    return [
        FileRecord(path=f"{name}/{path}", bytes=sums.bytes, sha256=sums.sha256)
        for path, sums in files.items()
    ]


def _judge(
    measured: Measured,
    session: Session,
    expected: ExpectedTable,
    claims: Claims,
    files: Sequence[FileRecord] = (),
    sampling: Sampling = unknown_sampling,
) -> Results:
    scale, experiment = session.scale, session.experiment
    judged = judge_table(measured.cells, expected, sampling)
    results = Results(
        experiment=experiment.name,
        scale=scale.name,
        scale_reason=session.reason,
        stamp=scale.stamp,
        definition=definition(scale),
        asked=(
            [list(session.only)]
            if session.kept is None
            else session.kept.asked(session.benchmark, session.only)
        ),
        verdict=Verdict.INCONCLUSIVE,
        rows=measured.rows,
        cells=judged,
        claims=[],
        seeds=[] if experiment.is_counted else list(session.seeds),
        inputs=[
            InputRecord(
                source=used.source,
                bytes=used.bytes,
                sha256=used.sha256,
                satisfied_by=used.satisfied_by,
            )
            for used in measured.inputs
        ],
        files=list(files),
        environment=environment(),
    )
    # As whoever checks will judge it: a number without foundation is no verdict here, either.
    faults = unfounded(results, session.benchmark, load_labels(scale))
    cells = weaken_cells(judged, faults)
    records = (
        weaken_claims(judge_claims([results], claims), faults) if experiment.decides_claims else []
    )
    verdict = joint_verdict((cell.verdict for cell in cells), decisive(records, scale.name))
    return results.model_copy(update={"cells": cells, "claims": records, "verdict": verdict})


def verdict_asked_for(results: Results, session: Session) -> Verdict | Finding:
    """The verdict on the cells that were asked for, and on the claims that they decide.

    An average is asked for with all that it averages. A claim that is NOT_RUN needs cells that
    nobody asked for, or cells that are NOT_RUN themselves, and count as that.
    """
    experiment = session.experiment
    # A study says itself which of its rows it could not be had without.
    if not session.only or experiment.study is not None:
        return results.verdict
    asked = asked_places(session.benchmark, experiment, session.only)
    columns = {column.name: column for column in table_columns(session.benchmark, experiment)}
    cells = [
        cell.verdict for cell in results.cells if columns[cell.column].is_among(cell.row, asked)
    ]
    claims = decisive(results.claims, results.scale)
    return joint_verdict(cells, [verdict for verdict in claims if verdict is not Verdict.NOT_RUN])


def environment() -> dict[str, str]:
    """Versions of the package, Python, the platform and the libraries that are installed.

    Nothing here names the machine or the time: equal runs give equal files.
    """
    found = {
        "stilts-artifact": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
