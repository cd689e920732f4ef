"""Options that several commands share, and the one place that turns them into objects."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from stilts_artifact.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.tasks import World

TABLES = (1,)

# Further data folders, as PATH is written; the image names its baked mini world here.
DATA_VARIABLE = "STILTS_ARTIFACT_DATA"

TableOption = Annotated[str, typer.Option("--table", help="Number of the paper's table.", show_default=False)]
ScaleOption = Annotated[
    str,
    typer.Option(
        "--scale", metavar="auto|mini|base|paper", help="How large a run. auto: paper if its data are here, else mini."
    ),
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of results files.")]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="Folder of verified files and finished steps. [default: RESULTS/.store]")
]
DataOption = Annotated[
    list[Path] | None,
    typer.Option("--data", help="Folder with files you already have; found by sha256 under any name. Repeatable."),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Open no network connection.")]
MirrorOption = Annotated[
    list[str] | None,
    typer.Option("--mirror", help="Base URL under which files lie by name or by sha256; tried first. Repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, messages on standard error.")]


def parse_table(text: str) -> int:
    """The number of a table this version can reproduce.

    Raises:
        ConfigError: there is no such table.
    """
    if text not in map(str, TABLES):
        raise unknown_name("table", text, map(str, TABLES))
    return int(text)


def data_folders(given: list[Path] | None) -> list[Path]:
    """Data folders from ``--data`` and the environment, in that order.

    Raises:
        ConfigError: a folder given by ``--data`` does not exist.
    """
    folders = list(given or [])
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError("data folder does not exist", where=str(folder), fix="name an existing folder")
    return folders + [Path(text) for text in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if text]


def open_library(world: World, results: Path, store: Path | None, data: list[Path] | None) -> Library:
    """The files of a world that are on this machine, and the store where new ones go."""
    from stilts_artifact.data.files import FileStore
    from stilts_artifact.data.library import Library

    return Library(world.sources, FileStore(store if store is not None else results / ".store"), data_folders(data))


def url_openers() -> Mapping[str, Callable[[str], bytes]]:
    """How files that no network serves are made: the mini world, by the scheme of its URLs."""
    from stilts_artifact import miniworld

    return {"miniworld": miniworld.serve}


def message_stream(as_json: bool) -> IO[str]:
    """Where text for people goes: standard output, unless JSON goes there."""
    return sys.stderr if as_json else sys.stdout
