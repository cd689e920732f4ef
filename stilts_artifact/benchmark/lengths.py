"""How long the examples of each task are, in tokens of XLM-R's tokenizer.

What decides how long a step takes and how much memory it needs, wherever no data are at hand. The
rows of :data:`LENGTHS` that say so were counted on public samples with that tokenizer, special
tokens left out: 3,000 pairs of MNLI and 3,198 of ANLI's development sets; XNLI's test sets in three
languages; 624 PAWS-X pairs in seven; 3,000 questions of HellaSwag; Cosmos QA's development set; 950
questions of CommonsenseQA 1.0; the first 50 articles of SQuAD v1.1, and 16 of v2.0's development
set; all of XQuAD; 50 articles of each file of MLQA; 53,164 sentences of UD 2.5 in 25 languages;
3,420 of WikiANN; LASER's Tatoeba; NTREX-128. The others are assumed, from what is said there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.domain.tasks import TaskForm

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
"""Of the examples, those of :data:`LENGTHS`."""
PIECES = (1, 1, 1, 1, 2, 3, 4, 11)
"""Tokens of a word, on 4,000 words of all these languages: 1.5 on average."""
CHOICES: Mapping[str, int] = MappingProxyType({"hellaswag": 4, "cosmosqa": 4, "commonsenseqa": 5})
"""Choices of a question."""

Lengths = tuple[tuple[int, ...], ...]
"""Quantiles of each text of an example: both of a pair; prompt and one choice; question, context
and answer; words of a sentence that is tagged; one sentence, or one paragraph."""

_NEWS = (2, 14, 21, 33, 46, 61, 98, 204)
_PARAGRAPH = (29, 72, 105, 150, 208, 276, 445, 782)
_SPAN_OF_MLQA = (
    (3, 7, 9, 12, 15, 20, 31, 44),
    (13, 59, 99, 175, 294, 462, 966, 3208),
    (1, 1, 2, 4, 8, 14, 36, 119),
)
_MNLI = ((2, 8, 14, 24, 37, 51, 89, 189), (1, 8, 10, 13, 16, 21, 30, 66))

LENGTHS: Mapping[str, Lengths] = MappingProxyType(
    {
        "mnli": _MNLI,
        "anli_plus": _MNLI,  # assumed: most of it is MNLI and SNLI, ANLI's contexts are 3 times it
        "qqp": ((4, 8, 9, 12, 16, 23, 29, 60),) * 2,  # assumed from ten questions
        "xnli": ((3, 10, 16, 24, 33, 43, 60, 76), (2, 7, 9, 11, 15, 19, 30, 49)),
        "pawsx": ((1, 18, 22, 28, 35, 40, 49, 88), (1, 18, 23, 28, 35, 41, 50, 64)),
        "hellaswag": ((2, 20, 31, 61, 74, 85, 100, 119), (5, 13, 21, 36, 47, 56, 71, 89)),
        "cosmosqa": ((42, 67, 79, 97, 121, 145, 186, 213), (1, 7, 9, 10, 14, 18, 26, 44)),
        "commonsenseqa": ((1, 9, 12, 15, 20, 26, 40, 67), (1, 1, 1, 2, 3, 3, 5, 6)),
        "squad_v1": ((5, 9, 11, 14, 17, 20, 28, 35), _PARAGRAPH, (1, 1, 2, 3, 5, 8, 24, 43)),
        "squad_v2": (
            (4, 9, 11, 13, 16, 20, 28, 43),
            (35, 122, 137, 171, 225, 298, 630, 840),
            (1, 1, 2, 4, 6, 11, 27, 41),
        ),
        "xquad": (
            (4, 9, 12, 15, 19, 24, 34, 79),
            (37, 121, 150, 190, 256, 333, 705, 867),
            (1, 1, 2, 4, 7, 11, 25, 45),
        ),
        "mlqa": _SPAN_OF_MLQA,
        "tydiqa": _SPAN_OF_MLQA,  # assumed: Wikipedia's paragraphs, too
        "udpos": ((1, 5, 9, 16, 24, 32, 53, 209),),
        "panx": ((3, 3, 4, 5, 6, 9, 17, 257),),
        "ccg": ((1, 8, 15, 22, 29, 37, 54, 120),),  # assumed: newspaper sentences of 23 words
        "tatoeba": ((2, 5, 6, 8, 11, 14, 25, 162),),
        "bucc2018": (_NEWS,),  # assumed: as NTREX-128, news and encyclopaedia
        "text": (_PARAGRAPH,),  # assumed: Wikipedia's paragraphs as SQuAD has them
    }
)


def mean_length(quantiles: tuple[int, ...]) -> float:
    """The mean of lengths with these quantiles, straight between them.

    Example:
        >>> round(mean_length(LENGTHS["tatoeba"][0]), 1)
        9.9
    """
    return float(np.trapezoid(quantiles, QUANTILES))


def example_tokens(task: str, form: TaskForm | None, max_length: int) -> float:
    """Mean tokens of one example as it is trained on: all choices of a question.

    Args:
        form: ``None`` for running text.
        max_length: of an input.

    Example:
        >>> round(example_tokens("mnli", TaskForm.PAIR, 256))
        43
    """
    means = [mean_length(quantiles) for quantiles in LENGTHS[task]]
    if form is TaskForm.CHOICE:
        return CHOICES[task] * min(sum(means), max_length)
    if form is TaskForm.TAGGING:
        return min(means[0] * mean_length(PIECES), max_length)
    # An answer is part of its context.
    return min(sum(means[:2]), max_length)


def drawn(quantiles: tuple[int, ...], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """So many lengths that have these quantiles: one of each equal share of them, in any order."""
    shares = (random.permutation(count) + random.random(count)) / count
    return np.rint(np.interp(shares, QUANTILES, quantiles)).astype(np.int64)
