"""A crate as a run leaves it, before roc-validator: the ecosystem's judge of research objects."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from stilts_artifact.reporting.packing import MANIFEST, Member, pack, unpack
from tests.conftest import Run
from tests.golden.judges import judges, missing_judges

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing_judges() is not None, reason=missing_judges() or ""),
]

PROFILE = "workflow-run-crate-0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run"

# Recommended, and not to be had: the results say neither when nor by whom they were made, for equal
# runs give equal files; and the program and its script have no address that anyone has published.
UNMET = {
    "The Action SHOULD have an endTime in ISO 8601 format",
    "The Action SHOULD have an agent that is a Person or Organization",
    "The Root Data Entity SHOULD have a link to a Contextual Entity representing the `author` of "
    "the RO-Crate",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`",
    "The Application SHOULD have a url",
    # Of the classes themselves, whatever the crate: the validator's own context names them.
    "The SoftwareApplication id SHOULD be an absolute URI",
}

Judge = Callable[[Path, str], list[dict[str, str]]]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """What the validator finds wrong, with the contexts of the crate served from here."""
    folder = tmp_path_factory.mktemp("contexts")
    # rocrate brings the terms; version 1.1 has this one of Bioschemas under its first address.
    bundled = resources.files("rocrate").joinpath("data", "ro-crate.jsonld").read_bytes()
    terms = json.loads(bundled)["@context"]
    terms["ComputationalWorkflow"] = "https://bioschemas.org/ComputationalWorkflow"
    served = {
        "https://w3id.org/ro/crate/1.1/context": terms,
        f"{TERMS}/context": {"sha256": f"{TERMS}#sha256"},
    }
    files = []
    for number, (url, context) in enumerate(served.items()):
        file = folder / f"{number}.jsonld"
        file.write_text(json.dumps({"@context": context}))
        files.append(f"{url}={file}")

    def ask(crate: Path, severity: str) -> list[dict[str, str]]:
        python = judges() / "bin" / "python"
        script = Path(__file__).with_name("crate_validator.py")
        command = [python, script, crate, PROFILE, severity, folder / "cache", *files]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout.splitlines()[-1]))

    return ask


@pytest.fixture(scope="module")
def crate(artifact: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table 1, and Table 2 as far as a few seconds go."""
    folder = tmp_path_factory.mktemp("crate")
    results, path = folder / "results", folder / "crate.zip"
    common = ["--scale", "mini", "--offline", "--results", results]
    artifact("reproduce", "--table", "1", *common)
    artifact("reproduce", "--table", "2", "--only", "none,tatoeba", *common)
    done = artifact("report", "--results", results, "--crate", path)
    assert path.is_file(), done.stderr
    return path


def test_a_crate_validates_as_a_workflow_run_crate(judge: Judge, crate: Path) -> None:
    found = judge(crate, "RECOMMENDED")
    assert [issue for issue in found if issue["severity"] != "RECOMMENDED"] == []
    assert {issue["message"] for issue in found} == UNMET


def test_an_unpacked_crate_validates_too(judge: Judge, crate: Path, tmp_path: Path) -> None:
    unpack(crate, tmp_path / "out")
    assert judge(tmp_path / "out", "REQUIRED") == []


def test_the_validator_sees_what_is_wrong(judge: Judge, crate: Path, tmp_path: Path) -> None:
    folder, path = tmp_path / "out", tmp_path / "broken.zip"
    unpack(crate, folder)
    (folder / MANIFEST).unlink()
    (folder / "workflow.sh").unlink()
    files = [file for file in folder.rglob("*") if file.is_file()]
    pack(path, [Member(file.relative_to(folder).as_posix(), file) for file in files])
    found = judge(path, "REQUIRED")
    assert any("workflow.sh" in issue["message"] + issue["entity"] for issue in found)
