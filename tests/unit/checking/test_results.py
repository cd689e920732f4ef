"""Results files of another format are refused in words of their own, before their fields are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.results import (
    FORMAT,
    ClaimRecord,
    Results,
    as_defined,
    disagreements,
    dump_results,
    load_results,
    parse_results,
)
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import ConfigError, DataError, IntegrityError

ROW = {"row": "none", "title": "XLM-R", "group": "English", "details": {}}


@pytest.fixture
def document() -> dict[str, Any]:
    empty = Results(
        experiment="table2",
        scale="mini",
        scale_reason="asked for",
        stamp="mini: not evidence",
        verdict=Verdict.INCONCLUSIVE,
        rows=[],
        cells=[],
        claims=[],
        inputs=[],
        environment={},
    )
    loaded: dict[str, Any] = json.loads(dump_results(empty))
    return loaded


def load(document: dict[str, Any], folder: Path) -> Results:
    path = folder / "table2.mini.json"
    path.write_text(json.dumps(document))
    return load_results(path)


def test_the_format_stands_in_the_file(document: dict[str, Any], tmp_path: Path) -> None:
    assert document["format"] == FORMAT == 3
    assert load(document, tmp_path).experiment == "table2"


def test_an_older_file_is_told_that_it_is_one(document: dict[str, Any], tmp_path: Path) -> None:
    del document["format"], document["experiment"]
    with pytest.raises(ConfigError, match="another format") as caught:
        load(document | {"table": 2}, tmp_path)
    assert "before experiments had names" in str(caught.value)
    assert "the version that wrote it" in str(caught.value)


@pytest.mark.parametrize("number", [1, 2, "3", None, 3.0])
def test_a_file_of_another_format_is_told_which_is_read(
    document: dict[str, Any], tmp_path: Path, number: object
) -> None:
    with pytest.raises(ConfigError, match="another format") as caught:
        load(document | {"format": number}, tmp_path)
    assert (caught.value.got, caught.value.expected) == (f"format {number!r}", "format 3")


def test_an_experiment_that_the_benchmark_does_not_have_is_refused(
    document: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"experiment.*table9"):
        load(document | {"experiment": "table9"}, tmp_path)


def test_a_results_file_under_another_name_is_refused(
    document: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("table3.mini.json", "table2.paper.json", "copy.json", "TABLE2.mini.json"):
        path = tmp_path / name
        path.write_text(json.dumps(document))
        with pytest.raises(IntegrityError, match="another run than the file's name says") as caught:
            load_results(path)
        assert caught.value.got == "Table 2 at scale mini"


def test_what_a_file_says_of_itself_is_named_and_not_shown(
    document: dict[str, Any], tmp_path: Path
) -> None:
    row = {"row": "mnli", "title": "The winner", "group": "best", "details": {"licence": "mine"}}
    path = tmp_path / "table2.mini.json"
    path.write_text(json.dumps(document | {"stamp": "paper: evidence", "rows": [row]}))
    results, notes = as_defined(parse_results(path.read_bytes(), path))
    assert results == load_results(path)
    assert results.stamp == "mini: not evidence about the paper"
    (shown,) = results.rows
    assert (shown.title, shown.group, shown.details) == ("MNLI", "English", {})
    assert [note.partition(":")[0] for note in notes] == [
        "the file is stamped otherwise",
        "the file has another title of mnli",
        "the file has another group of mnli",
        "the file has another details of mnli",
    ]


def test_a_task_has_the_licence_that_its_publisher_states(
    document: dict[str, Any], tmp_path: Path
) -> None:
    row = {"row": "anli_plus", "title": "ANLI+", "group": "intermediate", "details": {}}
    path = tmp_path / "table1.mini.json"
    path.write_text(json.dumps(document | {"experiment": "table1", "rows": [row]}))
    (shown,) = load_results(path).rows
    assert shown.details == {
        "kind": "sentence-pair classification",
        "licence": load_benchmark("mini").tasks["anli_plus"].licence,
    }


CELL = {
    "row": "none",
    "column": "xnli",
    "language": "qaa",
    "value": None,
    "expected": None,
    "limit": None,
    "verdict": "NOT_RUN",
    "reason": "not run",
    "signature": "",
}


@pytest.mark.parametrize(
    "change",
    [
        {"value": "71.5", "verdict": "REPRODUCED"},
        {"value": True},
        {"expected": "70"},
        {"limit": False},
        {"seeds": ["71"]},
        {"flag": "EXCELLENT"},
        {"flag": ""},
        {"verdict": "reproduced"},
        {"row": 1},
    ],
    ids=str,
)
def test_a_value_of_another_type_or_set_is_not_taken_for_a_likely_one(
    document: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    assert load(document | {"cells": [CELL]}, tmp_path).cells[0].value is None
    with pytest.raises(ConfigError, match="not a results file"):
        load(document | {"cells": [CELL | change]}, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seeds": list(range(200_000))}, "too many seeds"),
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"cells": [CELL] * 2}, "a cell stands twice"),
        ({"cells": [CELL | {"row": "winner"}]}, "unknown row"),
        ({"cells": [CELL | {"column": "xlni"}]}, "no such cell"),
        ({"cells": [CELL | {"language": "de"}]}, "no such cell"),
        ({"rows": [ROW] * 2}, "a row stands twice"),
        ({"rows": [ROW | {"row": f"row {number}"} for number in range(9999)]}, "unknown row"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_more_than_the_experiment_has_is_refused_before_anything_is_computed(
    document: dict[str, Any], tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        load(document | change, tmp_path)


def test_a_choice_of_the_best_rows_is_one_of_targets_and_rows(
    document: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "table3.mini.json"
    for details, what in (
        ({"xnli": "nobody"}, "unknown row"),
        ({"xlni": "mnli"}, "unknown target"),
    ):
        row = ROW | {"row": "best", "details": details}
        path.write_text(json.dumps(document | {"experiment": "table3", "rows": [row]}))
        with pytest.raises(ConfigError, match=what):
            load_results(path)


def test_a_claim_that_the_file_leaves_out_is_a_disagreement(
    document: dict[str, Any], tmp_path: Path
) -> None:
    stored = load(document, tmp_path)
    lost = ClaimRecord(
        claim="mnli-gain",
        title="MNLI gains",
        verdict=Verdict.NOT_REPRODUCED,
        reason="it does not",
        numbers={},
        cells=[],
    )
    (found,) = disagreements(stored, stored.model_copy(update={"claims": [lost]}))
    assert (found.key, found.judged) == ("mnli-gain", Verdict.NOT_REPRODUCED)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seeds": ["1"]}, "seeds"),
        ({"seeds": [True]}, "seeds"),
        ({"seeds": [1.0]}, "seeds"),
        ({"stamp": 3}, "stamp"),
        ({"environment": {"python": 3}}, "environment"),
        ({"inputs": [{"source": "a", "bytes": "1", "sha256": "", "satisfied_by": ""}]}, "bytes"),
        ({"files": [{"path": "a", "bytes": True, "sha256": ""}]}, "bytes"),
    ],
)
def test_no_value_of_a_results_file_is_made_of_another_type(
    document: dict[str, Any], tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match="not a results file") as caught:
        load(document | changes, tmp_path)
    assert named in str(caught.value.where)


def test_a_number_beyond_all_floats_is_refused(document: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not finite"):
        load(document | {"seeds": [10**400]}, tmp_path)
