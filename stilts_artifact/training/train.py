"""The one training function: a task, a mixture of tasks, masked language modelling, or all of it together.

The loop is transformers' Trainer. One of its steps is one optimiser step on the examples that the
plan names, however many micro-batches the memory needs for them. Everything random is a function of
seed and step, so that a run which was killed resumes from its last checkpoint and ends, on a CPU,
with the same bits.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from stilts_artifact.errors import ResourceError
from stilts_artifact.training.arithmetic import THREADS, arithmetic, derived_seed, schedule
from stilts_artifact.training.checkpoints import clear_leftovers
from stilts_artifact.training.course import DEGENERATE, Evaluation
from stilts_artifact.training.progress import Progress, Silent
from stilts_artifact.training.run import Run, Step, TrainingTask
from stilts_artifact.training.settings import Settings

if TYPE_CHECKING:
    from transformers import XLMRobertaModel


@dataclass(frozen=True, slots=True)
class Report:
    """What happened; the same for the same seed, so it has no times in it.

    Args:
        steps: optimiser steps done, of ``planned``; fewer if patience ran out.
        examples: each task was trained on, repetitions included.
        losses: mean loss of each task in each twentieth of the plan.
        evaluations: on development data, in order.
        best: the evaluation whose weights were kept; without development data, the last weights
            are.
        collapsed: tasks at their floor on development data.
        flags: ``DEGENERATE`` if all tasks with development data have collapsed.
    """

    steps: int
    planned: int
    examples: dict[str, int]
    losses: dict[str, list[float | None]]
    evaluations: list[Evaluation]
    best: Evaluation | None
    collapsed: list[str]
    flags: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def train(
    encoder: XLMRobertaModel,
    tasks: Sequence[TrainingTask],
    settings: Settings,
    *,
    work: Path,
    origin: str,
    progress: Progress | None = None,
) -> Report:
    """Train encoder and heads in place; at the end they hold the best weights, in evaluation mode, on the CPU.

    Args:
        work: folder for checkpoints of unfinished runs; what this run left there is removed at the
            end.
        origin: identifies the encoder's first weights, so that a checkpoint of another encoder's
            run is not taken up.

    Raises:
        ConfigError: nothing to train on, settings out of range, or a loss that is not a number.
        ResourceError: out of memory, or checkpoints cannot be written.
    """
    progress = progress or Silent()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = THREADS if device == "cpu" else torch.get_num_threads()
    with arithmetic(threads), _memory_errors():
        encoder.to(device)  # type: ignore[arg-type]  # torch's stubs know no strings here
        for task in tasks:
            task.head.to(device)
        run = Run(encoder, tasks, settings, origin)
        run.learner.train(True)
        checkpoints = work / run.key[:16]
        _make(checkpoints)
        clear_leftovers(checkpoints)
        run.take_up(checkpoints, progress)
        if run.done < run.plan.steps:
            _loop(run, checkpoints, progress)
        run.keep_best()
        run.learner.train(False).to("cpu")
    shutil.rmtree(checkpoints, ignore_errors=True)
    return _report(run)


def _make(checkpoints: Path) -> None:
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            "cannot make the work folder",
            where=str(checkpoints),
            got=str(error),
            fix="name one this user can write",
        ) from error


def _loop(run: Run, checkpoints: Path, progress: Progress) -> None:
    """Run the steps that are left."""
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=run.plan.steps - run.done,
        max_grad_norm=run.settings.clip,
        use_cpu=run.learner.encoder.device.type == "cpu",
        seed=run.settings.seed % 2**32,
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
    )
    # One process drives one device; on a machine with several, Trainer would spread each step over
    # all of them.
    arguments._n_gpu = min(1, arguments.n_gpu)
    first = run.done

    def rate(step: int) -> float:
        return schedule(min(first + step, run.plan.steps - 1), run.plan.steps, run.settings.warmup)

    watch = _Watch(run, checkpoints, progress)
    trainer = _StepTrainer(
        run,
        watch,
        args=arguments,
        callbacks=[watch],
        optimizers=(run.optimizer, LambdaLR(run.optimizer, rate)),
    )
    trainer.remove_callback(PrinterCallback)
    # Trainer collects garbage first, which takes 0.2 s with torch and transformers in memory: set
    # them aside meanwhile.
    gc.freeze()
    try:
        trainer.train()
    finally:
        gc.unfreeze()
    if run.learner.encoder.device.type == "cuda":
        trainer.accelerator.free_memory()


class _Steps:
    """The steps that are left, in the place of a data loader."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.dataset = range(run.plan.steps - run.done)

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[dict[str, Step]]:
        return ({"step": step} for step in self.run.steps())


class _Watch(TrainerCallback):
    """Takes down every step, and ends the run when it is over."""

    def __init__(self, run: Run, checkpoints: Path, progress: Progress) -> None:
        self.run, self.checkpoints, self.progress = run, checkpoints, progress
        self.step: Step | None = None
        self.loss: torch.Tensor | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.step is None or self.loss is None:
            raise RuntimeError("a step ended that never began")
        if self.run.finished(self.step, self.loss, self.progress, self.checkpoints):
            control.should_training_stop = True


class _StepTrainer(Trainer):
    """Trainer whose batches are whole optimiser steps."""

    def __init__(self, run: Run, watch: _Watch, **arguments: Any) -> None:
        super().__init__(model=run.learner, **arguments)
        self.run, self.watch = run, watch

    def get_train_dataloader(self) -> Any:
        return _Steps(self.run)

    def training_step(
        self, model: Any, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Gradient of the mean loss over the step's examples; returns that loss."""
        step: Step = inputs["step"]
        device = self.run.learner.encoder.device
        torch.manual_seed(derived_seed(self.run.settings.seed, "step", step.number))  # for dropout
        total = torch.zeros((), device=device)
        for batch in step.batches:
            with _precision(self.run.settings, device.type):
                loss = model(step.task, batch) * batch.weight
            loss.backward()
            total += loss.detach()
        self.watch.step, self.watch.loss = step, total
        return total


def _precision(settings: Settings, device: str) -> AbstractContextManager[Any]:
    if device == "cuda" and settings.dtype == "bfloat16":
        return torch.autocast(device, dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and "allocate memory" not in text:
            raise
        raise ResourceError(
            "out of memory while training",
            got=(text or type(error).__name__).splitlines()[0],
            fix="give the run a GPU, or a machine, with more memory, or end what else uses it; then run it again",
        ) from error


def _report(run: Run) -> Report:
    judged = [task.name for task in run.tasks if task.development is not None]
    collapsed = run.collapsed()
    return Report(
        steps=run.done,
        planned=run.plan.steps,
        examples=run.plan.seen(run.done),
        losses=run.course.losses(),
        evaluations=run.course.evaluations,
        best=run.course.best,
        collapsed=collapsed,
        flags=[DEGENERATE] if judged and collapsed == sorted(judged) else [],
    )
