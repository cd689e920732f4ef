"""A tiny XLM-R with random weights, and encoders that need no weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from stilts_artifact.retrieval.encode import Description

LAYERS = 4


class HashEncoder:
    """Counts of hashed character trigrams: deterministic, and near for texts that share words."""

    description = Description(
        encoder="trigrams",
        revision=None,
        layer=None,
        pooling=None,
        max_length=None,
        dtype="float32",
    )

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        self.calls.append(tuple(texts))
        vectors = np.zeros((len(texts), 512), np.float32)
        for line, text in enumerate(texts):
            wide = f"  {text} "
            for start in range(len(wide) - 2):
                vectors[line, crc32(wide[start : start + 3].encode()) % 512] += 1
        return vectors


@pytest.fixture
def hash_encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="session")
def tiny_xlmr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an XLM-R with 4 layers of 16 dimensions, letters as vocabulary, random weights."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("encoder") / "tiny-xlmr"
    pieces = ["▁", *"abcdefghijklmnopqrstuvwxyz", "▁the", "ing"]
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(piece, -float(rank)) for rank, piece in enumerate(pieces, 1)] + [
        ("<mask>", 0.0)
    ]
    tokenizer = transformers.XLMRobertaTokenizer(vocab=vocabulary)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
        initializer_range=0.5,  # so that layers differ
    )
    torch.manual_seed(0)
    transformers.XLMRobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
