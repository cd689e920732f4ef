"""Learning curves: a training run's report as points, their file, and what a check asks of it."""

from __future__ import annotations

import random
from statistics import fmean
from typing import Any

import pytest

from benchmarks.checking import file_records
from stilts_artifact.checking.learning_curves import (
    CURVES,
    Curve,
    CurveKey,
    Point,
    RunName,
    dump_curves,
    kept_scores,
    parse_curves,
    reported_curves,
)
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import dump_results, load_results
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from tests.unit.checking.small import SmallSet

XNLI = CurveKey("target", "none", 0, "xnli", "xnli")
MNLI = CurveKey("intermediate", "mnli", 0, "", "mnli")
CURVE = Curve(30, (Point(2, 1.25, None), Point(30, 0.5, 71.5)))
HEADER = "phase,row,seed,target,task,planned,step,loss,score\n"


def reported(planned: int, done: int, evaluations: dict[int, dict[str, float]]) -> dict[str, Any]:
    """What a run reports whose step s, from 0, has the loss s: the mean loss of each twentieth."""
    parts = min(20, planned)
    sums: list[list[int]] = [[] for _ in range(parts)]
    for step in range(done):
        sums[step * parts // planned].append(step)
    return {
        "planned": planned,
        "steps": done,
        "losses": {"xnli": [fmean(part) if part else None for part in sums]},
        "evaluations": [{"step": step, "tasks": own} for step, own in evaluations.items()],
    }


@pytest.mark.parametrize(("planned", "done"), [(47, 47), (20, 20), (3, 3), (6250, 6250), (100, 61)])
def test_a_point_is_the_mean_loss_of_the_steps_since_the_point_before(
    planned: int, done: int
) -> None:
    curve = reported_curves(reported(planned, done, {done: {"xnli": 60.0}}))["xnli"]
    ends = [0, *(step for step, _ in curve.losses)]
    assert ends[-1] == done and len(set(ends)) == len(ends)
    for before, (end, loss) in zip(ends[:-1], curve.losses, strict=True):
        assert loss == pytest.approx(fmean(range(before, end)))
    assert curve.scores == [(done, 60.0)]


def test_a_task_has_its_own_points_of_a_run_on_several() -> None:
    report = reported(40, 40, {20: {"xnli": 50.0, "qqp": 70.0}, 40: {"xnli": 60.0, "qqp": 80.0}})
    report["losses"]["qqp"] = [None, 0.5, *[None] * 18]
    report["losses"]["mlm"] = [3.0] * 20
    curves = reported_curves(report)
    assert curves["qqp"].points == (Point(4, 0.5, None), Point(20, None, 70), Point(40, None, 80))
    assert (len(curves["mlm"].losses), curves["mlm"].scores) == (20, [])


def test_what_is_written_is_read_again_in_whatever_order_it_came() -> None:
    curves = {XNLI: CURVE, MNLI: Curve(2, (Point(1, 0.123456, None), Point(2, None, 100.0)))}
    data = dump_curves(curves)
    assert data == dump_curves(dict(reversed(curves.items())))
    assert parse_curves(data, CURVES) == curves
    assert data.decode().splitlines()[1] == "intermediate,mnli,0,,mnli,2,1,0.123456,"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("phase2,none,0,xnli,xnli,30,31,0.500000,", "not a point of a learning curve"),
        ("target,none,zero,xnli,xnli,30,30,0.500000,", "not a point of a learning curve"),
        ("target,none,0,xnli,xnli,30,30,,", "not a point of a learning curve"),
        ("target,none,0,xnli,xnli,30,30,nan,", "not a point of a learning curve"),
        ("target,none,0,xnli,xnli,30,30,-0.500000,", "not a point of a learning curve"),
        ("target,none,0,xnli,xnli,30,30,,100.500000", "not a score"),
        ("target,none,0,xnli,xnli,30,31,0.500000,", "out of its order"),
        ("target,none,0,xnli,xnli,30,2,0.500000,", "out of its order"),
        ("target,none,0,xnli,xnli,40,30,0.500000,", "out of its order"),
        ("target,none,0,xnli,xnli,30,30", "another length"),
    ],
)
def test_a_line_that_is_no_point_is_named(line: str, what: str) -> None:
    first = "target,none,0,xnli,xnli,30,2,1.250000,\n"
    with pytest.raises(DataError, match=what) as caught:
        parse_curves(f"{HEADER}{first}{line}\n".encode(), CURVES)
    assert caught.value.where == f"{CURVES}:3"


def test_the_kept_score_is_that_of_the_best_evaluation_by_the_mean_over_tasks() -> None:
    def curve(*scores: float) -> Curve:
        points = enumerate(scores, 1)
        return Curve(9, tuple(Point(step, None, score) for step, score in points))

    multi = {
        CurveKey("intermediate", "multi", 1, "", "mnli"): curve(50.0, 70.0, 90.0),
        CurveKey("intermediate", "multi", 1, "", "qqp"): curve(60.0, 80.0, 40.0),
        CurveKey("intermediate", "multi", 1, "", "mlm"): Curve(9, (Point(9, 1.0, None),)),
    }
    single = {CurveKey("target", "none", 1, "xnli", "xnli"): curve(40.0, 45.0, 42.0)}
    unjudged = {CurveKey("target", "none", 1, "tydiqa", "tydiqa"): Curve(1, (Point(1, 2.0, None),))}
    assert kept_scores({**multi, **single, **unjudged}) == {
        RunName("intermediate", "multi", 1, ""): 75.0,
        RunName("target", "none", 1, "xnli"): 45.0,
    }


def publish(small: SmallSet, *keys: CurveKey) -> None:
    """Curves in the folder of results, listed as a run lists them."""
    (small.run / CURVES).write_bytes(dump_curves(dict.fromkeys(keys, CURVE)))
    results = load_results(small.results_file)
    files = file_records(small.folder, small.run)
    small.results_file.write_bytes(dump_results(results.model_copy(update={"files": files})))


def test_curves_of_runs_that_have_predictions_change_no_verdict(small: SmallSet) -> None:
    row = "mnli" if small.experiment == "table2" else "best"
    keys = [XNLI, CurveKey("intermediate", row, 0, "", "mnli")]
    publish(small, *keys)
    found = recheck(small.results_file)
    assert found.results.verdict is Verdict.REPRODUCED
    assert (found.notes, found.disagreements) == ((), [])


@pytest.mark.parametrize(
    "key",
    [
        CurveKey("target", "multi", 0, "xnli", "xnli"),
        CurveKey("target", "none", 7, "xnli", "xnli"),
        CurveKey("target", "none", 0, "copa", "xnli"),
        CurveKey("intermediate", "multi", 0, "", "mnli"),
    ],
    ids=["row", "seed", "target", "shared"],
)
def test_a_run_that_no_predictions_come_from_is_refused(small: SmallSet, key: CurveKey) -> None:
    publish(small, XNLI, key)
    with pytest.raises(IntegrityError, match="a training run without predictions") as caught:
        recheck(small.results_file)
    assert caught.value.got == ",".join(map(str, key.run))


def test_training_on_a_task_that_is_none_is_refused(small: SmallSet) -> None:
    publish(small, CurveKey("target", "none", 0, "xnli", "x\u202enli"))
    with pytest.raises(ConfigError, match="unknown task"):
        recheck(small.results_file)


def test_altered_curves_are_noticed(small: SmallSet) -> None:
    publish(small, XNLI)
    path = small.run / CURVES
    path.write_bytes(path.read_bytes().replace(b"71.5", b"91.5"))
    with pytest.raises(IntegrityError, match="not the one the results rest on"):
        recheck(small.results_file)


def test_whatever_a_file_says_it_is_read_or_refused() -> None:
    chance = random.Random(1)
    data = dump_curves({XNLI: CURVE, MNLI: CURVE})
    for _ in range(300):
        at = chance.randrange(len(data))
        spoilt = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        try:
            assert dump_curves(parse_curves(spoilt, CURVES)).count(b"\n") == data.count(b"\n")
        except DataError as error:
            assert error.where is not None and error.where.startswith(CURVES)
