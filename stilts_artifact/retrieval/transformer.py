"""A transformers encoder from a folder: its model, its tokenizer, and where it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from stilts_artifact.documents import library_errors, whole_number
from stilts_artifact.errors import ConfigError, DataError

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

_HASHED = 1 << 22  # bytes read at a time
# The paper's choice: hidden_states[14] of 24 (jiant's xtreme_runconfig_writer.py at daa5a25).
_PAPER_LAYER, _PAPER_DEPTH = 14, 24
LAST = "last"
"""The name of the deepest layer, whichever number it has."""


def default_layer(depth: int) -> int:
    """The layer at the paper's share of the depth: 14 of 24.

    Example:
        >>> [default_layer(depth) for depth in (24, 12, 6)]
        [14, 7, 4]
    """
    return round(depth * _PAPER_LAYER / _PAPER_DEPTH)


def parse_layer(text: str, depth: int) -> int:
    """A layer of an option: a number, 0 being the embeddings, or ``last``.

    Raises:
        ConfigError: neither, or a layer that an encoder of this depth does not have.

    Example:
        >>> parse_layer("last", 12), parse_layer("7", 12)
        (12, 7)
    """
    layer = depth if text == LAST else whole_number(text)
    if layer is None:
        raise ConfigError("not a layer", got=repr(text), expected=f"a number, or {LAST}")
    require_layer(layer, depth)
    return layer


def require_layer(layer: int, depth: int) -> None:
    """Refuse a layer that an encoder of this depth does not have.

    Raises:
        ConfigError: there is no such layer.
    """
    if not 0 <= layer <= depth:
        raise ConfigError(
            "the encoder has no such layer",
            got=str(layer),
            expected=f"0 (embeddings) to {depth}",
            fix=f"--layer {depth}",
        )


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
    folder: Path,
    *,
    deepest: int,
    dtype: Dtype = "float32",
    device: str = "auto",
    name: str | None = None,
) -> Transformer:
    """Load an encoder and its tokenizer; nothing is downloaded.

    Args:
        deepest: last layer that will be asked for, 0 being the embeddings. Layers above it are not
            computed.
        device: as torch names it; ``auto`` takes a GPU if there is one.
        name: of the encoder; that of its folder by default.

    Raises:
        DataError: the folder holds no encoder that transformers can read, or no weights.
        ConfigError: the encoder has no such layer.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # commands show their own
    revision = _hash_weights(folder)
    broken = library_errors(
        DataError, "not an encoder that transformers can load", str(folder), "its files"
    )
    with broken, _without_load_report():
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
    named = (name or folder.resolve().name, revision)
    return wrap_transformer(named, model, tokenizer, deepest=deepest, dtype=dtype, device=device)


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
    require_layer(deepest, layers)
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


@contextmanager
def _without_load_report() -> Iterator[None]:
    """Keep transformers from printing which weights a file lacks: what matters of it is an error.

    It logs a table of them as a warning (transformers 5.23), a pooler that nobody asked for too.
    """
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


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
