"""Load an encoder from a verified folder: ``config.json``, tokenizer, safetensors, nothing else.

XLM-R and BERT for certain, any other of transformers' classes if it keeps the rule that
:mod:`stilts_artifact.model.selfcheck` writes down.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from stilts_artifact.documents import library_errors, parse_json, read_document
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.model.manifest import CONFIG, WEIGHTS, Origin, read_origin, verify_folder
from stilts_artifact.model.tokenizer import load_tokenizer
from stilts_artifact.model.weights import Loaded, State, fill, read_tensors

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from stilts_artifact.model.heads import MaskedLanguageHead

    # Named here: heads, forms and training know only these two names.
    EncoderConfig: TypeAlias = PreTrainedConfig
    EncoderModel: TypeAlias = PreTrainedModel

POOLER = "pooler."
"""Before the names of the weights that turn the first token's state into that of the input."""
# A buffer that transformers before version 4.31 saved; the model makes it itself.
_POSITIONS = "embeddings.position_ids"
# Names that BERT's TensorFlow checkpoints brought with them; transformers renames them, too.
_OLD = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")


class _HeadNames(NamedTuple):
    """How a family calls the weights of its masked-language head."""

    prefix: str
    dense: str
    layer_norm: str


_HEADS: Mapping[str, _HeadNames] = MappingProxyType(
    {
        "roberta": _HeadNames("lm_head.", "dense", "layer_norm"),
        "bert": _HeadNames("cls.predictions.", "transform.dense", "transform.LayerNorm"),
    }
)
"""By the name that transformers gives an encoder within its larger classes."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder ready for use, in evaluation mode, and where each of its weights came from.

    ``revision`` is the sha256 of the weights file; ``origin`` says from which encoder of phase (i)
    these weights were trained, if they were, and goes into signatures.
    """

    model: EncoderModel
    tokenizer: PreTrainedTokenizerFast
    revision: str
    weights: Loaded
    origin: Origin


def load_encoder(folder: Path, *, pooler_seed: int | None = None) -> Encoder:
    """The encoder in a checkpoint folder, pooler included; heads are left aside.

    Its configuration's ``pad_token_id`` is the tokenizer's, and its ``pooler`` is there whatever
    its class.

    Args:
        pooler_seed: of a pooler that the checkpoint lacks; ``None`` if it must not lack one.
            :attr:`Encoder.weights` says what was initialised.

    Raises:
        MissingDataError: no such folder.
        IntegrityError: anything in it that is not what its manifest, its config and its class
            require; see :func:`verify_folder`, :func:`read_tensors`, :func:`fill`,
            :func:`load_tokenizer`.
    """
    files = verify_folder(folder)
    return _load(folder, files[WEIGHTS].sha256, read_origin(folder, files), pooler_seed)


def load_brought(folder: Path, files: Mapping[str, str], *, pooler_seed: int) -> Encoder:
    """The same of a folder that somebody brought, which has no manifest, held against the rule.

    Args:
        files: name -> sha256, as :func:`stilts_artifact.model.manifest.brought_files` gives them.

    Raises:
        IntegrityError: as :func:`load_encoder`, or an encoder that breaks the rule of
            :mod:`stilts_artifact.model.selfcheck`.
    """
    from stilts_artifact.model.selfcheck import self_check

    encoder = _load(folder, files[WEIGHTS], Origin.of(files), pooler_seed)
    self_check(encoder, folder)
    return encoder


def _load(folder: Path, revision: str, origin: Origin, pooler_seed: int | None) -> Encoder:
    config = read_config(folder)
    tokenizer = load_tokenizer(folder, config)
    model = _new_model(config, folder)
    encoder, aside = _split(model, read_tensors(folder / WEIGHTS))
    lacking = pooler_seed is not None and not any(name.startswith(POOLER) for name in encoder)
    may = (POOLER,) if lacking else ()
    initialised = fill(model, encoder, str(folder / WEIGHTS), may_initialise=may)
    if pooler_seed is not None and initialised:
        _initialise_pooler(model, pooler_seed)
    model.train(False)
    weights = Loaded(tuple(sorted(encoder)), initialised, tuple(sorted(aside)))
    return Encoder(model, tokenizer, revision, weights, origin)


def load_encoder_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in a checkpoint folder, the weights left alone.

    Raises:
        IntegrityError: as :func:`load_encoder`.
    """
    return load_tokenizer(folder, read_config(folder))


def load_language_head(folder: Path, encoder: EncoderModel) -> MaskedLanguageHead:
    """The masked-language head of a checkpoint, its output embeddings tied to the encoder's own.

    Raises:
        ConfigError: an encoder without one that is known here.
        IntegrityError: as :func:`load_encoder`.
    """
    from stilts_artifact.model.heads import MaskedLanguageHead

    verify_folder(folder)
    where = str(folder / WEIGHTS)
    _, aside = _split(encoder, read_tensors(folder / WEIGHTS))
    names = _HEADS.get(encoder.base_model_prefix)
    found = _own_names(names, aside) if names is not None else {}
    if not found:
        raise ConfigError(
            "continued masked language modelling needs a language head, which this encoder lacks",
            where=where,
            got=f"{type(encoder).__name__} with {', '.join(sorted(aside)) or 'no head'}",
            expected=" or ".join(f"{known.prefix}*" for known in _HEADS.values()),
            fix="leave out the rows with continued masked language modelling (--only)",
        )
    head = MaskedLanguageHead(encoder)
    fill(head, found, where)
    return head.train(False)


def read_config(folder: Path) -> EncoderConfig:
    """The architecture of a checkpoint.

    Raises:
        IntegrityError: no encoder, a class that transformers does not know, code to be run, or
            sizes that no encoder can have.
    """
    from transformers import CONFIG_MAPPING

    path = folder / CONFIG
    try:
        content = parse_json(read_document(path), str(path))
    except DataError as error:
        raise IntegrityError(
            "not a model configuration", where=str(path), got=error.what
        ) from error
    _require(isinstance(content, dict), path, "an object", type(content).__name__)
    kind = content.get("model_type")
    known = isinstance(kind, str) and kind in CONFIG_MAPPING
    _require(known, path, "a model_type that transformers knows", kind)
    refused = "no auto_map: code from a checkpoint is never run"
    _require("auto_map" not in content, path, refused, "auto_map")
    config_class = CONFIG_MAPPING[kind]
    # Some classes have names of their own: DistilBERT's hidden_size is "dim".
    named = {name: config_class.attribute_map.get(name, name) for name in _SIZES}
    for name in set(named.values()) & content.keys():
        _require_size(content[name], name, path)
    with _config_errors(path):
        config = config_class(**content)
    for role in ("is_encoder_decoder", "is_decoder", "add_cross_attention"):
        _require(not getattr(config, role, False), path, "an encoder alone", f"{role}: true")
    for name in _SIZES:
        _require_size(getattr(config, name, None), name, path)
    heads = config.num_attention_heads
    expected = "hidden_size divisible by num_attention_heads"
    _require(config.hidden_size % heads == 0, path, expected, heads)
    return config


def export_state(
    encoder: EncoderModel,
    head: MaskedLanguageHead | None = None,
    dtype: torch.dtype | None = None,
) -> State:
    """The weights under the names that transformers' own classes use.

    Args:
        dtype: of the stored weights; the module's own by default.
    """
    family = encoder.base_model_prefix
    state = {f"{family}.{name}": tensor for name, tensor in encoder.state_dict().items()}
    if head is not None:
        names = _HEADS[family]
        own = {"dense": names.dense, "layer_norm": names.layer_norm, "bias": "bias"}
        for name, tensor in head.state_dict().items():
            layer, dot, weight = name.partition(".")
            state[names.prefix + own[layer] + dot + weight] = tensor
    return {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in state.items()}


def initial_state(folder: Path, *, seed: int) -> State:
    """First weights of the architecture in a folder, as if nothing had trained them.

    With a pooler, and with the language head of a class whose names for it are known.

    Raises:
        IntegrityError: as :func:`read_config`, or a class that cannot be made of it.
    """
    import torch

    from stilts_artifact.model.heads import MaskedLanguageHead

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = untrained(folder)
        known = model.base_model_prefix in _HEADS
        return export_state(model, MaskedLanguageHead(model) if known else None)


def untrained(folder: Path) -> EncoderModel:
    """The architecture in a folder with random weights, pooler included.

    Raises:
        IntegrityError: as :func:`read_config`, or a class that cannot be made of it.
    """
    return _new_model(read_config(folder), folder)


def scaled_initial_range(hidden: int) -> float:
    """Standard deviation of initial weights that keeps a small XLM-R's activations at usual size.

    XLM-R large draws from N(0, 0.02) with 1024 inputs to each unit; variance adds up over inputs.

    Example:
        >>> scaled_initial_range(1024), scaled_initial_range(64)
        (0.02, 0.08)
    """
    return 0.02 * math.sqrt(1024 / hidden)


def _new_model(config: EncoderConfig, folder: Path) -> EncoderModel:
    """The model of a configuration, in float32, with a pooler of ours if its class has none.

    Raises:
        IntegrityError: the class cannot be made of it.
    """
    model_class = _model_class(config, folder)
    with _config_errors(folder / CONFIG):
        model = model_class(config)
    if getattr(model, "pooler", None) is None:
        from stilts_artifact.model.heads import Pooler

        model.pooler = Pooler(config)
    return model


def _model_class(config: EncoderConfig, folder: Path) -> type[EncoderModel]:
    """transformers' own class, imported with the garbage collector at rest.

    Beside torch, the class is most of what a worker takes to start. transformers 5.23 imports with
    any model about 1,900 modules that an encoder never calls (torch.distributed.tensor and with it
    sympy, torch._dynamo, FSDP, scipy.optimize), and the class's own module does so too: there is no
    narrower path. Nothing of them is garbage, yet the collector looks through all of it again and
    again while it grows: a fifth to a quarter of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        from transformers import MODEL_MAPPING

        found = MODEL_MAPPING.get(type(config), None)
    finally:
        if collects:
            gc.enable()
    if not isinstance(found, type) or found.main_input_name != "input_ids":
        raise _not_an_encoder(folder / CONFIG, config.model_type, "a class that reads token ids")
    return found


def _initialise_pooler(model: EncoderModel, seed: int) -> None:
    """First weights of a pooler, whatever else was drawn: as those of a head."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    deviation = getattr(model.config, "initializer_range", 0.02)
    for layer in cast("nn.Module", model.pooler).modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation, generator=generator)
            nn.init.zeros_(layer.bias)


def _split(model: EncoderModel, tensors: State) -> tuple[State, State]:
    """The encoder's weights by its own names, and those of heads."""
    inside = f"{model.base_model_prefix}."
    own = {name.partition(".")[0] for name in model.state_dict()}
    encoder: State = {}
    aside: State = {}
    for name, tensor in tensors.items():
        short = name.removeprefix(inside)
        for old, new in _OLD.items():
            short = short.replace(old, new)
        # A bare encoder was saved without the prefix, perhaps beside a head.
        is_encoder = name.startswith(inside) or short.partition(".")[0] in own
        (encoder if is_encoder else aside)[short] = tensor
    encoder.pop(_POSITIONS, None)
    return encoder, aside


def _own_names(names: _HeadNames, aside: State) -> State:
    """A language head's weights by the names of ours, without the decoder.

    That is tied: some versions of transformers saved it once more.
    """
    own = {names.dense: "dense", names.layer_norm: "layer_norm"}
    found: State = {}
    for name, tensor in aside.items():
        layer, dot, weight = name.removeprefix(names.prefix).rpartition(".")
        if name.startswith(names.prefix) and layer != "decoder":
            short = own.get(layer, layer) + dot + weight
            found[short] = tensor
    return found


def _config_errors(path: Path) -> AbstractContextManager[None]:
    """What transformers raises on fields that are not checked here is about the file, too."""
    return library_errors(
        IntegrityError, "not an encoder", str(path), "the class's own configuration"
    )


def _require_size(size: Any, name: str, path: Path) -> None:
    fits = isinstance(size, int) and 0 < size < 2**31
    _require(fits, path, f"{name} as a positive number", size)


def _require(condition: bool, path: Path, expected: str, got: Any) -> None:
    if not condition:
        raise _not_an_encoder(path, got, expected)


def _not_an_encoder(path: Path, got: Any, expected: str) -> IntegrityError:
    return IntegrityError("not an encoder", where=str(path), got=repr(got), expected=expected)
