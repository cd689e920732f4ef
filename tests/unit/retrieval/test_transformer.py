"""Loading an encoder: cut above the deepest layer, named by its weights, never from a pickle."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.errors import IntegrityError, MissingDataError
from stilts_artifact.model.manifest import FILES, OPTIONAL
from stilts_artifact.retrieval.encode import Batching, View, embed
from stilts_artifact.retrieval.transformer import load_transformer
from tests.unit.model.classes import CLASSES, SIZES, TEXTS, make_encoder
from tests.unit.retrieval.conftest import LAYERS


def test_layers_above_the_deepest_are_not_computed(tiny_xlmr: Path) -> None:
    assert len(load_transformer(tiny_xlmr, deepest=2, device="cpu").model.encoder.layer) == 2


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="not the folder of an encoder"):
        load_transformer(tmp_path, deepest=1)
    for name in FILES:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(IntegrityError, match="not a model configuration"):
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
    with pytest.raises(IntegrityError, match=r"lacks the weights encoder\.layer\.2"):
        load_transformer(folder, deepest=1, device="cpu")
    kept |= {name: tensor for name, tensor in weights.items() if name.startswith("encoder.layer.2")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_transformer(folder, deepest=1, device="cpu").layers == LAYERS


@pytest.mark.slow
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
    with pytest.raises(MissingDataError, match=r"pytorch_model\.bin, a pickle"):
        load_transformer(folder, deepest=1, device="cpu")
    assert not (tmp_path / "canary").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_any_class_is_embedded_as_transformers_computes_it(tmp_path: Path, name: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder, last = make_encoder(name, tmp_path / name), SIZES["num_hidden_layers"]
    view = View(last)
    texts = [TEXTS[0], "Это дом"]
    loaded = load_transformer(folder, deepest=last, device="cpu")
    made = embed(loaded, texts, {view: tmp_path / "x.npy"}, batching=Batching(max_length=200))[view]
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for row, text in zip(made, texts, strict=True):
        inputs = tokenizer([text], return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            states = model.eval()(**inputs).last_hidden_state
        assert row == pytest.approx(states[0].mean(0).numpy(), abs=1e-5)


def test_a_bert_with_xlmrs_pieces_and_nothing_but_tokenizer_json_is_read_by_that_file(
    tmp_path: Path,
) -> None:
    from tokenizers import Tokenizer

    folder = make_encoder("minilm", tmp_path / "minilm")
    for name in OPTIONAL:
        (folder / name).unlink(missing_ok=True)
    tokenizer = load_transformer(folder, deepest=1, device="cpu").tokenizer
    file = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in TEXTS[:5]:
        assert tokenizer(text)["input_ids"] == file.encode(text).ids
    assert (tokenizer.pad_token, tokenizer.unk_token) == ("<pad>", "<unk>")
