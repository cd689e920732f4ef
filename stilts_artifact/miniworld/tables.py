"""Text of TSV, JSON and JSON-lines files as upstream lays them out: UTF-8, line feeds only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence


def tsv(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows of tab-separated columns; no quoting, as in GLUE, XNLI and PAWS-X."""
    return "".join(["\t".join(row) + "\n" for row in rows]).encode()


def lines(rows: Iterable[str]) -> bytes:
    """One row a line."""
    return "".join([f"{row}\n" for row in rows]).encode()


_encode = json.JSONEncoder(ensure_ascii=False).encode


def jsonl(rows: Iterable[dict[str, object]]) -> bytes:
    """One JSON object a line."""
    return lines(map(_encode, rows))


def json_document(document: dict[str, object]) -> bytes:
    """One JSON object."""
    return _encode(document).encode()
