"""Damage of every sort to a file's bytes: what disks, editors, spreadsheets and forgers do."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

DIGITS = "9" * 5000  # more than int() converts
# In place of a word of a text: what parsers raise beside their documented errors for.
WORDS = [
    DIGITS,
    f"-{DIGITS}",
    "1e999",
    "-0.0",
    "1e-999",
    "nan",
    "NaN",
    "Infinity",
    ".inf",
    ".nan",
    "null",
    "~",
    "true",
    "0x10",
    "0o17",
    "1_0",
    "007",
    "+5",
    " 12 ",
    "\u0664\u0662",  # digits of another script, which int() takes
    "2020-13-45",
    "2020-02-30T25:61:61Z",
    "12:30:99",
    "[]",
    "{}",
    '""',
    '"\\ud800"',
    '"\\u0000"',
    "[" * 200,
    "[" * 3000,
    "{" * 200,
    "- " * 200,
    "!!python/object/apply:os.system [true]",
    "!!binary x",
    "!!timestamp x",
    "!!int x",
    "&a [*a]",
    "*a",
    "<<: *a",
    "? [1]",
    "---",
    "%YAML 9.9",
    "\ufeff",
    "\u2028",
    "\u202e",
    "\x1b[2J",
    "\r",
    "\r\n",
    "\t",
    "\n",
    "\0",
    ",",
    '"',
    "'",
    "\\",
    "../../x",
    "/etc/passwd",
    "x" * 300,
    "A" * 200_000,  # longer than csv's largest field
    "",
]
# In place of a value of a document: of every type, and none that fits.
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**64,
    10**400,
    -0.0,
    1e308,
    5e-324,
    "",
    "0",
    "nan",
    "x" * 5000,
    "\0",
    "\u202e",
    "../x",
    [],
    {},
    [[]],
    [None],
    [1, "a", None],
    {"": None},
    {"a": {"b": []}},
]
_WORD = re.compile(rb"[\w.+-]+")


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to four faults in them."""
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        data = chance.choice(_FAULTS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    if damaged:
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randint(1, 8)) + data[at + 4 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
    return chance.choice([data[:start], data[start:], data[:start] + data[end:]])


def _lines(data: bytes, chance: random.Random) -> bytes:
    """Drop, repeat, swap or join lines."""
    lines = data.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case _:
            lines[one : one + 2] = [b"".join(lines[one : one + 2])]
    return b"\n".join(lines)


def _line_ends(data: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        [
            data.replace(b"\n", b"\r\n"),
            data.replace(b"\n", b"\r"),
            b"\xef\xbb\xbf" + data,
            data.rstrip(b"\n"),
            data + b"\n\n",
            data + b"\0" * 512,
            data.decode("utf-8", "replace").encode("utf-16"),
            data.decode("utf-8", "replace").encode("latin-1", "replace"),
        ]
    )


def _word(data: bytes, chance: random.Random) -> bytes:
    """Put a hostile word, or another of the file's, in the place of one."""
    places = list(_WORD.finditer(data))
    if not places:
        return data + chance.choice(WORDS).encode()
    place, other = chance.choice(places), chance.choice(places)
    new = other[0] if chance.random() < 0.2 else chance.choice(WORDS).encode()
    return data[: place.start()] + new + data[place.end() :]


def _insertion(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(WORDS).encode() + data[at:]


def _value(data: bytes, chance: random.Random) -> bytes:
    """Change the type of a value, or drop, add or rename a key of a JSON document."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _word(data, chance)
    holders = list(_holders(document))
    if not holders:
        return json.dumps(chance.choice(VALUES)).encode()
    holder = chance.choice(holders)
    key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match chance.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[chance.choice(["", "x", key.upper(), "__class__", "\u202e"])] = holder.pop(key)
        case 2 if isinstance(holder, list):
            holder.insert(0, holder[key])
        case _:
            holder[key] = chance.choice(VALUES)
    return json.dumps(document, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _holders(value: Any) -> Iterator[Any]:
    """Every list and object of a document that holds something."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from _holders(child)


_FAULTS: list[Callable[[bytes, random.Random], bytes]] = [
    _flip,
    _overwrite,
    _cut,
    _lines,
    _line_ends,
    _word,
    _word,
    _insertion,
    _value,
    _value,
]
