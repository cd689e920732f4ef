"""``stilts-artifact ls``: the names that other commands take, and what each stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from stilts_artifact.benchmark.experiments import Experiment
    from stilts_artifact.domain.tasks import Benchmark

Entry = Mapping[str, str | int]
"""One thing that is listed: what is said of it, by heading; its name first."""


def ls(
    what: Annotated[
        str,
        typer.Argument(
            metavar="tasks|rows|columns|scales|studies",
            help="What to list.",
            autocompletion=options.completing(lambda: LISTS),
        ),
    ],
    table: options.OptionalTableOption = None,
    calibration: options.CalibrationOption = False,
    study: options.StudyOption = None,
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            metavar=f"{options.SCALE_NAMES}|OWN.yaml",
            help="Whose tasks, rows and columns.",
            autocompletion=options.scale_names,
        ),
    ] = "paper",
    as_json: options.JsonOption = False,
) -> None:
    """List tasks, rows, columns, scales or studies by the names that --only and others take.

    Rows and columns are those of Table 2 unless another table or study is named.
    """
    if what not in LISTS:
        raise unknown_name("list", what, LISTS)
    asked = table is not None or calibration or study is not None
    if asked and what not in ("rows", "columns"):
        expected = "rows or columns; the other lists are of no table"
        raise ConfigError("which table?", got=what, expected=expected)
    entries = LISTS[what](scale, table if asked else "2", calibration, study)
    if as_json:
        options.say_json(entries)
        return
    from stilts_artifact.reporting.console import make_console, show_list

    show_list(what, entries, make_console())


def _tasks(scale: str, *_: object) -> list[Entry]:
    from stilts_artifact.config.load import benchmark_of, load_scale

    return [
        {
            "name": task.name,
            "title": task.title,
            "role": f"{task.role}, of studies" if task.study else str(task.role),
            "kind": str(task.form),
            "languages": len(task.languages),
            "metrics": ", ".join(task.metrics),
            "licence": task.licence,
        }
        for task in benchmark_of(load_scale(scale)).tasks.values()
    ]


def _rows(scale: str, table: str | None, calibration: bool, study: str | None) -> list[Entry]:
    from stilts_artifact.benchmark.experiments import headings

    experiment, benchmark = _experiment(scale, table, calibration, study)
    return [
        {"name": name, "title": found.title, "block": found.group}
        for name, found in headings(experiment, benchmark).items()
    ]


def _columns(scale: str, table: str | None, calibration: bool, study: str | None) -> list[Entry]:
    from stilts_artifact.benchmark.experiments import LANGUAGES
    from stilts_artifact.benchmark.titles import column_title
    from stilts_artifact.domain.tasks import Split
    from stilts_artifact.metrics.tables import table_columns

    experiment, benchmark = _experiment(scale, table, calibration, study)
    if experiment.is_counted:
        return [{"name": name} for name in (*Split, LANGUAGES)]
    return [
        {
            "name": column.name,
            "title": column_title(column.name, benchmark).title,
            "metric": column.metric_name,
            "tasks": len(column.tasks),
            "languages": len(column.languages(experiment)),
        }
        for column in table_columns(benchmark, experiment)
    ]


def _scales(*_: object) -> list[Entry]:
    from stilts_artifact.config import SCALES
    from stilts_artifact.config.load import load_scale

    return [
        {
            "name": name,
            "encoder": scale.encoder.name,
            "device": scale.device,
            "seeds": len(scale.seeds),
            "meaning": scale.meaning,
        }
        for name, scale in ((name, load_scale(name)) for name in SCALES)
    ]


def _studies(*_: object) -> list[Entry]:
    from stilts_artifact.checking.studies import load_protocol

    return [
        {
            "name": number,
            "title": protocol.title,
            "hypotheses": len(protocol.hypotheses),
            "question": protocol.question,
        }
        for number, protocol in (
            (number, load_protocol(number).protocol) for number in options.studies()
        )
    ]


def _experiment(
    scale: str, table: str | None, calibration: bool, study: str | None
) -> tuple[Experiment, Benchmark]:
    from stilts_artifact.config.load import benchmark_of, load_scale

    chosen = load_scale(scale)
    experiment = chosen.meant(options.chosen_experiment(table, calibration, study))
    return experiment, benchmark_of(chosen.within(experiment))


LISTS: Mapping[str, Callable[[str, str | None, bool, str | None], list[Entry]]] = {
    "tasks": _tasks,
    "rows": _rows,
    "columns": _columns,
    "scales": _scales,
    "studies": _studies,
}
"""What can be listed, and what lists it."""
