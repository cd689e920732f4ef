"""Strict reading and atomic writing of the project's JSON and YAML documents.

Python's own parsers let the last of two equal keys win, turn ``1e999`` into infinity and follow
YAML aliases without end. A verdict must not rest on such a document, so all of that is refused
here.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stilts_artifact.errors import DataError, ResourceError

# The largest document the project writes (a full Table 2 with its cells for each language) is under
# 8 MiB.
MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 64
_SHORT, _NEIGHBOURS = 40, 3  # characters and number of the values by which a message names a place
_LEADING_COMMENTS = re.compile(rb"\A(?:#[^\n]*\n)+")


def read_document(path: Path) -> bytes:
    """The bytes of a document file.

    Raises:
        DataError: the file is absent, unreadable or over :data:`MAX_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(
                "document too large",
                where=str(path),
                got=f"{size} bytes",
                expected=f"<= {MAX_BYTES}",
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            "cannot read the file", where=str(path), got=error.strerror or str(error)
        ) from error


def parse_json(data: bytes, where: str) -> Any:
    """The value of a JSON document.

    Raises:
        DataError: not UTF-8, not JSON, a duplicate key, a non-finite number, or nesting over
            :data:`MAX_DEPTH`.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, value in pairs:
            if not _is_finite(value):
                raise _not_finite(where, f"{_place(pairs, key)} is {value!r}")
        return _unique_keys(pairs, where)

    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}"
        raise DataError(
            "not valid JSON", where=place, got=error.msg, expected="a JSON document"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            "not valid JSON", where=where, got=_first_line(error), expected="a JSON document"
        ) from error
    _check_depth(value, where)
    return value


def parse_yaml(data: bytes, where: str) -> Any:
    """The value of a YAML document: plain data only, no tags, anchors or aliases.

    JSON is YAML; a document that is a JSON object below leading comments is read by the JSON
    parser, ten times faster.

    Raises:
        DataError: not YAML, an alias, a duplicate key, a non-finite number, or nesting over
            :data:`MAX_DEPTH`.
    """
    if (body := _LEADING_COMMENTS.sub(b"", data, count=1)).startswith(b"{"):
        with contextlib.suppress(
            DataError
        ):  # flow style that is not JSON; or at fault, which YAML will say by line
            return parse_json(body, where)
    import yaml

    class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """SafeLoader that refuses duplicate keys."""

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
    _check_depth(value, where)
    return value


def _check_events(events: Iterable[Any], where: str) -> None:
    """Refuse aliases, and depth before anything recursive sees it: libyaml's composer overflows the stack."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise DataError(
                "YAML alias", where=where, got=f"*{event.anchor}", expected="plain data"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        if depth > MAX_DEPTH:
            raise _too_deep(where)


def dump_json(value: Any) -> bytes:
    """Readable JSON whose bytes depend on nothing but ``value``: sorted nothing, fixed indent, final newline."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def write_atomically(path: Path, data: bytes) -> None:
    """Publish ``data`` at ``path``: readers see the old file or the new one, never a part.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        fix = (
            f"free {len(data)} bytes"
            if error.errno == errno.ENOSPC
            else "name a folder this user can write"
        )
        raise ResourceError(
            "cannot write the file", where=str(path), got=error.strerror or str(error), fix=fix
        ) from error


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
    """False for NaN and infinities, and for lists that hold one."""
    if isinstance(value, list):
        return all(_is_finite(item) for item in value if isinstance(item, float))
    return not isinstance(value, float) or math.isfinite(value)


def _too_deep(where: str) -> DataError:
    return DataError("nested too deeply", where=where, expected=f"at most {MAX_DEPTH} levels")


def _not_finite(where: str, got: str) -> DataError:
    return DataError("number that is not finite", where=where, got=got, expected="finite numbers")


def _check_depth(value: Any, where: str) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep(where)
        for item in level:
            if not _is_finite(item):
                raise _not_finite(where, repr(item)[:_SHORT])
        level = [child for item in level for child in _children(item)]


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
