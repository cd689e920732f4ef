"""Loading an encoder: cut above the deepest layer, named by its weights, never from a pickle."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.errors import DataError
from stilts_artifact.retrieval.transformer import load_transformer
from tests.unit.retrieval.conftest import LAYERS


def test_layers_above_the_deepest_are_not_computed(tiny_xlmr: Path) -> None:
    assert len(load_transformer(tiny_xlmr, deepest=2, device="cpu").model.encoder.layer) == 2


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no encoder"):
        load_transformer(tmp_path, deepest=1)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="not an encoder"):
        load_transformer(tmp_path, deepest=1)


def test_weights_that_are_not_there_are_refused_and_not_drawn_at_random(
    tiny_xlmr: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "torn"
    shutil.copytree(tiny_xlmr, folder)
    weights = load_file(folder / "model.safetensors")
    kept = {
        name: tensor
        for name, tensor in weights.items()
        if not name.startswith(("encoder.layer.2", "pooler"))
    }
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"first encoder\.layer\.2"):
        load_transformer(folder, deepest=1, device="cpu")
    kept |= {name: tensor for name, tensor in weights.items() if name.startswith("encoder.layer.2")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_transformer(folder, deepest=1, device="cpu").layers == LAYERS


def test_the_revision_follows_the_weights(tiny_xlmr: Path, tmp_path: Path) -> None:
    import torch

    encoder = load_transformer(tiny_xlmr, deepest=LAYERS, device="cpu")
    encoder_too = load_transformer(tiny_xlmr, deepest=1, device="cpu")
    assert encoder.revision == encoder_too.revision
    with torch.no_grad():
        encoder_too.model.embeddings.word_embeddings.weight[5] += 1
    encoder_too.model.save_pretrained(tmp_path)
    encoder_too.tokenizer.save_pretrained(tmp_path)
    assert load_transformer(tmp_path, deepest=1, device="cpu").revision != encoder.revision


class _Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickled_checkpoint_is_refused_and_not_opened(tiny_xlmr: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_xlmr, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Canary(tmp_path / "canary")))
    with pytest.raises(DataError, match="no encoder there"):
        load_transformer(folder, deepest=1, device="cpu")
    assert not (tmp_path / "canary").exists()
