"""One tiny encoder for all tests of the folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.model.tiny import make_tiny

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.model.loading import Encoder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained encoder; not to be changed."""
    return make_tiny(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def encoder(tiny: Path) -> Encoder:
    """That encoder, loaded."""
    from stilts_artifact.model.loading import load_encoder

    return load_encoder(tiny)


@pytest.fixture(scope="session")
def tokenizer(encoder: Encoder) -> PreTrainedTokenizerFast:
    """Its tokenizer."""
    return encoder.tokenizer
