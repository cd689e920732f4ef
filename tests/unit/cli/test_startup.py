"""What the command line loads before it does anything: start-up time is the sum of its imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "faiss",
    "distributed",
    "matplotlib",
    "numpy",
    "docker",
    "requests",
)

PROGRAM = """
import sys
from stilts_artifact.cli import main
sys.argv = ["stilts-artifact", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    print("exit", stop.code)
print("loaded", *sorted(name for name in {heavy!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["reproduce", "--help"], 0),
        (["reproduce", "--tabel", "1"], 2),
        (["reproduce", "--table", "9"], 2),
    ],
)
def test_help_and_usage_errors_load_nothing_heavy(arguments: list[str], code: int) -> None:
    program = PROGRAM.format(arguments=arguments, heavy=HEAVY)
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    lines = answer.stdout.splitlines()
    assert lines[-2:] == [f"exit {code}", "loaded"]
