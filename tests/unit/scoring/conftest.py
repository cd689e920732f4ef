"""A small world: XTREME's nine tasks in three languages."""

from __future__ import annotations

import pytest

from stilts_artifact.domain.tasks import Kind, Language, Role, Task, World

FORMS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "xnli": (Kind.PAIR, ("contradiction", "entailment", "neutral")),
    "pawsx": (Kind.PAIR, ("0", "1")),
    "udpos": (Kind.TAGGING, ("ADJ", "INTJ", "NOUN", "SYM", "VERB")),
    "panx": (Kind.TAGGING, ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")),
    "xquad": (Kind.SPAN, ()),
    "mlqa": (Kind.SPAN, ()),
    "tydiqa": (Kind.SPAN, ()),
    "bucc2018": (Kind.MINING, ()),
    "tatoeba": (Kind.SEARCH, ()),
}
CODES = ("de", "en", "zh")


def _task(name: str) -> Task:
    kind, labels = FORMS[name]
    return Task(
        name=name,
        title=name,
        role=Role.TARGET,
        kind=kind,
        metrics=(),
        labels=labels,
        languages=CODES,
        licence="none",
        parts={},
    )


@pytest.fixture(scope="session")
def world() -> World:
    return World(
        name="small",
        pivot="en",
        languages={code: Language(code, code) for code in CODES},
        tasks={name: _task(name) for name in FORMS},
        sources={},
        text={},
    )
