"""A transformers encoder as the function from sentences to vectors that the tasks ask for."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stilts_artifact.retrieval.embed import Advance, Batching, View, embed
from stilts_artifact.retrieval.encoder import Description
from stilts_artifact.retrieval.rows import Rows
from stilts_artifact.retrieval.transformer import Transformer


@dataclass(frozen=True, slots=True, eq=False)
class TransformerSentences:
    """Embeds with one view of one encoder.

    Args:
        folder: where memory-mapped vectors may lie as long as they are used.
    """

    transformer: Transformer
    view: View
    batching: Batching
    folder: Path
    advance: Advance | None = None

    @property
    def description(self) -> Description:
        """Name, layer, pooling and the rest that a signature needs."""
        return describe(self.transformer, self.view, self.batching)

    def __call__(self, texts: Sequence[str]) -> Rows:
        """Float32 array [texts, dimensions], memory-mapped."""
        output = Path(tempfile.mkdtemp(dir=self.folder)) / "vectors.npy"
        made = embed(
            self.transformer,
            texts,
            {self.view: output},
            batching=self.batching,
            advance=self.advance,
        )
        return made[self.view]


def describe(transformer: Transformer, view: View, batching: Batching) -> Description:
    """What the vectors of a view are."""
    return Description(
        encoder=transformer.name,
        revision=transformer.revision,
        layer=view.layer,
        pooling=view.name,
        max_length=batching.max_length,
        dtype=transformer.dtype,
    )
