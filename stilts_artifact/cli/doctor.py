"""``stilts-artifact doctor``: what this machine has, and what a run would lack."""

from __future__ import annotations

import json
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

    machine = Machine(options.store_folder(results, store), tuple(options.data_folders(data)))
    findings = diagnose(results, machine)
    failed = [finding for finding in findings if finding.level == "fail"]
    code = ExitCode.RESOURCE if failed else ExitCode.REPRODUCED
    stream = options.message_stream(as_json)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings], indent=1, ensure_ascii=False))
    for finding in findings:
        stream.write(f"{finding.level:<5} {finding.subject:<18} {finding.detail}\n")
    word = (
        f"{len(failed)} faults that stop a run" if failed else "this machine can run the mini scale"
    )
    stream.write(f"verdict: {word}; exit {code:d}\n")
    raise typer.Exit(code)
