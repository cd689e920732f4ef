"""Run what a table needs, and say of every place what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts_artifact.documents import parse_json, read_document
from stilts_artifact.experiments.scores import Request, RunKey
from stilts_artifact.pipeline.errors import RunReport
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.progress import Watch
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store

_REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Executed:
    """The results of a request.

    Args:
        predictions, labels: verified folders.
        failed: places without predictions, and why.
        flags: places with a run behind them that collapsed.
        report: of the engine.
    """

    predictions: Mapping[RunKey, Path]
    labels: Mapping[str, Path]
    failed: Mapping[RunKey, str]
    flags: Mapping[RunKey, str]
    report: RunReport


def execute(request: Request, context: Context, options: Options, watch: Watch) -> Executed:
    """Run every step that is not done yet.

    Raises:
        ResourceError: the cluster does not start or is lost.
        IntegrityError: a finished result was altered.
    """
    trained = {place: list(_trained(step)) for place, step in request.predictions.items()}
    reports = {step for steps in trained.values() for step in steps}
    graph = Graph([*request.steps, *reports], KINDS)
    report = run(graph, context, options, watch)
    store = Store(context.root)
    reasons = _reasons(report)
    failed = dict(request.impossible)
    predictions: dict[RunKey, Path] = {}
    for place, step in request.predictions.items():
        address = graph.address(step)
        if address in reasons:
            failed[place] = reasons[address]
        else:
            predictions[place] = store.read(address)
    labels = {
        task: store.read(graph.address(step))
        for task, step in request.labels.items()
        if graph.address(step) not in reasons
    }
    flagged = {step: flag for step in reports if (flag := _flag(store, graph.address(step)))}
    flags = {
        place: flagged[step]
        for place, steps in trained.items()
        for step in steps
        if step in flagged
    }
    return Executed(predictions, labels, failed, flags, report)


def _trained(step: Step) -> Iterable[Step]:
    """The training runs behind a step."""
    if step.kind in ("intermediate", "target"):
        yield step
    for other in step.inputs.values():
        yield from _trained(other)


def _reasons(report: RunReport) -> dict[str, str]:
    """Address of every step that has no result -> why."""
    found = {
        failure.step.address: f"failed: {_in_one_line(failure.error)}"
        for failure in report.failures
    }
    for skipped in report.skipped:
        found[skipped.step.address] = f"not run, because {skipped.because.label} failed"
    return found


def _flag(store: Store, address: str) -> str | None:
    if not store.has(address):
        return None
    path = store.read(address) / _REPORT
    content: Any = parse_json(read_document(path), str(path))
    return next(iter(content["flags"]), None)


def _in_one_line(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines())
