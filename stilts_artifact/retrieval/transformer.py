"""A transformers encoder from a folder: its model, its tokenizer, and where it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from stilts_artifact.documents import library_errors
from stilts_artifact.errors import ConfigError, DataError

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

_HASHED = 1 << 22  # bytes read at a time


@dataclass(frozen=True, slots=True, eq=False)
class Transformer:
    """A loaded encoder.

    Args:
        name, revision: folder name, and the start of the sha256 of its weights.
        tokenizer, model: as transformers loads them; the model computes no layer beyond the deepest
            asked for.
        layers: number of layers of the whole model.
        longest: tokens that its position embeddings allow.
        dtype, device: that it computes in and on.
    """

    name: str
    revision: str
    tokenizer: Any
    model: Any
    layers: int
    longest: int
    dtype: Dtype
    device: str


def load_transformer(
    folder: Path, *, deepest: int, dtype: Dtype = "float32", device: str = "auto"
) -> Transformer:
    """Load an encoder and its tokenizer; nothing is downloaded.

    Args:
        deepest: last layer that will be asked for, 0 being the embeddings. Layers above it are not
            computed.
        device: as torch names it; ``auto`` takes a GPU if there is one.

    Raises:
        DataError: the folder holds no encoder that transformers can read, or no weights.
        ConfigError: the encoder has no such layer.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # commands show their own
    revision = _hash_weights(folder)
    with library_errors(
        DataError, "not an encoder that transformers can load", str(folder), "its files"
    ):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # safetensors only: a pickled checkpoint can run code when it is opened.
        model, report = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
        )
    _require_weights(report["missing_keys"], folder)
    # Resolved, so that `.` and links have a name.
    name = (folder.resolve().name, revision)
    return wrap_transformer(name, model, tokenizer, deepest=deepest, dtype=dtype, device=device)


def wrap_transformer(
    name: tuple[str, str],
    model: Any,
    tokenizer: Any,
    *,
    deepest: int,
    dtype: Dtype = "float32",
    device: str = "auto",
) -> Transformer:
    """An encoder that is loaded already; its layers above the deepest are taken away.

    Args:
        name: of the encoder, and its revision.

    Raises:
        ConfigError: the encoder has no such layer.
    """
    import torch

    layers = int(model.config.num_hidden_layers)
    if not 0 <= deepest <= layers:
        raise ConfigError(
            "the encoder has no such layer",
            where=name[0],
            got=str(deepest),
            expected=f"0 (embeddings) to {layers}",
            fix=f"--layer {layers}",
        )
    _cut_above(model, max(1, deepest))  # a model without any layer reports no hidden states
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Transformer(
        name=name[0],
        revision=name[1],
        tokenizer=tokenizer,
        model=model.eval().to(device=device, dtype=getattr(torch, dtype)),
        layers=layers,
        longest=_longest(model.config),
        dtype=dtype,
        device=device,
    )


def _require_weights(missing: Iterable[str], folder: Path) -> None:
    """Refuse weights that transformers would draw at random; the pooler is not used here."""
    absent = sorted(name for name in missing if not name.startswith("pooler."))
    if absent:
        got = f"{len(absent)} weights missing, first {absent[0]}"
        raise DataError(
            "the encoder's weights are not all there",
            where=str(folder),
            got=got,
            expected="every layer",
        )


def _cut_above(model: Any, deepest: int) -> None:
    """Take away the layers above the deepest: the paper's layer 14 of 24 then costs 14.

    Only where the states of a layer do not depend on being the last (BERT and its kin); other
    models compute them all.
    """
    stack = getattr(getattr(model, "encoder", None), "layer", None)
    if stack is not None:
        model.encoder.layer = stack[:deepest]
        model.config.num_hidden_layers = deepest


def _longest(config: Any) -> int:
    """Positions that may hold a token; the RoBERTa family starts counting after the padding id."""
    # XLM-R's 514 positions hold 512 tokens: numbers 0 and 1 (padding) are nobody's.
    positions = int(config.max_position_embeddings)
    return positions - config.pad_token_id - 1 if "roberta" in config.model_type else positions


def _hash_weights(folder: Path) -> str:
    """Start of the sha256 over the weight files, in the order of their names."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise DataError(
            "no encoder there",
            where=str(folder),
            expected="config.json, a tokenizer and model.safetensors",
        )
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(_HASHED):
                digest.update(chunk)
    # As many digits as git shows of a commit.
    return digest.hexdigest()[:12]
