"""The JSON schema of results files takes what is written, and refuses what reading refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stilts_artifact.checking.results import FORMAT, Results, results_schema
from tests.conftest import Run
from tests.unit.checking.small import SmallSet

NOTES = {"$schema", "$defs", "title", "description", "default"}
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


def faults(schema: Any, value: Any, root: dict[str, Any], place: str = "") -> Iterator[str]:
    """Where a value breaks a schema, by the keywords of draft 2020-12 that ours uses.

    No validator is among the development tools; a keyword that is not known here fails.
    """
    if isinstance(schema, bool):
        if not schema:
            yield f"{place}: not expected"
        return
    for keyword, wanted in schema.items():
        if keyword in NOTES:
            continue
        yield from KEYWORDS[keyword](schema, wanted, value, root, place)


def _refers(schema: Any, wanted: Any, value: Any, root: Any, place: str) -> Iterator[str]:
    yield from faults(root["$defs"][wanted.removeprefix("#/$defs/")], value, root, place)


def _any(schema: Any, wanted: Any, value: Any, root: Any, place: str) -> Iterator[str]:
    if all(list(faults(one, value, root, place)) for one in wanted):
        yield f"{place}: none of {len(wanted)} kinds"


def _properties(schema: Any, wanted: Any, value: Any, root: Any, place: str) -> Iterator[str]:
    for name in wanted.keys() & value.keys() if isinstance(value, dict) else ():
        yield from faults(wanted[name], value[name], root, f"{place}/{name}")


def _others(schema: Any, wanted: Any, value: Any, root: Any, place: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in value.keys() - known.keys() if isinstance(value, dict) else ():
        yield from faults(wanted, value[name], root, f"{place}/{name}")


def _items(schema: Any, wanted: Any, value: Any, root: Any, place: str) -> Iterator[str]:
    for number, item in enumerate(value if isinstance(value, list) else ()):
        yield from faults(wanted, item, root, f"{place}/{number}")


def _plain(holds: Callable[[Any, Any], bool]) -> Callable[..., Iterator[str]]:
    def check(schema: Any, wanted: Any, value: Any, root: Any, place: str) -> Iterator[str]:
        if not holds(wanted, value):
            yield f"{place}: not {wanted}"

    return check


KEYWORDS: dict[str, Callable[..., Iterator[str]]] = {
    "$ref": _refers,
    "anyOf": _any,
    "properties": _properties,
    "additionalProperties": _others,
    "items": _items,
    "type": _plain(lambda wanted, value: TYPES[wanted](value)),
    "enum": _plain(lambda wanted, value: value in wanted),
    "const": _plain(lambda wanted, value: value == wanted),
    "pattern": _plain(lambda wanted, value: re.search(wanted, value) is not None),
    "required": _plain(lambda wanted, value: value.keys() >= set(wanted)),
    "minItems": _plain(lambda wanted, value: len(value) >= wanted),
    "maxItems": _plain(lambda wanted, value: len(value) <= wanted),
    "prefixItems": lambda schema, wanted, value, root, place: (
        fault
        for number, (one, item) in enumerate(zip(wanted, value, strict=True))
        for fault in faults(one, item, root, f"{place}/{number}")
    ),
}


def test_it_takes_a_file_that_is_written(small: SmallSet) -> None:
    document = json.loads(small.results_file.read_text(encoding="utf-8"))
    assert document["cells"] and document["files"]
    schema = results_schema()
    assert list(faults(schema, document, schema)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("format"),
        lambda document: document.update(format=FORMAT - 1),
        lambda document: document.update(more="1"),
        lambda document: document.update(scale="Mini"),
        lambda document: document["cells"][0].pop("signature"),
        lambda document: document["cells"][0].update(value="80.1"),
        lambda document: document["cells"][0].update(verdict="FINE"),
        lambda document: document["rows"][0].update(details={"kind": 1}),
        lambda document: document["seeds"].append(0.5),
    ],
)
def test_it_refuses_what_is_no_results_file(
    small: SmallSet, spoil: Callable[[dict[str, Any]], object]
) -> None:
    document = json.loads(small.results_file.read_text(encoding="utf-8"))
    spoil(document)
    schema = results_schema()
    assert len(list(faults(schema, document, schema))) > 0


@pytest.mark.slow
def test_the_command_prints_it_whole(artifact: Run) -> None:
    answer = artifact("schema")
    assert answer.returncode == 0, answer.stderr
    printed = json.loads(answer.stdout)
    assert printed == results_schema()
    assert printed["properties"].keys() == Results.model_fields.keys()
