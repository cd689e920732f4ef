"""Anyone's own corpora: text files, embeddings, and the pairs mined from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stilts_artifact.data.readers.text import is_unseen
from stilts_artifact.documents import library_errors
from stilts_artifact.errors import DataError
from stilts_artifact.files import open_regular, write_file
from stilts_artifact.retrieval.encode import PlaceOf, SentenceEncoder
from stilts_artifact.retrieval.knn import Search
from stilts_artifact.retrieval.mine import (
    Distinct,
    Duplicates,
    Mining,
    Pairs,
    distinct,
    expand,
    mine,
)
from stilts_artifact.retrieval.vectors import Rows, norms

_NPY = b"\x93NUMPY"
_MATRIX = "one matrix of floats, as numpy.save writes it"
# Where some reader of tables or of text ends a column or a line.
_ENDS = str.maketrans(dict.fromkeys("\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029", " "))


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """One side: its texts, its embeddings, or both, line for row.

    Args:
        name: for errors.
        texts: one for each line; ``None`` where only embeddings are given.
        rows: array [lines, dimensions]; ``None`` where the texts have yet to be embedded.
    """

    name: str
    texts: tuple[str, ...] | None
    rows: Rows | None

    def __post_init__(self) -> None:
        if self.texts is not None and self.rows is not None and len(self.texts) != len(self.rows):
            got = f"{len(self.texts):,} lines and {len(self.rows):,} embeddings"
            raise DataError("texts and embeddings differ in number", where=self.name, got=got)

    def __len__(self) -> int:
        return len(
            self.texts if self.texts is not None else self.rows if self.rows is not None else ()
        )


def read_texts(path: Path) -> tuple[str, ...]:
    r"""Sentences of a UTF-8 file, one a line; a byte order mark and ``\r\n`` are no part of them.

    Lines end at ``\n`` and ``\r\n`` only: a lone ``\r`` and its like are part of a sentence.

    Raises:
        DataError: no such file, not UTF-8, no lines, or a line without a visible character, which
            has no meaning to embed.
    """
    texts = read_lines(path)
    for number, text in enumerate(texts, 1):
        if all(map(is_unseen, text)):
            raise DataError(
                "empty line" if not text.strip() else "a line without a visible character",
                where=f"{path}:{number}",
                got=ascii(text),
                expected="one sentence a line",
                fix="delete it, and its embedding if it has one",
            )
    if not texts:
        raise DataError(
            "no sentences", where=str(path), got="an empty file", expected="one sentence a line"
        )
    return texts


def read_lines(path: Path) -> tuple[str, ...]:
    """Lines of a UTF-8 file, as :func:`read_texts` tells them apart.

    Raises:
        DataError: no such file, or not UTF-8.
    """
    try:
        with open_regular(path) as file:
            data = file.read()
    except OSError as error:
        got = error.strerror or str(error)
        raise DataError("cannot read the text file", where=str(path), got=got) from error
    try:
        # Not splitlines(): U+2028, form feeds and their like occur inside sentences.
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        place = f"{path}:{data.count(bytes([10]), 0, error.start) + 1}"
        raise DataError(
            "not UTF-8", where=place, got=error.reason, fix="convert the file to UTF-8"
        ) from error
    # A newline at the end closes the last line and opens none.
    return tuple(line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1]))


def read_embeddings(path: Path) -> Rows:
    """A matrix from a .npy file, memory-mapped.

    Raises:
        DataError: no such file, not a plain .npy matrix of floats, or a row without a direction.
    """
    with library_errors(DataError, "not a .npy file of embeddings", str(path), _MATRIX):
        with open_regular(path) as file:
            start = file.read(len(_NPY))
        if start != _NPY:
            raise _no_embeddings(path, *_without_header(path, start))
        # Mapped, as matrices may exceed memory; no pickle, which would run code.
        rows: np.memmap[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        surplus = path.stat().st_size - rows.offset - rows.nbytes
    if surplus:
        # A second matrix, say, which would be passed over in silence.
        raise _no_embeddings(path, f"{surplus:,} bytes behind the matrix")
    # Here, where rows are those of the file, and before anything is embedded or searched.
    norms(rows, str(path))
    return rows


def _no_embeddings(path: Path, got: str, fix: str | None = None) -> DataError:
    return DataError(
        "not a .npy file of embeddings", where=str(path), got=got, expected=_MATRIX, fix=fix
    )


def _without_header(path: Path, start: bytes) -> tuple[str, str | None]:
    """What a file is that numpy.save did not write, and how it becomes one that it did."""
    if start.startswith(b"PK"):
        return "an .npz archive", None
    size = path.stat().st_size
    if size == 0 or size % 4:
        return f"no .npy header ({size:,} bytes)", None
    # LASER's own scripts write the bare numbers.
    numbers = f"numpy.fromfile({str(path)!r}, 'float32').reshape(-1, DIMENSIONS)"
    target = str(path.with_suffix(".npy") if path.suffix != ".npy" else path.with_suffix(".2.npy"))
    return (
        "no .npy header",
        f"if these are bare float32 numbers: numpy.save({target!r}, {numbers})",
    )


def read_corpus(name: str, text: Path | None, rows: Path | None) -> Corpus:
    """One side from its files.

    Args:
        name: for errors where there is no file.

    Raises:
        DataError: a file cannot be read, or the two differ in number.
    """
    return Corpus(
        str(text or rows or name),
        None if text is None else read_texts(text),
        None if rows is None else read_embeddings(rows),
    )


def mine_corpora(
    source: Corpus,
    target: Corpus,
    encode: SentenceEncoder | None,
    *,
    mining: Mining,
    duplicates: Duplicates,
    search: Search,
) -> tuple[Pairs, int]:
    """Mine two corpora; equal texts count as one, where texts are known.

    Returns:
        Pairs of lines (0-based), best first, and how many lines the duplicates policy affected.

    Raises:
        DataError, ConfigError, ResourceError: as :func:`stilts_artifact.retrieval.mine.mine`.
    """
    sides = [distinct(side.texts) if side.texts is not None else None for side in (source, target)]
    rows = [_rows(side, known, encode) for side, known in zip((source, target), sides, strict=True)]
    pairs = mine(rows[0], rows[1], mining, search)
    left, right = (
        known if known is not None else _each(len(side))
        for side, known in zip((source, target), sides, strict=True)
    )
    return expand(pairs, left, right, duplicates), left.repeated + right.repeated


def _each(count: int) -> Distinct:
    """Lines of unknown text: each by itself."""
    return Distinct(("",) * count, tuple((place,) for place in range(count)))


def _rows(side: Corpus, known: Distinct | None, encode: SentenceEncoder | None) -> Rows:
    """One embedding for each distinct text."""
    if side.rows is not None:
        if known is None or known.repeated == 0:
            return side.rows
        # One encoder gives copies equal embeddings. Where they differ, that of the last one stands
        # for all, as in the paper's library, XTREME and LASER: see Distinct.
        return side.rows[[places[-1] for places in known.places]]
    if known is None or encode is None:
        raise DataError("neither embeddings nor an encoder", where=side.name)
    return encode(known.texts)


def places_of(*corpora: Corpus) -> PlaceOf:
    """Where a text stands first: ``file:line``."""

    def place_of(text: str) -> str:
        return next(
            f"{side.name}:{side.texts.index(text) + 1}"
            for side in corpora
            if side.texts is not None and text in side.texts
        )

    return place_of


def count_cut(cut: Collection[str], texts: Sequence[str] | None) -> int:
    """How many of the sentences were embedded without their ends, copies counted each.

    Args:
        cut: the texts that were.
    """
    return sum(text in cut for text in texts or ())


def write_pairs(
    path: Path, pairs: Pairs, source: Sequence[str] | None, target: Sequence[str] | None
) -> None:
    """Write score, both indices (0-based), and both sentences where known; best pair first.

    Columns are tab-separated: tabs inside a sentence become spaces, and so does every character at
    which some reader ends a line (carriage return, U+2028 and the like).

    Raises:
        ResourceError: the file cannot be written.
    """
    lines = []
    for score, left, right in zip(
        pairs.scores.tolist(), pairs.source.tolist(), pairs.target.tolist(), strict=True
    ):
        # repr: the shortest text that reads back as the same number, so that thresholds hold.
        columns = [repr(score), str(left), str(right)]
        if source is not None and target is not None:
            columns += (text.translate(_ENDS) for text in (source[left], target[right]))
        lines.append("\t".join(columns) + "\n")
    write_file(path, "".join(lines).encode())
