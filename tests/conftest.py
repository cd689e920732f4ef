"""Fixtures shared by all tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# First calls import and compile, which no deadline should count; CI must not fail by the luck of a
# draw.
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("project")

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Stock = Callable[[Path], Path]

ROOT = Path(__file__).resolve().parent.parent

# Modules that share a long preparation, the longest first. One process of pytest-xdist runs all of
# such a module (--dist loadgroup), and begins with it: else others would wait for it at the end.
LONGEST = (
    "tests/golden/test_whole_tables_mini.py",
    "tests/real/test_afternoon.py",
    "tests/container/test_image.py",
    "tests/container/test_run.py",
    "tests/golden/test_studies_mini.py",
    "tests/golden/test_table2_mini.py",
    "tests/golden/test_own_data.py",
    "tests/golden/test_report_page.py",
    "tests/golden/test_crate_validator.py",
    "tests/real/test_features.py",
    "tests/real/test_encoders.py",
)
# Where a preparation is shared by more than one module: tests that ask for this fixture.
SHARED = ("engine", "mini_run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For pytest-xdist: a group of who shares a preparation; modules with slow tests first."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    modules = {item: item.nodeid.partition("::")[0] for item in items}
    slow = {module for item, module in modules.items() if item.get_closest_marker("slow")}
    for item, module in modules.items():
        groups = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
        if module in LONGEST:
            groups.append(Path(module).stem)
        if groups:
            item.add_marker(pytest.mark.xdist_group(groups[0]))

    def rank(item: pytest.Item) -> int:
        module = modules[item]
        last = len(LONGEST) + (module not in slow)
        return LONGEST.index(module) if module in LONGEST else last

    items.sort(key=rank)


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
