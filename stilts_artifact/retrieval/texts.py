"""Anyone's own corpora: text files, embeddings, and the pairs mined from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stilts_artifact.documents import library_errors
from stilts_artifact.errors import DataError
from stilts_artifact.files import write_file
from stilts_artifact.retrieval.encode import SentenceEncoder
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
from stilts_artifact.retrieval.vectors import Rows


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

    Raises:
        DataError: no such file, not UTF-8, no lines, or an empty line, which has no meaning to
            embed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError("cannot read the text file", where=str(path), got=error.strerror) from error
    try:
        # Not splitlines(): U+2028, form feeds and their like occur inside sentences.
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        place = f"{path}:{data.count(bytes([10]), 0, error.start) + 1}"
        raise DataError(
            "not UTF-8", where=place, got=error.reason, fix="convert the file to UTF-8"
        ) from error
    # A newline at the end closes the last line and opens none.
    texts = tuple(line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1]))
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise DataError(
                "empty line",
                where=f"{path}:{number}",
                expected="one sentence a line",
                fix="delete it",
            )
    if not texts:
        raise DataError(
            "no sentences", where=str(path), got="an empty file", expected="one sentence a line"
        )
    return texts


def read_embeddings(path: Path) -> Rows:
    """A matrix from a .npy file, memory-mapped.

    Raises:
        DataError: no such file, or not a plain .npy matrix.
    """
    with library_errors(DataError, "not a .npy file of embeddings", str(path), "one matrix"):
        # Mapped, as matrices may exceed memory; no pickle, which would run code.
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(rows, np.ndarray):
        rows.close()
        raise DataError(
            "not a .npy file of embeddings",
            where=str(path),
            got="an .npz archive",
            expected="one matrix",
        )
    return rows


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
        # Copies have equal embeddings, whatever encoder made them: the first stands for all.
        return side.rows[[places[0] for places in known.places]]
    if known is None or encode is None:
        raise DataError("neither embeddings nor an encoder", where=side.name)
    return encode(known.texts)


def write_pairs(
    path: Path, pairs: Pairs, source: Sequence[str] | None, target: Sequence[str] | None
) -> None:
    """Write score, both indices (0-based), and both sentences where known; best pair first.

    Columns are tab-separated, so a tab inside a sentence becomes a space.

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
            columns += (text.replace("\t", " ") for text in (source[left], target[right]))
        lines.append("\t".join(columns) + "\n")
    write_file(path, "".join(lines).encode())
