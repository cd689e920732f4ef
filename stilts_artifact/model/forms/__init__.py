"""The heavy halves of the forms that are trained; the light ones: :mod:`stilts_artifact.forms`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.model.forms.base import TrainedForm
from stilts_artifact.model.forms.choice import TrainedChoice
from stilts_artifact.model.forms.pair import TrainedPair
from stilts_artifact.model.forms.span import TrainedSpan
from stilts_artifact.model.forms.tagging import TrainedTagging

if TYPE_CHECKING:
    from torch import nn

    from stilts_artifact.model.heads import TaskHead
    from stilts_artifact.model.loading import EncoderConfig

# Any: examples and predictions are of the form's own types, which only the form can name.
TRAINED: Mapping[TaskForm, TrainedForm[Any, Any]] = MappingProxyType(
    {form.form: form for form in (TrainedPair(), TrainedChoice(), TrainedTagging(), TrainedSpan())}
)


def trained_form(form: TaskForm) -> TrainedForm[Any, Any]:
    """The heavy half of a form.

    Raises:
        ConfigError: retrieval, which trains nothing.
    """
    if form not in TRAINED:
        raise ConfigError(f"{form} has no head: the encoder is evaluated as it is", got=form)
    return TRAINED[form]


def task_head(form: TaskForm, config: EncoderConfig, labels: int) -> TaskHead:
    """A fresh head; see :meth:`TrainedForm.head`.

    Raises:
        ConfigError: retrieval, which trains nothing.
    """
    return trained_form(form).head(config, labels)


def describe_head(head: nn.Module) -> tuple[TaskForm, int]:
    """Form of a head and its number of labels, from which it can be made again.

    Raises:
        TypeError: a language head, which belongs into its encoder's checkpoint.
    """
    for form, trained in TRAINED.items():
        if type(head) is trained.head_class():
            return form, trained.labels_in(head)
    raise TypeError(f"{type(head).__name__} is the head of no task")
