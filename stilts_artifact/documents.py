"""Strict reading of the project's JSON, YAML and CSV documents, and the one form it writes JSON in.

Python's own parsers let the last of two equal keys win, turn ``1e999`` into infinity, follow YAML
aliases without end, and raise beside their documented errors (an integer of 5,000 digits, the 13th
month). A verdict must not rest on such a document, nor a crash look like one, so all of that is
refused here: whatever these functions raise is a :class:`DataError`, and it names the line.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts_artifact.errors import ArtifactError, DataError
from stilts_artifact.files import open_regular

# The largest document that the project writes, the labels of MLQA's test set in Hindi, has about
# 27 MiB: a context for each question, six bytes a letter.
MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
_SHORT, _NEIGHBOURS = 40, 3  # characters and number of the values by which a message names a place
_WHOLE = re.compile(r"(?:0|[1-9][0-9]{0,17})")
_LEADING_COMMENTS = re.compile(rb"\A(?:#[^\n]*\n)+")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
# Half of a UTF-16 pair, as JSON and YAML escape it and as Python holds it: a character that no
# UTF-8 file, hash or terminal takes.
_HALF_PAIR_ESCAPE = re.compile(rb"\\[uU](?:0000)?[dD][89a-fA-F]")
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@contextlib.contextmanager
def library_errors(
    kind: type[ArtifactError], what: str, where: str, expected: str | None = None
) -> Iterator[None]:
    """Turn whatever a library raises about a file's content into an error of ours.

    For parsers without documented errors: numpy, transformers and tokenizers let out what their
    code happens to meet, bare ``Exception`` among it, and what Rust raises when it panics is no
    ``Exception`` at all, and cannot be imported.

    Raises:
        ArtifactError: of this kind.
    """
    try:
        yield
    except (ArtifactError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise kind(what, where=where, got=_first_line(error)[:200], expected=expected) from error


def read_document(path: Path) -> bytes:
    """The bytes of a document file.

    Raises:
        DataError: the file is absent, unreadable or over :data:`MAX_BYTES`.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise DataError(
                    "document too large",
                    where=str(path),
                    got=f"{size} bytes",
                    expected=f"<= {MAX_BYTES}",
                )
            # As it was when it was opened, of a file that grows meanwhile.
            return file.read(size)
    except OSError as error:
        raise DataError(
            "cannot read the file", where=str(path), got=error.strerror or str(error)
        ) from error


def line_at(data: bytes, offset: int) -> int:
    """1-based line of a byte offset."""
    return data.count(b"\n", 0, offset) + 1


def whole_number(text: str) -> int | None:
    """The number that ``str()`` writes as this text, of at most 18 digits; ``None`` otherwise.

    int() takes more: signs, spaces, zeros in front, underscores and the digits of every script, so
    that two texts that are not equal would count as one number; and it raises at 4,301 digits.

    Example:
        >>> whole_number("42"), whole_number("042"), whole_number("4_2"), whole_number("٤٢")
        (42, None, None, None)
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def parse_json(data: bytes, where: str) -> Any:
    """The value of a JSON document.

    Raises:
        DataError: not UTF-8, not JSON, a duplicate key, a number that is not finite as a float, an
            integer of more digits than Python converts, half a UTF-16 pair, or nesting over
            :data:`MAX_DEPTH`.

    Example:
        >>> parse_json(b'{"seeds": [1, 2]}', "a.json")
        {'seeds': [1, 2]}
    """
    try:
        # Not left to json.loads, which would also take UTF-16 and UTF-32.
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"{where}:{line_at(data, error.start)}", str(error)) from error

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        # Here, although _check looks again: only here are the neighbours known that name the place.
        for key, value in found.items():
            if not _is_finite(value):
                got = f"{_place(pairs, key)} is {repr(value)[:_SHORT]}"
                raise _not_finite(_line_of(_is_no_number, text, where), got)
        if len(found) < len(pairs):
            _unique_keys(pairs, _line_of(lambda token: token.repeats, text, where))
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique)
    # Before ValueError, of which it is one: only this error knows its line.
    except json.JSONDecodeError as error:
        raise _not_json(f"{where}:{error.lineno}", error.msg) from error
    except RecursionError as error:
        raise _too_deep(_line_of(_is_deep, text, where)) from error
    except ValueError as error:  # An integer of more digits than Python converts.
        raise _not_json(_line_of(_is_long_integer, text, where), _first_line(error)) from error
    _check(value, data, where, lambda is_fault: _line_of(is_fault, text, where))
    return value


def parse_yaml(data: bytes, where: str) -> Any:
    """The value of a YAML document: plain data only, no tags, anchors or aliases.

    JSON is YAML; a document that is a JSON object below leading comments is read by the JSON
    parser, ten times faster.

    Raises:
        DataError: not YAML, a tag, an alias, a duplicate key, a date that is none, a non-finite
            number, an integer of more digits than Python converts, or nesting over
            :data:`MAX_DEPTH`.
    """
    if (body := _LEADING_COMMENTS.sub(b"", data, count=1)).startswith(b"{"):
        # Flow style that is not JSON; or at fault, which YAML will say by line.
        with contextlib.suppress(DataError):
            return parse_json(body, where)
    import yaml

    # A class for each call: its constructor of mappings knows which document it reads, and
    # SafeLoader's own stays as it is for everybody else.
    class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """SafeLoader that refuses duplicate keys, and has a line for every error."""

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            # Beside its own errors yaml raises what int() and datetime.date() do.
            try:
                return super().construct_object(node, deep)
            except (ValueError, OverflowError) as error:
                raise yaml.constructor.ConstructorError(
                    problem=_first_line(error), problem_mark=node.start_mark
                ) from error

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        pairs = [
            (loader.construct_object(key, deep=True), loader.construct_object(value, deep=True))
            for key, value in node.value
        ]
        return _unique_keys(pairs, f"{where}:{node.start_mark.line + 1}")

    StrictLoader.add_constructor("tag:yaml.org,2002:map", mapping)
    try:
        _check_events(yaml.parse(data, Loader=StrictLoader), where)
        value = yaml.load(data, Loader=StrictLoader)  # noqa: S506  StrictLoader is a SafeLoader
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark is not None else where
        raise DataError(
            "not valid YAML", where=place, got=_first_line(error), expected="a YAML document"
        ) from error
    # Depth and numbers that YAML writes in its own way have their line by now; halves do not.
    escape = _HALF_PAIR_ESCAPE.search(data)
    place = where if escape is None else f"{where}:{line_at(data, escape.start())}"
    _check(value, data, where, lambda _: place)
    return value


def escapes_surrogates(data: bytes) -> bool:
    """Whether a JSON or YAML document escapes a half of a UTF-16 pair, be its other half there."""
    return _HALF_PAIR_ESCAPE.search(data) is not None


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row of a CSV file: its cells by column, and ``file:line`` of its last line."""

    where: str
    cells: dict[str, str]


def parse_csv(
    data: bytes, where: str, columns: Collection[str], optional: Collection[str] = ()
) -> list[CsvRow]:
    """The rows of a CSV document (RFC 4180, UTF-8, a byte order mark allowed) below its header.

    Args:
        columns: that the header must have, in any order.
        optional: that it may have beside them.

    Raises:
        DataError: not UTF-8, not CSV, another header, or a row of another length.

    Example:
        >>> [row] = parse_csv(b"row,value\\nmnli,71.5\\n", "a.csv", ["row", "value"])
        >>> row.where, row.cells
        ('a.csv:2', {'row': 'mnli', 'value': '71.5'})
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"{where}:{line_at(data, error.start)}"
        raise DataError("bytes that are not UTF-8", where=place, got=str(error)) from error
    # newline="" leaves the line ends inside quoted cells as they are.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[CsvRow] = []
    try:
        header = next(reader, [])
        if not set(columns) <= set(header) <= {*columns, *optional} or _repeats(header):
            raise DataError(
                "not the columns of this table",
                where=f"{where}:1",
                got=",".join(header),
                expected=",".join([*columns, *optional]),
            )
        for cells in filter(None, reader):  # An empty line is no row.
            place = f"{where}:{reader.line_num}"
            if len(cells) != len(header):
                got, expected = f"{len(cells)} fields", f"{len(header)} fields"
                raise DataError("line of another length", where=place, got=got, expected=expected)
            rows.append(CsvRow(place, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        place = f"{where}:{max(1, reader.line_num)}"
        raise DataError("not CSV", where=place, got=str(error)) from error
    return rows


def dump_json(value: Any) -> bytes:
    """Readable JSON whose bytes depend on nothing but ``value``.

    Keys in the order they have, one level of indentation a space, a final newline.
    """
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of a JSON text.

    Attributes:
        depth: number of brackets open at it, its own included.
        repeats: whether it ends a key that the same object had before.
    """

    text: str
    line: int
    depth: int
    repeats: bool


def _tokens(text: str) -> Iterator[_Token]:
    """The words of a JSON text, with what Python's parser does not tell: where they stand.

    Many times slower than that parser, hence asked only about a document that it refused.
    """
    line, position, previous = 1, 0, ""
    keys: list[set[str]] = []
    for match in _JSON_TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position, word, repeats = match.start(), match[0], False
        if word in "{[":
            keys.append(set())
        elif word == ":" and keys:
            key = _unescaped(previous)
            repeats = key in keys[-1]
            keys[-1].add(key)
        yield _Token(word, line, len(keys), repeats)
        if word in "}]" and keys:
            keys.pop()
        previous = word


_IsFault = Callable[[_Token], bool]
_LineOf = Callable[[_IsFault], str]
"""``file:line`` of the first word that is at fault."""


def _line_of(is_fault: _IsFault, text: str, where: str) -> str:
    """``where`` with the line of the first word of a JSON text that is at fault."""
    faults = (f"{where}:{token.line}" for token in _tokens(text) if is_fault(token))
    return next(faults, where)


def _unescaped(word: str) -> str:
    """The text that a JSON string stands for; the word itself if it is none."""
    with contextlib.suppress(ValueError):
        return str(json.loads(word))
    return word


def _is_no_number(token: _Token) -> bool:
    with contextlib.suppress(ValueError):
        return not math.isfinite(float(token.text))
    return False


def _is_deep(token: _Token) -> bool:
    return token.depth > MAX_DEPTH


def _is_half_pair(token: _Token) -> bool:
    return _HALF_PAIR.search(_unescaped(token.text)) is not None


def _is_long_integer(token: _Token) -> bool:
    digits = token.text.lstrip("-")
    return digits.isdecimal() and len(digits) > sys.get_int_max_str_digits()


def _check_events(events: Iterable[Any], where: str) -> None:
    """Refuse tags, aliases and depth before anything sees them that they could hurt.

    libyaml's composer is recursive and overflows the stack; a tag chooses a constructor, some of
    which raise whatever their input makes them.
    """
    import yaml

    depth = 0
    for event in events:
        place = f"{where}:{event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent):
            raise DataError(
                "YAML alias", where=place, got=f"*{event.anchor}", expected="plain data"
            )
        if getattr(event, "tag", None) is not None:
            raise DataError("YAML tag", where=place, got=event.tag, expected="plain data")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        if depth > MAX_DEPTH:
            raise _too_deep(place)


def _unique_keys(pairs: list[tuple[Any, Any]], where: str) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key, value in pairs:
        try:
            duplicate = key in result
        except TypeError as error:
            raise DataError(
                "key that is not a scalar", where=where, got=repr(key), expected="a string key"
            ) from error
        if duplicate:
            raise DataError(
                "duplicate key", where=where, got=_place(pairs, key), expected="each key once"
            )
        result[key] = value
    return result


def _repeats(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _place(pairs: list[tuple[Any, Any]], key: Any) -> str:
    """A key among its neighbours, by which people recognise the place.

    Example:
        >>> _place([("row", "mnli"), ("column", "xnli"), ("value", 1), ("value", 2)], "value")
        "'value' of row=mnli, column=xnli"
    """
    names = [
        f"{name}={text}" for name, text in pairs if isinstance(text, str) and len(text) <= _SHORT
    ][:_NEIGHBOURS]
    return f"{key!r} of {', '.join(names)}" if names else repr(key)


def _is_finite(value: Any) -> bool:
    """False for NaN, infinities and integers beyond all floats, and for lists that hold one."""
    if isinstance(value, list):
        return all(map(_is_finite, (item for item in value if isinstance(item, int | float))))
    if isinstance(value, int):
        return value.bit_length() < sys.float_info.max_exp
    return not isinstance(value, float) or math.isfinite(value)


def _not_json(where: str, got: str) -> DataError:
    return DataError("not valid JSON", where=where, got=got, expected="a JSON document")


def _too_deep(where: str) -> DataError:
    return DataError("nested too deeply", where=where, expected=f"at most {MAX_DEPTH} levels")


def _not_finite(where: str, got: str) -> DataError:
    return DataError("number that is not finite", where=where, got=got, expected="finite numbers")


def _check(value: Any, data: bytes, where: str, line_of: _LineOf) -> None:
    """Hold a document's value against the rules that no parser has."""
    # Only an escape can have brought a half in: data are UTF-8.
    halves = escapes_surrogates(data)
    # Level by level: recursion could overflow the stack before it finds the depth.
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep(line_of(_is_deep))
        for item in level:
            if not _is_finite(item):
                raise _not_finite(line_of(_is_no_number), repr(item)[:_SHORT])
            if halves and any(_HALF_PAIR.search(text) for text in _texts(item)):
                place, got = line_of(_is_half_pair), ascii(item)[:_SHORT]
                raise DataError("half a UTF-16 pair", where=place, got=got, expected="text")
        level = [child for item in level for child in _children(item)]


def _texts(value: Any) -> list[str]:
    """The texts of a value itself: its own, or its keys."""
    if isinstance(value, Mapping):
        return [key for key in value if isinstance(key, str)]
    return [value] if isinstance(value, str) else []


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def _first_line(error: BaseException) -> str:
    # Up to the semicolon: after it Python tells a programmer how to raise its limit of digits.
    return (str(error) or type(error).__name__).splitlines()[0].partition(";")[0]
