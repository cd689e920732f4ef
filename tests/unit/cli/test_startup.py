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


@pytest.mark.slow
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
    assert run(program).splitlines()[-2:] == [f"exit {code}", "loaded"]


OWN = (
    "stilts_artifact.benchmark",
    "stilts_artifact.checking",
    "stilts_artifact.config.load",
    "stilts_artifact.data",
    "stilts_artifact.documents",
    "stilts_artifact.domain.tasks",
    "stilts_artifact.files",
)


@pytest.mark.slow
def test_the_list_of_commands_reads_no_document_and_no_table_of_ours() -> None:
    heavy = (*HEAVY, *OWN, "pydantic", "yaml", "scipy", "importlib.metadata", "rich")
    program = PROGRAM.format(arguments=["--help"], heavy=heavy)
    assert run(program).splitlines()[-2:] == ["exit 0", "loaded"]


def test_the_options_of_all_commands_are_light() -> None:
    light = (*HEAVY, *OWN, "pydantic", "yaml", "rich")
    program = (
        "import sys; import stilts_artifact.cli.app\n"
        f"print(sorted(name for name in {light!r} if name in sys.modules))"
    )
    assert run(program).strip() == "[]"


def test_the_process_that_only_starts_the_isolated_one_loads_next_to_nothing() -> None:
    slow = ("importlib.util", "json", "pathlib", "typing")
    program = (
        "import os, sys; before = set(sys.modules); os.execve = lambda *_: None\n"
        "from stilts_artifact import isolation; isolation._call = lambda _: None\n"
        "isolation.main()\n"
        f"print(sorted(name for name in {slow!r} if name in set(sys.modules) - before))"
    )
    assert run(program).strip() == "[]"


def run(program: str) -> str:
    """What it prints."""
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return answer.stdout
