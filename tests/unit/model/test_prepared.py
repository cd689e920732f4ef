"""Prepared data: same bytes for same input, all back as it was, nothing else accepted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.domain.examples import (
    Answer,
    ChoiceExample,
    PairExample,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.model.forms import trained_form
from stilts_artifact.model.forms.choice import choice_features
from stilts_artifact.model.forms.pair import pair_features
from stilts_artifact.model.forms.span import span_windows, windows_of
from stilts_artifact.model.forms.tagging import tag_chunks
from stilts_artifact.model.prepared import Prepared, load_prepared, prepare_lines, save_prepared

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TASKS = {
    TaskForm.PAIR: "mnli",
    TaskForm.CHOICE: "hellaswag",
    TaskForm.TAGGING: "udpos",
    TaskForm.SPAN: "squad_v2",
}
LABELS = {TaskForm.PAIR: ("no", "yes"), TaskForm.TAGGING: ("A", "B", "C")}
LONG = "merfa sudi ka lo " * 40


def examples_of(kind: TaskForm) -> list[Any]:
    """Four examples, one of them longer than an input."""
    match kind:
        case TaskForm.PAIR:
            return [
                PairExample(str(n), "merfa " * n, "sudi", "yes" if n % 2 else "no")
                for n in (1, 2, 300, 4)
            ]
        case TaskForm.CHOICE:
            return [
                ChoiceExample(str(n), "merfa " * n, ("sudi", "ka lo", "x" * n), n % 3)
                for n in (1, 2, 300, 4)
            ]
        case TaskForm.TAGGING:
            return [
                TaggedSentence(("merfa",) * n, ("A", "B", "Z", "C", *"A" * n)[:n])
                for n in (1, 2, 300, 4)
            ]
        case _:
            first = SpanExample("q1", "merfa?", LONG, (Answer("sudi", LONG.index("sudi", 500)),))
            return [
                first,
                SpanExample("q2", "sudi?", "ka lo", ()),
                SpanExample("q3", "ka?", "ka lo", (Answer("lo", 3),)),
            ]


def made(tokenizer: PreTrainedTokenizerFast, kind: TaskForm, folder: Path) -> Prepared:
    labels, task = LABELS.get(kind, ()), load_benchmark("mini").tasks[TASKS[kind]]
    columns = trained_form(kind).prepare(tokenizer, labels, examples_of(kind), 256)
    save_prepared(folder, task, labels, *columns, max_length=256)
    return load_prepared(folder)


@pytest.mark.parametrize("kind", TASKS)
def test_equal_examples_give_equal_bytes(
    tokenizer: PreTrainedTokenizerFast, kind: TaskForm, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        made(tokenizer, kind, tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) == 3


def test_pairs_and_choices_come_back(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    pairs = made(tokenizer, TaskForm.PAIR, tmp_path / "pairs")
    wanted = pair_features(tokenizer, examples_of(TaskForm.PAIR), LABELS[TaskForm.PAIR], 256)
    assert [(row["input_ids"], None, row["label"]) for row in pairs.features] == wanted
    assert pairs.examples["label"][:] == ["yes", "no", "no", "no"]
    choices = made(tokenizer, TaskForm.CHOICE, tmp_path / "choices")
    found = [(tuple(row["choices"]), None, row["label"]) for row in choices.features]
    assert found == choice_features(tokenizer, examples_of(TaskForm.CHOICE), 256)


def test_windows_come_back(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    prepared = made(tokenizer, TaskForm.SPAN, tmp_path)
    assert prepared.max_length == 256
    wanted = span_windows(tokenizer, examples_of(TaskForm.SPAN), max_length=256)
    assert [window._replace(input_ids=[]) for window in wanted] == windows_of(prepared)
    assert [window.input_ids for window in wanted] == prepared.features["input_ids"][:]
    assert len(wanted) > 3
    assert prepared.examples["answers"][:] == [["sudi"], [], ["lo"]]


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("count", [1, 3, 10])
def test_the_first_examples_have_all_their_features(
    tokenizer: PreTrainedTokenizerFast, kind: TaskForm, count: int, tmp_path: Path
) -> None:
    whole = made(tokenizer, kind, tmp_path)
    part = whole.first(count)
    assert len(part.examples) == min(count, len(whole.examples))
    if "example" in whole.features.column_names:
        owners = whole.features["example"][:]
        assert part.features["example"][:] == [owner for owner in owners if owner < count]
    else:
        assert len(part.features) == len(part.examples)


def test_text_is_cut_into_inputs_and_not_off(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    lines = ["merfa sudi", LONG, ""]
    save_prepared(tmp_path, None, (), prepare_lines(tokenizer, lines, 32), {}, max_length=32)
    prepared = load_prepared(tmp_path)
    rows = prepared.features["input_ids"][:]
    assert all(row[0] == 0 and row[-1] == 2 and len(row) <= 32 for row in rows)
    ids = [tokenizer(line, add_special_tokens=False)["input_ids"] for line in lines]
    assert [token for row in rows for token in row[1:-1]] == [
        token for line in ids for token in line
    ]
    with pytest.raises(DataError, match="no predictions"):
        prepared.trained_form.decode(prepared, [])


def test_text_without_room_for_a_token_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    assert prepare_lines(tokenizer, ["merfa"], 3)["input_ids"]
    for max_length in (2, 0):
        with pytest.raises(ConfigError, match="no room"):
            prepare_lines(tokenizer, ["merfa"], max_length)


WORDS = st.sampled_from(["merfa", "sudi", "\u200b", "x" * 70]) | st.text(min_size=1, max_size=8)
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, st.sampled_from("ABCZ")), min_size=1, max_size=40), max_size=4
)


@pytest.mark.slow
@settings(max_examples=60)
@given(tagged=SENTENCES, max_length=st.integers(3, 60))
def test_decoded_tags_align_with_gold_words_one_to_one(
    tokenizer: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
    tagged: list[list[tuple[str, str]]],
    max_length: int,
) -> None:
    examples = [TaggedSentence(*map(tuple, zip(*sentence, strict=True))) for sentence in tagged]
    folder = tmp_path_factory.mktemp("tags")
    labels = ("A", "B", "C", "Z")
    form = trained_form(TaskForm.TAGGING)
    columns = form.prepare(tokenizer, labels, examples, max_length)
    task = load_benchmark("mini").tasks["udpos"]
    save_prepared(folder, task, labels, *columns, max_length=max_length)
    prepared = load_prepared(folder)
    # A model that has learnt everything: the label where there is one, another tag elsewhere, and
    # padding behind.
    rows = [
        np.array([tag if tag >= 0 else 2 for tag in row] + [3, 3])
        for row in prepared.features["tags"][:]
    ]
    assert form.decode(prepared, rows) == [list(example.tags) for example in examples]


def test_a_tag_that_training_lacks_is_learnt_from_nowhere(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    prepared = made(tokenizer, TaskForm.TAGGING, tmp_path)
    assert prepared.examples["tags"][3] == ["A", "B", "Z", "C"]
    assert [tag for tag in prepared.features["tags"][-1] if tag >= 0] == [0, 1, 2]
    chunks = tag_chunks(
        tokenizer, [example.words for example in examples_of(TaskForm.TAGGING)], 256
    )
    assert prepared.features["positions"][:] == [chunk.positions for chunk in chunks]
    assert len(chunks) > 4


@pytest.mark.parametrize("fault", ["another kind", "truncated", "missing", "form", "unknown kind"])
def test_what_is_not_prepared_data_is_refused(
    tokenizer: PreTrainedTokenizerFast, fault: str, tmp_path: Path
) -> None:
    for kind in (TaskForm.PAIR, TaskForm.SPAN):
        made(tokenizer, kind, tmp_path / kind.name)
    file, other = tmp_path / "PAIR" / "features.arrow", tmp_path / "SPAN" / "features.arrow"
    match fault:
        case "another kind":
            file.write_bytes(other.read_bytes())
        case "truncated":
            file.write_bytes(file.read_bytes()[:-100])
        case "missing":
            file.unlink()
        case "form":
            file = file.with_name("form.json")
            file.write_text("{}")
        case _:
            file = file.with_name("form.json")
            file.write_text('{"form": "tagginG", "metrics": [], "labels": [], "max_length": 9}')
    with pytest.raises(IntegrityError) as caught:
        load_prepared(tmp_path / "PAIR")
    assert caught.value.where == str(file)
