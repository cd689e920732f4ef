"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _shared(name: str) -> Path:
    """A folder of the shared material that may lie beside the checkout."""
    folder = ROOT.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"no ../shared/{name} beside the checkout: real data is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real public data files."""
    return _shared("data")


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Folder of XTREME's mock predictions and labels."""
    return _shared("oracle")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT
