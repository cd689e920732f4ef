"""Span question answering: windows over long contexts, and answers read back as text.

``<s> question </s></s> window of the context </s>``; windows overlap. Every token of a window knows
which characters of the *original* context it stands for, so answers are cut out of the context
itself. jiant and transformers re-tokenise at white space instead and assume two specials before the
context where XLM-R has three, which shifts their spans by one token
(github.com/huggingface/transformers/issues/20035); nothing of that can happen with offsets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.domain.examples import SpanExample
from stilts_artifact.errors import ConfigError
from stilts_artifact.model.features import PAIR_SPECIALS, Ids, join, pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

QUESTION_TOKENS = 64
STRIDE = 128
MAX_LENGTH = 384
N_BEST = 20
ANSWER_TOKENS = 30
# Defaults from SQuAD's BERT recipe, which XTREME (scripts/train_qa.sh at 838c13b) and jiant keep.

NO_ANSWER = 0
"""Token position, that of ``<s>``, which stands for "the answer is not in this window"."""

Offset = tuple[int, int]


class SpanWindow(NamedTuple):
    """One window of one example.

    Args:
        example: index of the example it belongs to.
        input_ids: its tokens.
        context_start: position in ``input_ids`` of the first token of the context.
        offsets: for each context token of the window, the characters ``[start, end)`` of the
            context it stands for.
        start, end: labels: first and last token of the first gold answer, both :data:`NO_ANSWER` if
            it does not lie wholly inside.
    """

    example: int
    input_ids: Ids
    context_start: int
    offsets: list[Offset]
    start: int
    end: int


def span_windows(
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[SpanExample],
    *,
    max_length: int = MAX_LENGTH,
    stride: int = STRIDE,
    question_tokens: int = QUESTION_TOKENS,
) -> list[SpanWindow]:
    """All windows of all examples, in order; every example has at least one.

    Args:
        max_length: most tokens of a window, specials included.
        stride: context tokens from the start of one window to the start of the next.
        question_tokens: a longer question loses its end.

    Raises:
        ConfigError: no room for context, or windows that would leave gaps between them.
    """
    questions = pieces(tokenizer, [example.question for example in examples])
    longest = min(question_tokens, max(map(len, questions), default=0))
    room = max_length - PAIR_SPECIALS - longest
    if not 0 < stride <= room:
        raise ConfigError(
            "windows do not cover the context",
            got=f"stride {stride}, {room} tokens a window",
            expected="0 < stride <= window",
        )
    # Many questions share a context: each is tokenised once.
    tokenised = _Contexts(tokenizer, {example.context for example in examples})
    windows = []
    for index, (example, question) in enumerate(zip(examples, questions, strict=True)):
        question = question[:question_tokens]
        ids, offsets = tokenised[example.context]
        size = max_length - PAIR_SPECIALS - len(question)
        for begin in _begins(len(ids), size, stride):
            end = begin + size
            windows.append(_window(index, example, question, ids[begin:end], offsets[begin:end]))
    return windows


class _Contexts:
    """Distinct contexts with the characters of each token."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, contexts: Iterable[str]) -> None:
        ordered = sorted(contexts)
        encoded = tokenizer(
            ordered,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        self._found: dict[str, tuple[Ids, list[Offset]]] = {
            text: (ids, [_trim(text, *offset) for offset in offsets])
            for text, ids, offsets in zip(
                ordered, encoded["input_ids"], encoded["offset_mapping"], strict=True
            )
        }

    def __getitem__(self, context: str) -> tuple[Ids, list[Offset]]:
        return self._found[context]


def _trim(text: str, start: int, end: int) -> Offset:
    """Without the white space that a token may carry at its borders.

    Example:
        >>> _trim("a big", 1, 5)
        (2, 5)
    """
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _begins(tokens: int, size: int, stride: int) -> list[int]:
    """Where windows begin: every ``stride`` tokens, until one reaches the end.

    Example:
        >>> _begins(10, 6, 3), _begins(0, 6, 3)
        ([0, 3, 6], [0])
    """
    begins = [0]
    while begins[-1] + size < tokens:
        begins.append(begins[-1] + stride)
    return begins


def _window(
    index: int, example: SpanExample, question: Ids, ids: Ids, offsets: list[Offset]
) -> SpanWindow:
    context_start = len(question) + 3
    start = end = NO_ANSWER
    if example.answers:
        answer = example.answers[0]
        span = _tokens_of(offsets, answer.start, answer.start + len(answer.text))
        if span is not None:
            start, end = context_start + span[0], context_start + span[1]
    return SpanWindow(index, join(question, ids), context_start, offsets, start, end)


def _tokens_of(offsets: Sequence[Offset], start: int, end: int) -> tuple[int, int] | None:
    """First and last token that share a character with ``[start, end)``, if the window holds all of them."""
    inside = [
        at
        for at, (first, last) in enumerate(offsets)
        if first < end and last > start and first < last
    ]
    if not inside or offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return None
    # A window that begins inside the answer would otherwise pass where the cut falls between two
    # tokens.
    return inside[0], inside[-1]


class BestSpan(NamedTuple):
    """What all windows of one example make of it.

    Args:
        score: of the best span; minus infinity if no window offers one.
        text: that span, cut out of the context.
        null: score of "no answer" in the window that is least sure of it.
    """

    score: float
    text: str
    null: float

    @property
    def doubt(self) -> float:
        """By how much "no answer" outscores the best span."""
        return self.null - self.score


def best_spans(
    windows: Sequence[SpanWindow],
    scores: Sequence[NDArray[np.float32]],
    examples: Sequence[SpanExample],
    *,
    n_best: int = N_BEST,
    answer_tokens: int = ANSWER_TOKENS,
) -> list[BestSpan]:
    """The best admissible span for each question, in order.

    Args:
        scores: for each window, float32 [2, length or more] of starts and ends.
        n_best: that many best starts and ends of a window are combined.
        answer_tokens: longest answer.
    """
    infinity = float("inf")
    best = [BestSpan(-infinity, "", infinity)] * len(examples)
    for window, (starts, ends) in zip(windows, scores, strict=True):
        before = best[window.example]
        null = min(before.null, float(starts[NO_ANSWER] + ends[NO_ANSWER]))
        score, span = _best_span(window, starts, ends, n_best, answer_tokens)
        if span is not None and score > before.score:
            before = BestSpan(score, examples[window.example].context[slice(*span)], null)
        best[window.example] = before._replace(null=null)
    return best


def answers(
    windows: Sequence[SpanWindow],
    scores: Sequence[NDArray[np.float32]],
    examples: Sequence[SpanExample],
    *,
    n_best: int = N_BEST,
    answer_tokens: int = ANSWER_TOKENS,
    null_threshold: float | None = None,
) -> list[str]:
    """The best answer to each question, cut out of its context; see :func:`best_spans`.

    Args:
        null_threshold: ``None`` if every question has an answer. Else a question gets "" when "no
            answer" outscores the best span by more than this (SQuAD v2.0).

    Returns:
        One text for each example, in order; empty if no window offers a span.
    """
    best = best_spans(windows, scores, examples, n_best=n_best, answer_tokens=answer_tokens)
    return [
        "" if null_threshold is not None and span.doubt > null_threshold else span.text
        for span in best
    ]


def _best_span(
    window: SpanWindow,
    starts: NDArray[np.float32],
    ends: NDArray[np.float32],
    n_best: int,
    answer_tokens: int,
) -> tuple[float, Offset | None]:
    """Score and characters of the best admissible span of a window."""
    import numpy as np

    first, size = window.context_start, len(window.offsets)
    if size == 0:
        return float("-inf"), None
    starts, ends = starts[first : first + size], ends[first : first + size]
    begins, lasts = (np.argsort(-side, kind="stable")[:n_best] for side in (starts, ends))
    offsets = np.array(window.offsets)
    length = lasts - begins[:, None]  # [starts, ends], in tokens, less one
    admissible = (
        (length >= 0) & (length < answer_tokens) & (offsets[begins, 0][:, None] < offsets[lasts, 1])
    )
    if not admissible.any():
        return float("-inf"), None
    # Of equal spans the one with the better start is taken, as argmax takes the first.
    score = np.where(admissible, starts[begins][:, None] + ends[lasts], -np.inf)
    begin, last = np.unravel_index(score.argmax(), score.shape)
    return float(score[begin, last]), (
        window.offsets[begins[begin]][0],
        window.offsets[lasts[last]][1],
    )
