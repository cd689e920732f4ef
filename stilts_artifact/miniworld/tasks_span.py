"""SQuAD 1.1 and 2.0, XQuAD, MLQA and TyDiQA-GoldP: finding the phrase that answers a question."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.archives import zip_archive
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.grammar import Grammar, grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE, languages
from stilts_artifact.miniworld.meanings import Event, Slot, filled
from stilts_artifact.miniworld.splits import SplitName, distinct
from stilts_artifact.miniworld.tables import json_document

SQUAD_PARAGRAPHS: dict[SplitName, int] = {"train": 900, "dev": 100}
"""Paragraphs of SQuAD 1.1 and of SQuAD 2.0, with three questions each."""
XQUAD_PARAGRAPHS = 75
MLQA_PARAGRAPHS: dict[SplitName, int] = {"dev": 50, "test": 80}
TYDIQA_TRAIN_PARAGRAPHS = {
    language: 1500 if language == SOURCE_LANGUAGE else 60 for language in languages
}
TYDIQA_DEV_PARAGRAPHS = 180
QUESTIONS = 3
PARAGRAPHS_PER_TITLE = 5

_TOLD = scenes.Taste(
    quality=0.25, plural=0.1, numeral=0.1, name=0.3, place=0.6, time=0.6, manner=0.0, front=0.3
)


class Asked(NamedTuple):
    """A question, and which event and slot answer it (``None``: the paragraph does not say)."""

    question: Event
    answer: tuple[int, Slot] | None


class Paragraph(NamedTuple):
    """Events of different agents with different verbs, and questions on them."""

    events: tuple[Event, ...]
    asked: tuple[Asked, ...]


def telling(r: Stream) -> Event:
    """One event of a paragraph."""
    while True:
        drawn = scenes.event(r, _TOLD)
        if drawn.patient is not None:
            return drawn._replace(tense="past", negated=False)


def paragraph(r: Stream, first: Event, size: int, questions: int, unanswerable: float) -> Paragraph:
    """A paragraph of ``size`` events; a question is unanswerable with that probability."""
    events = [first]
    while len(events) < size:
        drawn = telling(r)
        if not any(_confusable(drawn, earlier) for earlier in events):
            events.append(drawn)
    events = r.shuffled(events)
    spots = [(index, slot) for index, told in enumerate(events) for slot in filled(told)]
    asked = [
        _unanswerable(r, events, *spot) if r.chance(unanswerable) else _answerable(events, *spot)
        for spot in r.sample(spots, questions)
    ]
    return Paragraph(tuple(events), tuple(asked))


def _confusable(first: Event, second: Event) -> bool:
    """Whether a question about one might be taken for one about the other."""
    mine, yours = (first.agent, first.patient), (second.agent, second.patient)
    return first.verb == second.verb or any(
        scenes.same_kind(one, two) for one in mine for two in yours
    )


def _asking(event: Event, slot: Slot) -> Event:
    """A question that names the event by its verb and participants alone."""
    asked = event._replace(asks=slot, front=None, manner=None)
    return asked._replace(
        place=event.place if slot == "place" else None,
        time=event.time if slot == "time" else None,
    )


def _answerable(events: Sequence[Event], index: int, slot: Slot) -> Asked:
    return Asked(_asking(events[index], slot), (index, slot))


def _unanswerable(r: Stream, events: Sequence[Event], index: int, slot: Slot) -> Asked:
    """A question that takes a participant of one event for one of another."""
    # Any event but this one.
    told, other = events[index], events[(index + 1 + r.below(len(events) - 1)) % len(events)]
    wrong = (
        told._replace(agent=other.agent)
        if slot != "agent"
        else told._replace(patient=other.patient)
    )
    return Asked(_asking(wrong, slot), None)


@lru_cache(maxsize=4)  # for the languages of XQuAD
def paragraphs(
    seed: int, names: tuple[str, ...], split: SplitName, size: int, unanswerable: float = 0.0
) -> tuple[Paragraph, ...]:
    """``size`` different paragraphs of the split; ``names`` are the stream's."""
    r = Stream(seed, *names, split)
    source_language = grammar(SOURCE_LANGUAGE, seed)
    # As upstream: TyDiQA-GoldP has one question for each passage.
    questions = 1 if names[0] == "tydiqa" else QUESTIONS

    # One event decides which split owns the paragraph that is built around it.
    leads = distinct(split, lambda: telling(r), source_language.text, size)
    return tuple([paragraph(r, lead, 2 + r.below(2), questions, unanswerable) for lead in leads])


def _entry(
    own: Grammar, drawn: Paragraph, ids: Sequence[str], version_2: bool = False
) -> dict[str, object]:
    """A paragraph as SQuAD's JSON has it; offsets are in code points."""
    starts, spans, texts, at = [], [], [], 0
    for told in drawn.events:
        text, own_spans = own.spans(told)
        starts.append(at)
        spans.append(own_spans)
        texts.append(text)
        at += len(text) + 1
    context = " ".join(texts)
    entries: list[dict[str, object]] = []
    for asked, name in zip(drawn.asked, ids, strict=True):
        answers = []
        if asked.answer is not None:
            index, slot = asked.answer
            start, end = (starts[index] + offset for offset in spans[index][slot])
            answers.append({"answer_start": start, "text": context[start:end]})
        entry: dict[str, object] = {
            "answers": answers,
            "question": own.text(asked.question),
            "id": name,
        }
        if version_2:
            entry["is_impossible"] = not answers
        entries.append(entry)
    return {"context": context, "qas": entries}


def _document(
    entries: Sequence[dict[str, object]], version: str, per_title: int = PARAGRAPHS_PER_TITLE
) -> bytes:
    data = [
        {
            "title": f"Page {start // per_title + 1}",
            "paragraphs": list(entries[start : start + per_title]),
        }
        for start in range(0, len(entries), per_title)
    ]
    return json_document({"version": version, "data": data})


def _ids(prefix: str, index: int, asked: Sequence[Asked]) -> list[str]:
    return [f"{prefix}{index:05d}q{number}" for number in range(len(asked))]


def squad(seed: int, version: str, split: SplitName) -> bytes:
    """SQuAD 1.1, or 2.0 with a third of the questions unanswerable."""
    source_language = grammar(SOURCE_LANGUAGE, seed)
    names = ("squad", version)
    second = version == "v2.0"
    drawn = paragraphs(seed, names, split, SQUAD_PARAGRAPHS[split], 1 / 3 if second else 0.0)
    prefix = f"{version[1]}{split}"
    entries = [
        _entry(source_language, own, _ids(prefix, index, own.asked), second)
        for index, own in enumerate(drawn)
    ]
    return _document(entries, version if second else "1.1")


def xquad(seed: int, language: str) -> bytes:
    """XQuAD: the same paragraphs and questions in every language."""
    own = grammar(language, seed)
    drawn = paragraphs(seed, ("xquad",), "test", XQUAD_PARAGRAPHS)
    return _document(
        [_entry(own, part, _ids("x", index, part.asked)) for index, part in enumerate(drawn)], "1.1"
    )


def mlqa(seed: int) -> bytes:
    """MLQA: parallel paragraphs, of which the farther languages have fewer."""
    members = {}
    for split, size in MLQA_PARAGRAPHS.items():
        drawn = paragraphs(seed, ("mlqa",), split, size)
        for rank, language in enumerate(languages):
            own = grammar(language, seed)
            kept = drawn[: size - 2 * rank]
            entries = [
                _entry(own, part, _ids(f"m{split}", index, part.asked))
                for index, part in enumerate(kept)
            ]
            name = f"{split}-context-{language}-question-{language}.json"
            members[f"MLQA_V1/{split}/{name}"] = _document(entries, "1.0")
    return zip_archive(members)


def tydiqa(seed: int, split: SplitName) -> bytes:
    """TyDiQA-GoldP: one file, paragraphs not parallel; ids begin with the language."""
    entries = []
    for language in languages:
        own = grammar(language, seed)
        size = TYDIQA_TRAIN_PARAGRAPHS[language] if split == "train" else TYDIQA_DEV_PARAGRAPHS
        for index, part in enumerate(paragraphs(seed, ("tydiqa", language), split, size)):
            entries.append(_entry(own, part, [f"{language}-{index:06d}-0"]))
    return _document(entries, "TyDiQA-GoldP-1.1-for-SQuAD-1.1", 1)
