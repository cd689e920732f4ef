"""What a phase is told about its data, and how prepared folders become the tasks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.errors import DataError
from stilts_artifact.model.heads import MaskedLanguageHead
from stilts_artifact.model.inference import precision
from stilts_artifact.model.masking import Vocabulary
from stilts_artifact.model.memory import Fitting
from stilts_artifact.model.prepared import load_prepared
from stilts_artifact.training.batches import (
    FITS,
    Masking,
    Rows,
    first_rows,
    join_rows,
    masked_batches,
    read_rows,
)
from stilts_artifact.training.determinism import derived_seed, fixed_arithmetic
from stilts_artifact.training.evaluate import development
from stilts_artifact.training.schedule import Budget, Share
from stilts_artifact.training.state import MultiTaskModel, TrainingTask, fresh_head

if TYPE_CHECKING:
    from stilts_artifact.model.loading import EncoderModel


_TEXT = "text"


@dataclass(frozen=True, slots=True)
class TaskData:
    """One labelled task: its prepared folders, each of one language, and how it is trained.

    Args:
        development: ``None`` if it has none; then it has no say in which weights are kept.
        cap: most examples that count in a mixture.
    """

    train: Path
    development: Path | None
    epochs: int
    batch: int
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class TextData:
    """Text for masked language modelling: prepared folders, one for each language.

    Args:
        probability: share of tokens to predict.
        cap: most texts that count in a mixture.
        matched: a task whose optimiser steps and tokens are taken in place of the epochs.
    """

    folders: Sequence[Path]
    probability: float
    epochs: int
    batch: int
    cap: int | None = None
    matched: TaskData | None = None


def labelled_task(
    encoder: EncoderModel, name: str, data: TaskData, config: TrainingConfig
) -> TrainingTask:
    """A task with a fresh head.

    Raises:
        DataError, IntegrityError: prepared data that is empty, damaged, or of another form than the
            task's.
    """
    prepared = load_prepared(data.train)
    if prepared.form is None:
        raise DataError("text without labels in the place of a task", where=str(data.train))
    rows = read_rows(prepared.features, str(data.train))
    labels = prepared.trained_form.labels_of(prepared)
    judge = None
    if data.development is not None:
        held_out = load_prepared(data.development)
        if (held_out.form, held_out.labels) != (prepared.form, prepared.labels):
            raise DataError(
                "development data of another task than the training data",
                where=str(data.development),
                got=f"{held_out.form}, {len(held_out.labels)} labels",
                expected=f"{prepared.form}, {len(prepared.labels)} labels",
            )
        judge = development(held_out, config.development_rows, config.dtype)
    return TrainingTask(
        name=name,
        rows=rows,
        head=fresh_head(prepared.form, encoder, labels, config.seed, name),
        epochs=data.epochs,
        batch=data.batch,
        cap=data.cap,
        development=judge,
    )


def text_task(
    head: MaskedLanguageHead, vocabulary: Vocabulary, name: str, data: TextData
) -> TrainingTask:
    """Masked language modelling, which goes on with the checkpoint's own language head.

    Raises:
        DataError, IntegrityError: prepared text that is empty or damaged.
    """
    rows = join_rows([_text_rows(folder) for folder in data.folders])
    masking = Masking(data.probability, vocabulary)
    batch, budget = data.batch, None
    if data.matched is not None:
        budget = budget_of(data.matched)
        texts = budget.tokens / float(rows.lengths.mean())
        batch = max(1, round(texts / budget.steps))
    return TrainingTask(name, rows, head, data.epochs, batch, data.cap, masking, None, budget)


def budget_of(task: TaskData) -> Budget:
    """Steps and tokens of a run of one task alone; patience, which may end it earlier, aside.

    Raises:
        DataError, IntegrityError: prepared data that is empty or damaged.
    """
    rows = read_rows(load_prepared(task.train).features, str(task.train))
    share = Share("matched", len(rows), task.epochs, task.batch, task.cap)
    return Budget(share.steps, task.epochs * int(rows.inputs.lengths.sum()))


_JUDGED = 32
"""Texts of each language by which a run of masked language modelling is watched."""


def text_losses(
    encoder: EncoderModel,
    head: MaskedLanguageHead,
    vocabulary: Vocabulary,
    data: TextData,
    config: TrainingConfig,
) -> dict[str, float | None]:
    """Language -> mean loss of hidden tokens of its first texts, the same ones at every call.

    They are texts that are trained on: the loss says whether the encoder has come nearer to them.
    ``None`` where nothing was hidden.

    Raises:
        DataError, IntegrityError: prepared text that is empty or damaged.
        ResourceError: memory does not hold one text.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = config.threads if device == "cpu" else torch.get_num_threads()
    model = MultiTaskModel(encoder, {_TEXT: head}).to(device).train(False)
    masking = Masking(data.probability, vocabulary)
    fitting = Fitting.of("losses of hidden tokens", encoder.device, encoder.config)
    found: dict[str, float | None] = {}
    for folder in data.folders:
        rows, seed = first_rows(_text_rows(folder), _JUDGED), derived_seed("judged", folder.name)
        with (
            fixed_arithmetic(threads),
            torch.inference_mode(),
            precision(device, config.dtype),
        ):
            while (losses := _losses(model, rows, masking, seed, fitting)) is None:
                pass  # and cut smaller
        found[folder.name] = round(sum(losses), 6) if losses else None
    model.to("cpu")
    return found


def _losses(
    model: MultiTaskModel, rows: Rows, masking: Masking, seed: int, fitting: Fitting
) -> list[float] | None:
    """Shares in the mean loss of texts; ``None`` if memory did not hold a batch."""
    import torch

    fit = FITS[fitting.device.type]
    fit = fit._replace(tokens=fitting.within(fit.tokens))
    generator = torch.Generator().manual_seed(seed)
    padding = model.encoder.config.pad_token_id
    losses = []
    for batch in masked_batches(rows, np.arange(len(rows)), fit, masking, padding, generator):
        work = partial(model, _TEXT, batch)
        loss = fitting.attempt(len(batch.input_ids), batch.input_ids.numel(), work)
        if loss is None:
            return None
        losses.append(batch.weight * loss.item())
    return losses


def _text_rows(folder: Path) -> Rows:
    return read_rows(load_prepared(folder).features, str(folder))
