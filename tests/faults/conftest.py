"""Fixtures shared by the tests of fetches and of whole workflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stilts_artifact.data.store import FileStore
from tests.faults.server import FaultServer


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Where steps count their attempts."""
    folder = tmp_path / "counts"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store's folder."""
    return tmp_path / "root"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A server on this machine that misbehaves as told."""
    with FaultServer() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """An empty store of files."""
    return FileStore(tmp_path / "store")
