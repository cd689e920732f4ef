"""Options that several commands share, and the one place that turns them into objects."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import typer
from typer.core import TyperGroup

from stilts_artifact.config import SCALES
from stilts_artifact.errors import ConfigError, unknown_name
from stilts_artifact.texts import visible

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

    from stilts_artifact.benchmark.experiments import Experiment
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.tasks import Benchmark
    from stilts_artifact.experiments.session import Display

_TABLE = "reproduce --table "

# Further data folders, as PATH is written; the image names its baked mini world here.
DATA_VARIABLE = "STILTS_ARTIFACT_DATA"


class Detail(StrEnum):
    """How much a command says: the last line alone, the usual, or all it knows."""

    QUIET = "quiet"
    USUAL = "usual"
    VERBOSE = "verbose"


class Commands(TyperGroup):
    """Commands in help with the whole first sentence of theirs, which Typer cuts off at a line."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the section of commands."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(limit=1000)) for name, one in found if one]
            )


_detail = ContextVar("detail", default=Detail.USUAL)


def completing(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What a shell may complete a word to: those of some names that begin like it.

    Args:
        names: gives them; asked only where a word is completed.
    """
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def _tables() -> list[str]:
    from stilts_artifact.benchmark.experiments import EXPERIMENTS

    commands = [one.command for one in EXPERIMENTS.values()]
    return [one.removeprefix(_TABLE) for one in commands if one.startswith(_TABLE)]


def _rows_of_table_2() -> list[str]:
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.benchmark.experiments import rows

    return [row.name for row in rows(load_benchmark("xtreme"))]


def _tasks() -> list[str]:
    from stilts_artifact.benchmark import load_benchmark

    return list(load_benchmark("xtreme").tasks)


scale_names = completing(lambda: SCALES)
table_names = completing(_tables)
study_names = completing(lambda: studies())
task_names = completing(_tasks)

SCALE_NAMES = "|".join(SCALES)
"""What ``--scale`` takes, as help texts show it."""
TableOption = Annotated[
    str,
    typer.Option(
        "--table",
        help="Number of the paper's table.",
        show_default=False,
        autocompletion=table_names,
    ),
]
OptionalTableOption = Annotated[
    str | None,
    typer.Option(
        "--table",
        help="Number of the paper's table.",
        show_default=False,
        autocompletion=table_names,
    ),
]
CalibrationOption = Annotated[
    bool,
    typer.Option(
        "--calibration",
        help="Published scores of the scale's encoder, untuned or trained, in place of a table.",
    ),
]
StudyOption = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="000",
        help="A study in place of a table.",
        show_default=False,
        autocompletion=study_names,
    ),
]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        min=1,
        help="How many training runs of each row of a study.",
        show_default="what the scale says",
    ),
]
ScaleOption = Annotated[
    str,
    typer.Option(
        "--scale",
        metavar=f"auto|{SCALE_NAMES}|OWN.yaml",
        help="How large a run. auto: paper if its data are here, else mini.",
        autocompletion=scale_names,
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="FOLDER|NAME@COMMIT",
        help="In place of the scale's: a folder, a model on the Hugging Face hub, or a cached one.",
    ),
]
PrefixOption = Annotated[
    str,
    typer.Option("--prefix", help="Text before every sentence that is embedded, as 'query: '."),
]
LanguagesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--languages", metavar="CODE,...", help="Evaluate these languages only. Repeatable."
    ),
]
OwnDataOption = Annotated[
    Path | None,
    typer.Option(
        "--own-data",
        metavar="DIR",
        help="Folder of your own files, such as mnli.train-en.tsv, in place of the benchmark's.",
    ),
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of results files.")]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        help="Folder of verified files and finished steps.",
        show_default="RESULTS/.store",
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
        help="Only these cells, beside what is there; * is any. Not of Table 1. Repeatable.",
        autocompletion=completing(_rows_of_table_2),
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Processes on this machine.",
        show_default="one for each core, or for each GPU",
    ),
]
KeepModelsOption = Annotated[
    Literal["all", "encoders", "none"] | None,
    typer.Option(
        "--keep-models",
        help="Trained models that stay in the store once nothing needs them: all, those of rows "
        "(phase ii), or none.",
        show_default="what the scale says",
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


def chosen_experiment(
    table: str | None,
    calibration: bool = False,
    study: str | None = None,
    *,
    scored: bool = False,
) -> Experiment:
    """The experiment that ``--table``, ``--calibration`` or ``--study`` asks for.

    Args:
        scored: only tables whose cells are scores will do.

    Raises:
        ConfigError: several or none is given, or there is no such table or study.

    Example:
        >>> chosen_experiment("2").name, chosen_experiment(None, True).name
        ('table2', 'calibration')
    """
    from stilts_artifact.benchmark.experiments import EXPERIMENTS

    if sum((table is not None, calibration, study is not None)) != 1:
        expected = "one of --table N, --calibration and --study ID where the command has it"
        raise ConfigError("which numbers are meant?", expected=expected)
    if study is not None:
        if study not in (known := studies()):
            raise unknown_name("study", study, known)
        return known[study]
    if table is None:
        return EXPERIMENTS["calibration"]
    tables = {
        experiment.command.removeprefix(_TABLE): experiment
        for experiment in EXPERIMENTS.values()
        if experiment.command.startswith(_TABLE) and not (scored and experiment.is_counted)
    }
    if table not in tables:
        raise unknown_name("table", table, tables)
    return tables[table]


def studies(which: str = "all", *others: str) -> dict[str, Experiment]:
    """The studies that are meant, by number: one of them, or all.

    Args:
        others: what else the command takes in their place.

    Raises:
        ConfigError: there is no such study.
    """
    from stilts_artifact.benchmark.experiments import EXPERIMENTS

    every = {one.study: one for one in EXPERIMENTS.values() if one.study is not None}
    if which == "all":
        return every
    if which not in every:
        raise unknown_name("study", which, [*every, "all", *others])
    return {which: every[which]}


def codes(given: list[str] | None) -> tuple[str, ...]:
    """Languages of an option that is repeatable and takes several with commas.

    Example:
        >>> codes(["de,fi", "sw"])
        ('de', 'fi', 'sw')
    """
    return tuple(dict.fromkeys(code.strip() for text in given or () for code in text.split(",")))


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
    """The files of a benchmark that are on this machine, and the store where new ones go."""
    from stilts_artifact.experiments import setup
    from stilts_artifact.experiments.session import Machine

    machine = Machine(store_folder(results, store), tuple(data_folders(data)))
    return setup.open_library(benchmark, machine)


def display() -> Display:
    """Progress on standard error."""
    from stilts_artifact.cli.progress import download_progress, row_progress
    from stilts_artifact.experiments.session import Display
    from stilts_artifact.pipeline.progress import step_progress

    if detail() is Detail.QUIET:
        return Display()
    steps = partial(step_progress, verbose=detail() is Detail.VERBOSE)
    return Display(downloads=download_progress, steps=steps, rows=row_progress)


def detail() -> Detail:
    """How much this command line asked to be told."""
    return _detail.get()


def set_detail(*, verbose: bool, quiet: bool) -> None:
    """What ``--verbose`` and ``--quiet`` ask for.

    Raises:
        ConfigError: both.
    """
    if verbose and quiet:
        raise ConfigError("--verbose and --quiet exclude each other", fix="name one, or none")
    _detail.set(Detail.VERBOSE if verbose else Detail.QUIET if quiet else Detail.USUAL)


def message_stream(as_json: bool) -> IO[str]:
    """Where text for people goes: standard output, unless JSON goes there."""
    return sys.stderr if as_json else sys.stdout


def say(text: str, stream: IO[str] | None = None) -> None:
    """Print a line, which stays one line whatever is in it; on standard output unless told."""
    (stream or sys.stdout).write(f"{visible(text)}\n")


def note(text: str, stream: IO[str] | None = None) -> None:
    """Print a line that ``--quiet`` leaves out: neither an error nor the answer."""
    if detail() is not Detail.QUIET:
        say(text, stream)


def say_json(value: object) -> None:
    """Print JSON on standard output, in ASCII: no text in it reaches a terminal as it is."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
