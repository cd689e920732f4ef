"""docs/library.md: its examples run, and importing the library loads nothing heavy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import stilts_artifact
from stilts_artifact.errors import DataError, MissingDataError

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
EXAMPLES = dict(
    zip(
        ("check", "mine", "compare"),
        re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL),
        strict=True,
    )
)
PRINTED = {
    "check": "REPRODUCED\nREPRODUCED 0 disagreements\n8\n",
    "mine": "50 pairs; the best has score ",
    "compare": "('metric', 'metric_version')\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("check", marks=pytest.mark.slow), "mine", "compare"])
def test_an_example_runs_as_it_stands(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if name == "check":
        request.getfixturevalue("stocked")(tmp_path / "results" / ".store")
    # A file, not -c: processes that are started must be able to import it.
    (tmp_path / "example.py").write_text(EXAMPLES[name])
    run = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(PRINTED[name])
    if name == "mine":
        assert float(run.stdout.splitlines()[-1]) > 0.95


def test_every_public_name_is_there_and_documented() -> None:
    for name in stilts_artifact.__all__:
        assert getattr(stilts_artifact, name)
        assert name == "__version__" or f"`{name}" in PAGE.read_text()
    with pytest.raises(AttributeError, match="no attribute 'reprodcue'"):
        _ = stilts_artifact.reprodcue


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'pydantic', 'yaml'}"
    code = f"import sys, stilts_artifact; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_paths_may_be_texts(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"table1\.mini\.json"):
        stilts_artifact.check(str(tmp_path), experiment="table1", scale="mini")
    absent = str(tmp_path / "absent")
    with pytest.raises(DataError, match="absent"):
        stilts_artifact.load_results(absent)
    with pytest.raises(MissingDataError, match="absent"):
        stilts_artifact.score_folders(absent, absent)
