"""The calibration for ``reproduce``: the untuned encoder's retrieval scores, before any training."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stilts_artifact.cli import options
from stilts_artifact.errors import ArtifactError, MissingDataError

if TYPE_CHECKING:
    from stilts_artifact.checking.results import Results
    from stilts_artifact.cli.score_tables import Machine
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.cells import Measurement
    from stilts_artifact.domain.tasks import Benchmark


def measure(
    scale: Scale, why: str, benchmark: Benchmark, library: Library, machine: Machine, results: Path
) -> tuple[Results, list[ArtifactError]]:
    """The results file, and the errors on the way; what cannot be had leaves cells NOT_RUN.

    Raises:
        IntegrityError: the encoder's folder, or a source, is damaged.
        DataError: corpora that break their format.
    """
    from stilts_artifact.benchmark.experiments import CALIBRATION, table_name
    from stilts_artifact.domain.cells import Measurement
    from stilts_artifact.retrieval.calibration import calibrated_cells

    absent = _obtain(benchmark, library, machine)
    folder = results / f"{table_name(CALIBRATION)}.{scale.name}"
    results.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=results, prefix=f".{folder.name}.") as temporary:
        made = Path(temporary) / "run"
        made.mkdir()
        try:
            cells = _run(scale, benchmark, library, machine, made)
        except (
            MissingDataError
        ) as error:  # of the encoder: that of a language leaves only its own cells out
            absent.append(error)
            cells = [Measurement(key, None, error.what, "") for key in calibrated_cells(benchmark)]
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return _judge(cells, scale, why, library, folder), absent


def _obtain(benchmark: Benchmark, library: Library, machine: Machine) -> list[ArtifactError]:
    from stilts_artifact.benchmark.experiments import CALIBRATION, scored_split
    from stilts_artifact.cli.progress import download_progress
    from stilts_artifact.data.fetch import fetch
    from stilts_artifact.retrieval.calibration import calibrated_tasks

    places = [
        (task, scored_split(task, CALIBRATION), language)
        for task in calibrated_tasks(benchmark)
        for language in task.languages_of(scored_split(task, CALIBRATION))
    ]
    names = dict.fromkeys(
        part.source for task, split, language in places for part in task.parts[split, language]
    )
    with download_progress() as progress:
        report = fetch(
            [benchmark.sources[name] for name in names],
            library,
            offline=machine.offline,
            mirrors=machine.mirrors,
            openers=options.url_openers(),
            progress=progress,
        )
    return report.failures


def _run(
    scale: Scale, benchmark: Benchmark, library: Library, machine: Machine, out: Path
) -> list[Measurement]:
    from stilts_artifact.cli.progress import work_progress
    from stilts_artifact.model.hub import phase_one, revision_of
    from stilts_artifact.pipeline.tasks.retrieve import Retrieving, sentence_encoder
    from stilts_artifact.retrieval.calibration import MAX_LENGTH, calibrate, calibrated_cells
    from stilts_artifact.retrieval.knn import Search

    encoder = scale.encoder
    folder = phase_one(
        encoder.name, encoder.revision, machine.store / "encoders", offline=machine.offline
    )
    revision = revision_of(encoder.name, encoder.revision)
    own = scale.retrieval
    chosen = Retrieving(own.layer, own.pooling, MAX_LENGTH, own.neighbours, own.margin, "float32")
    device = "auto" if scale.evidence else "cpu"  # recorded values were made on a CPU
    search = Search("auto" if scale.evidence else "shared")
    cells = []
    with (
        TemporaryDirectory(prefix="stilts-calibration-") as work,
        work_progress("calibration", len(calibrated_cells(benchmark))) as advance,
    ):
        encode = sentence_encoder(
            folder, chosen, Path(work), name=(encoder.name, revision[:12]), device=device
        )
        for cell in calibrate(encode, benchmark, library, scale=scale.name, out=out, search=search):
            cells.append(cell)
            advance(1)
    return cells


def _judge(
    cells: list[Measurement], scale: Scale, why: str, library: Library, folder: Path
) -> Results:
    from stilts_artifact.benchmark.experiments import CALIBRATION, NONE
    from stilts_artifact.checking.judge import joint_verdict, judge_table
    from stilts_artifact.checking.results import (
        FileRecord,
        InputRecord,
        Results,
        RowRecord,
        cell_records,
    )
    from stilts_artifact.cli.score_tables import expected_table
    from stilts_artifact.experiments.scores import files_below
    from stilts_artifact.reporting.environment import environment
    from stilts_artifact.retrieval.calibration import SEED

    judged = judge_table(cells, expected_table(CALIBRATION, scale))
    return Results(
        table=CALIBRATION,
        scale=scale.name,
        scale_reason=why,
        stamp=scale.stamp,
        verdict=joint_verdict(cell.verdict for cell in judged),
        rows=[RowRecord(row=NONE, title=scale.encoder.name, group="untuned")],
        cells=cell_records(judged),
        claims=[],
        seeds=[SEED],
        inputs=[
            InputRecord(
                source=used.source,
                bytes=used.bytes,
                sha256=used.sha256,
                satisfied_by=used.satisfied_by,
            )
            for used in library.used()
        ],
        files=[
            FileRecord(path=path, bytes=size, sha256=sha256)
            for path, size, sha256 in files_below(folder.parent, folder)
        ],
        environment=environment(),
    )
