"""What a signature says of the encoder that ran, where it was the pinned one of its scale."""

from __future__ import annotations

from functools import cache

from stilts_artifact.benchmark.encoders import pin_of
from stilts_artifact.config.load import load_scale


@cache  # asked once for each of a table's hundreds of cells
def made_by_pinned(scale: str) -> dict[str, str]:
    """Fields of a signature; none at a scale without a public encoder."""
    encoder = load_scale(scale).encoder
    pin = pin_of(encoder.name, encoder.revision)
    # Of an encoder without a public sha256, the bytes that ran are some bytes.
    return {} if pin is None else {"weights": "c" * 64, "checkpoint": "d" * 12} | pin.signed
