"""A transformers encoder from a folder: its model, its tokenizer, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from stilts_artifact.documents import whole_number
from stilts_artifact.errors import ConfigError
from stilts_artifact.model.manifest import brought_files

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

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
            expected=f"0 (embeddings) to {depth}, or {LAST}",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Transformer:
    """A loaded encoder.

    Args:
        name, revision: folder name, and the start of the sha256 of its weights.
        tokenizer, model: as transformers loads them; the model computes no layer beyond the deepest
            asked for.
        layers: number of layers of the whole model.
        longest: tokens that it reads, as its tokenizer knows.
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
    files: Mapping[str, str] | None = None,
) -> Transformer:
    """Load an encoder that somebody brought, and its tokenizer; nothing is downloaded.

    Args:
        deepest: last layer that will be asked for, 0 being the embeddings. Layers above it are not
            computed.
        device: as torch names it; ``auto`` takes a GPU if there is one.
        name: of the encoder; that of its folder by default.
        files: name -> sha256 of those that decide what it computes, where they are known.

    Raises:
        MissingDataError: the folder holds no encoder.
        IntegrityError: it holds one that cannot be used here; see
            :func:`stilts_artifact.model.loading.load_brought`.
        ConfigError: the encoder has no such layer.
    """
    from stilts_artifact.model.loading import load_brought

    # A pooler of random weights is never asked: states are pooled here.
    encoder = load_brought(folder, files or brought_files(folder), pooler_seed=0)
    # Resolved, so that `.` and links have a name; as many digits as git shows of a commit.
    named = (name or folder.resolve().name, encoder.revision[:12])
    return wrap_transformer(
        named, encoder.model, encoder.tokenizer, deepest=deepest, dtype=dtype, device=device
    )


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
        longest=int(tokenizer.model_max_length),
        dtype=dtype,
        device=device,
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
