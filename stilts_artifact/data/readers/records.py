"""JSON and JSON lines, parsed strictly: what others would repair or guess is an error here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

from stilts_artifact.data.readers.text import UNCHANGED, decode, numbered_lines, shown
from stilts_artifact.errors import DataError

Field = TypeVar("Field", str, int, bool, list[Any], dict[str, Any])
Record = dict[str, Any]

_NAMES = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


# NUL ends a string in C code; half of a surrogate pair is no character.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class _NotStrict(ValueError):
    """Valid for Python's json module, not for us."""


def _unique(pairs: list[tuple[str, Any]]) -> Record:
    # Of two equal keys json would keep the last, without a word.
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _NotStrict(
            f"key {next(key for key in keys if keys.count(key) > 1)!r} twice in one object"
        )
    return record


def _refuse_constant(name: str) -> NoReturn:
    # NaN and Infinity are an extension that other parsers refuse.
    raise _NotStrict(f"the constant {name}, which is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _parse(text: str, place: str, where: str | None = None) -> Any:
    """Parse one JSON text; ``where`` (a file) replaces ``place`` if the error knows its line."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        # An error at the very end means that the rest was lost.
        cut = "; the end of the text is missing" if error.pos >= len(text.rstrip()) else ""
        raise DataError(
            "invalid JSON",
            where=place if where is None else f"{where}:{error.lineno}",
            got=f"{error.msg} at column {error.colno}{cut}",
            expected="one complete JSON value",
            fix=UNCHANGED,
        ) from error
    # A few thousand brackets are enough, in a file of a few kilobytes.
    except RecursionError:
        got, expected = "more levels than the parser follows", "the few levels of its format"
        raise DataError("JSON nested too deeply", where=place, got=got, expected=expected) from None
    except ValueError as error:  # _NotStrict, or an integer too long for Python to convert
        raise DataError(
            "JSON that is not strict", where=place, got=str(error), expected="strict JSON"
        ) from error


def parse_document(data: bytes, where: str) -> tuple[Record, str]:
    """Parse a file that is one JSON object; return it and its text.

    Raises:
        DataError: not UTF-8, not JSON, cut short, a key twice in one object, NaN or Infinity,
            nested too deeply, or not an object.
    """
    text = decode(data, where)
    return _object(_parse(text, f"{where}:1", where), f"{where}:1"), text


def parse_lines(data: bytes, where: str) -> Iterator[tuple[str, Record]]:
    """Yield (``file:line``, object) of a file with one JSON object per line.

    Raises:
        DataError: as :func:`parse_document`, for the line in question.
    """
    for place, line in numbered_lines(data, where):
        yield place, _object(_parse(line, place), place)


def _object(value: Any, place: str) -> Record:
    if not isinstance(value, dict):
        raise DataError(
            "not a JSON object",
            where=place,
            got=f"{type(value).__name__}",
            expected="an object {...}",
        )
    return value


def field(record: object, name: str, kind: type[Field], place: str) -> Field:
    """Return ``record[name]``, which must be of type ``kind``; text must be encodable, without NUL.

    Raises:
        DataError: ``record`` is no object, or the field is missing or of another type.
    """
    if not isinstance(record, dict):
        raise DataError(
            "not a JSON object",
            where=place,
            got=shown(str(record)),
            expected=f"an object with '{name}'",
        )
    if name not in record:
        got = ", ".join(map(shown, sorted(record))) or "no fields"
        raise DataError(
            f"missing field '{name}'", where=place, got=got, expected=f"'{name}': {_NAMES[kind]}"
        )
    value = record[name]
    # type() and not isinstance(): true is an int for Python, not for JSON
    if type(value) is not kind:
        got = f"'{name}': {shown(json.dumps(value))}"
        raise DataError(
            f"field '{name}' has the wrong type", where=place, got=got, expected=_NAMES[kind]
        )
    if type(value) is str:
        _check_text(value, name, place)
    return value


def _check_text(value: str, name: str, place: str) -> None:
    """An escape such as ``\\ud800`` yields half a character, which no tokeniser can take."""
    bad = _NO_TEXT.search(value)
    if bad is not None:
        got = f"U+{ord(bad[0]):04X} in '{name}'"
        raise DataError(
            "a character that no text may hold",
            where=place,
            got=got,
            expected="Unicode text without NUL",
        )
