"""Strict documents: what Python's parsers let pass is refused here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.documents import (
    MAX_BYTES,
    dump_json,
    library_errors,
    parse_csv,
    parse_json,
    parse_yaml,
    read_document,
    whole_number,
)
from stilts_artifact.errors import DataError, IntegrityError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@pytest.mark.slow
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
        '["\\ud800"]',
        '{"\\uDFFF": 1}',
        "9" * 5000,
        f'[{{"a": -{"9" * 5000}}}]',
        f"[{'9' * 400}]",
        f'{{"a": -{"9" * 400}}}',
    ],
)
def test_json_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"f\.json"):
        parse_json(text.encode(), "f.json")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a": {"x": 1},\n "b": {"x": 1},\n "a": 2}', "duplicate key"),
        ('{"é": 1,\n\n "\\u00e9": 2}', "duplicate key"),
        ('{"a": "1e999",\n\n "b": 1e999}', "not finite"),
        (f'["{"9" * 5000}",\n\n {"9" * 5000}]', "not valid JSON"),
        ('{"a":\n\n }', "not valid JSON"),
        ("[\n\n" + "[" * 100_000, "nested too deeply"),
        ("[\n\n" + "[" * 100 + "]" * 101, "nested too deeply"),
        ('["\\ud83d\\ude00",\n\n "\\ud83d"]', "half a UTF-16 pair"),
        ('[1,\n\n {"\\udfff": 1}]', "half a UTF-16 pair"),
        (f"[1,\n\n {'9' * 400}]", "not finite"),
    ],
    ids=lambda text: text[:20],
)
def test_a_json_error_names_its_line(text: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        parse_json(text.encode(), "f.json")
    assert caught.value.where == "f.json:3"


def test_a_whole_pair_is_text() -> None:
    assert parse_json(b'"\\ud83d\\ude00"', "f.json") == "😀"


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
        "a: 2020-13-01\n",
        "a: 2020-02-30T00:00:00Z\n",
        f"a: {'9' * 5000}\n",
        "a: !!int x\n",
        "a: !!timestamp x\n",
        "a: !!bool maybe\n",
        "a: !!set {b}\n",
        "a: !local x\n",
        'a: "\\ud800"\n',
        "<<: {a: 1}\n",
        "a: \x07\n",
    ],
)
def test_yaml_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"f\.yaml"):
        parse_yaml(text.encode(), "f.yaml")


def test_a_yaml_error_names_its_line() -> None:
    with pytest.raises(DataError) as caught:
        parse_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml")
    assert caught.value.where == "f.yaml:3"


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n\nb: 2020-13-01\n",
        f"a: 1\n\nb: {'9' * 5000}\n",
        "a: 1\n\nb: !!int x\n",
        "a: &x 1\n\nb: *x\n",
        "a: 1\n\nb: " + "[" * 100 + "]" * 100,
    ],
    ids=lambda text: text[6:20],
)
def test_what_yaml_raises_beside_its_own_errors_names_its_line(text: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_yaml(text.encode(), "f.yaml")
    assert caught.value.where == "f.yaml:3"


def test_a_huge_document_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DataError, match="too large"):
        read_document(path)


def test_what_is_no_regular_file_is_no_document(tmp_path: Path) -> None:
    """A FIFO would wait for its writer, and a device never end."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="not a regular file"):
            read_document(path)


def test_an_absent_document_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_document(tmp_path / "none.json")


def test_rows_of_csv_have_their_lines() -> None:
    rows = parse_csv(b'\xef\xbb\xbfb,a\r\n1,"x\ny"\r\n\r\n3,\n', "f.csv", ["a"], ["b", "c"])
    assert [(row.where, row.cells) for row in rows] == [
        ("f.csv:3", {"b": "1", "a": "x\ny"}),
        ("f.csv:5", {"b": "3", "a": ""}),
    ]


@pytest.mark.parametrize(
    ("data", "what", "line"),
    [
        (b"", "not the columns", 1),
        (b"b\n1\n", "not the columns", 1),
        (b"a,x\n1,2\n", "not the columns", 1),
        (b"a,a\n1,2\n", "not the columns", 1),
        (b'a\n"1"2\n', "not CSV", 2),
        (b'"a"x\n1\n', "not CSV", 1),
        (b'a\n"1\n', "not CSV", 2),
        (b"a\n" + b"1" * 200_000, "not CSV", 2),
        (b"a\n1,2\n", "another length", 2),
        (b"a\n1\n\xff\n", "not UTF-8", 3),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_csv_that_is_not_strict_is_refused(data: bytes, what: str, line: int) -> None:
    with pytest.raises(DataError, match=what) as caught:
        parse_csv(data, "f.csv", ["a"], ["b"])
    assert caught.value.where == f"f.csv:{line}"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("42", 42),
        ("9" * 18, 10**18 - 1),
        *(
            (text, None)
            for text in (
                "",
                "007",
                "-1",
                "+1",
                " 1",
                "1\n",
                "1_0",
                "1.0",
                "0x1",
                "\u0664\u0662",
                "\u00b2",
                "9" * 19,
                "9" * 5000,
            )
        ),
    ],
)
def test_a_whole_number_is_only_what_str_writes(text: str, number: int | None) -> None:
    assert whole_number(text) == number


class PanicException(BaseException):
    pass


@pytest.mark.parametrize("raised", [Exception(), KeyError("a"), PanicException("b\nc")])
def test_what_a_library_raises_about_a_file_is_an_error_of_ours(raised: BaseException) -> None:
    with (
        pytest.raises(IntegrityError, match="no model"),
        library_errors(IntegrityError, "no model", "f"),
    ):
        raise raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(), MemoryError()])
def test_what_is_not_about_the_file_passes(raised: BaseException) -> None:
    with pytest.raises(type(raised)), library_errors(IntegrityError, "no model", "f"):
        raise raised


def test_errors_of_ours_keep_what_they_say() -> None:
    with pytest.raises(DataError, match="own"), library_errors(IntegrityError, "no model", "f"):
        raise DataError("own")
