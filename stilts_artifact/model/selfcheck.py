"""The rule that an encoder must keep to be used here, and the check that it does.

Any class of transformers may stand behind :func:`stilts_artifact.model.loading.load_encoder` if

1. its ``config.json`` names a model type that transformers itself knows: code from a checkpoint is
   never run, and its weights are in one safetensors file;
2. it is an encoder alone, and every token reads those behind it, too;
3. it returns the states of all layers and of the embeddings, number of layers + 1 of them, each
   [rows, length, hidden];
4. padding makes no difference: a sentence has the same states alone and beside a longer one;
5. it reads inputs as long as its position embeddings promise;
6. its tokenizer is a fast one that tells offsets, makes of a text what its ``tokenizer.json`` says,
   and puts special tokens around one text and around and between two.

Loading enforces the first, the self-check all others, once, where an encoder enters the store.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.documents import library_errors
from stilts_artifact.errors import IntegrityError
from stilts_artifact.model.batching import pad
from stilts_artifact.model.features import Ids, frame_of
from stilts_artifact.model.manifest import TOKENIZER

if TYPE_CHECKING:
    import torch

    from stilts_artifact.model.loading import Encoder

TOLERANCE = 1e-5
"""By how much padding may move a state: a share of the layer's largest, but at least of 1."""

_SHORT = "Two birds sat on it."
_LONG = "The Old House by the river was empty when we came back, and nobody knew where they went."
_TEXTS = (
    _SHORT,
    _LONG,
    "Ünïcode Äpfel",
    "Это дом, где она жила.",
    "今日は良い天気です。",
    "هذا بيت",
)
"""For the tokenizer: capitals, accents, and scripts with and without white space."""


def self_check(encoder: Encoder, folder: Path) -> None:
    """Hold a loaded encoder against the rule.

    Args:
        folder: where it lies.

    Raises:
        IntegrityError: naming the part of the rule that it breaks.
    """
    import torch

    _check_tokenizer(encoder, folder)
    wrong = "an encoder that cannot read a text"
    with torch.inference_mode(), library_errors(IntegrityError, wrong, str(folder), "states"):
        texts = encoder.tokenizer([_SHORT, _LONG], truncation=True)
        short, long = texts["input_ids"]
        _check_states(encoder, short, folder)
        _check_padding(encoder, short, long, folder)
        _check_directions(encoder, long, folder)
        _check_longest(encoder, long, folder)


def _check_tokenizer(encoder: Encoder, folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = encoder.tokenizer
    frame_of(tokenizer)
    made = tokenizer(list(_TEXTS), add_special_tokens=False, return_offsets_mapping=True)
    file = Tokenizer.from_file(str(folder / TOKENIZER))
    file.no_truncation()
    file.no_padding()
    for text, ids, offsets in zip(_TEXTS, made["input_ids"], made["offset_mapping"], strict=True):
        wanted = file.encode(text, add_special_tokens=False).ids
        if ids != wanted:
            raise _broken(
                "its tokenizer's class makes other pieces of a text than its file",
                folder / TOKENIZER,
                f"{ids} of {text!r}",
                str(wanted),
            )
        covered = {at for start, end in offsets for at in range(start, end)}
        if any(at not in covered for at, sign in enumerate(text) if not sign.isspace()):
            raise _broken(
                "its tokenizer's offsets leave out characters",
                folder / TOKENIZER,
                f"{offsets} of {text!r}",
                "every character that is no white space",
            )


def _check_states(encoder: Encoder, row: Ids, folder: Path) -> None:
    config = encoder.model.config
    states = _states(encoder, [row])
    got = [tuple(state.shape) for state in states]
    expected = [(1, len(row), config.hidden_size)] * (config.num_hidden_layers + 1)
    if got != expected:
        raise _broken(
            "it does not return the states of every layer", folder, str(got), str(expected)
        )


def _check_padding(encoder: Encoder, short: Ids, long: Ids, folder: Path) -> None:
    alone, beside = _states(encoder, [short]), _states(encoder, [short, long])
    for layer, (own, padded) in enumerate(zip(alone, beside, strict=True)):
        moved = float((own[0] - padded[0, : len(short)]).abs().max())
        limit = TOLERANCE * max(1.0, float(own.abs().max()))
        if not moved <= limit:
            raise _broken(
                f"padding moves the states of layer {layer}",
                folder,
                f"{moved:.1e} between a sentence alone and beside a longer one",
                f"at most {limit:.1e}",
            )


def _check_directions(encoder: Encoder, row: Ids, folder: Path) -> None:
    """A decoder's first state knows nothing of the last word."""
    last = len(row) // 2
    other = [*row[:last], encoder.tokenizer.unk_token_id, *row[last + 1 :]]
    one, two = (_states(encoder, [ids])[-1][0, 0] for ids in (row, other))
    if bool((one == two).all()):
        raise _broken(
            "it reads in one direction only, as a decoder does",
            folder,
            "the first token's state is the same whatever follows",
            "an encoder",
        )


def _check_longest(encoder: Encoder, row: Ids, folder: Path) -> None:
    longest = encoder.tokenizer.model_max_length
    wrong = f"it cannot read {longest} tokens, as its configuration promises"
    with library_errors(IntegrityError, wrong, str(folder), f"inputs of {longest} tokens"):
        _states(encoder, [(row * longest)[:longest]])


def _states(encoder: Encoder, rows: list[Ids]) -> tuple[torch.Tensor, ...]:
    """States of the embeddings and of each layer, float32 [rows, length, hidden]."""
    padding = encoder.tokenizer.pad_token_id
    ids = pad(rows, padding, multiple=1)
    made: Any = encoder.model(
        input_ids=ids, attention_mask=(ids != padding).long(), output_hidden_states=True
    )
    states: tuple[torch.Tensor, ...] = made.hidden_states
    return states


def _broken(how: str, where: Path, got: str, expected: str) -> IntegrityError:
    return IntegrityError(
        f"an encoder that cannot be used here: {how}",
        where=str(where),
        got=got,
        expected=expected,
        fix="take another encoder: XLM-R's and BERT's classes are supported",
    )
