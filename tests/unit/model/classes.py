"""Tiny random encoders of several classes, as their own makers would save them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from stilts_artifact.model.manifest import write_manifest
from stilts_artifact.pretraining.batches import train_tokenizer

CLASSES = ("xlm-roberta", "bert", "minilm", "distilbert")
"""The first and the third have XLM-R's tokenizer; only BERT has a pooler in its checkpoint."""
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.2,
}
TEXTS = [
    f"{first} {second} {third} in The Old House by a river, quick brown fox jumps over lazy dogs"
    for first in ("ka", "lo", "mi", "ne", "pu")
    for second in ("ra", "si", "to", "vu", "ze")
    for third in ("Ä", "é", "Ü", "Это", "дом", "今", "日", "هذا")
]


def make_encoder(name: str, folder: Path) -> Path:
    """A checkpoint folder with a manifest."""
    folder.mkdir(parents=True)
    pieces = _word_pieces(folder) if name in ("bert", "distilbert") else _sentence_pieces(folder)
    torch.manual_seed(0)
    _model(name, pieces + 6).save_pretrained(folder)  # rows filled up, as many models have it
    write_manifest(folder)
    return folder


def alter(folder: Path, name: str, **fields: Any) -> None:
    """Set fields of a JSON file, and make the manifest fit."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    write_manifest(folder)


def _model(name: str, rows: int) -> Any:
    from transformers import (
        BertConfig,
        BertForPreTraining,
        BertModel,
        DistilBertConfig,
        DistilBertForMaskedLM,
        XLMRobertaConfig,
        XLMRobertaForMaskedLM,
    )

    match name:
        case "xlm-roberta":
            config = XLMRobertaConfig(
                **SIZES, vocab_size=rows, max_position_embeddings=202, type_vocab_size=1
            )
            return XLMRobertaForMaskedLM(config)
        case "bert":
            bert = BertConfig(**SIZES, vocab_size=rows, max_position_embeddings=200)
            return BertForPreTraining(bert)
        case "minilm":
            # The public one calls <s>, 0, its padding; its tokenizer knows better.
            config_of = BertConfig(**SIZES, vocab_size=rows, max_position_embeddings=200)
            return BertModel(config_of, add_pooling_layer=False)
        case _:
            own = DistilBertConfig(**SIZES, vocab_size=rows, max_position_embeddings=200)
            return DistilBertForMaskedLM(own)


def _sentence_pieces(folder: Path) -> int:
    tokenizer = train_tokenizer(TEXTS, 50)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def _word_pieces(folder: Path) -> int:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=160, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 3), ("[SEP]", 4)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return int(tokenizer.get_vocab_size())
