"""What a phase is told about its data, and how prepared folders become the tasks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.errors import DataError
from stilts_artifact.model.heads import MaskedLanguageHead
from stilts_artifact.model.masking import Vocabulary
from stilts_artifact.model.prepared import load_prepared
from stilts_artifact.training.batches import Masking, join_rows, read_rows
from stilts_artifact.training.evaluate import development
from stilts_artifact.training.state import TrainingTask, fresh_head

if TYPE_CHECKING:
    from stilts_artifact.model.loading import EncoderModel


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
    """

    folders: Sequence[Path]
    probability: float
    epochs: int
    batch: int
    cap: int | None = None


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
    rows = join_rows(
        [read_rows(load_prepared(folder).features, str(folder)) for folder in data.folders]
    )
    masking = Masking(data.probability, vocabulary)
    return TrainingTask(name, rows, head, data.epochs, data.batch, data.cap, masking)
