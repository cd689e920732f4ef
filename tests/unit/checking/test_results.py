"""Results files of another format are refused in words of their own, before their fields are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.checking.results import FORMAT, Results, dump_results, load_results
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import ConfigError


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
    assert document["format"] == FORMAT == 2
    assert load(document, tmp_path).experiment == "table2"


def test_an_older_file_is_told_that_it_is_one(document: dict[str, Any], tmp_path: Path) -> None:
    del document["format"], document["experiment"]
    with pytest.raises(ConfigError, match="another format") as caught:
        load(document | {"table": 2}, tmp_path)
    assert "before experiments had names" in str(caught.value)
    assert "the version that wrote it" in str(caught.value)


@pytest.mark.parametrize("number", [1, 3, "2", None, 2.5])
def test_a_file_of_another_format_is_told_which_is_read(
    document: dict[str, Any], tmp_path: Path, number: object
) -> None:
    with pytest.raises(ConfigError, match="another format") as caught:
        load(document | {"format": number}, tmp_path)
    assert (caught.value.got, caught.value.expected) == (f"format {number!r}", "format 2")


def test_an_experiment_that_the_benchmark_does_not_have_is_refused(
    document: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"experiment.*table9"):
        load(document | {"experiment": "table9"}, tmp_path)
