"""Embedding: layers counted right, padding without effect, order kept, files whole."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.model.batching import padded
from stilts_artifact.retrieval.encode import Batching, Fit, View, embed, fit_of, make_batches
from stilts_artifact.retrieval.transformer import Transformer, load_transformer
from tests.unit.retrieval.conftest import LAYERS

TEXTS = [
    "a",
    "the cat sat on the mat",
    "dog",
    "singing the song of the sea again and again",
    "b",
    "the the the",
]
VIEWS = [View(layer, pooling) for layer in range(LAYERS + 1) for pooling in ("mean", "cls")]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def encoder(tiny_xlmr: Path) -> Transformer:
    return load_transformer(tiny_xlmr, deepest=LAYERS, device="cpu")


def vectors(
    encoder: Transformer, view: View, folder: Path, texts: list[str], **batching: int
) -> Any:
    output = folder / f"{view.layer}-{view.name}-{batching}.npy"
    return embed(
        encoder, texts, {view: output}, batching=Batching(**{"max_length": 64, **batching})
    )[view]


def by_hand(folder: Path, text: str) -> tuple[Any, Any]:
    """All hidden states of one unpadded text from the unchanged model; which tokens are special."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = (
        AutoModel.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    made = tokenizer([text], return_tensors="pt", return_special_tokens_mask=True)
    special = made.pop("special_tokens_mask")[0].bool().numpy()
    with torch.inference_mode():
        states = model(**made, output_hidden_states=True).hidden_states
        embeddings = model.embeddings(made["input_ids"])
    assert torch.equal(states[0], embeddings)
    return np.stack([state[0].numpy() for state in states]), special


@pytest.mark.slow
@pytest.mark.parametrize("deepest", range(LAYERS + 1))
def test_layers_are_hidden_states_zero_being_the_embeddings(
    tiny_xlmr: Path, tmp_path: Path, deepest: int
) -> None:
    states, special = by_hand(tiny_xlmr, TEXTS[1])
    cut = load_transformer(tiny_xlmr, deepest=deepest, device="cpu")
    view = View(deepest)
    assert (
        np.abs(vectors(cut, view, tmp_path, TEXTS)[1] - states[deepest].mean(axis=0)).max() < 1e-5
    )
    bare = View(deepest, specials=False)
    assert (
        np.abs(
            vectors(cut, bare, tmp_path, TEXTS)[1] - states[deepest][~special].mean(axis=0)
        ).max()
        < 1e-5
    )
    first = View(deepest, "cls")
    assert np.abs(vectors(cut, first, tmp_path, TEXTS)[1] - states[deepest][0]).max() < 1e-5
    assert special.sum() == 2


def test_layers_differ_so_that_an_index_off_by_one_would_show(tiny_xlmr: Path) -> None:
    states, _ = by_hand(tiny_xlmr, TEXTS[1])
    assert min(np.abs(low - high).max() for low, high in pairwise(states)) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [8, 64, 100_000])
def test_batch_size_and_padding_hardly_matter(
    encoder: Transformer, tmp_path: Path, tokens: int
) -> None:
    alone = vectors(encoder, View(3), tmp_path, TEXTS, tokens=1)
    batched = vectors(encoder, View(3), tmp_path, TEXTS, tokens=tokens)
    cosine = (alone * batched).sum(axis=1) / (
        np.linalg.norm(alone, axis=1) * np.linalg.norm(batched, axis=1)
    )
    assert cosine.min() > 1 - 1e-5


@pytest.mark.slow
def test_vectors_come_in_the_order_of_the_texts(encoder: Transformer, tmp_path: Path) -> None:
    order = [3, 0, 5, 1, 4, 2]
    plain = np.array(vectors(encoder, View(2), tmp_path, TEXTS))
    (tmp_path / "other").mkdir()
    shuffled = vectors(encoder, View(2), tmp_path / "other", [TEXTS[place] for place in order])
    assert np.abs(plain[order] - shuffled).max() < 1e-5


@pytest.mark.slow
def test_several_views_in_one_pass_equal_single_ones(encoder: Transformer, tmp_path: Path) -> None:
    together = embed(
        encoder,
        TEXTS,
        {view: tmp_path / f"{i}.npy" for i, view in enumerate(VIEWS)},
        batching=Batching(64),
    )
    for view in VIEWS:
        assert np.array_equal(together[view], vectors(encoder, view, tmp_path, TEXTS))


def test_the_output_is_a_memory_mapped_file_and_nothing_partial_stays(
    encoder: Transformer, tmp_path: Path
) -> None:
    made = vectors(encoder, View(1), tmp_path, TEXTS)
    assert isinstance(made, np.memmap)
    assert (made.dtype, made.shape) == (np.float32, (6, 16))
    assert not list(tmp_path.glob("*.partial"))


def test_max_length_cuts_sentences(encoder: Transformer, tmp_path: Path) -> None:
    long = vectors(encoder, View(1), tmp_path, ["the cat abcdef", "the cat ghijkl"], max_length=5)
    assert np.array_equal(long[0], long[1])


@pytest.mark.slow
def test_progress_counts_every_sentence(encoder: Transformer, tmp_path: Path) -> None:
    seen: list[int] = []
    embed(
        encoder,
        TEXTS,
        {View(1): tmp_path / "x.npy"},
        batching=Batching(64, 32),
        advance=seen.append,
    )
    assert len(seen) > 1
    assert sum(seen) == len(TEXTS)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 200))
def test_batches_hold_every_sentence_once_within_the_budget(
    lengths: list[int], tokens: int
) -> None:
    for fit in (fit_of("cpu"), fit_of("cuda:0")):
        batches = list(make_batches(np.array(lengths), tokens, fit))
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        widths = [padded(lengths[batch[0]], fit.multiple) for batch in batches]
        assert widths == sorted(widths, reverse=True)
        for batch, width in zip(batches, widths, strict=True):
            assert width >= max(lengths[place] for place in batch)
            assert len(batch) * width <= tokens or len(batch) == 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(1, 30), st.integers(0, 9))
def test_no_other_runs_of_lengths_cost_less(lengths: list[int], tokens: int, overhead: int) -> None:
    fit = Fit(tokens, overhead, 1)

    def cheapest(order: list[int]) -> int:
        """Of every way to cut the order where the length changes."""
        if not order:
            return 0
        width = lengths[order[0]]
        found = []
        for end in range(1, len(order) + 1):
            if end == len(order) or lengths[order[end]] != lengths[order[end - 1]]:
                batches = -(-end // max(1, tokens // width))
                found.append(end * width + batches * overhead + cheapest(order[end:]))
        return min(found)

    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    made = make_batches(np.array(lengths), tokens, fit)
    assert sum(len(batch) * lengths[batch[0]] + overhead for batch in made) <= cheapest(order)


def test_no_texts_are_refused(encoder: Transformer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sentences"):
        vectors(encoder, View(1), tmp_path, [])


def test_a_text_without_tokens_is_named_where_specials_are_left_out(
    encoder: Transformer, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"sentence 1"):
        vectors(encoder, View(1, specials=False), tmp_path, ["a", " "])
    assert np.isfinite(vectors(encoder, View(1), tmp_path, ["a", " "])).all()


@pytest.mark.parametrize("max_length", [2, 65])
def test_a_length_without_positions_is_refused(
    encoder: Transformer, tmp_path: Path, max_length: int
) -> None:
    with pytest.raises(ConfigError, match="positions"):
        vectors(encoder, View(1), tmp_path, TEXTS, max_length=max_length)


@pytest.mark.slow
def test_a_layer_that_is_not_there_is_refused(tiny_xlmr: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"0 \(embeddings\) to 4"):
        load_transformer(tiny_xlmr, deepest=5, device="cpu")
    with pytest.raises(ConfigError, match="not loaded"):
        vectors(load_transformer(tiny_xlmr, deepest=1, device="cpu"), View(2), tmp_path, TEXTS)


def test_cls_without_specials_is_refused() -> None:
    with pytest.raises(ConfigError):
        View(1, "cls", specials=False)


@pytest.mark.slow
def test_a_batch_that_memory_does_not_hold_is_halved_and_gives_the_same_vectors(
    encoder: Transformer, tmp_path: Path
) -> None:
    view, failed, done = View(2), [], []
    whole = np.array(vectors(encoder, view, tmp_path, TEXTS))

    def short(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        if inputs["input_ids"].numel() > 40:
            failed.append(inputs["input_ids"].numel())
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to")

    hook = encoder.model.register_forward_pre_hook(short, with_kwargs=True)
    try:
        output = tmp_path / "short.npy"
        made = embed(
            encoder, TEXTS, {view: output}, batching=Batching(64, 8192), advance=done.append
        )[view]
    finally:
        hook.remove()
    assert failed and failed == sorted(set(failed), reverse=True)
    # Each sentence once, though some were tried in several batches.
    assert sum(done) == len(TEXTS) and len(done) > 1
    assert np.abs(made - whole).max() < 1e-5
