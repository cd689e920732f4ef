"""Span question answering: windows over long contexts, and answers read back as text.

A window is an input of the question and a part of the context; windows overlap. Every token of it
knows which characters of the *original* context belong to it, so answers are cut out of the context
itself. A character that the tokenizer's normaliser composes with the one before it (an accent of
decomposed text) or drops (a zero-width space) belongs to the token before it, in labels and in
answers alike. jiant and transformers re-tokenise at white space instead and assume two specials
before the context where XLM-R has three, which shifts their spans by one token
(github.com/huggingface/transformers/issues/20035); nothing of that can happen with offsets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from stilts_artifact.data.readers.text import is_unseen
from stilts_artifact.domain.examples import Answer, SpanExample
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.metrics.squad import answer_counts, squad_tokens
from stilts_artifact.model.features import Ids, frame_of, pieces
from stilts_artifact.model.forms.base import Columns, Schema, TrainedForm, told

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.model.forms.base import Outputs
    from stilts_artifact.model.heads import SpanHead
    from stilts_artifact.model.loading import EncoderConfig
    from stilts_artifact.model.prepared import Prepared

QUESTION_TOKENS = 64
STRIDE = 128
MAX_LENGTH = 384
N_BEST = 20
ANSWER_TOKENS = 30
# Defaults from SQuAD's BERT recipe, which XTREME (scripts/train_qa.sh at 838c13b) and jiant keep.

NO_ANSWER = 0
"""Token position, of ``<s>`` or ``[CLS]``: it says "the answer is not in this window"."""

Offset = tuple[int, int]


class TrainedSpan(TrainedForm[SpanExample, Mapping[str, str]]):
    """SQuAD and its kin; scored by SQuAD v1.1's rules, with v2.0's for questions without answer."""

    form = TaskForm.SPAN
    # "offsets" are first and last character by turns, "example" the index of the question, of which
    # a long context has several rows.
    features: ClassVar[Schema] = {
        "input_ids": "numbers",
        "start": "number",
        "end": "number",
        "context_start": "number",
        "offsets": "numbers",
        "example": "number",
    }
    examples: ClassVar[Schema] = {"id": "text", "context": "text", "answers": "texts"}
    second = "number"

    def prepare(
        self,
        tokenizer: PreTrainedTokenizerFast,
        labels: Sequence[str],
        examples: Sequence[SpanExample],
        max_length: int,
    ) -> tuple[Columns, Columns]:
        """A row for each window of each context; there are no ``labels``."""
        windows = span_windows(tokenizer, examples, max_length=max_length)
        features: Columns = {
            "input_ids": [window.input_ids for window in windows],
            "start": [window.start for window in windows],
            "end": [window.end for window in windows],
            "context_start": [window.context_start for window in windows],
            "offsets": [[at for offset in window.offsets for at in offset] for window in windows],
            "example": [window.example for window in windows],
        }
        gold: Columns = {
            "id": [example.id for example in examples],
            "context": [example.context for example in examples],
            "answers": [[answer.text for answer in example.answers] for example in examples],
        }
        return told(features, [window.second for window in windows]), gold

    def head_class(self) -> type[SpanHead]:
        """Two scores a token: of the first and of the last one of the answer."""
        from stilts_artifact.model.heads import SpanHead

        return SpanHead

    def head(self, config: EncoderConfig, labels: int) -> SpanHead:
        """A fresh head, which has no labels."""
        return self.head_class()(config)

    def decode(self, prepared: Prepared, outputs: Outputs) -> dict[str, str]:
        """Answers by question id.

        A question may stay unanswered only where some have no answer (null threshold 0, as jiant's
        squad_style/core.py at daa5a25).
        """
        asked = spans_of(prepared)
        null = None if all(example.answers for example in asked) else 0.0
        texts = answers(windows_of(prepared), outputs, asked, null_threshold=null)
        return {example.id: text for example, text in zip(asked, texts, strict=True)}

    def development_score(self, prepared: Prepared, predictions: Mapping[str, str]) -> float:
        """The mean of exact match and F1."""
        gold = prepared.examples
        texts = [predictions[identity] for identity in gold["id"][:]]
        return 100 * float(_answer_counts(texts, gold["answers"][:])[:, :2].mean())

    def score_outputs(self, prepared: Prepared, outputs: Outputs) -> float:
        """Where some questions have no answer, the best threshold of "no answer" is taken.

        For either metric by itself, as in SQuAD v2.0's own evaluation script (``best_exact`` and
        ``best_f1``).
        """
        gold: list[list[str]] = prepared.examples["answers"][:]
        if all(gold):
            return super().score_outputs(prepared, outputs)
        spans = best_spans(windows_of(prepared), outputs, spans_of(prepared))
        counts = _answer_counts([span.text for span in spans], gold)
        doubts = np.array([span.doubt for span in spans])
        best = [_best_threshold(counts[:, column], doubts, gold) for column in (0, 1)]
        return 100 * float(np.mean(best))

    def constants(self, prepared: Prepared) -> Iterable[dict[str, str]]:
        """No answer to any question."""
        return [dict.fromkeys(prepared.examples["id"][:], "")]


class SpanWindow(NamedTuple):
    """One window of one example.

    Args:
        example: index of the example it belongs to.
        input_ids: its tokens.
        second: where the second text begins, if the encoder is told.
        context_start: position in ``input_ids`` of the first token of the context.
        offsets: for each context token of the window, the characters ``[start, end)`` of the
            context that belong to it.
        start, end: labels: first and last token of the first gold answer, both :data:`NO_ANSWER` if
            it does not lie wholly inside.
    """

    example: int
    input_ids: Ids
    second: int | None
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
    frame = frame_of(tokenizer)
    questions = pieces(tokenizer, [example.question for example in examples])
    longest = min(question_tokens, max(map(len, questions), default=0))
    room = max_length - frame.pair_specials - longest
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
        answer = _answer_tokens(example, offsets)
        context_start = frame.second_start(question)
        size = max_length - frame.pair_specials - len(question)
        for begin in _begins(len(ids), size, stride):
            end = begin + size
            first = last = NO_ANSWER
            if answer is not None and begin <= answer[0] and answer[1] < end:
                first, last = (context_start + token - begin for token in answer)
            windows.append(
                SpanWindow(
                    index,
                    frame.joined(question, ids[begin:end]),
                    frame.second_from(question),
                    context_start,
                    offsets[begin:end],
                    first,
                    last,
                )
            )
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
            text: (ids, _belonging(text, offsets))
            for text, ids, offsets in zip(
                ordered, encoded["input_ids"], encoded["offset_mapping"], strict=True
            )
        }

    def __getitem__(self, context: str) -> tuple[Ids, list[Offset]]:
        return self._found[context]


def _belonging(text: str, offsets: Sequence[Offset]) -> list[Offset]:
    """The characters that belong to each token: without white space at either border, and with
    those behind it that no token stands for.

    The tokenizer's offsets cover ``e`` alone where its normaliser made one letter of ``e`` and an
    accent, and leave out what it dropped. White space parts words: what was dropped behind it, or
    at the very start, belongs to the token that follows where it can be seen, else to none.

    Example:
        >>> _belonging("cafe\u0301 a big", [(0, 3), (3, 4), (6, 7), (7, 11)])
        [(0, 3), (3, 5), (6, 7), (8, 11)]
    """
    belonging: list[Offset] = []
    following, before = len(text), (0, 0)  # where the next token begins; its own and its whole end
    for first, last in reversed(offsets):
        start, end = _trim(text, first, last)
        whole = end
        # Of several tokens for one character ("..." for an ellipsis), all have what follows it.
        if end == before[0]:
            whole = before[1]
        elif start < end:
            while whole < following and not text[whole].isspace():
                whole += 1
        if start < end:
            following, before = first, (end, whole)
        belonging.append((start, whole))
    belonging.reverse()
    return _from_what_is_seen(text, belonging)


def _from_what_is_seen(text: str, offsets: Sequence[Offset]) -> list[Offset]:
    """Tokens with what is seen before them in their word, and is no token's.

    Example:
        >>> _from_what_is_seen("\u0301a \u200bb", [(1, 2), (4, 5)])
        [(0, 2), (4, 5)]
    """
    found: list[Offset] = []
    taken = 0  # where all tokens so far end
    for start, end in offsets:
        first = start
        while start < end and first > taken and not text[first - 1].isspace():
            first -= 1
        found.append((start if all(map(is_unseen, text[first:start])) else first, end))
        taken = max(taken, end)
    return found


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


def _answer_tokens(example: SpanExample, offsets: Sequence[Offset]) -> tuple[int, int] | None:
    """First and last token of the whole context that share a character with the first gold answer.

    ``None`` if there is no answer, or none of its characters belongs to a token.
    """
    if not example.answers:
        return None
    answer = example.answers[0]
    start, end = answer.start, answer.start + len(answer.text)
    if start < end and is_unseen(example.context[start]):
        start = _seen_from(example.context, start, end, {first for first, _ in offsets})
    inside = [
        at
        for at, (first, last) in enumerate(offsets)
        if first < end and last > start and first < last
    ]
    return (inside[0], inside[-1]) if inside else None


def _seen_from(text: str, start: int, end: int, begins: Collection[int]) -> int:
    """Where an answer begins to be seen, so that its first token is its own.

    A zero-width space before it belongs to the token before it, which is not part of the answer.

    Args:
        begins: where tokens begin; one that stands for such a character itself is the answer's.
    """
    for at in range(start, end):
        if at in begins or not is_unseen(text[at]):
            return at
    # Nothing else: the answer is that of the token which it belongs to.
    return start


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
    scores: Sequence[NDArray[np.generic]],
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
    scores: Sequence[NDArray[np.generic]],
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
    # [starts, 1] + [ends] -> [starts, ends]
    score = np.where(admissible, starts[begins][:, None] + ends[lasts], -np.inf)
    begin, last = np.unravel_index(score.argmax(), score.shape)
    return float(score[begin, last]), (
        window.offsets[begins[begin]][0],
        window.offsets[lasts[last]][1],
    )


def windows_of(prepared: Prepared) -> list[SpanWindow]:
    """The windows behind the features, in order, without ``input_ids`` and ``second``."""
    columns = prepared.features.select_columns(
        ["example", "context_start", "offsets", "start", "end"]
    ).to_dict()
    return [
        SpanWindow(
            example, [], None, first, list(zip(flat[::2], flat[1::2], strict=True)), start, end
        )
        for example, first, flat, start, end in zip(*columns.values(), strict=True)
    ]


def spans_of(prepared: Prepared) -> list[SpanExample]:
    """The examples of a span task, without their questions; answers without their places."""
    columns = prepared.examples.to_dict()
    return [
        SpanExample(identity, "", context, tuple(Answer(text, 0) for text in answers))
        for identity, context, answers in zip(
            columns["id"], columns["context"], columns["answers"], strict=True
        )
    ]


def _answer_counts(texts: Sequence[str], gold: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Exact match and F1 of each answer, and 1.

    Where a question has no answer, "" is right (SQuAD v2.0's script).
    """
    counts = answer_counts(texts, [list(own) or [""] for own in gold], squad_tokens)
    silent = [number for number, own in enumerate(gold) if not own]
    counts[silent, 1] = counts[silent, 0]
    return counts


def _best_threshold(
    points: NDArray[np.float64], doubts: NDArray[np.float64], gold: Sequence[Sequence[str]]
) -> float:
    """Mean over questions at the best threshold: those with less doubt are answered.

    Args:
        points: of each answer if it is given.
        doubts: by how much each question would rather not be answered.
    """
    unanswered = np.array([float(not own) for own in gold])
    order = np.argsort(doubts, kind="stable")
    gains = np.concatenate([[0.0], np.cumsum((points - unanswered)[order])])
    # Questions of equal doubt are answered together.
    ranked = doubts[order]
    cuts = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    return float((unanswered.sum() + gains[cuts].max()) / len(gold))
