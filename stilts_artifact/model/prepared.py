"""Prepared data: one split in one language with its features, in two memory-mapped Arrow files.

Made once and read by every run that trains or predicts on it. The same examples give the same
bytes: datasets' own writer would add a time and a fingerprint, so the files are plain Arrow
streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.files import write_file
from stilts_artifact.model.features import frame_of, pieces
from stilts_artifact.model.forms import trained_form
from stilts_artifact.model.forms.base import SECOND, Columns, ColumnType, Schema, TrainedForm

if TYPE_CHECKING:
    from datasets import Dataset, Features
    from transformers import PreTrainedTokenizerFast

_FORM = "form.json"
_FEATURES = "features.arrow"
_EXAMPLES = "examples.arrow"

_TEXT: tuple[Schema, Schema] = ({"input_ids": "numbers"}, {})
"""Columns of text without labels, of which there are no examples."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One split of a task in one language.

    Args:
        form: ``None`` for text without labels.
        metrics: of the task, the first being the one that counts.
        labels: what the head's outputs mean; none for choices and spans.
        max_length: most tokens of an input, specials included.
        features: the model's inputs with their labels; columns as the form says, ``input_ids`` of
            text.
        examples: what predictions are made of and scored by; nothing of text.
    """

    form: TaskForm | None
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    max_length: int
    features: Dataset
    examples: Dataset

    @property
    def trained_form(self) -> TrainedForm[Any, Any]:
        """The heavy half of its form.

        Raises:
            DataError: data without labels.
        """
        if self.form is None:
            raise DataError("data without labels has no predictions", got=str(self.form))
        return trained_form(self.form)

    def first(self, count: int) -> Prepared:
        """The first examples with all their features."""
        if count >= len(self.examples):
            return self
        rows = count
        if "example" in self.features.column_names:
            # Features are in the order of their examples: those of the first ones come first.
            rows = int((self.features.with_format("numpy")["example"][:] < count).sum())
        return replace(self, features=self.features.take(rows), examples=self.examples.take(count))


def prepare_lines(
    tokenizer: PreTrainedTokenizerFast, lines: Sequence[str], max_length: int
) -> Columns:
    """Text as inputs of the masked language model; what exceeds the length is the next input.

    Raises:
        ConfigError: no room for a single token.
    """
    frame = frame_of(tokenizer)
    room = frame.single_room(max_length)
    inputs = [
        ids[at : at + room] for ids in pieces(tokenizer, lines) for at in range(0, len(ids), room)
    ]
    return {"input_ids": [frame.single(ids) for ids in inputs]}


def save_prepared(
    folder: Path,
    task: Task | None,
    labels: Sequence[str],
    features: Columns,
    examples: Columns,
    *,
    max_length: int,
) -> None:
    """Write the files of one language; of text, where there is no task.

    Raises:
        OSError: the disk is full or refuses.
    """
    form, metrics = (None, ()) if task is None else (task.form, task.metrics)
    schemas = _schemas(form, told=SECOND in features)
    folder.mkdir(parents=True, exist_ok=True)
    _write_columns(folder / _FEATURES, features, schemas[0])
    _write_columns(folder / _EXAMPLES, examples, schemas[1])
    described = {
        "form": form and form.value,
        "metrics": list(metrics),
        "labels": list(labels),
        "max_length": max_length,
    }
    write_file(folder / _FORM, dump_json(described))


def load_prepared(folder: Path) -> Prepared:
    """Read what :func:`save_prepared` wrote.

    Raises:
        IntegrityError: the folder is not prepared data.
    """
    path = folder / _FORM
    try:
        described = parse_json(read_document(path), str(path))
        form = None if described["form"] is None else TaskForm(described["form"])
        metrics, labels = (tuple(map(str, described[name])) for name in ("metrics", "labels"))
        max_length = described["max_length"]
        if type(max_length) is not int:
            raise TypeError("max_length is not an integer")
        told, untold = _schemas(form, told=True), _schemas(form, told=False)
    except (DataError, KeyError, TypeError, ValueError) as error:
        got = (str(error) or type(error).__name__).splitlines()[0]
        expected = "its form, metrics, labels, max_length"
        raise IntegrityError(
            "not prepared data", where=str(path), got=got, expected=expected
        ) from error
    features = _read_columns(folder / _FEATURES, untold[0], told[0])
    examples = _read_columns(folder / _EXAMPLES, untold[1])
    return Prepared(form, metrics, labels, max_length, features, examples)


def _schemas(form: TaskForm | None, *, told: bool) -> tuple[Schema, Schema]:
    """Columns of features and of examples; ``told``: for an encoder that is told types."""
    if form is None:
        return _TEXT
    trained = trained_form(form)
    second: Schema = {SECOND: trained.second} if told and trained.second is not None else {}
    return {**trained.features, **second}, trained.examples


def _write_columns(path: Path, columns: Columns, schema: Schema) -> None:
    """Write columns of equal length.

    Raises:
        OSError: the disk is full or refuses.
        pyarrow.ArrowInvalid: columns that do not have their type; a fault of the caller.
    """
    import pyarrow

    table = pyarrow.Table.from_pydict(dict(columns), schema=_arrow(schema).arrow_schema)
    with (
        pyarrow.OSFile(str(path), "wb") as sink,
        pyarrow.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def _read_columns(path: Path, *schemas: Schema) -> Dataset:
    """The rows of a file, memory-mapped.

    Args:
        schemas: that it may have.

    Raises:
        IntegrityError: not a whole Arrow file, or one with other columns.
    """
    import pyarrow
    from datasets import Dataset

    try:
        data = Dataset.from_file(str(path))
    except (OSError, pyarrow.ArrowException) as error:
        got = (str(error) or type(error).__name__).splitlines()[0]
        raise IntegrityError("not a file of prepared data", where=str(path), got=got) from error
    wanted = [_arrow(schema) for schema in schemas]
    if data.features not in wanted:
        raise IntegrityError(
            "prepared data of another form",
            where=str(path),
            got=", ".join(f"{name}: {kind}" for name, kind in data.features.items()),
            expected=", ".join(f"{name}: {kind}" for name, kind in wanted[0].items()),
        )
    return data


def _arrow(schema: Schema) -> Features:
    from datasets import Features, List, Value

    number, text = Value("int32"), Value("string")
    types: dict[ColumnType, Any] = {
        "number": number,
        "text": text,
        "numbers": List(number),
        "texts": List(text),
        "lists of numbers": List(List(number)),
    }
    return Features({name: types[kind] for name, kind in schema.items()})
