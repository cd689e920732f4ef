"""A small world: XTREME's nine tasks in three languages."""

from __future__ import annotations

import pytest

from stilts_artifact.benchmark.experiments import GROUPS
from stilts_artifact.domain.tasks import Benchmark, Language, Role, Task, TaskForm

FORMS: dict[str, tuple[TaskForm, tuple[str, ...]]] = {
    "xnli": (TaskForm.PAIR, ("contradiction", "entailment", "neutral")),
    "pawsx": (TaskForm.PAIR, ("0", "1")),
    "udpos": (TaskForm.TAGGING, ("ADJ", "INTJ", "NOUN", "SYM", "VERB")),
    "panx": (TaskForm.TAGGING, ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")),
    "xquad": (TaskForm.SPAN, ()),
    "mlqa": (TaskForm.SPAN, ()),
    "tydiqa": (TaskForm.SPAN, ()),
    "bucc2018": (TaskForm.MINING, ()),
    "tatoeba": (TaskForm.SEARCH, ()),
}
CODES = ("de", "en", "zh")


def _task(name: str) -> Task:
    form, labels = FORMS[name]
    return Task(
        name=name,
        title=name,
        role=Role.TARGET,
        form=form,
        metrics=(),
        labels=labels,
        languages=CODES,
        licence="none",
        parts={},
        group=next(group for group, names in GROUPS.items() if name in names),
        normalisation="mlqa" if name == "mlqa" else "squad",
    )


@pytest.fixture(scope="session")
def benchmark() -> Benchmark:
    return Benchmark(
        name="small",
        source_language="en",
        languages={code: Language(code, code) for code in CODES},
        tasks={name: _task(name) for name in FORMS},
        sources={},
        texts={},
    )
