"""``stilts-artifact record``: make a run's values the baseline of later runs, and pin labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError

_NAMED = 5  # sources that a message spells out


def record(
    table: options.OptionalTableOption = None,
    calibration: options.CalibrationOption = False,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Only the hashes of the benchmark's labels, read from its sources; at any scale.",
        ),
    ] = False,
    scale: options.ScaleOption = "mini",
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
) -> None:
    """Write measured cells as expected values (mini only); or, with --labels, hashes of labels.

    Cells of a results file bring the hashes of its labels along; --labels takes all labels whose
    sources are here.
    """
    from stilts_artifact.checking.sums import require_checkout
    from stilts_artifact.config.load import load_scale

    require_checkout("record in a checkout of this project")
    chosen = load_scale(scale)
    if labels:
        if calibration or table is not None:
            raise ConfigError("--labels records those of every table", fix="leave the table out")
        _record_labels(chosen.benchmark, results, store, data)
        return
    experiment = chosen.meant(options.chosen_experiment(table, calibration))
    from stilts_artifact.checking.baseline import record_baseline
    from stilts_artifact.checking.results import results_path

    path, cells = record_baseline(results_path(results, experiment.name, chosen.name), chosen)
    options.say(f"verdict: recorded {cells} cells in {path}")


def _record_labels(
    name: Literal["mini", "xtreme", "family"],
    results: Path,
    store: Path | None,
    data: list[Path] | None,
) -> None:
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.checking.labels import record_labels

    benchmark = load_benchmark(name)
    library = options.open_library(benchmark, results, store, data)
    with options.display().downloads() as progress, library.shown(progress):
        recorded = record_labels(library, benchmark)
    if recorded.missing:
        named = ", ".join(recorded.missing[:_NAMED])
        more = len(recorded.missing) - _NAMED
        options.say(f"not here: {named}" + (f" and {more} more" if more > 0 else ""))
    options.say(f"verdict: recorded {recorded.recorded} label files in {recorded.path}")
