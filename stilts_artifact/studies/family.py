"""The family of languages: whether the methods of the studies find what its languages are made of.

Its 24 languages differ in the number of bound morphemes, in how much vocabulary is replaced and in
the amount of text, each with each (:mod:`stilts_artifact.miniworld.family`). Three things are
therefore known beforehand, and are held against every encoder:

- the index of complexity, measured on text, gives the order of the numbers of bound morphemes;
- more text makes tagging and NER better: its slope is above 0;
- features shuffled within a part of speech teach as much as parts of speech alone.

What is not known is estimated beside them, of these languages and encoders only: what intermediate
training adds, whether that goes with bound morphemes, and whether it helps to find translations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, islice, product

import numpy as np

from stilts_artifact.benchmark.experiments import FEATS, NONE, SHUFFLED, UPOS
from stilts_artifact.domain.cells import Finding
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.randomisation import holm
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.miniworld import SEED, passages, realise
from stilts_artifact.miniworld.family import FAMILY
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
from stilts_artifact.studies.complexity import mattr, synthesis_ratio, word_entropy, words
from stilts_artifact.studies.effects import Effect, Measures
from stilts_artifact.studies.groups import group_mean
from stilts_artifact.studies.protocol import EffectDefinition, Term
from stilts_artifact.studies.regression import WildBootstrap

TAGGING = ("udpos", "panx")
RETRIEVAL = "tatoeba"
LEAST_RHO = 0.95
"""Rank correlation that the index must exceed: 24 languages with four numbers of bound morphemes
can reach .97 where all their indices differ."""
CONTROL_P = 0.01
SAME_P = 0.05
"""Corrected by Holm for the encoders and tasks in which the arms are the same."""

_SENTENCES = 500
_INTERMEDIATE = ("mnli", UPOS, FEATS)


class Known(StrEnum):
    """What an estimate must be, as it is true; :attr:`NOTHING` of what nobody knows."""

    RECOVERED = f"> {LEAST_RHO}"
    POSITIVE = f"> 0, p < {CONTROL_P}"
    ZERO = f"0, corrected p >= {SAME_P}"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an encoder says to a question in one task.

    Args:
        encoder: ``""`` where none is asked.
        question: in words, with the unit.
        task: that was scored, in points; ``""`` where none was.
        low, high: 95 % interval.
        p: two-sided, of a true value of 0.
        missing: why there is no estimate.
        held: whether it is what is known; ``None`` where nothing is, or it is missing.
    """

    encoder: str
    question: str
    task: str
    known: Known = Known.NOTHING
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    missing: str | None = None
    held: bool | None = None


def recovered(sentences: int = _SENTENCES) -> Iterator[Answer]:
    """Spearman's correlation of measures of text with the number of bound morphemes.

    The text is generated, the same content in every language, as the studies measure real languages
    on parallel text. The index is that of the studies: the mean of the z-scores of MATTR-500, word
    entropy and the logarithm of the synthesis ratio. The ratio alone cannot give the order: an
    accusative or an agreement is no word where it is not bound.
    """
    told = list(islice(chain.from_iterable(passages(SEED, "family/index")), sentences))
    texts = {
        code: [word for meaning in told for word in words(realise(meaning, code))]
        for code in (*FAMILY, SOURCE_LANGUAGE)
    }
    source = len(texts.pop(SOURCE_LANGUAGE))
    measures = {
        "MATTR-500": np.array([mattr(text) for text in texts.values()]),
        "word entropy": np.array([word_entropy(text) for text in texts.values()]),
        "log synthesis ratio": np.array(
            [math.log(synthesis_ratio(len(text), source)) for text in texts.values()]
        ),
    }
    scores = [(values - values.mean()) / values.std() for values in measures.values()]
    bound = np.array([len(FAMILY[code].language.bound) for code in texts])
    index = np.mean(scores, axis=0)
    yield Answer(
        "",
        "rank correlation with bound morphemes: index of complexity",
        "",
        Known.RECOVERED,
        rho := _spearman(index, bound),
        held=rho > LEAST_RHO,
    )
    for name, values in measures.items():
        question = f"rank correlation with bound morphemes: {name}"
        yield Answer("", question, "", estimate=_spearman(values, bound))


def examine(encoder: str, measures: Measures) -> Iterator[Answer]:
    """What the published runs of one encoder say.

    Args:
        encoder: its name.
        measures: of its runs.

    Raises:
        DataError: files that cannot be scored.
    """
    for task in TAGGING:
        asked = Answer(
            encoder, "score without intermediate task, per doubling of text", task, Known.POSITIVE
        )
        found = _slope(asked, measures, "text", NONE)
        held = None
        if found.estimate is not None and found.p is not None:
            held = found.estimate > 0 and found.p < CONTROL_P
        yield replace(found, held=held)
    for task in TAGGING:
        asked = Answer(encoder, f"{SHUFFLED} less {UPOS}", task, Known.ZERO)
        yield _mean(asked, measures, SHUFFLED, UPOS)
    for row, task in product((*_INTERMEDIATE, SHUFFLED), (*TAGGING, RETRIEVAL)):
        yield _mean(Answer(encoder, f"gain of {row}", task), measures, row, NONE)
    for row, task in product(_INTERMEDIATE, (*TAGGING, RETRIEVAL)):
        asked = Answer(encoder, f"gain of {row}, per bound morpheme", task)
        yield _slope(asked, measures, "bound", row, NONE)


def judge(answers: Iterable[Answer]) -> tuple[Finding, list[Answer]]:
    """Answers of all encoders together, and whether the methods found what is known.

    Returns:
        PIPELINE INVALID if anything that is known was not found, else NOT RUN if any of it could
        not be asked, else PIPELINE VALID; and the answers, with what holds.
    """
    every = list(answers)
    same = {
        place: one.p
        for place, one in enumerate(every)
        if one.known is Known.ZERO and one.p is not None
    }
    for place, p in zip(same, holm(list(same.values())), strict=True):
        every[place] = replace(every[place], held=p >= SAME_P)
    held = [one.held for one in every if one.known is not Known.NOTHING]
    if False in held:
        return Finding.PIPELINE_INVALID, every
    if None in held or not held:
        return Finding.NOT_RUN, every
    return Finding.PIPELINE_VALID, every


def _spearman(values: Array, bound: Array) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(values, bound).statistic)


def _effects(measures: Measures, task: str, row: str, less: str | None) -> Mapping[str, Effect]:
    """Language -> points of a row, or what it has more than another.

    Raises:
        DataError: a row or a task that was not run.
    """
    terms = [Term(rows=(row,)), *([] if less is None else [Term(rows=(less,), weight=-1)])]
    definition = EffectDefinition(measures=((task,),), terms=tuple(terms))
    found = measures.effects(definition, "points")
    if found.missing:
        raise DataError("not run", got="; ".join(found.missing))
    return found.measures[0]


def _slope(
    asked: Answer, measures: Measures, column: str, row: str, less: str | None = None
) -> Answer:
    """Slope of an effect on one of the three properties, all else of the family held equal.

    Tested as the studies test slopes; each language is a genus of its own, for none is made from
    another.
    """
    try:
        effects = _effects(measures, asked.task, row, less)
        codes = sorted(effects)
        properties = _properties(codes)
        design = np.column_stack([np.ones(len(codes)), *properties.values(), *_drawn(codes)])
        test = WildBootstrap(design, 1 + list(properties).index(column), codes)
        values = np.array([effects[code].value for code in codes])
        found = test.test(values)
        low, high = test.interval(values)
    except DataError as error:
        return replace(asked, missing=_reason(error))
    return replace(asked, estimate=found.estimate, low=low, high=high, p=found.p)


def _properties(codes: Sequence[str]) -> dict[str, Array]:
    """What is crossed in the family, each an array [languages]."""
    members = [FAMILY[code] for code in codes]
    return {
        "bound": np.array([float(len(one.language.bound)) for one in members]),
        "replaced": np.array([one.language.replaced for one in members]),
        "text": np.array([math.log2(one.text) for one in members]),
    }


def _drawn(codes: Sequence[str]) -> Iterator[Array]:
    """What is drawn by lot for each language, as indicators [languages] of all but the first value.

    Script and word order go along with nothing that is crossed, but move scores by far more: left
    to chance, they hide what is looked for.
    """
    languages = [FAMILY[code].language for code in codes]
    for values in ([one.script for one in languages], [one.order for one in languages]):
        for value in sorted(set(values))[1:]:
            yield np.array([float(one == value) for one in values])


def _mean(asked: Answer, measures: Measures, row: str, less: str) -> Answer:
    """Mean over the family of what one row has more than another; runs are its units."""
    try:
        effects = list(_effects(measures, asked.task, row, less).values())
        terms = np.mean([one.terms for one in effects], axis=0)
        draws = np.mean([one.draws for one in effects], axis=0)
        estimate = group_mean(terms, draws).estimate
    except DataError as error:
        return replace(asked, missing=_reason(error))
    low, high = estimate.interval
    return replace(asked, estimate=estimate.value, low=low, high=high, p=estimate.p)


def _reason(error: DataError) -> str:
    return f"{error.what}: {error.got}"
