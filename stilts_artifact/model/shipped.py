"""The mini encoder that ships with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped_encoder() -> Path:
    """Its folder: pretrained by ``stilts-artifact pretrain``, described by the card in it."""
    return Path(str(resources.files("stilts_artifact") / "miniencoder"))
