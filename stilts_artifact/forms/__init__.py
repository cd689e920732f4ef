"""The forms of task, one class each: what reading, checking and scoring need of them, no torch.

Nothing else asks which form a task has: it asks the form. The heavy halves, which train and
predict, stand in :mod:`stilts_artifact.model.forms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.forms.alignment import Alignment
from stilts_artifact.forms.base import Form
from stilts_artifact.forms.choice import Choice
from stilts_artifact.forms.mining import Mining
from stilts_artifact.forms.pair import Pair
from stilts_artifact.forms.search import Search
from stilts_artifact.forms.span import Span
from stilts_artifact.forms.tagging import Tagging

PAIR, CHOICE, TAGGING, SPAN = Pair(), Choice(), Tagging(), Span()
MINING, SEARCH, ALIGNMENT = Mining(), Search(), Alignment()

# Any: a task's data and predictions are of its form's types, which only its form can name.
FORMS: Mapping[TaskForm, Form[Any, Any]] = MappingProxyType(
    {form.form: form for form in (PAIR, CHOICE, TAGGING, SPAN, MINING, SEARCH, ALIGNMENT)}
)


def form_of(task: Task) -> Form[Any, Any]:
    """The form of a task.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> mini = load_benchmark("mini")
        >>> form_of(mini.tasks["mlqa"]).columns(mini.tasks["mlqa"])
        {'mlqa': 'score', 'mlqa_f1': 'f1', 'mlqa_em': 'exact_match'}
        >>> form_of(mini.tasks["tatoeba"]).is_trained
        False
    """
    return FORMS[task.form]
