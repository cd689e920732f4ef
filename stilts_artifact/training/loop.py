"""The training loop: a task, a mixture of tasks, masked language modelling, or all of it together.

One step is one optimiser step on the examples that the schedule names, however many micro-batches
the device takes them in; only dropout is drawn anew for another cut. Everything random is a
function of seed, step and cut, so that a run which was killed resumes from its last checkpoint and
ends, on a CPU, with the same bits.

Where memory does not hold a micro-batch, the step is cut smaller and begun anew. It is then what it
would have been, had it been cut so from the start: the same gradient without dropout, but for
rounding, and with dropout another draw of it. The report says how small the cut became.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.domain.cells import Flag
from stilts_artifact.errors import ResourceError
from stilts_artifact.files import remove_orphans
from stilts_artifact.model.inference import precision
from stilts_artifact.model.memory import lacks_memory
from stilts_artifact.training.batches import MicroBatch
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.determinism import derived_seed, fixed_arithmetic
from stilts_artifact.training.evaluate import evaluate
from stilts_artifact.training.schedule import Budgeted
from stilts_artifact.training.state import Evaluation, TrainingState, TrainingTask

if TYPE_CHECKING:
    from stilts_artifact.model.loading import EncoderModel

FLUSH = 10
"""Steps whose losses are looked at together: each look makes a GPU wait."""

Losses = list[tuple[int, str, torch.Tensor]]
"""Step, task and loss of steps that were not looked at yet."""


class Progress(Protocol):
    """Is told how a long run goes."""

    def step(self, done: int, total: int, loss: float) -> None:
        """A step is done; ``loss`` is its own."""

    def note(self, text: str) -> None:
        """Something worth a line, such as where a run resumed."""


class Silent:
    """Nobody watches."""

    def step(self, done: int, total: int, loss: float) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened; the same for the same seed, so it has no times in it.

    Args:
        steps: optimiser steps done, of ``planned``; fewer if patience ran out.
        examples: each task was trained on, repetitions included.
        matched: what of another task's run was ``due``, and what was taken to meet it, where this
            run had such a budget.
        losses: mean loss of each task in each twentieth of the schedule.
        evaluations: on development data, in order.
        best: the evaluation whose weights were kept; without development data, the last weights
            are.
        collapsed: tasks at their floor on development data.
        flags: that the run is DEGENERATE, if all tasks with development data have collapsed.
        cut_to: most padded tokens of a micro-batch of a task, where memory did not hold as many as
            its device takes at a time.
    """

    steps: int
    planned: int
    examples: dict[str, int]
    losses: dict[str, list[float | None]]
    evaluations: list[Evaluation]
    best: Evaluation | None
    collapsed: list[str]
    flags: list[Flag]
    matched: Budgeted | None = None
    cut_to: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def train(
    encoder: EncoderModel,
    tasks: Sequence[TrainingTask],
    config: TrainingConfig,
    *,
    checkpoints: Checkpointing,
    origin: str,
    progress: Progress | None = None,
) -> Report:
    """Train encoder and heads in place.

    At the end they hold the best weights, in evaluation mode, on the CPU.

    Args:
        origin: identifies the encoder's first weights, so that a checkpoint of another encoder's
            run is not taken up.

    Raises:
        ConfigError: nothing to train on, or a loss that is not a number.
        ResourceError: out of memory, or checkpoints cannot be written.
    """
    progress = progress or Silent()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = config.threads if device == "cpu" else torch.get_num_threads()
    with fixed_arithmetic(threads), _memory_errors():
        state = TrainingState(encoder, tasks, config, origin, device)
        folder = checkpoints.folder / state.key[:16]
        try:
            _make(folder)
            remove_orphans(folder)
            state.resume(folder, progress.note)
            _run_steps(state, replace(checkpoints, folder=folder), progress)
            state.load_best()
            state.model.train(False).to("cpu")
        finally:
            # Also for a caller who tries again with the same encoder.
            state.put_embeddings_back()
        state.optimizer.state.clear()
        if device == "cuda":
            # What torch keeps for its next tensors is lost to the searches that this worker may run
            # afterwards, whose memory is not torch's.
            torch.cuda.empty_cache()
    shutil.rmtree(folder, ignore_errors=True)
    return _report(state)


def _run_steps(state: TrainingState, checkpoints: Checkpointing, progress: Progress) -> None:
    """Run the steps that are left."""
    planned = state.schedule.steps
    losses: Losses = []
    state.model.train(True)
    for step in range(state.done, planned):
        losses.append((step, *_optimise(state, step, progress.note)))
        state.done = step + 1
        at_end = state.done == planned
        evaluates = at_end or state.done % state.config.evaluate_every == 0
        saves = state.done % checkpoints.every == 0
        # Always before an evaluation or a checkpoint: a diverged run is to leave neither.
        if evaluates or saves or len(losses) >= FLUSH:
            _look_at(losses, state, progress)
        if evaluates:
            _evaluate(state)
        if state.history.exhausted:  # patience
            break
        # At the end the caller deletes the folder: nothing would read the checkpoint.
        if saves and not at_end:
            state.save(checkpoints.folder)


def _optimise(
    state: TrainingState, step: int, note: Callable[[str], None]
) -> tuple[str, torch.Tensor]:
    """One optimiser step: its task, and the mean loss over its examples, a scalar.

    The loss stays on the model's device: reading it would make the CPU wait for the GPU at every
    step.
    """
    config, model, optimizer = state.config, state.model, state.optimizer
    while (made := _gradient(state, step)) is None:
        note(f"out of memory at step {step + 1}: it is begun anew with smaller micro-batches")
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    # A function of the step: one of torch's schedulers would have a state to checkpoint.
    for group in optimizer.param_groups:
        group["lr"] = state.learning_rate(step)
    optimizer.step()
    # To none, not to zero: AdamW then leaves the heads alone that the next step does not use.
    optimizer.zero_grad(set_to_none=True)
    return made


def _gradient(state: TrainingState, step: int) -> tuple[str, torch.Tensor] | None:
    """Task and mean loss of a step, whose gradient is then in the model's parameters.

    ``None``, and no gradient, if memory did not hold a micro-batch; the next are cut smaller.
    """
    # Dropout of a seed of the step's own: a resumed run draws what the killed one would have drawn.
    torch.manual_seed(derived_seed(state.config.seed, "step", step))
    task, batches = state.batches(step)
    total = torch.zeros((), device=state.device)
    for batch in batches:
        work = partial(_backward, state, task.name, batch)
        examples = len(batch.input_ids) // task.rows.choices
        loss = state.fitting(task).attempt(examples, batch.input_ids.numel(), work)
        if loss is None:
            state.optimizer.zero_grad(set_to_none=True)
            return None
        total += loss
    return task.name, total


def _backward(state: TrainingState, task: str, batch: MicroBatch) -> torch.Tensor:
    """Add a batch's share to the gradient of the step's mean loss; its share of that loss."""
    with precision(state.device.type, state.config.dtype):
        loss = state.model(task, batch) * batch.weight
    # Gradients add up, and the weights make their sum the gradient of the step's mean loss.
    loss.backward()
    share: torch.Tensor = loss.detach()
    return share


def _look_at(losses: Losses, state: TrainingState, progress: Progress) -> None:
    """Take the losses down, and forget them.

    Raises:
        ConfigError: one of them is not a number.
    """
    for step, task, loss in losses:
        value = loss.item()
        state.history.add_loss(step, task, value)
        progress.step(step + 1, state.schedule.steps, value)
    losses.clear()


def _evaluate(state: TrainingState) -> None:
    """Score the model on all development data, and keep its weights if they are the best so far."""
    scores = evaluate(state.model, state.tasks)
    if not scores:
        return
    mean = sum(scores.values()) / len(scores)
    if state.history.add_evaluation(Evaluation(state.done, mean, scores)):
        state.keep_as_best()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            "cannot make the work folder",
            where=str(folder),
            got=str(error),
            fix="name one this user can write",
        ) from error


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise ResourceError(
            "out of memory while training",
            got=(str(error) or type(error).__name__).splitlines()[0],
            fix=(
                "give the run a GPU, or a machine, with more memory, or end what else uses it; "
                "then run it again"
            ),
        ) from error


def _report(state: TrainingState) -> Report:
    judged = [task.name for task in state.tasks if task.development is not None]
    collapsed = state.collapsed()
    return Report(
        steps=state.done,
        planned=state.schedule.steps,
        examples=state.schedule.seen(state.done),
        losses=state.history.losses(),
        evaluations=state.history.evaluations,
        best=state.history.best,
        collapsed=collapsed,
        flags=[Flag.DEGENERATE] if judged and collapsed == sorted(judged) else [],
        matched=state.schedule.budgeted,
        cut_to=state.cut_to(),
    )
