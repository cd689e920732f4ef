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
    "jinja2",
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


def test_the_options_of_all_commands_are_light() -> None:
    """Typer itself needs pydantic to read the options of a command, not to list commands."""
    light = ("pydantic", "yaml", "rich")
    program = (
        "import sys; import stilts_artifact.cli.app\n"
        f"print(sorted(name for name in {(*HEAVY, *light)!r} if name in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
