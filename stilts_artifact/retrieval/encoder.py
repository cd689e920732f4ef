"""What the retrieval tasks ask of an encoder: vectors, and what to call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stilts_artifact import __version__
from stilts_artifact.domain.signature import Signature
from stilts_artifact.retrieval.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Everything about an encoder that a signature names; see :class:`Signature`."""

    encoder: str
    revision: str | None
    layer: int | None
    pooling: str | None
    max_length: int | None
    dtype: str


class SentenceEncoder(Protocol):
    """A function from sentences to vectors."""

    @property
    def description(self) -> Description:
        """What the vectors are."""

    def __call__(self, texts: Sequence[str]) -> Rows:
        """Array [texts, dimensions], in the order of the texts."""


def sign(
    description: Description, *, task: str, split: str, language: str, **fields: Any
) -> Signature:
    """The signature of a retrieval score; ``fields`` are further fields of :class:`Signature`."""
    return Signature(
        task=task,
        split=split,
        languages=(language,),
        encoder=description.encoder,
        revision=description.revision,
        layer=description.layer,
        pooling=description.pooling,
        max_length=description.max_length,
        dtype=description.dtype,
        version=__version__,
        **fields,
    )
