"""Any class of encoder: frames found by the tokenizer, and a rule that is checked."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stilts_artifact.domain.examples import Answer, ChoiceExample, PairExample, SpanExample
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.model.features import Frame, frame_of, require_length
from stilts_artifact.model.forms.choice import choice_features
from stilts_artifact.model.forms.pair import pair_features
from stilts_artifact.model.forms.span import span_windows
from stilts_artifact.model.inference import encode
from stilts_artifact.model.loading import load_encoder, load_language_head
from stilts_artifact.model.manifest import WEIGHTS, write_manifest
from stilts_artifact.model.selfcheck import self_check
from tests.unit.model.classes import CLASSES, SIZES, TEXTS, alter, make_encoder

XLMR = Frame(([0], [2]), ([0], [2, 2], [2]), None)
FRAMES = {
    "xlm-roberta": XLMR,
    "minilm": XLMR,
    "bert": Frame(([3], [4]), ([3], [4], [4]), 1),
    "distilbert": Frame(([3], [4]), ([3], [4], [4]), None),
}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("classes")
    return {name: make_encoder(name, root / name) for name in CLASSES}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_an_encoder_of_any_class_passes_the_self_check(
    encoders: dict[str, Path], name: str
) -> None:
    encoder = load_encoder(encoders[name], pooler_seed=1)
    self_check(encoder, encoders[name])
    assert encoder.tokenizer.model_max_length == 200
    assert encoder.model.config.pad_token_id == encoder.tokenizer.pad_token_id
    has_pooler = name == "bert"
    assert encoder.weights.initialised == (
        () if has_pooler else ("pooler.dense.bias", "pooler.dense.weight")
    )


@pytest.mark.parametrize("name", CLASSES)
def test_the_frame_is_what_the_tokenizer_puts_around_texts(
    encoders: dict[str, Path], name: str
) -> None:
    tokenizer = load_encoder(encoders[name], pooler_seed=1).tokenizer
    frame = frame_of(tokenizer)
    assert frame == FRAMES[name]
    first, second = "ka ra", "The Old House"
    example = PairExample("1", first, second, "yes")
    (made,) = pair_features(tokenizer, [example], ["yes"], 64)
    theirs = tokenizer(first, second)
    assert made.input_ids == theirs["input_ids"]
    types = theirs.get("token_type_ids")
    assert (made.second is None) == (types is None)
    if types is not None:
        assert types == [int(at >= made.second) for at in range(len(types))]


def test_every_form_tells_bert_where_the_second_text_begins(encoders: dict[str, Path]) -> None:
    tokenizer = load_encoder(encoders["bert"]).tokenizer
    choice = ChoiceExample("1", "ka ra si", ("The Old", "House"), 0)
    (row,) = choice_features(tokenizer, [choice], 64)
    assert row.second is not None
    for ids, at, text in zip(row.choices, row.second, choice.choices, strict=True):
        assert ids[at:] == tokenizer(text)["input_ids"][1:]
        assert ids[at - 1] == tokenizer.sep_token_id
    span = SpanExample("1", "ka ra", "The Old House by a river", (Answer("House", 8),))
    (window,) = span_windows(tokenizer, [span], max_length=64, stride=8)
    assert window.second == window.context_start
    assert window.input_ids[: window.second] == tokenizer("ka ra")["input_ids"]


def test_token_types_reach_the_model(encoders: dict[str, Path]) -> None:
    encoder = load_encoder(encoders["bert"])
    theirs = encoder.tokenizer(TEXTS[:2], TEXTS[4:6], return_tensors="pt", padding=True)
    second = torch.tensor([row.tolist().index(1) for row in theirs["token_type_ids"]])
    with torch.inference_mode():
        ours = encode(encoder.model, theirs["input_ids"], second)
        untold = encode(encoder.model, theirs["input_ids"])
        expected = encoder.model(**theirs)
    assert torch.equal(ours.last_hidden_state, expected.last_hidden_state)
    assert torch.equal(ours.pooler_output, expected.pooler_output)
    assert not torch.allclose(ours.last_hidden_state, untold.last_hidden_state, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_transformers_itself_computes_the_same_states(encoders: dict[str, Path], name: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    encoder = load_encoder(encoders[name], pooler_seed=1)
    model = AutoModel.from_pretrained(encoders[name], local_files_only=True).eval()
    tokens = AutoTokenizer.from_pretrained(encoders[name], local_files_only=True)(
        TEXTS[:3], return_tensors="pt", padding=True
    )
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        ours = encode(encoder.model, tokens["input_ids"])
        assert torch.equal(ours.last_hidden_state, model(**tokens).last_hidden_state)


def test_berts_old_names_of_layer_norms_are_read(encoders: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(encoders["bert"], tmp_path)
    tensors = load_file(folder / WEIGHTS)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    assert old.keys() != tensors.keys()
    save_file(old, folder / WEIGHTS)
    write_manifest(folder)
    ours, theirs = (load_encoder(path).model.state_dict() for path in (folder, encoders["bert"]))
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    load_language_head(folder, load_encoder(folder).model)


def test_berts_own_language_head_is_read(encoders: dict[str, Path]) -> None:
    from transformers import AutoModelForMaskedLM

    encoder = load_encoder(encoders["bert"])
    head = load_language_head(encoders["bert"], encoder.model)
    theirs = AutoModelForMaskedLM.from_pretrained(encoders["bert"], local_files_only=True).eval()
    tokens = encoder.tokenizer(TEXTS[:3], return_tensors="pt", padding=True)
    with torch.inference_mode():
        hidden = encoder.model(**tokens).last_hidden_state
        assert torch.allclose(head(hidden), theirs(**tokens).logits, atol=1e-5)


@pytest.mark.parametrize("name", ["minilm", "distilbert"])
def test_without_a_language_head_that_is_known_text_is_not_trained_on(
    encoders: dict[str, Path], name: str
) -> None:
    encoder = load_encoder(encoders[name], pooler_seed=1)
    with pytest.raises(ConfigError, match="needs a language head"):
        load_language_head(encoders[name], encoder.model)


def test_inputs_longer_than_the_positions_are_refused(encoders: dict[str, Path]) -> None:
    tokenizer = load_encoder(encoders["bert"]).tokenizer
    require_length(tokenizer, 200)
    with pytest.raises(ConfigError, match="longer than the encoder reads") as caught:
        require_length(tokenizer, 201)
    assert "200" in str(caught.value.expected)


def copied(folder: Path, root: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, root / "copy"))


def without_layers(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    kept = {name: tensor for name, tensor in tensors.items() if "layer.1.output" not in name}
    save_file(kept, folder / WEIGHTS)
    write_manifest(folder)


def without_padding_token(folder: Path) -> None:
    import transformers

    # A class of its own, such as XLM-R's, has a padding whatever its files say.
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), unk_token="[UNK]"
    )
    tokenizer.save_pretrained(folder)
    write_manifest(folder)


def fewer_rows(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    name = "bert.embeddings.word_embeddings.weight"
    tensors[name] = tensors[name][:50].clone()
    save_file(tensors, folder / WEIGHTS)
    alter(folder, "config.json", vocab_size=50)


def lower_case_class(folder: Path) -> None:
    alter(folder, "tokenizer_config.json", do_lower_case=True)


def more_positions_than_weights(folder: Path) -> None:
    alter(folder, "config.json", max_position_embeddings=201)


def slow_only(folder: Path) -> None:
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    (folder / "tokenizer.json").unlink()
    write_manifest(folder)


def pickled(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))


def auto_map(folder: Path) -> None:
    alter(folder, "config.json", auto_map={"AutoModel": "evil.Model"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (pickled, "a pickle, or code"),
        (auto_map, "not an encoder"),
        (slow_only, "no fast tokenizer"),
        (without_padding_token, "without a pad_token"),
        (without_layers, r"lacks the weights encoder\.layer\.1\.output"),
        (fewer_rows, "does not fit the encoder"),
        (lower_case_class, "makes other pieces of a text than its file"),
        (more_positions_than_weights, "weights of another architecture"),
    ],
)
def test_a_bad_folder_is_told_what_is_wrong_with_it(
    encoders: dict[str, Path], tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = copied(encoders["bert"], tmp_path)
    spoil(folder)
    with pytest.raises(IntegrityError, match=message):
        self_check(load_encoder(folder), folder)


def other_class(folder: Path, bert: Path, model: Any) -> Path:
    """A model of another class with the tokenizer of BERT."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((bert / name).read_bytes())
    model.save_pretrained(folder)
    write_manifest(folder)
    return folder


def test_a_decoder_is_told_that_it_reads_in_one_direction(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(vocab_size=200, n_embd=32, n_layer=2, n_head=2, n_positions=200)
    folder = other_class(tmp_path / "gpt2", encoders["bert"], GPT2Model(config))
    encoder = load_encoder(folder, pooler_seed=1)
    with pytest.raises(IntegrityError, match="one direction only"):
        self_check(encoder, folder)


def test_an_encoder_decoder_is_refused(encoders: dict[str, Path], tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    config = T5Config(vocab_size=200, d_model=32, d_kv=16, d_ff=32, num_layers=2, num_heads=2)
    folder = other_class(tmp_path / "t5", encoders["bert"], T5Model(config))
    with pytest.raises(IntegrityError, match="not an encoder") as caught:
        load_encoder(folder, pooler_seed=1)
    assert "is_encoder_decoder" in str(caught.value.got)


def test_an_encoder_that_padding_moves_is_refused(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    """ConvBERT's convolutions reach into the padding."""
    from transformers import ConvBertConfig, ConvBertModel

    sizes = SIZES | {"num_attention_heads": 4}
    config = ConvBertConfig(**sizes, vocab_size=200, embedding_size=32, max_position_embeddings=200)
    folder = other_class(tmp_path / "convbert", encoders["bert"], ConvBertModel(config))
    encoder = load_encoder(folder, pooler_seed=1)
    with pytest.raises(IntegrityError, match="padding moves the states of layer"):
        self_check(encoder, folder)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["electra", "roberta", "deberta-v2"])
def test_other_classes_that_keep_the_rule_pass(
    encoders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    from transformers import MODEL_MAPPING, AutoConfig

    own = {"electra": {"embedding_size": 16}, "roberta": {"pad_token_id": 0}}.get(family, {})
    config = AutoConfig.for_model(
        family, **SIZES, vocab_size=200, max_position_embeddings=201, **own
    )
    folder = other_class(tmp_path / family, encoders["bert"], MODEL_MAPPING[type(config)](config))
    encoder = load_encoder(folder, pooler_seed=1)
    self_check(encoder, folder)
    assert encoder.tokenizer.model_max_length == 200 + (family != "roberta")


def test_padding_from_which_positions_are_counted_must_be_the_tokenizers(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(encoders["xlm-roberta"], tmp_path)
    alter(folder, "config.json", pad_token_id=0)
    with pytest.raises(IntegrityError, match="pad with different tokens"):
        load_encoder(folder, pooler_seed=1)


def test_weights_in_half_precision_are_computed_with_in_single(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(encoders["bert"], tmp_path)
    halves = {name: tensor.half() for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(halves, folder / WEIGHTS)
    alter(folder, "config.json", dtype="float16")
    encoder = load_encoder(folder)
    self_check(encoder, folder)
    assert {tensor.dtype for tensor in encoder.model.state_dict().values()} == {torch.float32}
