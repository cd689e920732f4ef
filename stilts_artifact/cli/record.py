"""``stilts-artifact record``: make a run's values the expected values of later runs."""

from __future__ import annotations

from pathlib import Path

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError


def record(
    table: options.OptionalTableOption = None,
    calibration: options.CalibrationOption = False,
    scale: options.ScaleOption = "mini",
    results: options.ResultsOption = Path("results"),
) -> None:
    """Write the measured cells of a results file as expected values, with the hashes of its labels (mini only)."""
    experiment = options.chosen_experiment(table, calibration)
    from stilts_artifact.checking.expected import expected_path
    from stilts_artifact.checking.labels import LABELS, load_labels, recorded_labels
    from stilts_artifact.checking.record import load_measured, recorded_yaml
    from stilts_artifact.checking.results import results_path
    from stilts_artifact.checking.sums import expected_root, refresh_sums
    from stilts_artifact.config.load import load_scale
    from stilts_artifact.files import write_file

    chosen = load_scale(scale)
    if chosen.evidence:
        raise ConfigError(
            "only a regression scale can be recorded",
            got=scale,
            expected="mini",
            fix="expected values of the paper come from its text, never from a run",
        )
    measured = load_measured(results_path(results, experiment.name, chosen.name))
    path = expected_path(chosen.expected, experiment.name)
    written = [path]
    write_file(path, recorded_yaml(measured, chosen.benchmark))
    if measured.files:
        written.append(path.with_name(LABELS))
        write_file(written[-1], recorded_labels(measured, load_labels(chosen.expected)))
    refresh_sums(expected_root(), written)
    typer.echo(f"verdict: recorded {len(measured.cells)} cells in {path}")
