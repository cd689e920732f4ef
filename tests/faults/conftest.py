"""Fixtures shared by the tests of whole workflows."""

from __future__ import annotations

from pathlib import Path

import pytest


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
