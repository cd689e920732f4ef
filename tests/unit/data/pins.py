"""Pinned sources made from the bytes a test wants them to have."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from stilts_artifact.domain.tasks import Member, Source


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pinned(
    data: bytes,
    *urls: str,
    name: str = "corpus.tsv",
    members: Mapping[str, bytes] | None = None,
    complete: tuple[str, ...] = (),
) -> Source:
    """A source whose pin is the size and sha256 of ``data``."""
    known = tuple(
        Member(path, len(content), sha256(content)) for path, content in (members or {}).items()
    )
    return Source(
        name, urls, len(data), sha256(data), "CC0", "Ask the author.", "this test", known, complete
    )


def unpinned(name: str) -> Source:
    return Source(name, (), None, None, "licensed", "Buy it.", "nobody")
