"""Load an XLM-R from a verified folder: ``config.json``, safetensors, and nothing else."""

from __future__ import annotations

import gc
import math
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from stilts_artifact.documents import library_errors, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.model.manifest import CONFIG, WEIGHTS, Origin, read_origin, verify_folder
from stilts_artifact.model.tokenizer import BOS, EOS, PAD, load_tokenizer
from stilts_artifact.model.weights import Loaded, State, fill, read_tensors

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    from stilts_artifact.model.heads import MaskedLanguageHead

    # The one class of encoder, named here: heads, forms and training know only these two names.
    EncoderConfig: TypeAlias = XLMRobertaConfig
    EncoderModel: TypeAlias = XLMRobertaModel

_PREFIX = "roberta."
_HEAD = "lm_head."
# A buffer that transformers before version 4.31 saved; the model makes it itself.
_POSITIONS = "embeddings.position_ids"
_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder ready for use, in evaluation mode, and where each of its weights came from.

    ``revision`` is the sha256 of the weights file; ``origin`` says from which encoder of phase (i)
    these weights were trained, if they were, and goes into signatures.
    """

    model: XLMRobertaModel
    tokenizer: PreTrainedTokenizerFast
    revision: str
    weights: Loaded
    origin: Origin


def load_encoder(folder: Path, *, may_initialise: Collection[str] = ()) -> Encoder:
    """The encoder in a checkpoint folder, pooler included; a masked-language head is left aside.

    Args:
        may_initialise: prefixes of parameters that the checkpoint may lack, such as ``"pooler."``.
            They then start from random values under torch's current seed, and
            :attr:`Encoder.weights` says so.

    Raises:
        MissingDataError: no such folder.
        IntegrityError: anything in it that is not what its manifest, its config and XLM-R require;
            see :func:`verify_folder`, :func:`read_tensors`, :func:`fill`, :func:`load_tokenizer`.
    """
    xlm_roberta = _model_class()
    files = verify_folder(folder)
    config = read_config(folder)
    tokenizer = load_tokenizer(folder, config.vocab_size)
    encoder, head = _split(read_tensors(folder / WEIGHTS))
    with _config_errors(folder / CONFIG):
        model = xlm_roberta(config, add_pooling_layer=True)
    initialised = fill(model, encoder, str(folder / WEIGHTS), may_initialise=may_initialise)
    model.train(False)
    weights = Loaded(tuple(sorted(encoder)), initialised, tuple(sorted(head)))
    origin = read_origin(folder, files)
    return Encoder(model, tokenizer, files[WEIGHTS].sha256, weights, origin)


def load_encoder_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in a checkpoint folder, the weights left alone.

    Raises:
        IntegrityError: as :func:`load_encoder`.
    """
    return load_tokenizer(folder, read_config(folder).vocab_size)


def load_language_head(folder: Path, encoder: XLMRobertaModel) -> MaskedLanguageHead:
    """The masked-language head of a checkpoint, its output embeddings tied to the encoder's own.

    Raises:
        IntegrityError: as :func:`load_encoder`.
    """
    from stilts_artifact.model.heads import MaskedLanguageHead

    verify_folder(folder)
    where = str(folder / WEIGHTS)
    _, tensors = _split(read_tensors(folder / WEIGHTS))
    # Tied weights: saved once more by some versions of transformers, under the decoder's name.
    tensors.pop("decoder.weight", None)
    tensors.pop("decoder.bias", None)
    head = MaskedLanguageHead(encoder)
    fill(head, tensors, where)
    return head.train(False)


def read_config(folder: Path) -> XLMRobertaConfig:
    """The architecture of a checkpoint.

    Raises:
        IntegrityError: not an XLM-R, code to be run, or sizes that no XLM-R can have.
    """
    from transformers import XLMRobertaConfig

    path = folder / CONFIG
    try:
        content = parse_json(read_document(path), str(path))
    except DataError as error:
        raise IntegrityError(
            "not a model configuration", where=str(path), got=error.what
        ) from error
    _require(isinstance(content, dict), path, "an object", type(content).__name__)
    _require(
        content.get("model_type") == "xlm-roberta",
        path,
        "model_type xlm-roberta",
        content.get("model_type"),
    )
    _require(
        "auto_map" not in content,
        path,
        "no auto_map: code from a checkpoint is never run",
        "auto_map",
    )
    for name in _SIZES:
        size = content.get(name)
        _require(
            isinstance(size, int) and 0 < size < 2**31, path, f"{name} as a positive number", size
        )
    ids = tuple(content.get(name) for name in ("bos_token_id", "pad_token_id", "eos_token_id"))
    _require(ids == (BOS, PAD, EOS), path, f"bos, pad, eos = {(BOS, PAD, EOS)}", ids)
    heads = content["num_attention_heads"]
    _require(
        content["hidden_size"] % heads == 0,
        path,
        "hidden_size divisible by num_attention_heads",
        heads,
    )
    with _config_errors(path):
        return XLMRobertaConfig(**content)


def export_state(
    encoder: XLMRobertaModel,
    head: MaskedLanguageHead | None = None,
    dtype: torch.dtype | None = None,
) -> State:
    """The weights under the names that transformers' own XLM-R classes use.

    Args:
        dtype: of the stored weights; the module's own by default.
    """
    state = {_PREFIX + name: tensor for name, tensor in encoder.state_dict().items()}
    if head is not None:
        state |= {_HEAD + name: tensor for name, tensor in head.state_dict().items()}
    return {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in state.items()}


def scaled_initial_range(hidden: int) -> float:
    """Standard deviation of initial weights that keeps a small XLM-R's activations at usual size.

    XLM-R large draws from N(0, 0.02) with 1024 inputs to each unit; variance adds up over inputs.

    Example:
        >>> scaled_initial_range(1024), scaled_initial_range(64)
        (0.02, 0.08)
    """
    return 0.02 * math.sqrt(1024 / hidden)


def _model_class() -> type[XLMRobertaModel]:
    """transformers' XLM-R, imported with the garbage collector at rest.

    Beside torch, the class is most of what a worker takes to start. transformers 5.23 imports with
    any model about 1,900 modules that an encoder never calls (torch.distributed.tensor and with it
    sympy, torch._dynamo, FSDP, scipy.optimize), and the class's own module does so too: there is no
    narrower path. Nothing of them is garbage, yet the collector looks through all of it again and
    again while it grows: a fifth to a quarter of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        from transformers import XLMRobertaModel
    finally:
        if collects:
            gc.enable()
    return XLMRobertaModel


def _split(tensors: State) -> tuple[State, State]:
    """Encoder and language head, without the prefixes of the class they were saved from."""
    head = {
        name.removeprefix(_HEAD): tensor
        for name, tensor in tensors.items()
        if name.startswith(_HEAD)
    }
    encoder = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in tensors.items()
        if not name.startswith(_HEAD)
    }
    encoder.pop(_POSITIONS, None)
    return encoder, head


def _config_errors(path: Path) -> AbstractContextManager[None]:
    """What transformers raises on fields that are not checked here is about the file, too."""
    return library_errors(IntegrityError, "not an XLM-R", str(path), "XLM-R's own configuration")


def _require(condition: bool, path: Path, expected: str, got: Any) -> None:
    if not condition:
        raise IntegrityError("not an XLM-R", where=str(path), got=repr(got), expected=expected)
