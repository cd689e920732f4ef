"""``stilts-artifact doctor``: what this machine has, and what a run would lack."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ExitCode


def doctor(
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Check Python, packages, disk, rights, container engine, GPU and data before any work."""
    from stilts_artifact.experiments.diagnosis import diagnose
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.experiments.setup import missing_packages

    machine = Machine(options.store_folder(results, store), tuple(options.data_folders(data)))
    findings = diagnose(results, machine)
    failed = [finding for finding in findings if finding.level == "fail"]
    lacks_packages = bool(missing_packages())
    code = (
        ExitCode.RESOURCE
        if failed
        else ExitCode.INCOMPLETE
        if lacks_packages
        else ExitCode.REPRODUCED
    )
    stream = options.message_stream(as_json)
    if as_json:
        options.say_json([asdict(one) for one in findings])
    for finding in findings:
        options.say(f"{finding.level:<5} {finding.subject:<18} {finding.detail}", stream)
    word = "this machine can run the mini scale"
    if lacks_packages:
        word = "this machine can check and run Table 1; Tables 2 and 3 need the extra cpu or gpu"
    if failed:
        word = f"faults that stop a run: {len(failed)}"
    options.say(f"verdict: {word}; exit {code:d}", stream)
    raise typer.Exit(code)
