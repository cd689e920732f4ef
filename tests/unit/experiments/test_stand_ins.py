"""What stands in for encoder and data: shapes as the real ones have, readable as those are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.encoders import ARCHITECTURES, PINNED
from stilts_artifact.benchmark.lengths import LENGTHS
from stilts_artifact.benchmark.own_data import with_own_data
from stilts_artifact.config.load import load_scale
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split, TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.stand_ins import (
    EVALUATED,
    SUPERTAGS,
    Pieces,
    _Text,
    make_encoder,
    weights_of,
    write_rows,
)
from stilts_artifact.forms import form_of
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.model.loading import load_encoder, load_language_head

VOCABULARY = 5002


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_str(Pieces(VOCABULARY).tokenizer().decode())


def test_text_has_exactly_as_many_tokens_as_asked_for(tokenizer: Tokenizer) -> None:
    text = _Text(Pieces(VOCABULARY), np.random.default_rng(1))
    for tokens in (1, 2, 7, 60, 400):
        words = text.words(tokens)
        ids = tokenizer.encode(" ".join(words), add_special_tokens=False).ids
        assert len(ids) == tokens and min(ids) > 30  # no unknown one, no single letter
    # 1.5 tokens a word, as the languages have.
    assert 1.3 < 4000 / len(text.words(4000)) < 1.7


@pytest.mark.slow
@pytest.mark.parametrize("size", [1002, 1003, 250_002])
def test_a_vocabulary_has_as_many_ids_as_the_encoder(size: int) -> None:
    content = json.loads(Pieces(size).tokenizer())
    names = [name for name, _ in content["model"]["vocab"]]
    assert len(names) == len(set(names)) == size
    assert names[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and names[-1] == "<mask>"
    assert content["added_tokens"][-1]["id"] == size - 1


@pytest.mark.slow
def test_rows_are_read_by_the_tasks_own_readers_in_the_lengths_of_the_task(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    scale = load_scale("paper")
    sections = {
        name: {
            task: numbers.model_copy(update={"train_rows": 6})
            for task, numbers in getattr(scale, name).items()
        }
        for name in ("intermediate", "targets")
    }
    scale = scale.model_copy(update={**sections, "mlm": scale.mlm.model_copy(update={"rows": 1})})
    benchmark = load_benchmark("xtreme", ("en", "de"))
    names = write_rows(tmp_path / "rows", benchmark, scale, VOCABULARY)
    own = with_own_data(benchmark, names)
    library = Library(own.sources, FileStore(tmp_path / "store"), [tmp_path / "rows"])
    read = 0
    for task in own.tasks.values():
        if task.study:
            continue
        for split, language in task.parts:
            data = form_of(task).read(task, split, language, library)
            count = form_of(task).size(data)
            if split is Split.TRAIN and task.name != "ccg":
                assert count == 6
            elif form_of(task).is_trained and split is not Split.TRAIN:
                assert count == EVALUATED
            read += 1
    assert read > 40
    ccg = own.tasks["ccg"]
    tagged = form_of(ccg).read(ccg, Split.TRAIN, "en", library)
    assert len(form_of(ccg).labels_in(tagged)) == SUPERTAGS
    # MNLI: each of six premises comes from a sixth of the distribution.
    mnli = own.tasks["mnli"]
    pairs = form_of(mnli).read(mnli, Split.TRAIN, "en", library)
    lengths = sorted(len(tokenizer.encode(pair.first).ids) - 2 for pair in pairs)
    low, *_, high = LENGTHS["mnli"][0]
    assert low <= lengths[0] < 12 < 40 < lengths[-1] <= high
    assert {pair.label for pair in pairs} == set(mnli.labels)


@pytest.mark.slow
def test_an_encoder_has_the_architecture_and_other_weights_and_is_the_same_again(
    tmp_path: Path,
) -> None:
    shipped = PhaseOne.of(load_scale("mini").encoder)
    assert shipped.folder is not None
    made = make_encoder(shipped, tmp_path / "one")
    again = make_encoder(shipped, tmp_path / "other")
    assert made.files == again.files and made.revision != shipped.revision
    assert made.name == "random weights as mini"
    loaded = load_encoder(tmp_path / "one")
    real = load_encoder(shipped.folder, pooler_seed=0)
    shapes = [
        {name: tensor.shape for name, tensor in one.model.state_dict().items()}
        for one in (loaded, real)
    ]
    assert shapes[0] == shapes[1] and len(loaded.tokenizer) == len(real.tokenizer)
    load_language_head(tmp_path / "one", loaded.model)
    total, inner = weights_of(tmp_path / "one")
    assert total > sum(one.numel() for one in loaded.model.parameters())  # the head's, too
    hidden, layers = loaded.model.config.hidden_size, loaded.model.config.num_hidden_layers
    assert abs(inner / (12 * layers * hidden**2) - 1) < 0.1
    # Made once: what is there is taken.
    stamp = (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns
    make_encoder(shipped, tmp_path / "one")
    assert (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns == stamp


def test_every_pinned_encoder_has_an_architecture_and_no_other_is_guessed(tmp_path: Path) -> None:
    assert ARCHITECTURES.keys() == PINNED.keys()
    large = ARCHITECTURES["xlm-roberta-large"]
    layers, hidden, rows = (
        large[name] for name in ("num_hidden_layers", "hidden_size", "vocab_size")
    )
    # 24 layers of 12 h^2 + 13 h, embeddings of words, 514 positions and one type, and their norm:
    # what the published checkpoint's encoder has without its pooler.
    weights = layers * (12 * hidden**2 + 13 * hidden) + (rows + 514 + 1 + 2) * hidden
    assert weights == 558_840_832
    unknown = PhaseOne("somebody/model", "0" * 40, {})
    with pytest.raises(ConfigError, match="architecture of this encoder is not known"):
        make_encoder(unknown, tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()


def test_forms_without_generated_rows_are_those_of_studies() -> None:
    tasks = load_benchmark("xtreme").tasks.values()
    assert {task.form for task in tasks if not task.study} == {*TaskForm} - {TaskForm.ALIGNMENT}
