"""A number is a verdict only if all that it rests on was verified: sources and labels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checking import cell_of, file_records, input_records, make_files
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, row_named
from stilts_artifact.checking import labels
from stilts_artifact.checking.baseline import load_measured
from stilts_artifact.checking.expected import expected_cells
from stilts_artifact.checking.judge import exit_code
from stilts_artifact.checking.labels import load_labels, read_pins, record_labels
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import (
    InputRecord,
    Results,
    dump_results,
    results_path,
    row_records,
)
from stilts_artifact.checking.sums import read_sums
from stilts_artifact.config import load
from stilts_artifact.config.load import load_scale
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.cells import CellKey, Flag, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.errors import ConfigError, DataError, ExitCode, IntegrityError
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.forms.provenance import evaluation_parts, training_parts
from stilts_artifact.metrics.tables import CellValue, table_values
from stilts_artifact.miniworld import serve
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.pipeline.step import Step
from tests.unit.checking.signed import made_by_pinned
from tests.unit.checking.small import SmallSet, small_benchmark

XTREME = load_benchmark("xtreme")
PAPER = load_scale("paper")


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def without(source: str) -> Callable[[dict[str, Any]], object]:
    """Takes a source out of the inputs of a results file."""

    def drop(document: dict[str, Any]) -> None:
        kept = [used for used in document["inputs"] if used["source"] != source]
        assert len(kept) == len(document["inputs"]) - 1
        document["inputs"] = kept

    return drop


def verdicts(path: Path) -> dict[str, Verdict]:
    return {str(cell.key): cell.verdict for cell in recheck(path).results.cells}


# Table 1 at the paper's scale, with the values that are expected


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """A Table 1 whose values were copied from the file of expected ones, with every input."""
    expected = expected_cells(["paper"], EXPERIMENTS["table1"], "xtreme")
    copied = [cell for cell in expected.cells.values() if cell.value is not None]
    cells = [
        {
            "row": cell.key.row,
            "column": cell.key.column,
            "language": cell.key.language,
            "value": cell.value,
            "expected": cell.value,
            "limit": 0,
            "verdict": "REPRODUCED",
            "reason": "equal",
            "signature": Signature(
                task=cell.key.row,
                split="all" if cell.key.language is None else cell.key.column,
                languages=XTREME.tasks[cell.key.row].languages
                if cell.key.language is None
                else (cell.key.language,),
                metric="examples" if cell.key.language else "languages",
                scale="paper",
                version="0",
            ).short(),
        }
        for cell in copied
    ]
    path = tmp_path / "table1.paper.json"
    document = {
        "format": 3,
        "experiment": "table1",
        "scale": "paper",
        "scale_reason": "made up",
        "stamp": PAPER.stamp,
        "verdict": "REPRODUCED",
        "rows": [row.model_dump() for row in row_records(EXPERIMENTS["table1"], XTREME)],
        "cells": cells,
        "claims": [],
        "inputs": [record.model_dump() for record in pinned_inputs(XTREME)],
        "environment": {},
    }
    path.write_text(json.dumps(document))
    return path


def pinned_inputs(benchmark: Benchmark) -> Iterator[InputRecord]:
    for record in input_records(benchmark):
        unpinned = benchmark.sources[record.source].sha256 is None
        yield record.model_copy(update={"sha256": "0" * 64}) if unpinned else record


def test_copied_values_without_inputs_are_inconclusive(counted: Path) -> None:
    assert Verdict.REPRODUCED in verdicts(counted).values()
    edit(counted, lambda document: document.update(inputs=[]))
    found = recheck(counted).results
    assert {cell.verdict for cell in found.cells} <= {Verdict.INCONCLUSIVE, Verdict.NOT_RUN}
    assert found.verdict is Verdict.INCONCLUSIVE
    assert exit_code([found.verdict]) is ExitCode.INCOMPLETE
    assert "not among the verified inputs" in found.cells[0].reason


def test_a_count_rests_on_the_sources_of_its_own_split(counted: Path) -> None:
    edit(counted, without("XNLI-1.0.zip"))
    found = verdicts(counted)
    assert found["xnli/dev/de"] is found["xnli/languages"] is Verdict.INCONCLUSIVE
    assert found["xnli/train/en"] is found["pawsx/dev/de"] is Verdict.REPRODUCED


@pytest.mark.slow
def test_members_stand_in_for_their_archive_only_where_all_are_listed(counted: Path) -> None:
    archive = XTREME.sources["ud-treebanks-v2.5.tgz"]
    english = [member for member in archive.members if "/en_" in member.path]
    given = [
        {
            "source": f"{archive.name}!{member.path}",
            "bytes": member.bytes,
            "sha256": member.sha256,
            "satisfied_by": "members",
        }
        for member in english
    ]
    edit(counted, without(archive.name))
    edit(counted, lambda document: document["inputs"].extend(given))
    assert verdicts(counted)["udpos/train/en"] is Verdict.REPRODUCED
    assert verdicts(counted)["udpos/test/bg"] is Verdict.INCONCLUSIVE
    edit(counted, without(given[0]["source"]))
    assert Verdict.INCONCLUSIVE in (
        verdicts(counted)[f"udpos/{split}/en"] for split in ("train", "dev", "test")
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"source": "made-up.zip"}, ConfigError, "unknown input"),
        ({"source": "XNLI-1.0.zip!made-up.tsv"}, ConfigError, "unknown input"),
        ({"source": "ccgbank_1_1.tgz!made-up.auto"}, ConfigError, "unknown input"),
        ({"sha256": "0" * 64}, IntegrityError, "not the pinned one"),
        ({"bytes": 1}, IntegrityError, "not the pinned one"),
        ({"satisfied_by": "REPRODUCED"}, ConfigError, "in no known way"),
    ],
)
def test_an_input_that_no_source_is_is_refused(
    counted: Path, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    def spoil(document: dict[str, Any]) -> None:
        record = next(used for used in document["inputs"] if used["source"] == "XNLI-1.0.zip")
        record.update(change)
        document["inputs"] = [record]

    edit(counted, spoil)
    with pytest.raises(error, match=words):
        recheck(counted)


@pytest.mark.slow
def test_an_archive_of_unpublished_size_is_known_by_its_hash(counted: Path) -> None:
    archive = XTREME.sources["ud-treebanks-v2.7.tgz"]
    record = {
        "source": archive.name,
        "bytes": 7,
        "sha256": archive.sha256,
        "satisfied_by": "store",
    }
    edit(counted, without(archive.name))
    edit(counted, lambda document: document["inputs"].append(record))
    recheck(counted)
    edit(counted, lambda document: document["inputs"][-1].update(sha256="0" * 64))
    with pytest.raises(IntegrityError, match="not the pinned one"):
        recheck(counted)


def test_what_has_no_public_hash_is_said_to_be_unpinned(counted: Path) -> None:
    assert any("ccgbank_1_1.tgz" in note for note in recheck(counted).notes)
    edit(counted, without("ccgbank_1_1.tgz"))
    assert not any("ccgbank_1_1.tgz" in note for note in recheck(counted).notes)


# Scores: trained rows, chosen rows


def needed(small: SmallSet, cell: str) -> set[str]:
    """Sources that a cell of one language rests on."""
    row, column, language = cell.split("/")
    world, experiment = small_benchmark(), EXPERIMENTS[small.experiment]
    parts = [
        *training_parts(row_named(world, row), world.tasks[column], world),
        *evaluation_parts(world.tasks[column], experiment, language),
    ]
    return {part.source for part in parts}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "source"),
    [
        ("none/xnli/qaa", "XNLI-1.0.zip"),  # evaluated on
        ("none/xnli/qaa", "MNLI.zip"),  # the target is trained on
        ("mnli/tatoeba/qaa", "MNLI.zip"),  # the row is trained on
        ("none/xquad/qaa", "squad/dev-v1.1.json"),  # its checkpoint is chosen on
        ("none/xquad/qaa", "xquad.qaa.json"),
    ],
)
@pytest.mark.parametrize("small", ["table2"], indirect=True)
def test_a_score_rests_on_everything_it_was_trained_and_evaluated_on(
    small: SmallSet, cell: str, source: str
) -> None:
    assert source in needed(small, cell)
    edit(small.results_file, without(source))
    found = verdicts(small.results_file)
    row, column, _ = cell.split("/")
    averages = {found[name] for name in (cell, f"{row}/{column}", f"{row}/average")}
    assert averages == {Verdict.INCONCLUSIVE}
    assert found["none/tatoeba/qaa"] is Verdict.REPRODUCED


@pytest.mark.parametrize("small", ["table2"], indirect=True)
def test_scores_without_inputs_are_inconclusive(small: SmallSet) -> None:
    edit(small.results_file, lambda document: document.update(inputs=[]))
    found = recheck(small.results_file).results
    assert {cell.verdict for cell in found.cells} == {Verdict.INCONCLUSIVE}
    assert found.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(DataError, match="without verified inputs"):
        load_measured(small.results_file)


@pytest.mark.slow
@pytest.mark.parametrize("small", ["table2"], indirect=True)
def test_a_wrong_number_without_inputs_is_still_wrong(small: SmallSet) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["inputs"] = []
        document["cells"][1]["value"] += 5

    edit(small.results_file, spoil)
    assert recheck(small.results_file).results.verdict is Verdict.NOT_REPRODUCED


@pytest.mark.slow
@pytest.mark.parametrize("small", ["table3"], indirect=True)
def test_a_chosen_row_rests_on_what_it_was_chosen_on(small: SmallSet) -> None:
    edit(small.results_file, without("MLQA_V1.zip"))  # development data, too
    assert verdicts(small.results_file)["best/mlqa/qaa"] is Verdict.INCONCLUSIVE


@pytest.mark.slow
@pytest.mark.parametrize("small", ["table3"], indirect=True)
def test_a_chosen_row_must_be_named(small: SmallSet) -> None:
    edit(small.results_file, lambda document: document["rows"][1]["details"].pop("xnli"))
    cells = {str(cell.key): cell for cell in recheck(small.results_file).results.cells}
    assert cells["best/xnli/qaa"].verdict is Verdict.INCONCLUSIVE
    assert "which row was chosen for xnli" in cells["best/xnli/qaa"].reason
    assert cells["none/xnli/qaa"].verdict is Verdict.REPRODUCED


def read_by(step: Step) -> set[str]:
    """Names of the sources whose hashes stand in a step or in any that it rests on."""
    found = set(step.params.get("sources", {}))
    return found.union(*map(read_by, step.inputs.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table2", "calibration"])
def test_a_cell_rests_on_every_source_that_its_steps_read(name: str) -> None:
    """Both come from one place: steps name the bytes that they read, cells what must be listed."""
    mini, experiment = load_benchmark("mini"), EXPERIMENTS[name]
    builder = StepBuilder(
        mini, load_scale("mini"), PhaseOne("mini", "r", {}), dict.fromkeys(mini.sources, "0" * 64)
    )
    for row in experiment.rows(mini):
        for task in experiment.targets(mini):
            languages = task.languages_of(experiment.scored_split(task))
            steps = [
                builder.predictions(row, 1, task, experiment, languages),
                builder.labels(task, experiment, languages),
            ]
            parts = training_parts(row, task, mini)
            for language in languages:
                parts += evaluation_parts(task, experiment, language)
            assert {part.source for part in parts} == set().union(*map(read_by, steps))


# Labels at a real scale


@pytest.fixture
def invented(tmp_path: Path) -> Path:
    """A calibration at the paper's scale whose labels and predictions are made up, and agree."""
    experiment = EXPERIMENTS["calibration"]
    folder = tmp_path / "calibration.paper"
    sizes = {"tatoeba": 20, "bucc2018": 20}
    make_files(folder, XTREME, "calibration", ["none"], (0,), sizes)
    values = table_values(folder, XTREME, experiment, ["none"], (0,))
    made = Results(
        experiment="calibration",
        scale="paper",
        scale_reason="made up",
        stamp=PAPER.stamp,
        verdict=Verdict.REPRODUCED,
        rows=row_records(experiment, XTREME, {"none"}),
        cells=[
            cell_of(XTREME, "calibration", key, value, (0,)).model_copy(
                update={"signature": _signed(key, value)}
            )
            for key, value in values.items()
        ],
        claims=[],
        seeds=[0],
        inputs=list(pinned_inputs(XTREME)),
        files=file_records(tmp_path, folder),
        environment={},
    )
    path = results_path(tmp_path, "calibration", "paper")
    path.write_bytes(dump_results(made))
    return path


def _signed(key: CellKey, value: CellValue) -> str:
    signature = Signature.parse(cell_of(XTREME, "calibration", key, value, (0,)).signature)
    made = made_by_pinned("paper")  # an invented signature says the right encoder, too
    return replace(signature, scale="paper", **made).short()  # type: ignore[arg-type]


def test_invented_labels_of_a_real_scale_are_refused(invented: Path) -> None:
    with pytest.raises(IntegrityError, match="labels that are not the benchmark's") as caught:
        recheck(invented)
    assert "tatoeba/test-" in str(caught.value)


def test_labels_of_a_real_scale_that_are_not_recorded_decide_nothing(
    invented: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stilts_artifact.checking.recheck.load_labels", lambda _: {})
    cells = recheck(invented).results.cells
    found = {cell.verdict for cell in cells if cell.expected is not None}
    assert found == {Verdict.INCONCLUSIVE}
    assert Verdict.REPRODUCED not in {cell.verdict for cell in cells}
    assert any("not recorded" in cell.reason for cell in cells)


def test_real_labels_are_recorded_for_every_scale() -> None:
    whole, capped = load_labels(PAPER), load_labels(load_scale("base"))
    assert sum(name.startswith("tatoeba/") for name in whole) == 36
    assert whole["tatoeba/test-sw.tsv"] == capped["tatoeba/test-sw.tsv"]
    assert whole["xquad/test-de.json"] != capped["xquad/test-de.json"]


def test_labels_are_recorded_from_their_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of sources that are here, for the rows that each scale takes; the rest is named."""
    mini = load_benchmark("mini")
    monkeypatch.setattr(labels, "expected_root", lambda: tmp_path / "expected")
    brought = tmp_path / "brought"
    names = ("tatoeba.qaf-qen.qaf", "tatoeba.qaf-qen.qen", "xquad.qaf.json")
    brought.mkdir()
    for name in names:
        (brought / name).write_bytes(serve(mini.sources[name].urls[0]))
    library = Library(mini.sources, FileStore(tmp_path / "store"), [brought])
    recorded = record_labels(library, mini)
    assert recorded.recorded == 2
    assert "XNLI-1.0.zip" in recorded.missing and not set(names) & set(recorded.missing)
    made = read_pins(recorded.path)
    shipped = read_pins(Path("expected_results/labels/mini.tsv"))
    assert set(made) == {("all", "tatoeba/test-qaf.tsv"), ("120", "xquad/test-qaf.json")}
    assert all(shipped[place] == sha256 for place, sha256 in made.items())
    assert set(read_sums(tmp_path / "expected")) == {"labels/mini.tsv"}


def test_an_average_without_a_language_is_marked_and_compared_with_nothing(
    small_sets: dict[str, SmallSet], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Though its number, signature and files fit each other, and whatever flag the file has."""
    base = tmp_path / "set"
    shutil.copytree(small_sets["table2"].folder.parent, base)
    benchmark = small_benchmark()
    monkeypatch.setattr(load, "load_benchmark", lambda *_, **__: benchmark)
    for module in ("expected", "labels"):
        monkeypatch.setattr(
            f"stilts_artifact.checking.{module}.expected_root", lambda: base / "expected"
        )
    small = SmallSet(base / "results", base / "expected", "table2")
    for path in small.run.rglob("xnli/dev-qac.tsv"):
        path.unlink()
    values = table_values(small.run, benchmark, EXPERIMENTS["table2"], ["none", "mnli"], [0])

    def fit(document: dict[str, Any]) -> None:
        document["files"] = [
            file for file in document["files"] if not file["path"].endswith("xnli/dev-qac.tsv")
        ]
        for cell in document["cells"]:
            value = values[CellKey(cell["row"], cell["column"], cell.get("language"))]
            cell["value"] = value.value
            if cell["column"] == "xnli" and "language" not in cell:
                cell["signature"] = cell["signature"].replace("lang:qaa+qac+qen", "lang:qaa+qen")

    edit(small.results_file, fit)
    found = {cell.key: cell for cell in recheck(small.results_file).results.cells}
    for key in (CellKey("none", "xnli"), CellKey("none", "average")):
        cell = found[key]
        assert (cell.verdict, cell.flag) == (Verdict.INCONCLUSIVE, Flag.PARTIAL)
        assert (cell.expected, cell.limit) == (None, None)
        assert "partial: XNLI in 2 of 3 languages" in cell.reason
    assert found[CellKey("none", "xnli", "qaa")].verdict is Verdict.REPRODUCED
    assert found[CellKey("none", "xnli", "qac")].verdict is Verdict.NOT_RUN
