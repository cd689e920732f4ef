"""Which cells are wanted, which can be had, and what is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stilts_artifact.benchmark.asked import wanted_cells
from stilts_artifact.benchmark.experiments import EXPERIMENTS, Experiment, row_named, rows, targets
from stilts_artifact.checking.learning_curves import Curve, CurveKey, Point
from stilts_artifact.checking.results import row_records
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.tasks import Benchmark, Part, Source, Split
from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.experiments import scored
from stilts_artifact.experiments.scored import (
    Executed,
    RunKey,
    Scored,
    gather,
    merged,
    request,
    training_curves,
)
from stilts_artifact.experiments.session import Session
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.files import plain_files
from stilts_artifact.metrics.tables import CellValue, table_columns
from tests.unit.experiments.conftest import MINI, nothing_missing

TASKS = {task.name: task for task in targets(MINI) if not task.study}
TABLE2, TABLE3, CALIBRATION = (EXPERIMENTS[name] for name in ("table2", "table3", "calibration"))
NONE = row_named(MINI, "none")


def names(experiment: Experiment, only: list[str]) -> set[tuple[str, str]]:
    return {(row.name, task.name) for row, task in wanted_cells(MINI, experiment, only)}


def test_the_whole_table_is_every_row_times_every_target() -> None:
    assert len(names(TABLE2, [])) == 31 * 9
    assert len(names(TABLE3, [])) == 11 * 9, "the best row is chosen among the plain ones"
    assert names(CALIBRATION, []) == {("none", "bucc2018"), ("none", "tatoeba")}


def test_only_takes_rows_columns_and_patterns() -> None:
    assert names(TABLE2, ["mnli"]) == {("mnli", task) for task in TASKS}
    assert names(TABLE2, ["mnli,xnli", "none, panx"]) == {("mnli", "xnli"), ("none", "panx")}
    assert names(TABLE2, ["*,xnli"]) == {(row.name, "xnli") for row in rows(MINI)}
    assert names(TABLE2, ["mnli*,tatoeba"]) == {
        (row, "tatoeba") for row in ("mnli", "mnli+mlm", "mnli@qab", "mnli@qad", "mnli@qaf")
    }


def test_only_takes_titles_and_short_headings_in_any_case() -> None:
    assert names(TABLE2, ["MNLI,POS", "XLM-R, ner"]) == {("mnli", "udpos"), ("none", "panx")}
    assert names(TABLE2, ["SQuAD v2.0 + MLM,BUCC"]) == {("squad_v2+mlm", "bucc2018")}
    with pytest.raises(ConfigError, match="no row is called") as caught:
        wanted_cells(MINI, TABLE2, ["squad"])
    assert "(squad_v1)" in str(caught.value)


@pytest.mark.parametrize(
    ("only", "kind", "nearest"),
    [("mnly", "row", "mnli"), ("mnli,xnly", "column", "xnli"), (",average", "column", None)],
)
def test_an_unknown_cell_is_refused_with_the_nearest_name(
    only: str, kind: str, nearest: str | None
) -> None:
    with pytest.raises(ConfigError, match=f"unknown {kind}") as caught:
        wanted_cells(MINI, TABLE2, [only])
    assert nearest is None or f"did you mean {nearest}?" in str(caught.value).replace("'", "")


@pytest.mark.parametrize("text", ["m[\n]*", "[mñ]nli", "mnli;", "\u202emnli", "$HOME"])
def test_what_cannot_be_written_down_as_a_command_is_refused_before_anything_runs(
    text: str,
) -> None:
    with pytest.raises(ConfigError, match="no name of cells"):
        wanted_cells(MINI, TABLE2, ["none", text])


def test_table3_cannot_be_limited_to_some_rows() -> None:
    with pytest.raises(ConfigError, match="chosen among all rows"):
        wanted_cells(MINI, TABLE3, ["mnli"])
    assert names(TABLE3, ["*,xnli"]) == {(row.name, "xnli") for row in rows(MINI)[:11]}


def lacking(*absent: str) -> Callable[[Iterable[Part]], list[Source]]:
    """A machine without these sources."""
    return lambda parts: [
        MINI.sources[name] for name in sorted({part.source for part in parts} & set(absent))
    ]


def test_cells_without_data_say_what_is_missing_and_the_others_are_run(
    builder: StepBuilder,
) -> None:
    wanted = wanted_cells(MINI, TABLE2, ["ccg", "none", "multi,xnli"])
    asked = request(builder, TABLE2, wanted, lacking("ccgbank_1_1.tgz"))
    assert {key.row for key in asked.impossible} == {"ccg", "multi"}
    assert {key.row for key in asked.predictions} == {"none"}
    assert all("ccgbank_1_1.tgz" in reason for reason in asked.impossible.values())


def test_a_target_is_evaluated_in_the_languages_that_are_here(builder: StepBuilder) -> None:
    wanted = [(NONE, TASKS["xquad"]), (NONE, TASKS["tatoeba"])]
    asked = request(builder, TABLE2, wanted, lacking("xquad.qab.json", "tatoeba.qac-qen.qac"))
    data = asked.predictions[RunKey("none", 1, "xquad")].inputs["data"].params["languages"]
    assert "qab" not in data and "qaa" in data
    found = asked.predictions[RunKey("none", 1, "tatoeba")].params["languages"]
    assert "qac" not in found and asked.labels["tatoeba", Split.TEST].params["languages"] == found
    assert set(asked.absent) == {("xquad", "qab"), ("tatoeba", "qac")}
    assert not asked.impossible
    # With all of it absent there is nothing to run.
    every = [part.source for parts in TASKS["tatoeba"].parts.values() for part in parts]
    nothing = request(builder, TABLE2, wanted[1:], lacking(*every))
    assert set(nothing.impossible) == {RunKey("none", 1, "tatoeba")} and not nothing.steps


def test_requests_merge_and_take_another_row(builder: StepBuilder) -> None:
    mnli, xnli = row_named(MINI, "mnli"), TASKS["xnli"]
    first = request(builder, TABLE3, [(NONE, xnli)], nothing_missing)
    second = request(builder, TABLE3, [(mnli, xnli)], nothing_missing).renamed("best")
    both = merged([first, second])
    assert set(both.predictions) == {RunKey("none", 1, "xnli"), RunKey("best", 1, "xnli")}
    languages = xnli.languages_of(TABLE3.scored_split(xnli))
    chosen = builder.predictions(mnli, 1, xnli, TABLE3, languages)
    assert both.predictions[RunKey("best", 1, "xnli")] == chosen
    assert set(both.labels) == {("xnli", Split.TEST)}


def results_of(folder: Path, text: str) -> Path:
    (folder / "xnli").mkdir(parents=True)
    (folder / "xnli" / "dev-qaa.tsv").write_text(text)
    return folder


def test_labels_and_predictions_are_gathered_in_the_layout_of_a_results_folder(
    tmp_path: Path,
) -> None:
    labels = {("xnli", Split.DEV): results_of(tmp_path / "labels", "neutral\n")}
    made = {RunKey("mnli", 2, "xnli"): results_of(tmp_path / "two", "entailment\n")}
    (tmp_path / "two" / "probabilities" / "xnli").mkdir(parents=True)
    (tmp_path / "two" / "probabilities" / "xnli" / "dev-qaa.csv").write_text("a,b\n")
    (tmp_path / "two" / "scores" / "xnli").mkdir(parents=True)
    (tmp_path / "two" / "scores" / "xnli" / "dev.csv").write_text("a\n")
    gather(tmp_path / "folder", made, labels)
    found = {name: path.stat().st_size for name, path in plain_files(tmp_path / "folder").items()}
    assert found == {
        "labels/xnli/dev-qaa.tsv": 8,
        "predictions/mnli/seed-2/xnli/dev-qaa.tsv": 11,
        "probabilities/mnli/seed-2/xnli/dev-qaa.csv": 4,
        "scores/mnli/seed-2/xnli/dev.csv": 2,
    }


def test_a_step_whose_files_are_gone_is_not_put_down_to_the_results_folder(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot publish") as caught:
        gather(tmp_path / "folder", {RunKey("none", 1, "xnli"): tmp_path / "absent"}, {})
    assert caught.value.fix == "run the same command again"


def executed(
    failed: dict[RunKey, str] | None = None,
    absent: dict[tuple[str, str], str] | None = None,
    predictions: dict[RunKey, Path] | None = None,
) -> Executed:
    return Executed(predictions or {}, {}, failed or {}, absent or {}, {}, [])


def measured(session: Session, builder: StepBuilder, done: Executed) -> dict[str, Measurement]:
    """The cells of the untrained row by their place."""
    table = Scored(session, builder, wanted_cells(MINI, session.experiment, []))
    cells = table.measure(
        done,
        row_records(table.session.experiment, table.session.benchmark, {NONE.name}),
        [],
        session.folder,
    ).cells
    return {str(cell.key): cell for cell in cells}


def test_cells_without_predictions_have_the_reason_of_their_step(
    session: Session, builder: StepBuilder
) -> None:
    failed = {RunKey("none", 1, "xnli"): "failed: no room left on the disk"}
    absent = {("pawsx", "qaa"): "not on this machine: x-final.tar.gz"}
    cells = measured(session, builder, executed(failed, absent))
    for place in ("none/xnli", "none/xnli/qaa", "none/average"):
        assert cells[place].reason == failed[RunKey("none", 1, "xnli")]
    assert cells["none/pawsx/qaa"].reason == absent["pawsx", "qaa"]
    assert "1 languages are not on this machine" in (cells["none/pawsx"].reason or "")
    assert "no file" in (cells["none/udpos"].reason or "")
    assert all(cell.value is None for cell in cells.values())


def test_a_curve_says_which_run_it_is_of(builder: StepBuilder) -> None:
    mnli, mlqa = row_named(MINI, "mnli"), TASKS["mlqa"]
    report = {"planned": 1, "steps": 1, "losses": {"mnli": [1.0]}, "evaluations": []}
    curve = Curve(1, (Point(1, 1.0, None),))
    first, second = builder.intermediate(mnli, 1), builder.target(mnli, 1, mlqa)
    key, chosen = RunKey("mnli", 1, "mlqa"), RunKey("best", 1, "mlqa")
    assert training_curves(key, first, report) == {
        CurveKey("intermediate", "mnli", 1, "", "mnli"): curve
    }
    # Each target has another chosen row, and so another run before its own.
    assert training_curves(chosen, first, report) == {
        CurveKey("intermediate", "best", 1, "mlqa", "mnli"): curve
    }
    assert training_curves(key, second, {**report, "losses": {"target": [1.0]}}) == {
        CurveKey("target", "mnli", 1, "mlqa", "xquad"): curve
    }, "which is trained on the data of another target"


def reporting(folder: Path, task: str, **fields: object) -> Path:
    """A result of a step that says how it computed."""
    (folder / task).mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"signature": fields}))
    return folder


def test_signatures_say_what_the_steps_report(
    session: Session, builder: StepBuilder, tmp_path: Path
) -> None:
    runs = {
        RunKey("none", 1, "bucc2018"): reporting(
            tmp_path / "one", "bucc2018", layer=2, threshold="oracle", backend="numpy-2"
        ),
        RunKey("none", 1, "xnli"): reporting(tmp_path / "two", "xnli", dtype="float32"),
    }
    found = {
        place: cell.signature
        for place, cell in measured(session, builder, executed(predictions=runs)).items()
    }
    assert "thr:oracle" in found["none/bucc2018/qaa"]
    assert "backend:numpy-2" in found["none/bucc2018"]
    assert "layer" not in found["none/xnli/qaa"]
    assert "dtype:float32" in found["none/xnli/qaa"]
    assert found["none/mlqa_f1/qaa"] != found["none/mlqa_em/qaa"] != found["none/mlqa/qaa"]
    assert "seed:" not in found["none/tatoeba/qaa"], "nothing was trained"
    assert "seed:1" in found["none/xnli/qaa"]
    assert "metric:mean" in found["none/average"] and "layer" not in found["none/average"]
    for signature in found.values():
        assert f"rev:{builder.phase_one.revision[:12]}" in signature and "scale:mini" in signature


def values_everywhere(
    _: Path, benchmark: Benchmark, experiment: Experiment, rows: Sequence[str], seeds: Sequence[int]
) -> dict[CellKey, CellValue]:
    """Fifty points in every cell."""
    return {
        CellKey(row, column.name, language): CellValue(50.0, (50.0,) * len(seeds), 10)
        for row in rows
        for column in table_columns(benchmark, experiment)
        for language in (None, *(() if column.is_average else column.languages(experiment)))
    }


def test_seeds_that_computed_different_things_are_not_averaged(
    session: Session, builder: StepBuilder, tmp_path: Path
) -> None:
    two = session.scale.model_copy(update={"seeds": (1, 2)})
    runs = {
        RunKey("none", 1, "xnli"): reporting(tmp_path / "one", "xnli", dtype="float32"),
        RunKey("none", 2, "xnli"): reporting(tmp_path / "two", "xnli", dtype="bfloat16"),
    }
    done = executed(predictions=runs)
    # As if both seeds had scored: only what is refused is without a value.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scored, "table_values", values_everywhere)
        cells = measured(replace(session, scale=two), builder, done)
    refused = {place for place, cell in cells.items() if cell.value is None}
    languages = {f"none/xnli/{code}" for code in MINI.tasks["xnli"].languages}
    assert refused == {"none/xnli", "none/average"} | languages
    assert all("dtype differs" in (cells[place].reason or "") for place in refused)
