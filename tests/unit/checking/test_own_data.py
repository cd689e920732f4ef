"""What rests on somebody's own data is marked, and held against nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.checking import input_records
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.foundation import Fault, unfounded, weaken_cells, weaken_claims
from stilts_artifact.checking.results import (
    CellRecord,
    ClaimRecord,
    FileRecord,
    Results,
    dump_results,
    parse_results,
    results_path,
    row_records,
)
from stilts_artifact.config.load import benchmark_of, definition, load_scale, varied
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms import form_of

MINI = load_scale("mini")
TRAIN, DEV = "mnli.train-qen.tsv", "xnli.dev-qaa.tsv"


def results_of(experiment: str, places: list[CellKey], *own: str) -> Results:
    """Cells that were measured, with every input of the benchmark and all labels."""
    scale = varied(MINI, own_data=own)
    defined, benchmark = EXPERIMENTS[experiment], benchmark_of(scale)
    labels = [
        form_of(task).file(Path("labels"), task, code, defined.scored_split(task)).as_posix()
        for task in ([] if defined.is_counted else defined.targets(benchmark))
        for code in task.languages_of(defined.scored_split(task))
    ]
    return Results(
        experiment=experiment,
        scale=scale.name,
        scale_reason="made up",
        stamp=scale.stamp,
        definition=definition(scale),
        verdict=Verdict.INCONCLUSIVE,
        rows=row_records(defined, benchmark),
        cells=[measured(place) for place in places],
        claims=[],
        inputs=[
            record.model_copy(update={"sha256": "0" * 64}) for record in input_records(benchmark)
        ],
        files=[
            FileRecord(path=f"{experiment}.{scale.name}/{name}", bytes=1, sha256="0" * 64)
            for name in labels
        ],
        environment={},
    )


def measured(place: CellKey) -> CellRecord:
    return CellRecord(
        row=place.row,
        column=place.column,
        language=place.language,
        value=50.0,
        expected=50.0,
        limit=1.0,
        verdict=Verdict.REPRODUCED,
        reason="equal",
        signature="",
    )


def faults_of(results: Results) -> dict[str, Fault]:
    found = unfounded(results, results.benchmark, None)
    return {str(key): fault for key, fault in found.items()}


def test_scores_that_were_evaluated_or_trained_on_own_data_are_marked() -> None:
    places = [
        CellKey("none", "xnli", "qaa"),
        CellKey("none", "xnli", "qab"),
        CellKey("none", "xnli"),
        CellKey("none", "pawsx"),
        CellKey("mnli", "pawsx"),
        CellKey("mnli", "tatoeba", "qaa"),
        CellKey("multi", "pawsx"),
        CellKey("squad_v1", "pawsx"),
        CellKey("none", "average"),
    ]
    only_dev = faults_of(results_of("table2", places, DEV))
    assert set(only_dev) == {"none/xnli/qaa", "none/xnli", "none/average"}
    only_train = faults_of(results_of("table2", places, TRAIN))
    trained = {"none/xnli/qaa", "none/xnli/qab", "none/xnli", "none/average"}
    assert set(only_train) == {*trained, "mnli/pawsx", "mnli/tatoeba/qaa", "multi/pawsx"}
    for name, found in ((DEV, only_dev), (TRAIN, only_train)):
        assert set(found.values()) == {
            Fault(f"it rests on own data, unpinned: {name}", Verdict.NOT_CHECKABLE)
        }


def test_counts_of_own_data_are_marked() -> None:
    places = [
        CellKey("mnli", "train", "qen"),
        CellKey("mnli", "dev", "qen"),
        CellKey("xnli", "train", "qen"),
        CellKey("xnli", "dev", "qaa"),
        CellKey("xnli", "languages"),
        CellKey("anli_plus", "train", "qen"),
    ]
    found = faults_of(results_of("table1", places, TRAIN, DEV))
    assert {name: fault.reason.rpartition(" ")[2] for name, fault in found.items()} == {
        "mnli/train/qen": TRAIN,
        "xnli/train/qen": TRAIN,
        "xnli/dev/qaa": DEV,
        "xnli/languages": DEV,
    }


def test_a_marked_cell_is_held_against_nothing() -> None:
    places = [CellKey("none", "xnli", "qaa"), CellKey("none", "xnli", "qab")]
    results = results_of("table2", places, DEV)
    own, other = weaken_cells(results.cells, unfounded(results, results.benchmark, None))
    assert (own.verdict, own.expected, own.limit) == (Verdict.NOT_CHECKABLE, None, None)
    assert DEV in own.reason
    assert other == results.cells[1]


def test_a_claim_on_a_marked_cell_is_not_checkable() -> None:
    results = results_of("table2", [CellKey("none", "xnli")], DEV)
    claim = ClaimRecord(
        claim="c",
        title="C",
        verdict=Verdict.REPRODUCED,
        reason="so it is",
        numbers={},
        cells=["none/pawsx", "none/xnli"],
    )
    [weakened] = weaken_claims([claim], unfounded(results, results.benchmark, None))
    assert weakened.verdict is Verdict.NOT_CHECKABLE
    assert weakened.reason == f"none/xnli: it rests on own data, unpinned: {DEV}"


def test_what_is_wrong_beside_is_said_too() -> None:
    """An average that lacks languages; an own file that is among no verified inputs."""
    results = results_of("table2", [CellKey("none", "xnli")], DEV)
    partial = results.model_copy(
        update={"files": [file for file in results.files if "xnli/dev-qab" not in file.path]}
    )
    unlisted = results.model_copy(
        update={"inputs": [used for used in results.inputs if used.source != DEV]}
    )
    for spoiled, what in ((partial, "partial: XNLI in 7 of 8"), (unlisted, "not among the verif")):
        fault = faults_of(spoiled)["none/xnli"]
        assert fault.verdict is Verdict.NOT_CHECKABLE
        assert fault.reason.startswith(f"it rests on own data, unpinned: {DEV}; ")
        assert what in fault.reason


def test_a_results_file_that_names_no_such_own_data_is_refused(tmp_path: Path) -> None:
    results = results_of("table2", [], DEV)
    path = results_path(tmp_path, results.experiment, results.scale)
    assert parse_results(dump_results(results), path) == results
    for name in ("xnli.dev-xx.tsv", "../xnli.dev-qaa.tsv", "", "bucc2018.dev-qaa.src.txt"):
        data = dump_results(results).replace(f'"{DEV}"'.encode(), f'"{name}"'.encode())
        with pytest.raises(ConfigError, match="own data"):
            parse_results(data, path)
