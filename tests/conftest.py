"""Fixtures shared by all tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# First calls import and compile, which no deadline should count; CI must not fail by the luck of a
# draw.
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("project")

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Stock = Callable[[Path], Path]

ROOT = Path(__file__).resolve().parent.parent

# Modules that share a long preparation, the longest first. One process of pytest-xdist makes it,
# and begins with it: else the others would wait for it at the end.
LONGEST = (
    ("tests/golden/test_whole_tables_mini.py",),
    ("tests/real/test_afternoon.py",),
    ("tests/container/test_image.py", "tests/container/test_run.py"),
    ("tests/golden/test_studies_mini.py",),
    ("tests/golden/test_table2_mini.py",),
    (
        "tests/golden/test_table1_mini.py",
        "tests/golden/test_calibration_mini.py",
        "tests/golden/test_report_command.py",
    ),
    ("tests/golden/test_own_data.py",),
    ("tests/golden/test_report_page.py",),
    ("tests/golden/test_crate_validator.py",),
    ("tests/real/test_features.py",),
    ("tests/real/test_encoders.py",),
)
_PLACES = {module: place for place, modules in enumerate(LONGEST) for module in modules}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order for pytest-xdist: the longest preparations, then modules with slow tests."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    slow = {_module(item.nodeid) for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> int:
        module = _module(item.nodeid)
        return _PLACES.get(module, len(LONGEST) + (module not in slow))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Of ``--dist loadscope``: a scope is what shares a long preparation, or a single test.

    That is what ``--dist loadgroup`` is for, whose groups pytest 9.2 does not let pytest-xdist 3.8
    write into the names of tests.
    """
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByPreparation(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            place = _PLACES.get(_module(nodeid))
            return nodeid if place is None else LONGEST[place][0]

    return ByPreparation(config, log)


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _shared(name: str) -> Path:
    """A folder of the shared material that may lie beside the checkout."""
    folder = ROOT.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(
            f"no ../shared/{name} beside the checkout: real data is not part of the repository"
        )
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real public data files."""
    return _shared("data")


@pytest.fixture(scope="session")
def packed_encoder() -> Path:
    """Folder of a real encoder's tokenizer and weights, packed, and of what unpacks them."""
    return _shared("encoder")


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Folder of XTREME's mock predictions and labels."""
    return _shared("oracle")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def artifact() -> Run:
    """Runs the command line in a process of its own."""

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stilts_artifact", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)

    return run


@pytest.fixture(scope="session")
def mini_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the whole mini world, for tests that do not ask for an empty one.

    It is one for all processes of pytest-xdist, whose base folders lie beside each other: what one
    has generated or trained, others have.
    """
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.data.fetch import fetch
    from stilts_artifact.data.library import Library
    from stilts_artifact.data.store import FileStore
    from stilts_artifact.miniworld import serve

    base = tmp_path_factory.getbasetemp()
    store = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mini store"
    sources = load_benchmark("mini").sources
    # A store needs no lock; but who waits for another process does not do the same work beside it.
    with store.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        library = Library(sources, FileStore(store))
        made = fetch(list(sources.values()), library, openers={"miniworld": serve})
    assert not made.failures
    return store


@pytest.fixture(scope="session")
def stocked(mini_store: Path) -> Stock:
    """Makes a store of one's own that has the mini world's files, and no step's result."""

    def stock(store: Path) -> Path:
        shutil.copytree(mini_store / "files", store / "files")
        return store

    return stock
