"""What the leader of a Slurm script runs in a test: steps of tests in the place of a command."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from stilts_artifact.pipeline.cluster import remote_client
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.progress import Snapshot
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store
from tests.faults.workflow_kinds import KINDS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--scheduler", required=True)
    asked = parser.parse_args()
    parts = {f"part-{number}": Step("join", {"text": f"{number} "}) for number in range(6)}
    parts["worker"] = Step("process", {"text": "where"})
    parts["yy-killed"] = Step(
        "die", {"name": "killed", "at": "middle", "times": 1, "text": "survived "}
    )
    parts["zz-patient"] = Step("patient")
    end = Step("join", {"text": " end"}, parts)
    graph, states = Graph([end], KINDS), list[Snapshot]()
    context = Context(asked.root, {"counts": asked.root.parent})
    report = run(graph, context, Options(scheduler=asked.scheduler), states.append)
    found = {
        "failures": [str(failure) for failure in report.failures],
        "made": len(report.made),
        "text": (Store(asked.root).read(graph.address(end)) / "text").read_text(),
        "workers": max(state.workers for state in states),
        "losses_allowed": losses_allowed(asked.scheduler),
    }
    (asked.root.parent / "report.json").write_text(json.dumps(found))


def losses_allowed(scheduler: str) -> int:
    """How many workers Dask lets a step lose."""
    with remote_client(scheduler) as client:
        allowed: int = client.run_on_scheduler(
            lambda dask_scheduler: dask_scheduler.allowed_failures
        )
    return allowed


if __name__ == "__main__":
    main()
