"""Nothing ambient decides a result, or whether there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stilts_artifact.isolation import clean_environment, isolated_command
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.process import FIXED
from stilts_artifact.pipeline.step import Graph, Step
from tests.faults.hostile import VARIABLES, surround
from tests.faults.workflow_helpers import text
from tests.faults.workflow_kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]


def seen_by_a_step(root: Path) -> dict[str, object]:
    step = Step("surroundings")
    report = run(Graph([step], KINDS), Context(root), Options(workers=1), lambda state: None)
    assert not report.failures, report.failures
    seen: dict[str, object] = json.loads(text(root, step))
    return seen


@pytest.mark.slow
def test_a_step_sees_nothing_of_hostile_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = seen_by_a_step(tmp_path / "quiet")
    (tmp_path / "hostile").mkdir()
    for name, value in surround(tmp_path / "hostile").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "hostile")
    # As a library's user may have put it there, before all that is installed.
    monkeypatch.setattr("sys.path", [str(tmp_path / "hostile"), *sys.path])
    hostile = seen_by_a_step(tmp_path / "root")
    environment, path = hostile.pop("environment"), hostile.pop("path")
    assert isinstance(environment, dict) and isinstance(path, list)
    allowed = VARIABLES.keys() - {"LC_ALL", "PYTHONHASHSEED", "OMP_NUM_THREADS"}
    assert not environment.keys() & allowed
    assert {name: environment[name] for name in FIXED} == FIXED
    installed = [place for place, name in enumerate(path) if name.endswith("site-packages")]
    assert path.index(str(tmp_path / "hostile")) > max(installed)
    assert str(ROOT / "stilts_artifact") not in path, "its modules are no libraries"
    assert hostile == {name: quiet[name] for name in hostile}


@pytest.mark.slow
def test_hostile_surroundings_and_the_same_bytes(tmp_path: Path) -> None:
    """Of a trained target: its weights, its predictions, and all that is published."""
    (tmp_path / "shadows").mkdir()
    ask = ["reproduce", "--table", "2", "--scale", "mini", "--offline", "--only", "none,xnli"]
    children = {
        name: subprocess.Popen(
            [sys.executable, "-P", "-m", "stilts_artifact", *ask, "--results", tmp_path / name],
            env=os.environ | variables,
            cwd=tmp_path / "shadows",
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for name, variables in {"quiet": {}, "hostile": surround(tmp_path / "shadows")}.items()
    }
    errors = {name: child.communicate()[1] for name, child in children.items()}
    assert len({child.returncode for child in children.values()}) == 1, errors
    quiet, hostile = (everything(tmp_path / name) for name in children)
    assert any("/target/" in name for name in quiet) and any("/predict/" in name for name in quiet)
    assert hostile == quiet


def everything(results: Path) -> dict[str, bytes]:
    """Results, predictions, and the files of every step, weights among them."""
    found = [
        *(results / "table2.mini").rglob("*"),
        *(results / ".store").glob("store/*/*/files/**/*"),
    ]
    paths = [results / "table2.mini.json", *(path for path in found if path.is_file())]
    return {str(path.relative_to(results)): path.read_bytes() for path in paths}


SHADOWED = ["check", "--table", "1", "--results", "nowhere"]


@pytest.mark.slow
@pytest.mark.parametrize("start", [["-m", "stilts_artifact"], ["-c", "main"]], ids=["-m", "script"])
def test_the_command_line_ignores_pythonpath_and_what_lies_around(
    start: list[str], tmp_path: Path
) -> None:
    variables = surround(tmp_path)
    # The interpreter itself imports it before any code of ours, and says so.
    (tmp_path / "sitecustomize.py").unlink()
    if start == ["-c", "main"]:
        start = ["-c", "import sys; from stilts_artifact.isolation import main; sys.exit(main())"]
    done = subprocess.run(
        [sys.executable, *start, *SHADOWED],
        env=os.environ | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: no results files\n")


def test_what_a_machine_needs_to_be_reached_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "localhost",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
        "CUDA_VISIBLE_DEVICES": "1",
        "LD_LIBRARY_PATH": "/cuda",
        "HF_HOME": "/models",
        "DOCKER_HOST": "unix:///docker.sock",
        "STILTS_ARTIFACT_DATA": "/data",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": "/ca.pem",
    }
    monkeypatch.setattr("os.environ", kept | VARIABLES)
    assert clean_environment() == kept | {"LC_ALL": "C"}


@pytest.mark.parametrize("code", [0, 6])
def test_no_thread_holds_up_the_end_of_a_command(code: int, tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(
        "import sys, threading\n"
        "def main():\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    print('written')\n"
        "    sys.exit(int(sys.argv[1]))\n"
    )
    command = [*isolated_command("stuck:main", [str(tmp_path)]), str(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (code, "written\n")


def test_a_mask_against_the_owner_himself_is_not_kept(tmp_path: Path) -> None:
    """Else a run that is not root's could not read what it wrote."""
    (tmp_path / "write.py").write_text("def main():\n    open('made', 'w').close()\n")
    command = isolated_command("write:main", [str(tmp_path)])
    subprocess.run(command, cwd=tmp_path, umask=0o777, check=True)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600
