"""The tokenizer of a checkpoint, from its ``tokenizer.json`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.documents import library_errors, parse_json, read_document
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.model.manifest import TOKENIZER

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS, PAD, EOS, UNK = 0, 1, 2, 3
"""Ids of ``<s>``, ``<pad>``, ``</s>`` and ``<unk>``: fairseq's, the same in every XLM-R."""
SPECIALS = 4
"""Ids below this number are special; ``<mask>`` is the last id."""
MAX_TOKENS = 512
"""Longest input: XLM-R has 514 positions, and fairseq numbers them from 2."""


def load_tokenizer(folder: Path, vocabulary: int) -> PreTrainedTokenizerFast:
    """XLM-R's tokenizer from a folder.

    Args:
        vocabulary: number of ids that the encoder has embeddings for.

    Raises:
        IntegrityError: no tokenizer, or ids that are not XLM-R's.
    """
    from transformers import XLMRobertaTokenizer

    path = folder / TOKENIZER
    _check_form(path, vocabulary)
    # The class is named, so nothing in the folder can have another one imported; without the file
    # it would silently make a tokenizer of five ids (transformers 5.23).
    with library_errors(IntegrityError, "not a tokenizer", str(folder), "XLM-R's tokenizer files"):
        tokenizer: PreTrainedTokenizerFast = XLMRobertaTokenizer.from_pretrained(
            folder, local_files_only=True, model_max_length=MAX_TOKENS
        )
    wanted = {"<s>": BOS, "<pad>": PAD, "</s>": EOS, "<unk>": UNK, "<mask>": vocabulary - 1}
    found = {token: tokenizer.convert_tokens_to_ids(token) for token in wanted}
    if found != wanted or len(tokenizer) != vocabulary:
        raise _misfit(path, f"{len(tokenizer)} ids, {found}", f"{vocabulary} ids, {wanted}")
    return tokenizer


def _check_form(path: Path, vocabulary: int) -> None:
    """Refuse what has another form, before the library makes something of it."""
    try:
        content: Any = parse_json(read_document(path), str(path))
        kind, pieces = content["model"]["type"], len(content["model"]["vocab"])
    except (DataError, KeyError, TypeError) as error:
        raise IntegrityError(
            "not a tokenizer", where=str(path), got=str(error), expected="a tokenizers file"
        ) from error
    # <mask> is one of the pieces in some files, and only an added token in others.
    if kind != "Unigram" or pieces not in (vocabulary, vocabulary - 1):
        raise _misfit(path, f"{kind} with {pieces} pieces", f"Unigram with {vocabulary} pieces")


def _misfit(path: Path, got: str, expected: str) -> IntegrityError:
    return IntegrityError(
        "tokenizer does not fit the encoder",
        where=str(path),
        got=got,
        expected=expected,
        fix="use the tokenizer that was saved with these weights",
    )
