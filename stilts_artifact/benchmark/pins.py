"""Sizes and sha256 of upstream files: one tab-separated table a benchmark, read when needed."""

from __future__ import annotations

from dataclasses import dataclass

from stilts_artifact.documents import whole_number
from stilts_artifact.errors import ConfigError

HEADER = ("name", "bytes", "sha256")


@dataclass(frozen=True, slots=True)
class Pin:
    """What the bytes of a file must be."""

    bytes: int
    sha256: str


def read_pins(table: str) -> dict[str, Pin]:
    """The pins in the file ``table`` beside this module, by source name or ``archive!member``.

    Raises:
        ConfigError: the file is absent, or :func:`parse_pins` refuses it.
    """
    # Imported where it is used: the command line starts without it.
    from importlib.resources import files

    try:
        text = files(__package__).joinpath(table).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        fix = (
            "run: python -m stilts_artifact.miniworld.pin"
            if table.startswith("mini")
            else "install the package anew"
        )
        raise ConfigError(
            "table of pins is absent", where=f"stilts_artifact/benchmark/{table}", fix=fix
        ) from error
    return parse_pins(text, table)


def parse_pins(text: str, where: str) -> dict[str, Pin]:
    r"""The pins in a tab-separated table with the header ``name bytes sha256``.

    Raises:
        ConfigError: another header, a row of another form, a name given twice.

    Example:
        >>> table = "name\tbytes\tsha256\na.zip\t7\t" + 64 * "0" + "\n"
        >>> parse_pins(table, "pins.tsv")["a.zip"].bytes
        7
    """
    header, *rows = (tuple(line.split("\t")) for line in text.split("\n"))
    if header != HEADER:
        raise ConfigError(
            "not a table of pins", where=f"{where}:1", got=repr(header), expected=repr(HEADER)
        )
    pins: dict[str, Pin] = {}
    # A newline at the end closes the last line and opens none.
    for number, row in enumerate(rows[:-1] if rows[-1:] == [("",)] else rows, start=2):
        size = whole_number(row[1]) if len(row) == len(HEADER) else None
        if size is None or not _is_sha256(row[2]):
            raise ConfigError(
                "not a pin",
                where=f"{where}:{number}",
                got=repr(row),
                expected="name, bytes, sha256",
            )
        if row[0] in pins:
            raise ConfigError("file pinned twice", where=f"{where}:{number}", got=row[0])
        pins[row[0]] = Pin(size, row[2])
    return pins


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
