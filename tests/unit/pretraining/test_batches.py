"""The tokenizer has fairseq's ids, agrees with SentencePiece itself, and is the same every time."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path

import pytest
import sentencepiece
from transformers import XLMRobertaConfig

from stilts_artifact.model.tokenizer import load_tokenizer
from stilts_artifact.pretraining.batches import train_tokenizer
from stilts_artifact.pretraining.corpus import documents

PIECES = 300


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [
        text for code in ("qen", "qad", "qae") for text in islice(documents(code, "test", ()), 300)
    ]


@pytest.mark.slow
def test_ids_are_sentencepieces_shifted_by_one(texts: list[str]) -> None:
    """Equality with the reference: SentencePiece trained alike, encoded by its own C++ code."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=PIECES,
        model_type="unigram",
        character_coverage=1.0,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    reference = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    tokenizer = train_tokenizer(texts, PIECES)
    made = tokenizer(texts, add_special_tokens=False)["input_ids"]
    expected = [
        [3 if piece == 0 else piece + 1 for piece in reference.encode(text)] for text in texts
    ]
    differing = sum(one != other for one, other in zip(made, expected, strict=True))
    assert differing <= len(texts) // 1000, (
        "only ties between equally likely segmentations may differ"
    )
    assert len(tokenizer) == PIECES + 2
    assert tokenizer.mask_token_id == PIECES + 1


@pytest.mark.slow
def test_the_saved_tokenizer_is_the_same_each_time_and_loads(
    texts: list[str], tmp_path: Path
) -> None:
    saved = []
    for name in ("one", "two"):
        train_tokenizer(texts, PIECES).save_pretrained(tmp_path / name)
        saved.append((tmp_path / name / "tokenizer.json").read_bytes())
    assert saved[0] == saved[1]
    config = XLMRobertaConfig(
        vocab_size=PIECES + 2, pad_token_id=1, max_position_embeddings=514, type_vocab_size=1
    )
    loaded = load_tokenizer(tmp_path / "one", config)
    assert loaded(texts[0])["input_ids"] == train_tokenizer(texts, PIECES)(texts[0])["input_ids"]
    assert loaded.model_max_length == 512


@pytest.mark.slow
def test_no_character_of_the_text_is_unknown(texts: list[str]) -> None:
    tokenizer = train_tokenizer(texts, PIECES)
    assert all(3 not in row for row in tokenizer(texts)["input_ids"])
