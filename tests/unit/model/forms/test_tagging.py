"""Every word of every sentence gets exactly its own tag; what names are scored by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.domain.examples import TaggedSentence
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.forms import TAGGING
from stilts_artifact.metrics.chunk_f1 import ChunkRule, Codes
from stilts_artifact.model.forms import TRAINED, tagging
from stilts_artifact.model.forms.tagging import join_tags, tag_chunks, tag_labels
from stilts_artifact.model.prepared import Prepared, load_prepared, save_prepared

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MINI = load_benchmark("mini")
IGNORED = -100
# Words the tokenizer knows, words it must spell, words that vanish in normalisation, any text at
# all.
WORDS = st.sampled_from(["merfa", "sudi", ".", "\u200b", "ﬁ", "x" * 70]) | st.text(
    min_size=1, max_size=12
)
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=60), min_size=1, max_size=5)


@pytest.mark.slow
@settings(deadline=None)
@given(sentences=SENTENCES, max_length=st.integers(3, 80))
def test_predictions_align_with_gold_words_one_to_one(
    tokenizer: PreTrainedTokenizerFast, sentences: list[list[str]], max_length: int
) -> None:
    # Each word's tag is a number of its own, so a tag read at a wrong place cannot pass.
    numbers = iter(range(10**6))
    tags = [[next(numbers) for _ in words] for words in sentences]
    chunks = tag_chunks(tokenizer, sentences, max_length)
    labels = tag_labels(chunks, tags, IGNORED)
    assert join_tags(chunks, [[*row, 777] for row in labels], len(sentences)) == tags
    for chunk, row in zip(chunks, labels, strict=True):
        assert len(row) == len(chunk.input_ids) <= max_length
        assert sum(label != IGNORED for label in row) == len(chunk.positions) > 0
        assert row[0] == row[-1] == IGNORED
        assert (chunk.input_ids[0], chunk.input_ids[-1]) == (0, 2)


@pytest.mark.slow
@settings(deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=20))
def test_ids_are_the_tokenizers_own(tokenizer: PreTrainedTokenizerFast, words: list[str]) -> None:
    (chunk,) = tag_chunks(tokenizer, [words], 10_000)
    own = tokenizer(words, is_split_into_words=True)
    kept = [
        token
        for token, word in zip(own["input_ids"], own.word_ids(), strict=True)
        if word is not None
    ]
    made = chunk.input_ids[1:-1]
    vanished = sorted(
        set(range(len(words))) - {word for word in own.word_ids() if word is not None}
    )
    for at in reversed(vanished):
        position = chunk.positions[at] - 1
        assert made[position] == tokenizer.unk_token_id, "a word without sub-tokens stands as <unk>"
        del made[position]
    assert made == kept


def test_a_sentence_is_split_between_words(tokenizer: PreTrainedTokenizerFast) -> None:
    words = ["merfa", "sudi", "luzah", "feboh"] * 5
    chunks = tag_chunks(tokenizer, [words], 16)
    assert len(chunks) > 1
    assert sum(len(chunk.positions) for chunk in chunks) == len(words)
    whole = tag_chunks(tokenizer, [words], 512)[0].input_ids[1:-1]
    assert [token for chunk in chunks for token in chunk.input_ids[1:-1]] == whole


def test_a_length_without_room_for_a_token_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match="no room"):
        tag_chunks(tokenizer, [["merfa"]], 2)


NAMES = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")


def examples_with(tags: Sequence[Sequence[str]]) -> list[TaggedSentence]:
    return [TaggedSentence(("merfa",) * len(own), tuple(own)) for own in tags]


def tagged(
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    task: str,
    labels: Sequence[str],
    tags: Sequence[Sequence[str]],
) -> Prepared:
    examples = examples_with(tags)
    columns = TRAINED[TaskForm.TAGGING].prepare(tokenizer, labels, examples, 64)
    save_prepared(folder, MINI.tasks[task], labels, *columns, max_length=64)
    return load_prepared(folder)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=9),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_published_of_names_is_seqevals_score(
    tokenizer: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[tuple[str, str]]],
) -> None:
    folder, task = tmp_path_factory.mktemp("names"), MINI.tasks["panx"]
    gold, predicted = ([[pair[at] for pair in own] for own in sentences] for at in (0, 1))
    prepared = tagged(tokenizer, folder / "data", "panx", NAMES, gold)
    file = TAGGING.write_predictions(folder, task, "qaa", "dev", predicted)
    form = prepared.trained_form
    form.confirm(task, prepared, predicted, file)  # raises if they differ
    labels = TAGGING.write_gold(folder / "gold", task, "qaa", "dev", examples_with(gold))
    sums = np.array(TAGGING.read_gold(task, "qaa", labels).tally(file, file.read_bytes()))
    assert form.development_score(prepared, predicted) == pytest.approx(
        float(TAGGING.points(sums)["f1"])
    )


def test_a_fast_count_that_goes_wrong_is_caught_where_names_are_published(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, gold = MINI.tasks["panx"], [["B-LOC", "I-LOC", "O", "B-PER"]]
    prepared = tagged(tokenizer, tmp_path / "data", "panx", NAMES, gold)
    file = TAGGING.write_predictions(tmp_path, task, "qaa", "dev", gold)
    prepared.trained_form.confirm(task, prepared, gold, file)
    by_end = ChunkRule.by_end

    def without_the_last(rule: ChunkRule, codes: Codes) -> tuple[Codes, Codes]:
        starts, types = by_end(rule, codes)
        starts[np.flatnonzero(starts >= 0)[-1]] += len(calls)  # another chunk in each file
        calls.append(codes)
        return starts, types

    calls: list[Codes] = []
    monkeypatch.setattr(ChunkRule, "by_end", without_the_last)
    with pytest.raises(IntegrityError, match="not seqeval's") as caught:
        prepared.trained_form.confirm(task, prepared, gold, file)
    assert (caught.value.where, caught.value.expected) == (str(file), "100.0")


def test_chunks_of_the_bootstrap_that_go_wrong_are_caught_too(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, gold = MINI.tasks["panx"], [["B-LOC", "O", "B-PER"], ["B-LOC"]]
    prepared = tagged(tokenizer, tmp_path / "data", "panx", NAMES, gold)
    file = TAGGING.write_predictions(tmp_path, task, "qaa", "dev", gold)
    monkeypatch.setattr(
        "stilts_artifact.forms.tagging.chunk_counts", lambda *_: np.array([[1.0, 2, 2], [1, 1, 1]])
    )
    with pytest.raises(IntegrityError, match="not seqeval's"):
        prepared.trained_form.confirm(task, prepared, gold, file)


def test_seqeval_has_no_say_in_other_tags(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagging, "seqeval_f1", None)
    task, labels, gold = MINI.tasks["udpos"], ("NOUN", "SYM", "VERB"), [["NOUN", "NOUN", "SYM"]]
    prepared = tagged(tokenizer, tmp_path / "data", "udpos", labels, gold)
    file = TAGGING.write_predictions(tmp_path, task, "qaa", "dev", gold)
    prepared.trained_form.confirm(task, prepared, gold, file)
    assert prepared.trained_form.development_score(prepared, [["NOUN", "VERB", "SYM"]]) == 40.0
