"""Options that several commands share, and the one place that turns them into objects."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from stilts_artifact.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.tasks import Benchmark

TABLES = (1, 2, 3)
SCORE_TABLES = (2, 3)

# Further data folders, as PATH is written; the image names its baked mini world here.
DATA_VARIABLE = "STILTS_ARTIFACT_DATA"

TableOption = Annotated[
    str, typer.Option("--table", help="Number of the paper's table.", show_default=False)
]
OptionalTableOption = Annotated[
    str | None, typer.Option("--table", help="Number of the paper's table.", show_default=False)
]
CalibrationOption = Annotated[
    bool,
    typer.Option(
        "--calibration",
        help="The untuned encoder's published retrieval scores, in place of a table.",
    ),
]
ScaleOption = Annotated[
    str,
    typer.Option(
        "--scale",
        metavar="auto|mini|base|paper",
        help="How large a run. auto: paper if its data are here, else mini.",
    ),
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of results files.")]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Folder of verified files and finished steps. [default: RESULTS/.store]"
    ),
]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="Folder with files you already have; found by sha256 under any name. Repeatable.",
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Open no network connection.")]
MirrorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mirror",
        help="Base URL under which files lie by name or by sha256; tried first. Repeatable.",
    ),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="ROW[,COLUMN]",
        help="Tables 2 and 3: only these cells; * is any. Repeatable.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Processes on this machine. [default: one for each core, or for each GPU]"
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Run on the Dask cluster with this address."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, messages on standard error.")
]


def parse_table(text: str, tables: Sequence[int] = TABLES) -> int:
    """The number of a table, of all of them unless others are given.

    Raises:
        ConfigError: there is no such table.
    """
    if text not in map(str, tables):
        raise unknown_name("table", text, map(str, tables))
    return int(text)


def chosen_table(table: str | None, calibration: bool) -> int:
    """The number of a table, 0 for the calibration.

    Raises:
        ConfigError: both or neither, or there is no such table.
    """
    from stilts_artifact.benchmark.experiments import CALIBRATION

    if calibration == (table is not None):
        raise ConfigError("which numbers are meant?", expected="either --table N or --calibration")
    return CALIBRATION if table is None else parse_table(table)


def table_title(table: int) -> str:
    """How a table is called in messages.

    Example:
        >>> table_title(2), table_title(0)
        ('Table 2', 'Calibration')
    """
    return f"Table {table}" if table else "Calibration"


def table_command(table: int) -> str:
    """How a table is asked for.

    Example:
        >>> table_command(2), table_command(0)
        ('--table 2', '--calibration')
    """
    return f"--table {table}" if table else "--calibration"


def store_folder(results: Path, store: Path | None) -> Path:
    """The store of a run."""
    return store if store is not None else results / ".store"


def require_writable(results: Path) -> None:
    """Notice before any work that its result could not be written.

    Raises:
        ResourceError: the folder cannot be made or written.
    """
    from stilts_artifact.errors import ResourceError

    try:
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results):
            return
    except OSError as error:
        fix = "name a folder this user can write: --results DIR"
        raise ResourceError(
            "cannot write results", where=str(results), got=str(error), fix=fix
        ) from error


def data_folders(given: list[Path] | None) -> list[Path]:
    """Data folders from ``--data`` and the environment, in that order.

    Raises:
        ConfigError: a folder given by ``--data`` does not exist.
    """
    folders = list(given or [])
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                "data folder does not exist", where=str(folder), fix="name an existing folder"
            )
    return folders + [
        Path(text) for text in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if text
    ]


def open_library(
    benchmark: Benchmark, results: Path, store: Path | None, data: list[Path] | None
) -> Library:
    """The files of a world that are on this machine, and the store where new ones go."""
    from stilts_artifact.data.library import Library
    from stilts_artifact.data.store import FileStore

    return Library(benchmark.sources, FileStore(store_folder(results, store)), data_folders(data))


def url_openers() -> Mapping[str, Callable[[str], bytes]]:
    """How files that no network serves are made: the mini world, by the scheme of its URLs."""
    from stilts_artifact import miniworld

    return {"miniworld": miniworld.serve}


def message_stream(as_json: bool) -> IO[str]:
    """Where text for people goes: standard output, unless JSON goes there."""
    return sys.stderr if as_json else sys.stdout
