"""Others' judges of what is published, in an environment of their own (locks/judges.txt)."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "STILTS_ARTIFACT_TEST_JUDGES"


def missing_judges() -> str | None:
    """Why they cannot be asked here, ``None`` if they can; CI has promised them."""
    if os.environ.get("CI") == "true" or os.environ.get(VARIABLE):
        return None
    return f"{VARIABLE} is not set; .ci/judges.sh FOLDER makes what it names"


def judges() -> Path:
    """The environment that they are in."""
    return Path(os.environ[VARIABLE])


def axe() -> str:
    """axe-core, to be run in a page."""
    (found,) = judges().glob("lib/python*/site-packages/axe_playwright_python/axe.min.js")
    return found.read_text("utf-8")
