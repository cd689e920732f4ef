"""Which cells are wanted, which can be had, and what is published."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import row_named, rows, targets
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.tasks import Part, Source
from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.experiments.run import wanted_cells
from stilts_artifact.experiments.scores import (
    Measuring,
    RunKey,
    files_below,
    merged,
    publish,
    request,
)
from stilts_artifact.experiments.steps import StepBuilder

WORLD = load_benchmark("mini")
BLUEPRINT = StepBuilder(WORLD, load_scale("mini"), "r" * 64, {name: name for name in WORLD.sources})
TASKS = {task.name: task for task in targets(WORLD)}


def nothing_missing(_: Iterable[Part]) -> list[Source]:
    return []


def names(table: int, only: list[str]) -> set[tuple[str, str]]:
    return {(row.name, task.name) for row, task in wanted_cells(WORLD, table, only)}


def test_the_whole_table_is_every_row_times_every_target() -> None:
    assert len(names(2, [])) == 31 * 9
    assert len(names(3, [])) == 11 * 9, "the best row is chosen among the plain ones"


def test_only_takes_rows_columns_and_patterns() -> None:
    assert names(2, ["mnli"]) == {("mnli", task) for task in TASKS}
    assert names(2, ["mnli,xnli", "none, panx"]) == {("mnli", "xnli"), ("none", "panx")}
    assert names(2, ["*,xnli"]) == {(row.name, "xnli") for row in rows(WORLD)}
    assert names(2, ["mnli*,tatoeba"]) == {
        (row, "tatoeba") for row in ("mnli", "mnli+mlm", "mnli@qab", "mnli@qad", "mnli@qaf")
    }


@pytest.mark.parametrize(
    ("only", "kind", "nearest"),
    [("mnly", "row", "mnli"), ("mnli,xnly", "column", "xnli"), (",average", "column", None)],
)
def test_an_unknown_cell_is_refused_with_the_nearest_name(
    only: str, kind: str, nearest: str | None
) -> None:
    with pytest.raises(ConfigError, match=f"unknown {kind}") as caught:
        wanted_cells(WORLD, 2, [only])
    assert nearest is None or f"did you mean {nearest}?" in str(caught.value).replace("'", "")


def test_table3_cannot_be_limited_to_some_rows() -> None:
    with pytest.raises(ConfigError, match="chosen among all rows"):
        wanted_cells(WORLD, 3, ["mnli"])
    assert names(3, ["*,xnli"]) == {(row.name, "xnli") for row in rows(WORLD)[:11]}


def test_cells_without_data_say_what_is_missing_and_the_others_are_run() -> None:
    def missing(parts: Iterable[Part]) -> list[Source]:
        return [
            WORLD.sources[name]
            for name in {part.source for part in parts}
            if name == "ccgbank_1_1.tgz"
        ]

    asked = request(BLUEPRINT, 2, wanted_cells(WORLD, 2, ["ccg", "none", "multi,xnli"]), missing)
    assert {place.row for place in asked.impossible} == {"ccg", "multi"}
    assert {place.row for place in asked.predictions} == {"none"}
    assert all("ccgbank_1_1.tgz" in reason for reason in asked.impossible.values())


def test_requests_merge_and_take_another_row() -> None:
    first = request(BLUEPRINT, 3, [(row_named(WORLD, "none"), TASKS["xnli"])], nothing_missing)
    second = request(
        BLUEPRINT, 3, [(row_named(WORLD, "mnli"), TASKS["xnli"])], nothing_missing
    ).renamed("best")
    both = merged([first, second])
    assert set(both.predictions) == {RunKey("none", 1, "xnli"), RunKey("best", 1, "xnli")}
    assert both.predictions[RunKey("best", 1, "xnli")] == BLUEPRINT.predictions(
        row_named(WORLD, "mnli"), 1, TASKS["xnli"], 3
    )
    assert set(both.labels) == {"xnli"}


def results_of(folder: Path, text: str) -> Path:
    (folder / "xnli").mkdir(parents=True)
    (folder / "xnli" / "dev-qaa.tsv").write_text(text)
    return folder


def test_publishing_replaces_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "table2.mini"
    labels = {"xnli": results_of(tmp_path / "labels", "neutral\n")}
    publish(folder, {RunKey("none", 1, "xnli"): results_of(tmp_path / "one", "neutral\n")}, labels)
    publish(
        folder, {RunKey("mnli", 2, "xnli"): results_of(tmp_path / "two", "entailment\n")}, labels
    )
    found = dict((path, size) for path, size, _ in files_below(tmp_path / "results", folder))
    assert found == {
        "table2.mini/labels/xnli/dev-qaa.tsv": 8,
        "table2.mini/predictions/mnli/seed-2/xnli/dev-qaa.tsv": 11,
    }
    assert [path.name for path in folder.parent.iterdir()] == ["table2.mini"], (
        "no temporary folder is left"
    )


def test_a_failed_publication_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "table2.mini"
    labels = {"xnli": results_of(tmp_path / "labels", "neutral\n")}
    publish(folder, {}, labels)
    with pytest.raises(ResourceError, match="cannot write the predictions"):
        publish(folder, {RunKey("none", 1, "xnli"): tmp_path / "absent"}, labels)
    assert (folder / "labels" / "xnli" / "dev-qaa.tsv").read_text() == "neutral\n"


def test_cells_without_predictions_have_the_reason_of_their_step(tmp_path: Path) -> None:
    folder = tmp_path / "table2.mini"
    publish(folder, {}, {})
    failed = {RunKey("none", 1, "xnli"): "failed: no room left on the disk"}
    cells = {
        cell.key: cell for cell in Measuring(BLUEPRINT, failed, {}).measure(folder, 2, ["none"])
    }
    reasons = {str(key): cell.reason for key, cell in cells.items()}
    assert (
        reasons["none/xnli"]
        == reasons["none/xnli/qaa"]
        == reasons["none/average"]
        == failed[RunKey("none", 1, "xnli")]
    )
    assert "no file" in (reasons["none/pawsx"] or "")
    assert all(cell.value is None for cell in cells.values())


def test_signatures_say_what_decides_a_cell(tmp_path: Path) -> None:
    publish(tmp_path / "run", {}, {})
    found = {
        table: {
            str(cell.key): cell.signature
            for cell in Measuring(BLUEPRINT, {}, {}).measure(tmp_path / "run", table, ["none"])
        }
        for table in (2, 3)
    }
    assert "thr:oracle" in found[2]["none/bucc2018/qaa"]
    assert "thr:dev" in found[3]["none/bucc2018/qaa"]
    layer = BLUEPRINT.scale.retrieval.layer
    assert f"layer:{layer}" in found[2]["none/tatoeba/qaa"]
    assert "layer" not in found[2]["none/xnli/qaa"]
    assert found[2]["none/mlqa_f1/qaa"] != found[2]["none/mlqa_em/qaa"] != found[2]["none/mlqa/qaa"]
    assert "seed:" not in found[2]["none/tatoeba/qaa"], "nothing was trained"
    assert "seed:1" in found[2]["none/xnli/qaa"]
    assert all(
        "rev:rrrrrrrrrrrr" in signature and "scale:mini" in signature
        for signature in found[2].values()
    )
