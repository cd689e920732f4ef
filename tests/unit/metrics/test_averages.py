"""XTREME's averages."""

from __future__ import annotations

import numpy as np
import pytest

from stilts_artifact.benchmark import TARGETS
from stilts_artifact.benchmark.experiments import GROUPS
from stilts_artifact.metrics.averages import over_groups, over_languages, overall, task_score


def test_the_score_of_a_task_depends_on_its_metrics() -> None:
    f1, other = np.array(60.0), np.array(20.0)
    assert task_score({"f1": f1, "precision": other, "recall": other}) == 60.0
    assert task_score({"exact_match": other, "f1": f1}) == 40.0
    assert task_score({"accuracy": other}) == 20.0


def test_languages_weigh_alike_in_any_order() -> None:
    values = {"de": {"f1": np.array(0.1)}, "en": {"f1": np.array(0.2)}, "zh": {"f1": np.array(0.3)}}
    turned = dict(reversed(values.items()))
    assert over_languages(values)["f1"] == over_languages(turned)["f1"] == pytest.approx(0.2)


def test_groups_need_all_their_tasks() -> None:
    scores = {task: np.array(float(rank)) for rank, task in enumerate(TARGETS)}
    assert set(over_groups(scores, GROUPS)) == set(GROUPS)
    assert over_groups(scores, GROUPS)["qa"] == np.mean(
        [scores[task] for task in ("xquad", "mlqa", "tydiqa")]
    )
    del scores["mlqa"]
    assert set(over_groups(scores, GROUPS)) == {"classification", "tagging", "retrieval"}


def test_overall_is_over_nine_tasks_not_four_groups() -> None:
    scores = {task: np.array(0.0) for task in TARGETS} | {"bucc2018": np.array(90.0)}
    assert len(TARGETS) == 9
    assert overall(scores, TARGETS) == 10.0
    for task in TARGETS:
        assert (
            overall({name: value for name, value in scores.items() if name != task}, TARGETS)
            is None
        )
