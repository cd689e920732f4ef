"""What the tests of the workflow share."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store
from tests.faults.workflow_kinds import KINDS


def text(root: Path, step: Step) -> str:
    return (Store(root).read(Graph([step], KINDS).address(step)) / "text").read_text()


def results(root: Path) -> dict[str, str]:
    """Hashes of all published files."""
    store = Store(root)
    found = {}
    for kind in KINDS:
        for manifest in store.manifests(kind):
            store.read(manifest.step.address)
            found |= {
                f"{manifest.step.address}/{name}": sums.sha256
                for name, sums in manifest.files.files.items()
            }
    return found


def diamond() -> Step:
    top = Step("join", {"text": "top "})
    sides = {side: Step("join", {"text": f"{side} "}, {"top": top}) for side in ("left", "right")}
    return Step("join", {"text": "end"}, sides)


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.05)


def living(session: int) -> list[str]:
    """Processes of a session, zombies left out."""
    found = subprocess.run(
        ["ps", "-s", str(session), "-o", "stat=,args="], capture_output=True, text=True, check=False
    )
    return [line for line in found.stdout.splitlines() if not line.startswith("Z")]
