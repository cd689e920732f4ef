"""The tokenizer of a checkpoint, from its ``tokenizer.json``, whatever class its encoder has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.documents import library_errors, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.model.manifest import TOKENIZER

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.model.loading import EncoderConfig

_TYPES = "token_type_ids"
_ROLES = {
    "pad_token": ("<pad>", "[PAD]"),
    "unk_token": ("<unk>", "[UNK]"),
    "mask_token": ("<mask>", "[MASK]"),
}
"""What XLM-R's and BERT's tokenizers call the tokens that the file itself gives no role."""
_AFTER_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "longformer",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
"""Classes that number positions from the padding's id on: XLM-R's 514 positions hold 512 tokens."""


def load_tokenizer(folder: Path, config: EncoderConfig) -> PreTrainedTokenizerFast:
    """The tokenizer from a folder; it knows how long an input may be.

    Args:
        config: of the encoder that it is for. Afterwards its padding is the tokenizer's, which is
            what inputs are padded with.

    Raises:
        IntegrityError: no fast tokenizer, one without the tokens that inputs need, or one that does
            not fit the encoder.
    """
    path = folder / TOKENIZER
    kind, pieces = _described(path)
    with library_errors(IntegrityError, "not a tokenizer", str(folder), "a tokenizer's files"):
        tokenizer = _made_by_class(folder, config)
        # A class makes its own tokenizer of the file's pieces, silently of another kind, or without
        # those that it does not find (transformers 5.23): Multilingual MiniLM is a BERT with
        # XLM-R's pieces.
        if (type(tokenizer.backend_tokenizer.model).__name__, len(tokenizer)) != (kind, pieces):
            tokenizer = _made_of_file(folder)
    rows = config.vocab_size
    if pieces > rows:  # fewer are usual: rows are filled up to a multiple
        raise _misfit(path, f"{pieces} ids", f"at most {rows}, the rows of the embeddings")
    for name in ("pad_token", "unk_token"):
        if getattr(tokenizer, f"{name}_id") is None:
            raise IntegrityError(f"tokenizer without a {name}", where=str(folder), expected=name)
    _agree_on_padding(config, tokenizer, folder)
    tokenizer.model_max_length = min(longest_input(config, folder), tokenizer.model_max_length)
    if getattr(config, "type_vocab_size", 0) < 2:
        # One type or none: the class takes no other, whatever the tokenizer would tell.
        names = tokenizer.model_input_names
        tokenizer.model_input_names = [name for name in names if name != _TYPES]
    return tokenizer


def _made_by_class(folder: Path, config: EncoderConfig) -> PreTrainedTokenizerFast:
    """As the class that transformers finds for it makes the tokenizer."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # The class is transformers' own: code from the folder is not run, and none of its files leads
    # to another place.
    tokenizer = AutoTokenizer.from_pretrained(
        folder, config=config, local_files_only=True, trust_remote_code=False
    )
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise TypeError(f"{type(tokenizer).__name__} tells no offsets")
    return tokenizer


def _made_of_file(folder: Path) -> PreTrainedTokenizerFast:
    """What the file says and no more; its special tokens are known by their names."""
    from transformers import PreTrainedTokenizerFast

    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(
        folder, local_files_only=True
    )
    special = {added.content for added in tokenizer.added_tokens_decoder.values() if added.special}
    for role, names in _ROLES.items():
        for name in special.intersection(names):
            if getattr(tokenizer, role) is None:
                tokenizer.add_special_tokens({role: name})
    return tokenizer


def tells_types(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether the encoder is told which of two texts a token belongs to, as BERT is."""
    return _TYPES in tokenizer.model_input_names


def longest_input(config: EncoderConfig, folder: Path) -> int:
    """Tokens that the position embeddings hold.

    Raises:
        IntegrityError: the configuration does not say.
    """
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        raise IntegrityError(
            "an encoder that does not say how long an input may be",
            where=str(folder),
            got=str(positions),
            expected="max_position_embeddings",
        )
    return positions - config.pad_token_id - 1 if _counts_after_padding(config) else positions


def _agree_on_padding(
    config: EncoderConfig, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Let the configuration say what the tokenizer pads with.

    Where positions are counted from it, another one would move them all.
    """
    padding = tokenizer.pad_token_id
    if _counts_after_padding(config) and config.pad_token_id != padding:
        raise IntegrityError(
            "encoder and tokenizer pad with different tokens",
            where=str(folder),
            got=f"pad_token_id {config.pad_token_id}",
            expected=f"pad_token_id {padding}, as the tokenizer",
        )
    config.pad_token_id = padding


def _counts_after_padding(config: EncoderConfig) -> bool:
    return config.model_type in _AFTER_PADDING


def _described(path: Path) -> tuple[str, int]:
    """Kind of a tokenizer's model, and its number of ids."""
    if not path.is_file():
        raise IntegrityError(
            "no fast tokenizer: offsets are needed, which others do not tell",
            where=str(path.parent),
            expected=TOKENIZER,
            fix="load the tokenizer with transformers, and save it again with save_pretrained",
        )
    try:
        content: Any = parse_json(read_document(path), str(path))
        model, added = content["model"], content.get("added_tokens", ())
        vocabulary = model["vocab"]
        # Unigram has a list of pieces with scores, all others names with their ids.
        names = (
            {piece[0] for piece in vocabulary} if isinstance(vocabulary, list) else {*vocabulary}
        )
        # <mask> is one of the pieces in some files, and only an added token in others.
        names |= {token["content"] for token in added}
        return str(model["type"]), len(names)
    except (DataError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise IntegrityError(
            "not a tokenizer", where=str(path), got=str(error), expected="a tokenizers file"
        ) from error


def _misfit(path: Path, got: str, expected: str) -> IntegrityError:
    return IntegrityError(
        "tokenizer does not fit the encoder",
        where=str(path),
        got=got,
        expected=expected,
        fix="use the tokenizer that was saved with these weights",
    )
