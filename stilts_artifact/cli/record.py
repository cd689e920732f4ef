"""``stilts-artifact record``: make a run's values the baseline of later runs."""

from __future__ import annotations

from pathlib import Path

import typer

from stilts_artifact.cli import options


def record(
    table: options.OptionalTableOption = None,
    calibration: options.CalibrationOption = False,
    scale: options.ScaleOption = "mini",
    results: options.ResultsOption = Path("results"),
) -> None:
    """Write the measured cells of a results file as expected values, with the hashes of its labels
    (mini only).
    """
    experiment = options.chosen_experiment(table, calibration)
    from stilts_artifact.checking.baseline import record_baseline
    from stilts_artifact.checking.results import results_path
    from stilts_artifact.config.load import load_scale

    chosen = load_scale(scale)
    path, cells = record_baseline(results_path(results, experiment.name, chosen.name), chosen)
    typer.echo(f"verdict: recorded {cells} cells in {path}")
