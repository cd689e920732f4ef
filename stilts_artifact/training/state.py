"""The state of a training run: what steps change, checkpoints hold, and resuming takes up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from numpy.typing import NDArray
from torch import nn

from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.model.forms import task_head
from stilts_artifact.model.heads import MaskedLanguageHead, TaskHead
from stilts_artifact.model.inference import computed_dtype, encode
from stilts_artifact.model.memory import Fitting
from stilts_artifact.model.weights import State, fill
from stilts_artifact.training.batches import (
    FITS,
    Masking,
    MicroBatch,
    Rows,
    masked_batches,
    micro_batches,
)
from stilts_artifact.training.checkpoints import (
    Checkpoint,
    load_training_state,
    restore,
    save,
    training_state,
)
from stilts_artifact.training.determinism import derived_seed, own_random_numbers
from stilts_artifact.training.embeddings import put_back, use_rows
from stilts_artifact.training.schedule import Budget, Schedule, Share, linear_rate

if TYPE_CHECKING:
    from stilts_artifact.model.loading import EncoderModel
    from stilts_artifact.training.evaluate import Development

_POINTS = 20
"""Of a loss curve in a report."""
_BEST = "best."
"""Before the names of a checkpoint's tensors that are the best weights so far."""

Head = TaskHead | MaskedLanguageHead


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
        budget: of another task's run, which this one takes in place of its epochs.
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
    budget: Budget | None = None

    @property
    def share(self) -> Share:
        """Its part of the schedule."""
        examples = len(self.rows)
        return Share(self.name, examples, self.epochs, self.batch, self.cap, self.budget)


class MultiTaskModel(nn.Module):
    """Encoder and heads; the forward pass is the loss of one task."""

    def __init__(self, encoder: EncoderModel, heads: Mapping[str, Head]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)

    def forward(self, task: str, batch: MicroBatch) -> torch.Tensor:
        """Mean loss of a batch, a scalar."""
        device = self.encoder.device
        ids = batch.input_ids.to(device, non_blocking=True)
        targets = batch.targets.to(device, non_blocking=True)
        second = batch.second
        encoded = encode(
            self.encoder, ids, None if second is None else second.to(device, non_blocking=True)
        )
        head = cast("Head", self.heads[task])
        if batch.chosen is not None:
            # Only hidden tokens are scored: [rows, length, hidden] -> [chosen, hidden].
            scores = head(encoded.last_hidden_state[batch.chosen.to(device, non_blocking=True)])
        else:
            scores = head(encoded)
        padding = ids == self.encoder.config.pad_token_id
        return head.loss(head.without_padding(scores, padding).float(), targets)


def fresh_head(
    kind: TaskForm, encoder: EncoderModel, labels: int, seed: int, name: str
) -> TaskHead:
    """A head whose first weights depend on seed and name only, whatever is trained beside it."""
    with own_random_numbers():
        torch.manual_seed(derived_seed(seed, "head", name))
        return task_head(kind, encoder.config, labels)


def set_dropout(module: nn.Module, probability: float) -> None:
    """Another dropout in all layers, attention included; a saved configuration keeps its own."""
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = probability


def adamw(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW over everything that is trained; biases and layer norms do not decay."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, eps=config.epsilon, fused=True)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Development scores in points after ``step`` steps; ``score`` is their mean, which decides."""

    step: int
    score: float
    tasks: dict[str, float]


@dataclass(slots=True)
class History:
    """Losses and development scores; grows with the run, goes into checkpoints and the report.

    Args:
        planned: optimiser steps.
        patience: evaluations without a new best after which a run stops.
        sums: for each task, sum and number of the losses in each twentieth of the run.
    """

    planned: int
    patience: int
    sums: dict[str, list[list[float]]] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)

    def add_loss(self, step: int, task: str, loss: float) -> None:
        """Take down the loss of step ``step``, 0-based.

        Raises:
            ConfigError: it is not a number.
        """
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise ConfigError(
                "training diverged: the loss is not a number",
                where=f"step {step + 1} of {self.planned}, task {task}",
                got=str(loss),
                fix="lower the task's learning rate in the scale file",
            )
        curve = self.sums.setdefault(task, [[0.0, 0] for _ in range(min(_POINTS, self.planned))])
        point = curve[step * len(curve) // self.planned]
        point[0] += loss
        point[1] += 1

    def add_evaluation(self, evaluation: Evaluation) -> bool:
        """Take down an evaluation; whether it is a new best. Of equal ones the first stays it."""
        best = self.best
        self.evaluations.append(evaluation)
        return best is None or evaluation.score > best.score

    @property
    def best(self) -> Evaluation | None:
        """The first evaluation with the highest score."""
        return max(self.evaluations, key=lambda evaluation: evaluation.score, default=None)

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        best = self.best
        return (
            best is not None
            and sum(other.step > best.step for other in self.evaluations) >= self.patience
        )

    def facts(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "sums": self.sums,
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
        }

    def resume(self, facts: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.sums = facts["sums"]
        self.evaluations = [Evaluation(**evaluation) for evaluation in facts["evaluations"]]

    def losses(self) -> dict[str, list[float | None]]:
        """Mean loss of each task in each twentieth of the run; ``None`` where it had no step."""
        return {
            task: [round(total / count, 6) if count else None for total, count in self.sums[task]]
            for task in sorted(self.sums)
        }


class TrainingState:
    """One training run, at any of its steps.

    Attributes:
        done: optimiser steps.
        key: names the run by everything that decides its result; a checkpoint of another run is
            refused.
    """

    def __init__(
        self,
        encoder: EncoderModel,
        tasks: Sequence[TrainingTask],
        config: TrainingConfig,
        origin: str,
        device: str,
    ) -> None:
        self.tasks = tuple(tasks)
        self.config = config
        self._trained_on = device
        self._whole = use_rows(encoder, _token_ids(tasks)) if _reads_rows_only(tasks) else None
        lengths = tuple(task.rows.lengths for task in tasks)
        self.schedule = Schedule(
            tuple(task.share for task in tasks), config.seed, lengths, config.length_pool
        )
        self.model = MultiTaskModel(encoder, {task.name: task.head for task in tasks}).to(device)
        if config.dropout is not None:
            set_dropout(self.model, config.dropout)
        self.optimizer = adamw(self.model, config)
        self.history = History(self.schedule.steps, config.patience)
        self._fittings = {
            task.name: Fitting.of(
                f"training, {type(task.head).__name__}", self.device, encoder.config
            )
            for task in tasks
        }
        self.done = 0
        self.key = _key(tasks, config, origin, device)
        self._best: State | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.encoder.device

    def batches(self, step: int) -> tuple[TrainingTask, list[MicroBatch]]:
        """The task of a step, and its examples in batches that the device takes."""
        draw = self.schedule.draw(step)
        task, fit = self.tasks[draw.task], FITS[self.device.type]
        fit = fit._replace(tokens=self.fitting(task).within(fit.tokens))
        padding = self.model.encoder.config.pad_token_id
        if task.masking is None:
            return task, micro_batches(task.rows, draw.examples, fit, padding)
        generator = torch.Generator().manual_seed(derived_seed(self.config.seed, "mask", step))
        batches = masked_batches(task.rows, draw.examples, fit, task.masking, padding, generator)
        return task, batches

    def fitting(self, task: TrainingTask) -> Fitting:
        """What the device was found to take of a task at a time."""
        return self._fittings[task.name]

    def cut_to(self) -> dict[str, int]:
        """Most padded tokens of a batch of each task of which memory did not hold more."""
        limits = {name: fitting.limit for name, fitting in self._fittings.items()}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def keep_as_best(self) -> None:
        """The weights as they are now are the best so far.

        At the end of the run nothing is copied: the model holds them anyway.
        """
        at_end = self.done == self.schedule.steps
        self._best = None if at_end else _copy(self.model.state_dict())

    def load_best(self) -> None:
        """Go back to the weights that were best on development data."""
        if self._best is not None:
            fill(self.model, self._best, "best weights of the run")

    def put_embeddings_back(self) -> None:
        """The encoder has its whole embedding matrix again, as old as the weights that it holds."""
        if self._whole is None:
            return
        best = self.history.best
        steps = range(self.done if best is None else best.step)
        decay = self.config.weight_decay
        put_back(
            self.model.encoder,
            self._whole,
            [1 - self.learning_rate(step) * decay for step in steps],
            self._trained_on,
        )
        self._whole = None

    def learning_rate(self, step: int) -> float:
        """Of step ``step``, 0-based."""
        rate = linear_rate(step, self.schedule.steps, self.config.warmup)
        return self.config.learning_rate * rate

    def collapsed(self) -> list[str]:
        """Tasks that are no better than their floor where the run was best."""
        best = self.history.best
        if best is None:
            return []
        floors = {
            task.name: task.development.floor for task in self.tasks if task.development is not None
        }
        return sorted(name for name, score in best.tasks.items() if score <= floors[name])

    def save(self, folder: Path) -> None:
        """Publish a checkpoint of this step; see :func:`checkpoints.save`."""
        tensors = training_state(self.model, self.optimizer)
        best = {_BEST + name: tensor for name, tensor in (self._best or {}).items()}
        # The cut decides what the next steps draw, and how they round: a resumed run keeps it.
        facts = self.history.facts() | {"cut_to": self.cut_to()}
        save(folder, Checkpoint(self.key, self.done, facts), tensors | best)

    def resume(self, folder: Path, note: Callable[[str], None]) -> None:
        """Go on from the newest sound checkpoint, if there is one; ``note`` is told which."""
        found = restore(folder, self.key, self._load, note)
        if found is not None:
            self.done = found.step
            note(f"resumed at step {found.step} of {self.schedule.steps}")

    def _load(self, checkpoint: Checkpoint, tensors: State, where: str) -> None:
        best = {
            name.removeprefix(_BEST): tensor
            for name, tensor in tensors.items()
            if name.startswith(_BEST)
        }
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(_BEST)}
        if best and best.keys() != self.model.state_dict().keys():
            raise IntegrityError("checkpoint with best weights of something else", where=where)
        load_training_state(own, self.model, self.optimizer, where)
        try:
            self.history.resume(checkpoint.facts)
            for name, limit in checkpoint.facts.get("cut_to", {}).items():
                self._fittings[name].limit = limit
        except (AttributeError, KeyError, TypeError) as error:
            raise IntegrityError("not the state of a run", where=where, got=str(error)) from error
        self._best = best or None


def _reads_rows_only(tasks: Sequence[TrainingTask]) -> bool:
    """Whether only the embeddings of what is read are trained.

    Hidden tokens become words drawn from all, and the language head scores them all.
    """
    return all(task.masking is None for task in tasks)


def _token_ids(tasks: Sequence[TrainingTask]) -> Iterator[NDArray[Any]]:
    """All that a run gives to the encoder."""
    for task in tasks:
        yield task.rows.inputs.values
        if task.development is not None:
            yield task.development.token_ids


def _copy(state: State) -> State:
    # Without copy, a model on the CPU would hand out the very weights that go on changing.
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}


def _key(tasks: Sequence[TrainingTask], config: TrainingConfig, origin: str, device: str) -> str:
    content = {
        "origin": origin,
        "config": config.model_dump(),
        # A checkpoint of a CPU, taken up by a GPU, would end in weights that no machine repeats.
        "arithmetic": [device, computed_dtype(device, config.dtype), *FITS[device]],
        "tasks": [
            asdict(task.share)
            | {
                "rows": task.rows.digest,
                "masking": str(task.masking),
                "head": repr(task.head),
                "development": task.development and task.development.digest,
            }
            for task in tasks
        ],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
