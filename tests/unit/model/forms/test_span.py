"""Windows over contexts cover every character; answers are characters of the context itself."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.domain.examples import Answer, SpanExample
from stilts_artifact.errors import ConfigError
from stilts_artifact.model.features import pieces
from stilts_artifact.model.forms.span import NO_ANSWER, SpanWindow, answers, span_windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Beside letters: what the normaliser composes with the character before it, drops, or makes several
# characters of.
ALPHABET = "merfa sudiлз  ﬁ\u200b\u3000.x1e\u0301\u0302\u00ad\ufeff\u0438\u0306\u1100\u1161\u11a8"
TEXT = st.text(alphabet=st.sampled_from(ALPHABET), min_size=1, max_size=120)
UNSEEN = "\u200b\u00ad\ufeff"
# An accent on white space is dropped with it: at the end, no token is near that could have it.
NOBODYS = re.compile(rf"\s[{UNSEEN}\u0301\u0302\u0306]*$")


def example(context: str, start: int, end: int, question: str = "merfa sudi?") -> SpanExample:
    return SpanExample("q", question, context, (Answer(context[start:end], start),))


def certain(window: SpanWindow, start: int, end: int) -> np.ndarray:
    """Scores of a model that is sure of one span."""
    scores = np.full((2, len(window.input_ids) + 3), -5.0, np.float32)
    scores[0, start] = scores[1, end] = 5.0
    return scores


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(context=TEXT, data=st.data(), length=st.integers(24, 60), stride=st.integers(1, 8))
def test_a_model_that_is_right_gives_an_answer_around_the_gold_one(
    tokenizer: PreTrainedTokenizerFast, context: str, data: st.DataObject, length: int, stride: int
) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    gold = example(context, start, data.draw(st.integers(start + 1, len(context))))
    windows = span_windows(tokenizer, [gold], max_length=length, stride=stride)
    holding = [window for window in windows if window.start != NO_ANSWER]
    for window in holding:
        scores = [certain(other, 0, 0) for other in windows]
        scores[windows.index(window)] = certain(window, window.start, window.end)
        (text,) = answers(windows, scores, [gold], answer_tokens=1000)
        # Tokens may hold more than the gold answer, never less of its visible characters.
        assert text in context
        visible = NOBODYS.sub("", gold.answers[0].text)
        assert "".join(visible.split()).strip(UNSEEN) in "".join(text.split())


@settings(deadline=None)
@given(context=TEXT, length=st.integers(24, 60), stride=st.integers(1, 8))
def test_windows_cover_the_context_and_keep_to_the_length(
    tokenizer: PreTrainedTokenizerFast, context: str, length: int, stride: int
) -> None:
    question = "merfa sudi?"
    windows = span_windows(
        tokenizer, [SpanExample("q", question, context, ())], max_length=length, stride=stride
    )
    (asked,), (whole,) = pieces(tokenizer, [question]), pieces(tokenizer, [context])
    covered: set[int] = set()
    for number, window in enumerate(windows):
        assert len(window.input_ids) <= length
        assert window.input_ids[: window.context_start] == [0, *asked, 2, 2]
        own = window.input_ids[window.context_start : -1]
        assert own == whole[number * stride : number * stride + len(own)]
        assert len(window.offsets) == len(own)
        covered |= set(range(number * stride, number * stride + len(own)))
    assert covered == set(range(len(whole)))


def test_the_answer_is_cut_out_exactly(tokenizer: PreTrainedTokenizerFast) -> None:
    context = "luzah  merfa feboh, gimow."
    gold = example(context, 7, 18)
    (window,) = span_windows(tokenizer, [gold])
    assert answers([window], [certain(window, window.start, window.end)], [gold]) == ["merfa feboh"]


def found(tokenizer: PreTrainedTokenizerFast, context: str, answer: str) -> str:
    """What a model that is right answers; the answer must be labelled."""
    gold = example(context, context.rindex(answer), context.rindex(answer) + len(answer))
    (window,) = span_windows(tokenizer, [gold])
    assert window.start != NO_ANSWER
    (text,) = answers([window], [certain(window, window.start, window.end)], [gold])
    return text


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("en été il pleut", "été"),
        ("il va au café demain", "café"),
        ("서울 각 나라", "각"),
        ("sông Hồng là thế", "thế"),
        ("ο Γιάννης ναί.", "ναί"),
        ("на край й", "й"),
        ("แม่น้ำ ไหล", "แม่น้ำ"),
        ("कि क़लम है", "क़लम"),
        ("שָׁלוֹם עולם", "שָׁלוֹם"),
        ("قال مُدَّ له", "مُدَّ"),
    ],
)
def test_characters_that_the_tokenizer_composes_belong_to_the_token_before_them(
    tokenizer: PreTrainedTokenizerFast, context: str, answer: str, form: Literal["NFC", "NFD"]
) -> None:
    context, answer = unicodedata.normalize(form, context), unicodedata.normalize(form, answer)
    assert found(tokenizer, context, answer) == answer


@pytest.mark.parametrize(
    ("context", "answer", "text"),
    [
        ("in November 1954.[3]\u200b he came", "November 1954.[3]\u200b", None),
        ("soft\u00adhy phen\u00ad end", "phen\u00ad", None),
        ("soft\u00adhy phen\u00ad end", "soft\u00adhy", None),
        ("\u0646\u0645\u06cc\u200c \u0634\u0648\u062f", "\u0646\u0645\u06cc\u200c", None),
        ("അവൻ അവന്\u200d പോയി", "അവന്\u200d", None),
        ("a \u2764\ufe0f b", "\u2764\ufe0f", None),
        ("a \U0001f468\u200d\U0001f469 b", "\U0001f468\u200d\U0001f469", None),
        ("a \ufb01n\u0301 b", "\ufb01n\u0301", None),
        ("x…\u200b y", "…\u200b", None),
        # White space and what is dropped in front of an answer are not part of it: its first token
        # is the first of its visible characters.
        ("in November 1954 he came", "November 1954 ", "November 1954"),
        ("in November 1954 he came", " November 1954", "November 1954"),
        ("\ufeffParis is big", "\ufeffParis", "Paris"),
        ("\ufeffParis is big", "Paris", None),
        ("a \u200eParis\u200f b", "\u200eParis\u200f", "Paris\u200f"),
        ("[2]\u200bMark Ruffalo", "\u200bMark", "Mark"),
        ("[2]\u200bMark Ruffalo", "Mark", None),
    ],
)
def test_characters_that_the_tokenizer_drops_belong_to_the_token_before_them(
    tokenizer: PreTrainedTokenizerFast, context: str, answer: str, text: str | None
) -> None:
    assert found(tokenizer, context, answer) == (text or answer)


def test_what_follows_belongs_to_every_token_of_the_character_before_it(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    # The normaliser makes three full stops of an ellipsis: an answer may end at any of them.
    (window,) = span_windows(tokenizer, [example("x…\u200b y", 0, 1)])
    assert [offset for offset in window.offsets if offset[0] == 1] == [(1, 3)] * 3


def test_an_answer_of_white_space_is_labelled_as_absent(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    (window,) = span_windows(tokenizer, [example("merfa  sudi.", 5, 7)])
    assert (window.start, window.end) == (NO_ANSWER, NO_ANSWER)


def test_an_answer_outside_the_window_is_labelled_as_absent(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    context = "merfa sudi luzah feboh gimow " * 8 + "zešev."
    windows = span_windows(
        tokenizer, [example(context, context.index("zešev"), len(context))], max_length=40, stride=8
    )
    labels = [(window.start, window.end) for window in windows]
    assert labels[0] == (NO_ANSWER, NO_ANSWER)
    assert labels[-1] != (NO_ANSWER, NO_ANSWER)
    for window in windows:
        whole = window.offsets[-1][1] == len(context) and window.offsets[0][0] <= context.index(
            "zešev"
        )
        assert (window.start != NO_ANSWER) == whole, "an answer that the window cuts is not in it"


def test_a_question_without_answers_is_labelled_as_absent(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    (window,) = span_windows(tokenizer, [SpanExample("q", "merfa?", "sudi luzah.", ())])
    assert (window.start, window.end) == (NO_ANSWER, NO_ANSWER)


def test_the_question_is_cut_at_its_limit(tokenizer: PreTrainedTokenizerFast) -> None:
    (window,) = span_windows(tokenizer, [example("sudi.", 0, 4, question="merfa " * 100)])
    assert window.context_start == 64 + 3


def test_no_answer_needs_its_margin(tokenizer: PreTrainedTokenizerFast) -> None:
    gold = example("sudi luzah.", 0, 4)
    (window,) = span_windows(tokenizer, [gold])
    scores = certain(window, window.start, window.end)  # 5 + 5 for the span
    scores[:, NO_ANSWER] = 6.0  # 6 + 6 for none
    assert answers([window], [scores], [gold]) == ["sudi"], (
        "without a threshold there is always an answer"
    )
    assert answers([window], [scores], [gold], null_threshold=1.0) == [""]
    assert answers([window], [scores], [gold], null_threshold=2.0) == ["sudi"]


def test_an_answer_has_a_longest_length_and_does_not_end_before_it_starts(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    context = "merfa sudi luzah feboh."
    gold = example(context, 0, 5)
    (window,) = span_windows(tokenizer, [gold])
    last = window.context_start + len(window.offsets) - 1
    scores = certain(window, window.context_start, last)
    scores[1, window.context_start] = 1.0
    assert answers([window], [scores], [gold], answer_tokens=100) == [context]
    (short,) = answers([window], [scores], [gold], answer_tokens=1)
    assert context.startswith(short)
    assert len(short) < len(context)


def test_the_best_window_wins(tokenizer: PreTrainedTokenizerFast) -> None:
    context = "merfa sudi luzah feboh gimow " * 8
    gold = example(context, 0, 5)
    windows = span_windows(tokenizer, [gold], max_length=40, stride=8)
    scores = [certain(window, window.context_start, window.context_start) for window in windows]
    scores[1] *= 2
    assert answers(windows, scores, [gold]) == [context[slice(*windows[1].offsets[0])]]


def test_windows_with_gaps_between_them_are_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match="do not cover"):
        span_windows(tokenizer, [example("sudi.", 0, 4)], max_length=40, stride=39)
