"""``stilts-artifact schema``: the JSON schema of results files."""

from __future__ import annotations

from stilts_artifact.cli import options


def schema() -> None:
    """Print the JSON schema (draft 2020-12) of the results files that this version writes."""
    from stilts_artifact.checking.results import results_schema

    options.say_json(results_schema())
