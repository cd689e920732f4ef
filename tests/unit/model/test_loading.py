"""Loading: every weight accounted for, layers numbered from the embeddings, padding no matter."""

from __future__ import annotations

import gc
import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from stilts_artifact.errors import IntegrityError, MissingDataError
from stilts_artifact.model.batching import pad
from stilts_artifact.model.loading import load_encoder, load_language_head, scaled_initial_range
from stilts_artifact.model.manifest import WEIGHTS, write_manifest

if TYPE_CHECKING:
    from stilts_artifact.model.loading import Encoder

TEXTS = [
    f"{'merfa sudi luzah ' * (1 + index % 9)}{'feboh' * (index % 3)} gimow{index}."
    for index in range(64)
]


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the encoder that a test may spoil."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def rewrite(folder: Path, change: dict[str, torch.Tensor | None]) -> None:
    """Set or remove tensors, and make the manifest fit."""
    tensors = {**load_file(folder / WEIGHTS), **change}
    save_file(
        {name: tensor for name, tensor in tensors.items() if tensor is not None}, folder / WEIGHTS
    )
    write_manifest(folder)


def hidden_states(encoder: Encoder, rows: list[list[int]]) -> tuple[torch.Tensor, ...]:
    ids = pad(rows, 1)
    with torch.no_grad():
        made = encoder.model(
            input_ids=ids, attention_mask=(ids != 1).long(), output_hidden_states=True
        )
    states: tuple[torch.Tensor, ...] = made.hidden_states
    return states


def mean(states: torch.Tensor, rows: list[list[int]]) -> torch.Tensor:
    """Mean over each row's own tokens, specials included."""
    return torch.stack([state[: len(row)].mean(0) for state, row in zip(states, rows, strict=True)])


@pytest.mark.parametrize("collects", [True, False])
def test_the_garbage_collector_is_left_as_it_was(tiny: Path, collects: bool) -> None:
    before = gc.isenabled()
    try:
        gc.enable() if collects else gc.disable()
        load_encoder(tiny)
        assert gc.isenabled() is collects
    finally:
        gc.enable() if before else gc.disable()


def test_all_weights_are_loaded_and_none_initialised(encoder: Encoder, tiny: Path) -> None:
    stored = load_file(tiny / WEIGHTS)
    assert encoder.weights.initialised == ()
    assert set(encoder.weights.loaded) == set(encoder.model.state_dict())
    assert {"pooler.dense.weight", "pooler.dense.bias"} <= set(encoder.weights.loaded)
    assert all(not name.startswith("roberta") for name in encoder.weights.unused)
    for name, tensor in encoder.model.state_dict().items():
        assert torch.equal(tensor, stored[f"roberta.{name}"])


def test_transformers_itself_reads_the_same_model(encoder: Encoder, tiny: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = AutoModelForMaskedLM.from_pretrained(tiny, local_files_only=True).eval()
    tokens = AutoTokenizer.from_pretrained(tiny, local_files_only=True)(
        TEXTS[:3], padding=True, return_tensors="pt"
    )
    head = load_language_head(tiny, encoder.model)
    with torch.no_grad():
        hidden = encoder.model(**tokens).last_hidden_state
        assert torch.equal(head(hidden), theirs(**tokens).logits)
    assert tokens["input_ids"][0].tolist()[:4] == encoder.tokenizer(TEXTS[0])["input_ids"][:4]


def test_layer_zero_is_the_embeddings_and_the_last_is_the_output(encoder: Encoder) -> None:
    rows = encoder.tokenizer(TEXTS[:4])["input_ids"]
    states = hidden_states(encoder, rows)
    ids = pad(rows, 1)
    with torch.no_grad():
        embedded = encoder.model.embeddings(input_ids=ids)
        output = encoder.model(input_ids=ids, attention_mask=(ids != 1).long()).last_hidden_state
    assert len(states) == encoder.model.config.num_hidden_layers + 1
    assert torch.equal(states[0], embedded)
    assert torch.equal(states[-1], output)
    assert not torch.allclose(states[0], states[1])


def test_positions_start_after_the_padding_id(encoder: Encoder) -> None:
    """Fairseq numbers positions from 2; padding keeps 1, so it moves nothing."""
    embeddings = encoder.model.embeddings
    with torch.no_grad():
        given = embeddings(input_ids=torch.tensor([[0, 50, 2, 1]]))
        named = embeddings(
            input_ids=torch.tensor([[0, 50, 2, 1]]), position_ids=torch.tensor([[2, 3, 4, 1]])
        )
    assert torch.equal(given, named)


@pytest.fixture(scope="module")
def alone(encoder: Encoder) -> list[tuple[torch.Tensor, ...]]:
    """Hidden states of each text by itself."""
    return [hidden_states(encoder, [row]) for row in encoder.tokenizer(TEXTS)["input_ids"]]


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 64])
@pytest.mark.parametrize("padding", [0, 40])
def test_batch_size_and_padding_have_no_effect(
    encoder: Encoder, alone: list[tuple[torch.Tensor, ...]], size: int, padding: int
) -> None:
    rows = encoder.tokenizer(TEXTS)["input_ids"]
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        filler = [[0, *[50] * (max(map(len, batch)) + padding), 2]] if padding else []
        together = hidden_states(encoder, batch + filler)
        for layer, states in enumerate(together):
            own = torch.cat([mean(alone[start + at][layer], [row]) for at, row in enumerate(batch)])
            cosine = torch.nn.functional.cosine_similarity(own, mean(states[: len(batch)], batch))
            assert (1 - cosine).abs().max().item() < 1e-5
            assert torch.allclose(own, mean(states[: len(batch)], batch), atol=1e-4)


def test_a_checkpoint_without_a_pooler_is_refused_unless_it_may_be_initialised(copy: Path) -> None:
    rewrite(copy, {"roberta.pooler.dense.weight": None})
    with pytest.raises(IntegrityError, match=r"lacks the weights pooler\.dense\.weight"):
        load_encoder(copy)
    with pytest.raises(IntegrityError, match=r"lacks the weights pooler\.dense\.weight"):
        load_encoder(copy, pooler_seed=1)  # half a pooler is none that was left out
    rewrite(copy, {"roberta.pooler.dense.bias": None})
    poolers = []
    for seed, drawn in ((1, 0), (1, 7), (2, 0)):
        torch.manual_seed(drawn)
        encoder = load_encoder(copy, pooler_seed=seed)
        assert encoder.weights.initialised == ("pooler.dense.bias", "pooler.dense.weight")
        poolers.append(encoder.model.state_dict()["pooler.dense.weight"])
    assert torch.equal(poolers[0], poolers[1])
    assert not torch.equal(poolers[0], poolers[2])


def test_a_missing_a_surplus_and_a_misshapen_tensor_are_named(copy: Path) -> None:
    name = "roberta.encoder.layer.1.output.dense.weight"
    original = load_file(copy / WEIGHTS)[name]
    rewrite(copy, {name: None})
    with pytest.raises(
        IntegrityError, match=r"lacks the weights encoder\.layer\.1\.output\.dense\.weight"
    ):
        load_encoder(copy)
    rewrite(copy, {name: original, "roberta.encoder.layer.2.bias": torch.zeros(3)})
    with pytest.raises(IntegrityError, match=r"something else: encoder\.layer\.2\.bias"):
        load_encoder(copy)
    rewrite(copy, {"roberta.encoder.layer.2.bias": None, name: torch.zeros(3, 3)})
    with pytest.raises(
        IntegrityError, match=r"another architecture: encoder\.layer\.1\.output\.dense\.weight"
    ):
        load_encoder(copy)


def test_a_language_head_with_a_missing_tensor_is_refused(copy: Path) -> None:
    encoder = load_encoder(copy)
    rewrite(copy, {"lm_head.dense.bias": None})
    with pytest.raises(IntegrityError, match=r"lacks the weights dense\.bias"):
        load_language_head(copy, encoder.model)


def test_checkpoints_of_older_and_bare_classes_load_alike(copy: Path, encoder: Encoder) -> None:
    """No class prefix; the position buffer and tied decoder that transformers used to save."""
    tensors = load_file(copy / WEIGHTS)
    bare = {name.removeprefix("roberta."): tensor for name, tensor in tensors.items()}
    bare["embeddings.position_ids"] = torch.arange(514)[None]
    bare["lm_head.decoder.weight"] = tensors["roberta.embeddings.word_embeddings.weight"].clone()
    bare["lm_head.decoder.bias"] = tensors["lm_head.bias"].clone()
    save_file(bare, copy / WEIGHTS)
    write_manifest(copy)
    loaded = load_encoder(copy)
    load_language_head(copy, loaded.model)
    assert all(
        torch.equal(loaded.model.state_dict()[name], own)
        for name, own in encoder.model.state_dict().items()
    )


def test_half_precision_on_disk_becomes_single_in_memory(copy: Path) -> None:
    halves = {name: tensor.half() for name, tensor in load_file(copy / WEIGHTS).items()}
    rewrite(copy, dict(halves))
    assert {tensor.dtype for tensor in load_encoder(copy).model.state_dict().values()} == {
        torch.float32
    }


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("model_type", "no such class", "model_type"),
        ("model_type", "vit_mae", "token ids"),
        ("auto_map", {"AutoModel": "evil.Model"}, "auto_map"),
        ("hidden_size", 0, "hidden_size"),
        ("hidden_size", "32", "hidden_size"),
        ("num_attention_heads", 5, "num_attention_heads"),
        ("vocab_size", None, "vocab_size"),
        ("hidden_act", 3, "class's own"),
        ("hidden_act", "no such function", "class's own"),
        ("id2label", {"x": "y"}, "class's own"),
        ("hidden_dropout_prob", "a lot", "class's own"),
    ],
)
def test_a_config_of_something_else_is_refused(
    copy: Path, field: str, value: object, named: str
) -> None:
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    write_manifest(copy)
    with pytest.raises(IntegrityError, match="not an encoder") as caught:
        load_encoder(copy)
    assert named in str(caught.value.expected)


def test_more_layers_in_the_config_than_in_the_weights(copy: Path) -> None:
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 3}))
    write_manifest(copy)
    with pytest.raises(IntegrityError, match=r"lacks the weights encoder\.layer\.2"):
        load_encoder(copy)


def test_a_tokenizer_of_another_model_is_refused(copy: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram, WordLevel

    many = [(f"a{number}", 0.0) for number in range(500)]
    for model, message in (
        (WordLevel({"a": 0}, unk_token="a"), "not a tokenizer"),
        (Unigram(many, 3), "does not fit the encoder"),
    ):
        Tokenizer(model).save(str(copy / "tokenizer.json"))
        write_manifest(copy)
        with pytest.raises(IntegrityError, match=message):
            load_encoder(copy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("tokenizer.json", "post_processor", {"type": "no such"}),
        ("tokenizer.json", "normalizer", {"type": "Precompiled", "precompiled_charsmap": "?"}),
        ("tokenizer.json", "added_tokens", [{"id": -1}]),
        ("tokenizer_config.json", "sep_token", 3),
    ],
)
def test_whatever_the_tokenizers_raise_is_about_the_file(
    copy: Path, name: str, field: str, value: object
) -> None:
    path = copy / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    write_manifest(copy)
    with pytest.raises(IntegrityError, match="not a tokenizer"):
        load_encoder(copy)


def test_no_folder_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no such checkpoint folder"):
        load_encoder(tmp_path / "nothing")


def test_initial_range_keeps_the_variance_of_the_large_model() -> None:
    assert scaled_initial_range(1024) == 0.02
    assert scaled_initial_range(256) == pytest.approx(0.04)
