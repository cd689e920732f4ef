"""Columns of prepared data in Arrow files, which datasets maps into memory.

datasets' own writer would add a time and a fingerprint; plain Arrow streams of the same rows have
the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import IntegrityError

if TYPE_CHECKING:
    from datasets import Dataset, Features

Columns = Mapping[str, list[Any]]
Type = Literal["number", "text", "numbers", "texts", "lists of numbers"]


class Form(NamedTuple):
    """Columns of the features and of the examples of one kind of task."""

    features: Mapping[str, Type]
    examples: Mapping[str, Type]


FORMS: Mapping[TaskForm | None, Form] = MappingProxyType(
    {
        TaskForm.PAIR: Form({"input_ids": "numbers", "label": "number"}, {"label": "text"}),
        TaskForm.CHOICE: Form(
            {"choices": "lists of numbers", "label": "number"}, {"label": "number"}
        ),
        TaskForm.TAGGING: Form(
            {
                "input_ids": "numbers",
                "tags": "numbers",
                "positions": "numbers",
                "example": "number",
            },
            {"tags": "texts"},
        ),
        TaskForm.SPAN: Form(
            {
                "input_ids": "numbers",
                "start": "number",
                "end": "number",
                "context_start": "number",
                "offsets": "numbers",
                "example": "number",
            },
            {"id": "text", "context": "text", "answers": "texts"},
        ),
        None: Form({"input_ids": "numbers"}, {}),
    }
)
"""Kind of task -> columns; ``None`` is text without labels, of which there are no examples."""


def write_columns(path: Path, columns: Columns, form: Mapping[str, Type]) -> None:
    """Write columns of equal length.

    Raises:
        OSError: the disk is full or refuses.
        pyarrow.ArrowInvalid: columns that do not have their form; a fault of the caller.
    """
    import pyarrow

    table = pyarrow.Table.from_pydict(dict(columns), schema=_features(form).arrow_schema)
    with (
        pyarrow.OSFile(str(path), "wb") as sink,
        pyarrow.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def read_columns(path: Path, form: Mapping[str, Type]) -> Dataset:
    """The rows of a file, memory-mapped.

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
    wanted = _features(form)
    if data.features != wanted:
        raise IntegrityError(
            "prepared data of another form",
            where=str(path),
            got=", ".join(f"{name}: {kind}" for name, kind in data.features.items()),
            expected=", ".join(f"{name}: {kind}" for name, kind in wanted.items()),
        )
    return data


def _features(form: Mapping[str, Type]) -> Features:
    from datasets import Features, List, Value

    number, text = Value("int32"), Value("string")
    types: Mapping[Type, Any] = {
        "number": number,
        "text": text,
        "numbers": List(number),
        "texts": List(text),
        "lists of numbers": List(List(number)),
    }
    return Features({name: types[kind] for name, kind in form.items()})
