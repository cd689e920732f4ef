"""The tokenizer: a SentencePiece unigram model with XLM-R's layout of ids."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.model.tokenizer import MAX_TOKENS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def train_tokenizer(texts: Iterable[str], pieces: int) -> PreTrainedTokenizerFast:
    """A SentencePiece model trained on the texts, as the tokenizer class of XLM-R.

    Ids follow fairseq: ``<s>`` 0, ``<pad>`` 1, ``</s>`` 2, ``<unk>`` 3, piece n of SentencePiece at
    n + 1, ``<mask>`` last; so there are ``pieces + 2`` ids. One thread, so that the result is the
    same on every machine.
    """
    import sentencepiece
    from transformers import XLMRobertaTokenizer

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=pieces,
        model_type="unigram",
        character_coverage=1.0,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        # XLMRobertaTokenizer(vocab_file=...) ignores the file (transformers 5.23); a folder with
        # this name it reads.
        (Path(folder) / "sentencepiece.bpe.model").write_bytes(model.getvalue())
        tokenizer: PreTrainedTokenizerFast = XLMRobertaTokenizer.from_pretrained(
            folder, local_files_only=True
        )
    tokenizer.model_max_length = MAX_TOKENS
    return tokenizer
