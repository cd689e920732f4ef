"""Sixty kills at random over a part of the mini Table 2: nothing lost, no orphan, same bytes.

The part has a row of each source of its encoder and cells of trained and untrained targets. More
kills, by hand: ``STILTS_ARTIFACT_TEST_KILLS=1000 pytest tests/faults/test_random_kills.py``.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

import stilts_artifact as stilts
from stilts_artifact.checking.results import predictions_folder
from stilts_artifact.errors import ExitCode
from tests.faults.workflow_helpers import living, wait_until

KILLS = int(os.environ.get("STILTS_ARTIFACT_TEST_KILLS", "60"))
ROOT = Path(__file__).resolve().parents[2]
CELLS = ("none,tatoeba", "none,pawsx", "mlm,tatoeba")
ASK = ("reproduce", "--table", "2", "--scale", "mini", "--offline", "--workers", "2")
ONLY = [part for cell in CELLS for part in ("--only", cell)]
# Of a hundred. Beside them, workers, and the driver with its scheduler, stop for a while.
SHARES = {"worker": 55, "driver": 15, "all": 12, "publication": 18}
STOPS = ("stop worker", "stop driver")
PAUSE_SECONDS = 1.2
_UNIQUE = re.compile(r"(?<=\.)[0-9a-f]{32}(?=\.json$)")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 + 20 * KILLS)]


@dataclass
class Arena:
    """A results folder, the run that works on it, and what was published so far."""

    folder: Path
    child: subprocess.Popen[str] | None = None
    published: dict[str, bytes] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def start(self, at: int = 0) -> subprocess.Popen[str]:
        """A run; with ``at`` it kills itself at that moment of its publication."""
        count = self.folder / "moments"
        program = ("-m", "tests.faults.published_child", str(at), str(count), str(self.results))
        (self.folder / "tmp").mkdir(exist_ok=True)
        self.child = subprocess.Popen(
            [sys.executable, *program, *ASK, *ONLY, "--results", str(self.results)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.folder / "tmp")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self.child

    def end(self) -> int:
        """The run's exit code; afterwards none of its processes lives, and nothing is lost."""
        assert self.child is not None
        _, errors = self.child.communicate()
        code, session, self.child = self.child.returncode, self.child.pid, None
        wait_until(lambda: not living(session), 120)
        assert "Traceback" not in errors, errors
        now = manifests(self.results)
        assert {name: now.get(name) for name in self.published} == self.published
        self.published = now
        return code


def manifests(results: Path) -> dict[str, bytes]:
    """The manifest, with all sums, of every result in the store."""
    store = results / ".store" / "store"
    return {str(path.relative_to(store)): path.read_bytes() for path in store.glob("*/*/*.json")}


def files(results: Path) -> dict[str, bytes]:
    """All that is published, wherever a killed publisher left it, without the machine's name."""
    file = results / "table2.mini.json"
    folder = predictions_folder(file, file.read_bytes())
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    document = json.loads(file.read_text()) | {"environment": {}}
    return found | {"results": json.dumps(document).encode()}


def strike(arena: Arena, blow: str, chance: random.Random) -> bool:
    """Kill, or stop for a while, what a blow names; ``False`` if it ended before the blow did."""
    assert arena.child is not None
    driver = psutil.Process(arena.child.pid)
    workers = driver.children(recursive=True)
    if blow.endswith("worker") and not workers:
        return False
    try:
        if blow == "worker":
            chance.choice(workers).kill()
        elif blow.startswith("stop"):
            stopped = chance.choice(workers) if blow == "stop worker" else driver
            stopped.suspend()
            time.sleep(chance.expovariate(1 / PAUSE_SECONDS))
            stopped.resume()
    except psutil.NoSuchProcess:
        return False
    if blow in ("driver", "all"):
        # A stopped process does not see that its parent is gone.
        for worker in workers if chance.random() < 0.5 else []:
            send(worker, signal.SIGSTOP)
        for process in chance.sample([driver, *workers], len(workers) + 1 if blow == "all" else 0):
            send(process, signal.SIGKILL)
        send(driver, signal.SIGKILL)
        arena.end()
    return True


def send(process: psutil.Process, sign: signal.Signals) -> None:
    """To a process that may have ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(sign)


def finish(arena: Arena, good: int) -> None:
    """Run until it is done; only steps that lost too many workers may have ended a run."""
    while True:
        code = arena.end() if arena.child else arena.start() and arena.end()
        if code == good:
            return
        assert code == ExitCode.RESOURCE


def test_random_kills_lose_nothing_leave_nothing_and_change_nothing(
    tmp_path: Path,
) -> None:
    chance = random.Random(13)
    undisturbed, arena = Arena(tmp_path / "undisturbed"), Arena(tmp_path / "struck")
    for folder in (undisturbed.folder, arena.folder):
        folder.mkdir()
    undisturbed.start()
    good = undisturbed.end()
    assert good in (ExitCode.REPRODUCED, ExitCode.NOT_REPRODUCED, ExitCode.INCOMPLETE)
    right, moments = files(undisturbed.results), int((undisturbed.folder / "moments").read_text())

    blows = [blow for blow, share in SHARES.items() for _ in range(share * KILLS // 100)]
    in_publication = blows.count("publication")
    others = [blow for blow in blows if blow != "publication"]
    others += [blow for blow in STOPS for _ in range(KILLS // 12)]
    chance.shuffle(others)
    while others:
        if arena.child is None:
            arena.start()
        time.sleep(chance.expovariate(1 / PAUSE_SECONDS))
        if arena.child.poll() is not None:
            finish(arena, good)
            assert files(arena.results) == right
            shutil.rmtree(arena.results)
            arena.published = {}
        elif strike(arena, others[-1], chance):
            others.pop()
    finish(arena, good)

    for _ in range(in_publication):
        if chance.random() < 0.3:
            shutil.rmtree(arena.results / "table2.mini", ignore_errors=True)
            (arena.results / "table2.mini.json").unlink(missing_ok=True)
        before = (arena.results / "table2.mini.json").exists()
        arena.start(at=chance.randint(1, moments))
        assert arena.end() in (good, -signal.SIGKILL)
        # Nothing or all where there was nothing; what was there before is there still.
        if before or (arena.results / "table2.mini.json").exists():
            (again,) = stilts.check(arena.results, experiment="table2")
            assert again.disagreements == []
            assert files(arena.results) == right

    finish(arena, good)
    assert files(arena.results) == right
    assert leftovers(arena) == leftovers(undisturbed)


def leftovers(arena: Arena) -> list[str]:
    """Names of all that is not a result: beside those published, in the store, in TMPDIR."""
    found = [*arena.results.iterdir(), *(arena.folder / "tmp").rglob("*")]
    found += [path for path in (arena.results / ".store").rglob("*") if "files" not in path.parts]
    # What a results file rests on is entered under a name that no other run has.
    return sorted(_UNIQUE.sub("", str(path.relative_to(arena.folder))) for path in found)
