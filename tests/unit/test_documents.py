"""Strict documents: what Python's parsers let pass is refused here."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.documents import (
    MAX_BYTES,
    dump_json,
    parse_json,
    parse_yaml,
    read_document,
    write_atomically,
)
from stilts_artifact.errors import DataError, ResourceError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(VALUES)
def test_dumped_json_parses_to_the_same_value(value: object) -> None:
    assert parse_json(dump_json(value), "f.json") == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1e999}',
        "[" * 100_000,
        "[" * 100 + "]" * 100,
        '{"a": 1',
        "",
        "\ufeff{}",
    ],
)
def test_json_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"f\.json"):
        parse_json(text.encode(), "f.json")


def test_json_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(DataError):
        parse_json(b'{"a": "\xff"}', "f.json")


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n",
        "a: .nan\n",
        "a: .inf\n",
        "a: &x [1]\nb: *x\n",
        "a: !!python/object/apply:os.system ['true']\n",
        "[" * 20_000,
        "[" * 100 + "]" * 100,
        "[" * 50_000
        + "]" * 50_000,  # libyaml's composer would overflow the stack and end the process
        "a: [1\n",
        "? [1, 2]\n: 3\n",
    ],
)
def test_yaml_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"f\.yaml"):
        parse_yaml(text.encode(), "f.yaml")


def test_a_yaml_error_names_its_line() -> None:
    with pytest.raises(DataError) as caught:
        parse_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml")
    assert caught.value.where == "f.yaml:3"


def test_a_huge_document_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DataError, match="too large"):
        read_document(path)


def test_an_absent_document_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_document(tmp_path / "none.json")


def test_write_atomically_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "f.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.json"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="free 3 bytes"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
