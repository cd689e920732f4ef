"""Runs of disjoint cells add up, and nothing that an earlier run measured is lost unawares."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checking import file_records
from stilts_artifact.benchmark.asked import asked_places, wanted_cells
from stilts_artifact.benchmark.experiments import targets
from stilts_artifact.checking.learning_curves import (
    CURVES,
    Curve,
    CurveKey,
    Curves,
    Point,
    dump_curves,
    parse_curves,
)
from stilts_artifact.checking.results import (
    CellRecord,
    InputRecord,
    Results,
    dump_results,
    load_results,
    row_records,
)
from stilts_artifact.domain.cells import CellKey, Flag, Measurement, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ArtifactError, ConfigError, DataError, IntegrityError
from stilts_artifact.experiments import outcome
from stilts_artifact.experiments.kept import Kept, find_kept
from stilts_artifact.experiments.scored import (
    Executed,
    RunKey,
    Scored,
)
from stilts_artifact.experiments.session import Session
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.files import plain_files
from stilts_artifact.model.hub import PhaseOne
from tests.unit.checking.conftest import small_sets  # noqa: F401  (a fixture)
from tests.unit.checking.small import SmallSet, small_benchmark

SMALL = small_benchmark()
EVERY = [task.name for task in targets(SMALL) if not task.study]
NOW = "tatoeba"
BEFORE = tuple(f"none,{name}" for name in EVERY if name != NOW)
ENVIRONMENT = {"python": "any"}


@dataclass(frozen=True)
class Earlier:
    """Results of the untrained row without one column, and the whole row that they are part of."""

    session: Session
    builder: StepBuilder
    whole: Results
    folder: Path

    @property
    def path(self) -> Path:
        return self.session.results / "table2.mini.json"

    def now(self, *only: str) -> Session:
        return replace(self.session, only=only)

    def find(self, *only: str, **environment: str) -> Kept | None:
        return find_kept(self.now(*only), {**ENVIRONMENT, **environment})

    def rewrite(self, **fields: Any) -> None:
        results = load_results(self.path)
        self.path.write_bytes(dump_results(results.model_copy(update=fields)))

    def measure(
        self, kept: Kept | None, made: Path, curves: Curves | None = None
    ) -> Mapping[CellKey, Measurement]:
        """The row with the column that was left out measured now."""
        step = made.parent / "step"
        for kind in ("labels", "predictions/none/seed-0"):
            shutil.copytree(self.folder / kind / NOW, step / kind / NOW)
        report = {"signature": {"dtype": "float32", "max_length": 64}}
        (step / "predictions/none/seed-0/report.json").write_text(json.dumps(report))
        done = Executed(
            {RunKey("none", 0, NOW): step / "predictions/none/seed-0"},
            {(NOW, Split.DEV): step / "labels"},
            {},
            {},
            {},
            [],
            curves=curves or {},
        )
        session = replace(self.now(f"none,{NOW}"), kept=kept)
        wanted = wanted_cells(SMALL, session.experiment, session.only)
        scored = Scored(session, self.builder, wanted)
        rows = row_records(session.experiment, SMALL, {"none"})
        return {cell.key: cell for cell in scored.measure(done, rows, [], made).cells}


@pytest.fixture
def earlier(
    small_sets: dict[str, SmallSet],  # noqa: F811
    session: Session,
    tmp_path: Path,
) -> Earlier:
    truth = tmp_path / "whole"
    shutil.copytree(small_sets["table2"].folder, truth)
    scale = session.scale.model_copy(update={"seeds": (0,)})
    own = replace(session, benchmark=SMALL, scale=scale)
    builder = StepBuilder.of(own)
    signed = _signed_by(builder, load_results(truth / "table2.mini.json"))
    whole = signed.model_copy(
        update={
            "rows": [row for row in signed.rows if row.row == "none"],
            "cells": [cell for cell in signed.cells if cell.row == "none"],
            "asked": [["none"]],
        }
    )
    made = Earlier(own, builder, whole, truth / "table2.mini")
    shutil.copytree(made.folder, own.results / "table2.mini")
    for kind in ("labels", "predictions/none/seed-0"):
        shutil.rmtree(own.results / "table2.mini" / kind / NOW)
    shutil.rmtree(own.results / "table2.mini/predictions/mnli")
    part = whole.model_copy(
        update={
            "asked": [list(BEFORE)],
            "cells": [_without(cell) for cell in whole.cells],
            "files": file_records(own.results, own.results / "table2.mini"),
        }
    )
    made.path.write_bytes(dump_results(part))
    return made


def _signed_by(builder: StepBuilder, results: Results) -> Results:
    def sign(cell: CellRecord) -> CellRecord:
        signature = replace(
            Signature.parse(cell.signature),
            encoder=builder.scale.encoder.name,
            revision=builder.phase_one.revision[:12],
            max_length=None if cell.column == "average" else 128,
        )
        return cell.model_copy(update={"signature": signature.short()})

    return results.model_copy(update={"cells": [sign(cell) for cell in results.cells]})


def _without(cell: CellRecord) -> CellRecord:
    """The cell as the run of the other columns left it."""
    if cell.column not in (NOW, "average"):
        return cell
    gone = {"value": None, "seeds": None, "verdict": Verdict.NOT_RUN, "reason": "not asked for"}
    return cell.model_copy(update=gone)


@pytest.mark.slow
def test_runs_of_disjoint_cells_add_up_with_their_averages(
    earlier: Earlier, tmp_path: Path
) -> None:
    kept = earlier.find(f"none,{NOW}")
    assert kept is not None
    assert kept.places == {("none", name) for name in EVERY if name != NOW}
    (tmp_path / "made").mkdir()
    cells = earlier.measure(kept, tmp_path / "made")
    whole = {cell.key: cell for cell in earlier.whole.cells}
    assert cells.keys() == whole.keys()
    for key, cell in cells.items():
        assert cell.value == pytest.approx(whole[key].value, abs=1e-9), key
    found = Signature.parse(cells[CellKey("none", "average")].signature)
    due = Signature.parse(whole[CellKey("none", "average")].signature)
    assert found.differences(due) == (), "what its tasks have in common, the kept ones among them"
    alone = earlier.measure(None, tmp_path / "other" / "made")
    assert alone[CellKey("none", "average")].value is None, "without what was kept there is none"


@pytest.mark.slow
def test_the_files_of_kept_cells_stand_beside_the_new_ones(
    earlier: Earlier, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    earlier.measure(earlier.find(f"none,{NOW}"), tmp_path / "made")
    expected = plain_files(earlier.folder)
    found = plain_files(tmp_path / "made")
    assert found.keys() == {name for name in expected if "/mnli/" not in name}
    assert all(path.read_bytes() == expected[name].read_bytes() for name, path in found.items())


@pytest.mark.slow
def test_cells_that_are_asked_for_again_are_not_kept_and_their_run_is_forgotten(
    earlier: Earlier,
) -> None:
    assert earlier.find("none") is None, "nothing that is there would be lost"
    assert earlier.find() is None, "a run of everything replaces what is there"
    kept = earlier.find("none,xnli", "mnli")
    assert kept is not None and ("none", "xnli") not in kept.places
    assert kept.asked(SMALL, ["none,xnli", "mnli"]) == [list(BEFORE), ["none,xnli", "mnli"]]
    earlier.rewrite(asked=[["none,xnli"], list(BEFORE)])
    for again in ("none,xnli", "*,xnli"):
        kept = earlier.find(again)
        assert kept is not None
        assert kept.asked(SMALL, [again]) == [list(BEFORE), [again]]


def test_a_run_that_collapsed_or_failed_then_is_still_said_to_have(
    earlier: Earlier, tmp_path: Path
) -> None:
    shutil.rmtree(earlier.session.results / "table2.mini/predictions/none/seed-0/mlqa")
    failed = {"value": None, "verdict": Verdict.NOT_RUN, "reason": "failed: no room left"}
    cells = [
        cell.model_copy(
            update=failed
            if cell.column.startswith("mlqa")
            else {"flag": Flag.DEGENERATE}
            if cell.column == "panx"
            else {}
        )
        for cell in load_results(earlier.path).cells
    ]
    folder = earlier.session.results
    earlier.rewrite(cells=cells, files=file_records(folder, folder / "table2.mini"))
    (tmp_path / "made").mkdir()
    found = earlier.measure(earlier.find(f"none,{NOW}"), tmp_path / "made")
    assert found[CellKey("none", "mlqa")].reason == "failed: no room left"
    assert found[CellKey("none", "average")].reason == "failed: no room left"
    assert found[CellKey("none", "panx")].flag is Flag.DEGENERATE
    assert found[CellKey("none", "average")].flag is Flag.DEGENERATE
    assert found[CellKey("none", NOW)].flag is None


def test_what_is_kept_is_safe_from_a_run_that_replaces_it_meanwhile(
    earlier: Earlier, tmp_path: Path
) -> None:
    kept = earlier.find(f"none,{NOW}")
    assert kept is not None
    (tmp_path / "made").mkdir()
    kept.add_to(tmp_path / "made")
    shutil.rmtree(kept.folder)
    cells = earlier.measure(kept, tmp_path / "made")
    assert cells[CellKey("none", "average")].value is not None


def test_of_two_runs_at_once_the_later_keeps_the_cells_of_the_other(
    earlier: Earlier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither was there when the other began, so neither could have kept it from the start."""
    monkeypatch.setattr(outcome, "environment", lambda: ENVIRONMENT)
    other = tmp_path / "other"
    earlier.session.results.rename(other)
    seen: list[Kept | None] = []

    def make(session: Session, folder: Path) -> tuple[Results, list[ArtifactError]]:
        seen.append(session.kept)
        if not earlier.path.exists():
            # The other run ends while this one measures.
            shutil.copytree(other, earlier.session.results, dirs_exist_ok=True)
        for kind in ("labels", "predictions/none/seed-0"):
            target = folder / kind / NOW
            if not target.exists():
                shutil.copytree(earlier.folder / kind / NOW, target)
        asked = [list(session.only)]
        if session.kept is not None:
            asked = session.kept.asked(SMALL, session.only)
        return earlier.whole.model_copy(update={"asked": asked}), []

    results, _ = outcome.publish(earlier.now(f"none,{NOW}"), earlier.path, make)
    assert [kept is None for kept in seen] == [True, False]
    assert results.asked == [list(BEFORE), [f"none,{NOW}"]]
    published = plain_files(earlier.session.results / "table2.mini")
    found = {name.split("/")[-2] for name in published if name.startswith("predictions/")}
    assert found == set(EVERY)
    assert load_results(earlier.path).asked == results.asked


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["probabilities", "scores"])
def test_what_lies_beside_predictions_is_kept_with_them(
    earlier: Earlier, tmp_path: Path, kind: str
) -> None:
    kept = earlier.find(f"none,{NOW}")
    assert kept is not None
    for row, task in (("none", "xnli"), ("mnli", "xnli"), ("none", NOW)):
        path = kept.folder / kind / row / "seed-1" / task / "dev.csv"
        path.parent.mkdir(parents=True)
        path.write_text(row)
    files = file_records(kept.folder.parent, kept.folder)
    (tmp_path / "made").mkdir()
    more = replace(kept, results=kept.results.model_copy(update={"files": files}))
    more.add_to(tmp_path / "made")
    found = [name for name in plain_files(tmp_path / "made") if name.startswith(kind)]
    assert found == [f"{kind}/none/seed-1/xnli/dev.csv"]


def test_the_learning_curves_of_kept_runs_stand_beside_the_new_ones(
    earlier: Earlier, tmp_path: Path
) -> None:
    def curves(loss: float, *targets: str) -> dict[CurveKey, Curve]:
        point = Point(1, loss, None)
        keys = [CurveKey("target", "none", 0, name, name) for name in targets]
        return {key: Curve(1, (point,)) for key in keys}

    folder = earlier.session.results / "table2.mini"
    (folder / CURVES).write_bytes(dump_curves(curves(1.0, "xnli", "udpos")))
    earlier.rewrite(files=file_records(earlier.session.results, folder))
    kept = earlier.find(f"none,{NOW}", "none,xnli")
    assert kept is not None
    assert kept.curves == curves(1.0, "udpos"), "those of a run that is asked for again are not"
    (tmp_path / "made").mkdir()
    earlier.measure(kept, tmp_path / "made", curves(2.0, "xnli"))
    found = parse_curves((tmp_path / "made" / CURVES).read_bytes(), CURVES)
    assert found == {**curves(1.0, "udpos"), **curves(2.0, "xnli")}


def test_results_from_before_there_were_learning_curves_are_kept(
    earlier: Earlier, tmp_path: Path
) -> None:
    kept = earlier.find(f"none,{NOW}")
    assert kept is not None and kept.curves == {}
    (tmp_path / "made").mkdir()
    earlier.measure(kept, tmp_path / "made")
    assert not (tmp_path / "made" / CURVES).exists(), "nothing is known, and no file says so"


def test_of_table_3_columns_are_kept(session: Session) -> None:
    from stilts_artifact.benchmark.experiments import EXPERIMENTS

    found = asked_places(session.benchmark, EXPERIMENTS["table3"], ["*,xnli"])
    assert found == {("none", "xnli"), ("best", "xnli")}


def edit_prediction(earlier: Earlier) -> None:
    path = next((earlier.session.results / "table2.mini" / "predictions").rglob("*.tsv"))
    path.write_bytes(path.read_bytes() + b"x")


def edit_score(earlier: Earlier) -> None:
    results = load_results(earlier.path)
    cells = [
        cell.model_copy(update={"value": 1.0} if cell.column == "xnli" else {})
        for cell in results.cells
    ]
    earlier.rewrite(cells=cells)


def sign_otherwise(earlier: Earlier) -> None:
    other = replace(earlier.builder, phase_one=PhaseOne("mini", "0" * 40, {}))
    earlier.rewrite(cells=_signed_by(other, load_results(earlier.path)).cells)


def remove_file(earlier: Earlier) -> None:
    next((earlier.session.results / "table2.mini" / "labels").rglob("*.tsv")).unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "error", "what"),
    [
        (edit_prediction, IntegrityError, "a file that is not the one"),
        (edit_score, IntegrityError, "a cell that its predictions do not give"),
        (remove_file, IntegrityError, "a file missing"),
        (sign_otherwise, ConfigError, "encoder .* 000000000000"),
        (lambda earlier: earlier.rewrite(seeds=[1]), ConfigError, r"seeds \[1\]"),
        (
            lambda earlier: earlier.rewrite(environment={"python": "any", "torch": "1.0"}),
            ConfigError,
            "torch 1.0",
        ),
        (
            lambda earlier: earlier.rewrite(
                inputs=[
                    InputRecord(
                        source="XNLI-1.0.zip", bytes=1, sha256="0" * 64, satisfied_by="store"
                    )
                ]
            ),
            ConfigError,
            "XNLI-1.0.zip sha256 0000",
        ),
        (lambda earlier: earlier.path.write_text("{"), DataError, "JSON"),
        (lambda earlier: earlier.path.write_text('{"format": 2}'), ConfigError, "format"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_results_that_cannot_be_kept_are_refused_and_stay_as_they_are(
    earlier: Earlier,
    spoil: Callable[[Earlier], None],
    error: type[ArtifactError],
    what: str,
) -> None:
    spoil(earlier)
    before = {
        name: path.read_bytes() for name, path in plain_files(earlier.session.results).items()
    }
    with pytest.raises(error, match=what) as caught:
        earlier.find(f"none,{NOW}")
    assert "with --only, earlier results are kept" in caught.value.what
    assert "--results" in (caught.value.fix or "") and str(earlier.path) in (caught.value.fix or "")
    after = {name: path.read_bytes() for name, path in plain_files(earlier.session.results).items()}
    assert after == before


def test_labels_that_differ_between_the_two_runs_are_refused(
    earlier: Earlier, tmp_path: Path
) -> None:
    kept = earlier.find(f"none,{NOW}")
    assert kept is not None
    label = next((earlier.folder / "labels" / "xnli").iterdir())
    target = tmp_path / "made" / "labels" / "xnli" / label.name
    target.parent.mkdir(parents=True)
    target.write_bytes(label.read_bytes().replace(b"neutral", b"entailment"))
    with pytest.raises(IntegrityError, match="do not rest on"):
        kept.add_to(tmp_path / "made")
