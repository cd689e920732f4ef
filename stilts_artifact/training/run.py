"""The state of one training run: what its steps change, what a checkpoint holds, and what a resumed run takes up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from stilts_artifact.errors import IntegrityError
from stilts_artifact.model.weights import State, fill
from stilts_artifact.training.arithmetic import derived_seed
from stilts_artifact.training.checkpoints import (
    Checkpoint,
    load_training_state,
    restore,
    save,
    training_state,
)
from stilts_artifact.training.course import Evaluation, History
from stilts_artifact.training.learner import Head, MultiTaskModel, adamw, set_dropout
from stilts_artifact.training.microbatches import (
    FITS,
    Masking,
    MicroBatch,
    masked_batches,
    micro_batches,
)
from stilts_artifact.training.plan import Plan, Share
from stilts_artifact.training.progress import Progress
from stilts_artifact.training.rows import Rows
from stilts_artifact.training.settings import Settings

if TYPE_CHECKING:
    from transformers import XLMRobertaModel

_BEST = "best."
_FLUSH = 10
"""Steps whose losses are looked at together: each look makes a GPU wait."""


class Development(Protocol):
    """Development data of a task."""

    @property
    def floor(self) -> float:
        """Points for always giving the commonest answer."""

    def score(self, encoder: XLMRobertaModel, head: Head) -> float:
        """Points of a model in evaluation mode."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """One task of a run.

    Args:
        name: unique in the run.
        rows: its training data.
        head: is trained in place.
        epochs, batch: it is trained for, and examples of an optimiser step, whatever the hardware.
        cap: most examples that count in a mixture; see :class:`Share`.
        masking: for masked language modelling, whose rows have no labels.
        development: decides which weights are kept; ``None`` if the task has no say in it.
    """

    name: str
    rows: Rows
    head: Head
    epochs: int
    batch: int
    cap: int | None = None
    masking: Masking | None = None
    development: Development | None = None

    @property
    def share(self) -> Share:
        """Its part of the plan."""
        return Share(self.name, len(self.rows), self.epochs, self.batch, self.cap)


class Step(NamedTuple):
    """The data of one optimiser step."""

    number: int
    task: str
    batches: list[MicroBatch]


class Run:
    """One training run, at any of its steps."""

    def __init__(
        self,
        encoder: XLMRobertaModel,
        tasks: Sequence[TrainingTask],
        settings: Settings,
        origin: str,
    ) -> None:
        self.tasks = tuple(tasks)
        self.settings = settings
        lengths = tuple(task.rows.lengths for task in tasks)
        self.plan = Plan(
            tuple(task.share for task in tasks), settings.seed, lengths, settings.length_pool
        )
        self.learner = MultiTaskModel(encoder, {task.name: task.head for task in tasks})
        if settings.dropout is not None:
            set_dropout(self.learner, settings.dropout)
        self.optimizer = adamw(
            self.learner, settings.learning_rate, settings.weight_decay, settings.epsilon
        )
        self.course = History(self.plan.steps, settings.patience)
        self.done = 0
        self.key = _key(tasks, settings, origin)
        self._best: State | None = None
        self._pending: list[tuple[int, str, torch.Tensor]] = []

    def steps(self) -> Iterator[Step]:
        """The steps that are left; their data is put together as they are asked for."""
        fit = FITS[self.learner.encoder.device.type]
        if self.settings.micro_tokens is not None:
            fit = fit._replace(tokens=self.settings.micro_tokens)
        for number in range(self.done, self.plan.steps):
            draw = self.plan.draw(number)
            task = self.tasks[draw.task]
            if task.masking is None:
                batches = micro_batches(task.rows, draw.examples, fit)
            else:
                generator = torch.Generator().manual_seed(
                    derived_seed(self.settings.seed, "mask", number)
                )
                batches = masked_batches(task.rows, draw.examples, fit, task.masking, generator)
            yield Step(number, task.name, batches)

    def finished(
        self, step: Step, loss: torch.Tensor, progress: Progress, checkpoints: Path
    ) -> bool:
        """Take down a step; evaluate and save when it is time to; whether the run is over."""
        self.done = step.number + 1
        self._pending.append((step.number, step.task, loss))
        last = self.done == self.plan.steps
        if last or len(self._pending) >= _FLUSH:
            self._flush(progress)
        if last or self.done % self.settings.evaluate_every == 0:
            self._flush(progress)
            self._evaluate()
        over = last or self.course.exhausted
        if not over and self.done % self.settings.save_every == 0:
            self._flush(progress)
            self._save(checkpoints)
        return over

    def take_up(self, checkpoints: Path, progress: Progress) -> None:
        """Go on from the newest sound checkpoint, if there is one."""
        found = restore(checkpoints, self.key, self._load, progress.note)
        if found is not None:
            self.done = found.step
            progress.note(f"resumed at step {found.step} of {self.plan.steps}")

    def keep_best(self) -> None:
        """Go back to the weights that were best on development data."""
        if self._best is not None:
            fill(self.learner, self._best, "best weights of the run")

    def collapsed(self) -> list[str]:
        """Tasks that are no better than their floor where the run was best."""
        best = self.course.best
        if best is None:
            return []
        floors = {
            task.name: task.development.floor for task in self.tasks if task.development is not None
        }
        return sorted(name for name, score in best.tasks.items() if score <= floors[name])

    def _evaluate(self) -> None:
        scores = {}
        self.learner.train(False)
        for task in self.tasks:
            if task.development is not None:
                scores[task.name] = task.development.score(self.learner.encoder, task.head)
        self.learner.train(True)
        if not scores:
            return
        is_best = self.course.scored(
            Evaluation(self.done, sum(scores.values()) / len(scores), scores)
        )
        # The weights of the end are there anyway.
        at_end = self.done == self.plan.steps
        if is_best:
            self._best = None if at_end else _copy(self.learner.state_dict())

    def _flush(self, progress: Progress) -> None:
        for number, task, loss in self._pending:
            value = loss.item()
            self.course.lost(number, task, value)
            progress.step(number + 1, self.plan.steps, value)
        self._pending.clear()

    def _save(self, checkpoints: Path) -> None:
        tensors = training_state(self.learner, self.optimizer)
        best = {_BEST + name: tensor for name, tensor in (self._best or {}).items()}
        save(checkpoints, Checkpoint(self.key, self.done, self.course.facts()), tensors | best)

    def _load(self, checkpoint: Checkpoint, tensors: State, where: str) -> None:
        best = {
            name.removeprefix(_BEST): tensor
            for name, tensor in tensors.items()
            if name.startswith(_BEST)
        }
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(_BEST)}
        if best and best.keys() != self.learner.state_dict().keys():
            raise IntegrityError("checkpoint with best weights of something else", where=where)
        load_training_state(own, self.learner, self.optimizer, where)
        try:
            self.course.resume(checkpoint.facts)
        except (KeyError, TypeError) as error:
            raise IntegrityError("not the state of a run", where=where, got=str(error)) from error
        self._best = best or None


def _copy(state: State) -> State:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}


def _key(tasks: Sequence[TrainingTask], settings: Settings, origin: str) -> str:
    """Names a run by everything that decides its result."""
    decisive = asdict(settings)
    del decisive["save_every"], decisive["micro_tokens"]
    content = {
        "origin": origin,
        "settings": decisive,
        "tasks": [
            asdict(task.share) | {"rows": task.rows.digest, "masking": str(task.masking)}
            for task in tasks
        ],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
