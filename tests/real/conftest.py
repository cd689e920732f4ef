"""A real multilingual encoder, unpacked once for all tests of the folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def unpack(packed: Path, out: Path, form: str) -> Path:
    """The encoder as a user would bring it: as transformers reads it, without a manifest."""
    command = [sys.executable, str(packed / "make.py"), str(out), "--form", form]
    subprocess.run(command, check=True, capture_output=True)
    return out


@pytest.fixture(scope="session")
def real_encoder(packed_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the encoder as an XLM-R: 118 M parameters, XLM-R's vocabulary, no pooler."""
    return unpack(packed_encoder, tmp_path_factory.mktemp("real") / "xlm-roberta", "xlm-roberta")


@pytest.fixture(scope="session")
def real_bert(packed_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same encoder as a BERT."""
    return unpack(packed_encoder, tmp_path_factory.mktemp("real") / "bert", "bert")
