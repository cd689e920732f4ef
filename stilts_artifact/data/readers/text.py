r"""What every text format shares: strict decoding, lines that end in ``\n`` only, rows of cells.

Every error names ``file:line``, what was found and what was expected.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence

from stilts_artifact.documents import line_at
from stilts_artifact.errors import DataError

# Spreadsheets put it in front of what they save.
BOM = b"\xef\xbb\xbf"
UNCHANGED = (
    "take the file exactly as its publisher distributes it (`stilts-artifact fetch`); "
    "if it is your own, mend it"
)
# Blank or without a shape, though Unicode counts them among letters, symbols and marks: the fillers
# of Hangul, the empty Braille pattern, joiners and variation selectors.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0").union(
    map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)
# Fewer labels may all agree by chance: two even classes do once in 500,000 files of this size.
BLINDED_FROM = 20


def decode(data: bytes, where: str, *, crlf: bool = False) -> str:
    r"""Decode a whole file as UTF-8, refusing what editors, spreadsheets or bad copies left.

    A byte order mark *inside* the text is data (XQuAD has contexts that begin with U+FEFF); at the
    start of a file no upstream format has one. A file most of whose lines end in ``\r\n`` was
    converted; a stray ``\r`` is data.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        crlf: allow ``\r\n``; only Cosmos QA's csv and NTREX have it upstream.

    Raises:
        DataError: empty file, byte order mark, invalid UTF-8, NUL or converted line ends.
    """
    if not data:
        raise DataError(
            "the file is empty",
            where=where,
            got="0 bytes",
            expected="at least one record",
            fix=UNCHANGED,
        )
    if data.startswith(BOM):
        raise DataError(
            "the file begins with a byte order mark (BOM)",
            where=f"{where}:1",
            got="U+FEFF",
            expected="the first character of the first record",
            fix=UNCHANGED,
        )
    _refuse_byte(data, b"\0", where, "NUL byte in a text file")
    # Most lines, not any: a sentence may hold a stray CRLF of its own.
    if not crlf and 2 * data.count(b"\r\n") > data.count(b"\n"):
        _refuse_byte(data, b"\r\n", where, "the file was converted to Windows line ends (CRLF)")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            "invalid UTF-8",
            where=f"{where}:{line_at(data, error.start)}",
            got=f"byte 0x{data[error.start]:02x} at offset {error.start} ({error.reason})",
            expected="UTF-8 text",
            fix=UNCHANGED,
        ) from error


def _refuse_byte(data: bytes, pattern: bytes, where: str, what: str) -> None:
    offset = data.find(pattern)
    if offset >= 0:
        got, place = f"{pattern!r} at offset {offset}", f"{where}:{line_at(data, offset)}"
        raise DataError(
            what, where=place, got=got, expected=r"UTF-8 text whose lines end in \n", fix=UNCHANGED
        )


def numbered_lines(data: bytes, where: str, *, crlf: bool = False) -> Iterator[tuple[str, str]]:
    r"""Yield (``file:line``, line) for every line; the last may lack its newline.

    Where the format has ``crlf``, a carriage return at the end of a line belongs to its end.

    Splits at ``\n`` only: U+2028, U+0085 or a vertical tab inside a sentence is part of the
    sentence (``str.splitlines`` would cut there and shift every line after it).

    Example:
        >>> list(numbered_lines("a\u2028b\nc".encode(), "f"))
        [('f:1', 'a\u2028b'), ('f:2', 'c')]
    """
    lines = decode(data, where, crlf=crlf).split("\n")
    # A newline at the end closes the last line and opens none.
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        yield f"{where}:{number}", line.removesuffix("\r") if crlf else line


def rows(data: bytes, where: str, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (``file:line``, cells) of a tab-separated file without header; quotes mean nothing.

    Raises:
        DataError: a row with another number of cells than ``columns``; see also :func:`decode`.
    """
    for place, line in numbered_lines(data, where):
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise _wrong_width(place, len(cells), columns)
        yield place, cells


def table(
    data: bytes, where: str, columns: Sequence[str], *, cut_rows: int = 0
) -> Iterator[tuple[str, list[str]]]:
    """Yield (``file:line``, the cells of ``columns``) of a tab-separated file with a header.

    Columns are found by name, since train and dev files of one benchmark have different numbers of
    them.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        columns: names of the columns to yield.
        cut_rows: how many rows with too few cells the publisher's file is known to have; so many
            are left out.

    Raises:
        DataError: a column that the header lacks or repeats, a row with another number of cells
            than the header, or no row at all; see also :func:`decode`.
    """
    lines = numbered_lines(data, where)
    place, first = next(lines)
    header = first.split("\t")
    # Exactly one: of two columns with one name, neither can be trusted.
    missing = [name for name in columns if header.count(name) != 1]
    if missing:
        raise DataError(
            f"the header does not have exactly one column {', '.join(map(repr, missing))}",
            where=place,
            got=", ".join(map(shown, header)),
            expected=", ".join(columns),
            fix=UNCHANGED,
        )
    wanted = [header.index(name) for name in columns]
    empty = True
    for place, line in lines:
        cells = line.split("\t")
        # Only rows that are too short: one too long was never cut.
        if len(cells) < len(header) and cut_rows > 0:
            cut_rows -= 1
            continue
        if len(cells) != len(header):
            raise _wrong_width(place, len(cells), header)
        empty = False
        yield place, [cells[index] for index in wanted]
    if empty:
        raise DataError(
            "the table has a header and no rows",
            where=place,
            got="0 rows",
            expected="at least one row",
        )


def _wrong_width(place: str, width: int, columns: Sequence[str]) -> DataError:
    if width < len(columns):
        what = f"missing columns: {', '.join(columns[width:])}"
    else:
        what = f"{width - len(columns)} extra columns after '{columns[-1]}'"
    expected = f"{len(columns)} columns separated by tabs: {', '.join(columns)}"
    return DataError(what, where=place, got=f"{width} columns", expected=expected, fix=UNCHANGED)


def label(raw: str, allowed: Mapping[str, str], place: str) -> str:
    """Return the benchmark's name of an upstream label.

    Args:
        raw: the label as the file has it.
        allowed: upstream label -> our label.
        place: ``file:line`` of the label.

    Raises:
        DataError: a label outside ``allowed``.
    """
    try:
        return allowed[raw]
    except KeyError:
        expected = " or ".join(map(repr, allowed))
        raise DataError(
            "label outside its set", where=place, got=shown(raw), expected=expected
        ) from None


def refuse_empty(cells: Sequence[str], columns: Sequence[str], place: str) -> None:
    """Refuse cells in which nothing stands: of a line's columns each must say something.

    Raises:
        DataError: naming the column.
    """
    for cell, column in zip(cells, columns, strict=True):
        if not cell.strip():
            raise DataError(f"empty {column}", where=place, got=repr(cell), expected=column)


def refuse_blinded(labels: Collection[object], where: str) -> None:
    """Refuse labels that are one and the same throughout: they are blinded.

    XTREME's download script deletes test labels and puts a placeholder in their place, so every
    system scores its share of that label (github.com/google-research/xtreme/issues/24: XNLI
    accuracy 0.33).

    Raises:
        DataError: more than :data:`BLINDED_FROM` labels, all the same.
    """
    if len(labels) > BLINDED_FROM and len(set(labels)) == 1:
        constant = next(iter(labels))
        raise DataError(
            "blinded labels: every label is the same, as XTREME's download script leaves them",
            where=where,
            got=f"{len(labels)} labels, all {shown(str(constant))}",
            expected="true labels, which the publisher's own file has "
            "(XTREME removed them from its copy)",
            fix=UNCHANGED,
        )


def is_unseen(character: str) -> bool:
    r"""Whether a character shows nothing: white space, controls, and such as a zero-width space.

    Example:
        >>> [is_unseen(character) for character in "a\u200b\u00a0\t\u0301"]
        [False, True, True, True, False]
    """
    return (
        character.isspace()
        or character in _BLANK
        or unicodedata.category(character) in ("Cc", "Cf")
    )


def shown(text: str, limit: int = 80) -> str:
    """``repr`` of a text, cut to ``limit`` characters for an error message."""
    return repr(text) if len(text) <= limit else f"{text[:limit]!r}... ({len(text)} characters)"
