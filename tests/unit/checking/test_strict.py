"""Every document that a verdict rests on is parsed strictly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.claims import load_claims
from stilts_artifact.checking.expected import load_expected
from stilts_artifact.checking.results import load_results
from stilts_artifact.documents import MAX_BYTES, parse_json
from stilts_artifact.errors import ArtifactError, DataError
from stilts_artifact.forms import SPAN


def predictions(path: Path) -> object:
    gold = path.with_name("gold.json")
    gold.write_text(
        '{"data": [{"paragraphs": [{"qas": [{"id": "a", "answers": [{"text": "x"}]}]}]}]}'
    )
    return SPAN.count(load_benchmark("mini").tasks["xquad"], "qaa", path, gold)


def labels(path: Path) -> object:
    return SPAN.read_gold(load_benchmark("mini").tasks["xquad"], "qaa", path)


READERS: dict[str, Callable[[Path], object]] = {
    "results": load_results,
    "expected": load_expected,
    "claims": load_claims,
    "predictions": predictions,
    "labels": labels,
}
BAD = {
    "duplicate key": b'{"a": "1", "a": "2"}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": 1e999}',
    "minus infinity": b'{"a": -Infinity}',
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000,
    "cut off": b'{"a": "1"',
    "empty": b"",
    "not UTF-8": b'{"a": "\xff"}',
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fault", BAD)
def test_a_document_that_is_not_strict_is_refused(reader: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_bytes(BAD[fault])
    with pytest.raises(ArtifactError) as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_of_a_hundred_megabytes_is_refused_unread(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(DataError, match="too large") as caught:
        READERS[reader](path)
    assert str(MAX_BYTES) in (caught.value.expected or "")


@pytest.mark.parametrize("value", ["NaN", "1e999", '1, "value": 2', "[1, -1e999]"])
def test_a_fault_is_found_by_its_neighbours(value: str) -> None:
    text = f'{{"cells": [{{"row": "mnli", "column": "xnli", "language": "de", "value": {value}}}]}}'
    with pytest.raises(DataError, match="'value' of row=mnli, column=xnli, language=de"):
        parse_json(text.encode(), "f.json")
