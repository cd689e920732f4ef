"""Joined windows: what each token has to tell, and nothing of the evaluation sets in them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from stilts_artifact.miniworld import SEED, grammar, languages
from stilts_artifact.miniworld.discourse import ALSO, NO, YES, exchanges
from stilts_artifact.miniworld.meanings import Event
from stilts_artifact.pretraining import batches, discourse
from stilts_artifact.pretraining.batches import make_tokenizer
from stilts_artifact.pretraining.corpus import key
from stilts_artifact.pretraining.discourse import CLOSED, OPEN, Row, joined_rows, joined_windows
from stilts_artifact.pretraining.pretrain import _step, new_trainee
from stilts_artifact.pretraining.recipe import QUICK

SMALL = replace(QUICK, pieces=400, vocabulary_documents=100, hidden=32, feed_forward=64)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer(SMALL, ())


@pytest.fixture(scope="module")
def rows(tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return joined_rows(tokenizer, "1/0", 300, ())


@pytest.mark.slow
def test_a_stream_depends_on_its_name_alone(
    tokenizer: PreTrainedTokenizerFast, rows: list[Row]
) -> None:
    assert joined_rows(tokenizer, "1/0", 300, ()) == rows
    assert joined_rows(tokenizer, "1/1", 300, ()) != rows


def test_windows_are_in_every_language_and_joined_by_its_words() -> None:
    drawn = list(islice(joined_windows("1/0", ()), 1000))
    words = {
        code: {grammar(code).word(concept) for concept in (YES, NO, ALSO)} for code in languages
    }
    found = {window.joined for window in drawn}
    assert found == set().union(*words.values())


def test_forbidden_sentences_do_not_occur() -> None:
    def sentences(drawn: list[discourse.Window]) -> set[str]:
        texts = [text for window in drawn for text in (window.first, window.second)]
        return {key(part) for text in texts for part in text.replace("?", ".").split(".")} - {""}

    found = sentences(list(islice(joined_windows("1/0", ()), 300)))
    forbidden = set(sorted(found)[::3])
    again = sentences(list(islice(joined_windows("1/0", forbidden), 300)))
    assert again & found
    assert not again & forbidden


def test_spans_lie_in_the_second_text_and_do_not_overlap() -> None:
    for window in islice(joined_windows("1/0", ()), 500):
        ends = 0
        for start, end, word in sorted(window.spans):
            assert ends <= start < end <= len(window.second)
            assert word
            ends = end


def test_the_span_of_an_answer_is_the_phrase_of_its_slot_in_its_sentence() -> None:
    own = grammar("qen")
    later = 0
    source_only = joined_windows("1/0", (), text={"qen": 1})
    for window, drawn in islice(
        zip(source_only, exchanges(SEED, "pretraining/1/0"), strict=True), 300
    ):
        if drawn.answer is not None:
            index, slot = drawn.answer
            told = [event for event in drawn.second if isinstance(event, Event)]
            text, spans = own.spans(told[index])
            before = " ".join([*(own.text(event) for event in told[:index]), ""])
            ((start, end, _),) = window.spans
            assert (start, end) == tuple(len(before) + at for at in spans[slot])
            assert window.second[start:end] == text[slice(*spans[slot])]
            later += index > 0
    assert later > 30


def test_in_contrast_what_agrees_is_told_by_yes_and_nothing_else_changes() -> None:
    plain, contrast = (
        list(islice(joined_windows("1/0", (), contrast), 400)) for contrast in (False, True)
    )
    yes = {grammar(code).word(YES) for code in languages}
    changed = 0
    for one, two in zip(plain, contrast, strict=True):
        assert one._replace(spans=()) == two._replace(spans=())
        for (*where, before), (*there, after) in zip(one.spans, two.spans, strict=True):
            assert where == there
            assert after in (before, two.joined) or after in yes
            changed += before != after
        if two.joined in yes and not two.lone:
            assert {word for _, _, word in two.spans} <= {two.joined}
        elif not two.lone:
            assert {word for _, _, word in two.spans} != {one.joined}
    assert changed > 300


def test_every_row_tells_its_joining_word_at_the_first_token(
    tokenizer: PreTrainedTokenizerFast, rows: list[Row]
) -> None:
    windows = islice(joined_windows("1/0", ()), 300)
    for row, window in zip(rows, windows, strict=True):
        assert len(row.input_ids) == len(row.told)
        assert (
            tokenizer.convert_ids_to_tokens([row.told[0]])[0]
            == tokenizer.tokenize(window.joined)[-1]
        )
        assert row.input_ids[0] == 0
        told = [told for at, told in zip(row.input_ids, row.told, strict=True) if at == 2]
        assert set(told) == {CLOSED}, "separators tell nothing"


def test_the_tokens_of_an_answer_tell_the_questions_word(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    drawn = list(islice(joined_windows("1/2", ()), 300))
    rows = joined_rows(tokenizer, "1/2", 300, ())
    answered = 0
    for window, row in zip(drawn, rows, strict=True):
        if window.lone:
            ((start, end, word),) = window.spans
            piece = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word)[-1])
            marked = [at for at, told in enumerate(row.told[1:], 1) if told == piece]
            text = str(tokenizer.decode(row.input_ids[marked[0] : marked[-1] + 1]))
            assert window.second[start:end].replace(" ", "") in text.replace(" ", "")
            assert word in window.first.replace("?", "").split()
            answered += 1
    assert answered > 50


def test_joining_words_of_a_language_differ_in_the_piece_that_tells_them() -> None:
    """With the shipped vocabulary; the pieces of another one may be too short."""
    from stilts_artifact.model.hub import shipped_encoder
    from stilts_artifact.model.loading import load_encoder_tokenizer

    shipped = load_encoder_tokenizer(shipped_encoder())
    for code in languages:
        own = grammar(code)
        assert len({shipped.tokenize(own.word(concept))[-1] for concept in (YES, NO, ALSO)}) == 3, (
            code
        )


@pytest.mark.slow
def test_the_share_of_joined_windows_is_what_was_asked_for(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    for share in (0.0, 0.4, 1.0):
        made = batches._pool(replace(SMALL, joined_share=share), tokenizer, (), 0)
        joined = sum(int((batch.told[:, 0] >= 0).sum()) for batch in made)
        assert joined / sum(len(batch.told) for batch in made) == pytest.approx(share, abs=0.01)


@pytest.mark.slow
def test_only_what_is_open_is_masked_and_only_what_tells_is_scored(
    tokenizer: PreTrainedTokenizerFast, rows: list[Row]
) -> None:
    """The loss does not depend on what closed positions would tell, and does at told ones."""
    trainee = new_trainee(SMALL, len(tokenizer))
    recipe = replace(SMALL, learning_rate=0.0)

    def loss(told: list[int]) -> float:
        batch = batches.Batch(torch.tensor([row.input_ids]), torch.tensor([told]))
        return _step(recipe, trainee, batch, 0)

    row = next(row for row in rows if row.told[0] >= 0)
    all_closed = [row.told[0], *[CLOSED] * (len(row.told) - 1)]
    other_word = [row.told[0] + 1, *all_closed[1:]]
    assert loss(all_closed) == loss(all_closed)
    assert loss(all_closed) != loss(other_word)
    thick = replace(recipe, mask_rate=0.9)
    batch = batches.Batch(torch.tensor([row.input_ids]), torch.tensor([all_closed]))
    assert _step(thick, trainee, batch, 0) == loss(all_closed), (
        "nothing is masked where it is closed"
    )
    everything = [OPEN] * len(row.told)
    assert loss(everything) != loss(all_closed)
