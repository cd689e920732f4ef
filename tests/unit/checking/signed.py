"""What a signature says of the encoder that ran, where it was the pinned one of its scale."""

from __future__ import annotations

from stilts_artifact.benchmark.encoders import PINNED, fingerprint, pinned_as
from stilts_artifact.config.load import load_scale


def made_by_pinned(scale: str) -> dict[str, str]:
    """Fields of a signature; none at a scale without a public encoder."""
    encoder = load_scale(scale).encoder
    key = pinned_as(encoder.name, encoder.revision)
    if key is None:
        return {}
    pin = PINNED[key]
    return {
        "encoder": pin.repository,
        "revision": pin.revision[:12],
        "weights": pin.weights,
        "checkpoint": fingerprint(pin.files)[:12],
    }
