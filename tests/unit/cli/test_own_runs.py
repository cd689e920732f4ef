"""Runs at somebody's own scale, with an own encoder, in some languages: from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.errors import ExitCode
from stilts_artifact.model.hub import shipped_encoder
from tests.conftest import Run

pytestmark = pytest.mark.slow

ASK = ("reproduce", "--table", "2", "--offline", "--only", "none,tatoeba")


def cells(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())["cells"]
    return {cell.get("language") or "": cell for cell in found if cell["column"] == "tatoeba"}


def test_an_own_scale_is_run_checked_and_reported_by_its_name(
    artifact: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("{name: tiny, extends: mini, retrieval: {layer: 1}}")
    ran = artifact(*ASK, "--scale", own, "--results", tmp_path)
    assert ran.returncode == ExitCode.INCOMPLETE
    assert "scale: tiny: own choices, not evidence about the paper" in ran.stdout
    file = tmp_path / "table2.tiny.json"
    document = json.loads(file.read_text())
    assert (document["definition"]["retrieval"]["layer"], document["scale"]) == (1, "tiny")
    mean = cells(file)[""]
    assert "|layer:1|" in mean["signature"] and "|scale:tiny|" in mean["signature"]
    assert (mean["verdict"], mean["expected"]) == ("NOT_CHECKABLE", None)
    # By whoever has the results folder, and not the scale's file.
    own.unlink()
    for command in ("check", "report"):
        said = artifact(command, "--results", tmp_path, "--scale", "tiny")
        assert said.returncode == ExitCode.INCOMPLETE
        assert "Table 2 (tiny) INCONCLUSIVE" in said.stdout
    del document["definition"]
    file.write_text(json.dumps(document))
    refused = artifact("check", "--results", tmp_path)
    assert refused.returncode == ExitCode.USAGE
    assert "unknown scale 'tiny'" in refused.stderr


def test_an_own_encoder_is_signed_by_its_weights_and_compared_with_nothing(
    artifact: Run, tmp_path: Path
) -> None:
    """A folder as transformers saves it: without a manifest, and with other files beside."""
    folder = tmp_path / "my encoder"
    shutil.copytree(shipped_encoder(), folder)
    (folder / "manifest.json").unlink()
    (folder / "notes.bin").write_bytes(b"")
    own = ("--scale", "mini", "--encoder", folder, "--languages", "qab,qaa", "--prefix", "query: ")
    ran = artifact(*ASK, *own, "--results", tmp_path)
    assert ran.returncode == ExitCode.INCOMPLETE
    found = cells(tmp_path / "table2.mini-own.json")
    assert "encoder: my encoder (" in ran.stdout and "without a pooler" not in ran.stdout
    assert found.keys() == {"", "qaa", "qab"}
    manifest = json.loads((shipped_encoder() / "manifest.json").read_text())
    weights = manifest["files"]["model.safetensors"]["sha256"]
    for cell in found.values():
        assert f"|enc:my encoder|rev:{weights[:12]}|weights:{weights}|" in cell["signature"]
        assert "|prefix:query%3A |" in cell["signature"]
        assert cell["verdict"] == "NOT_CHECKABLE"
    checked = artifact("check", "--results", tmp_path, "--table", "2")
    assert checked.returncode == ExitCode.INCOMPLETE, checked.stderr


def test_a_step_on_several_threads_gives_the_same_bits_again(artifact: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("{name: two, extends: mini, threads: 2, targets: {xnli: {train_rows: 64}}}")
    places = [tmp_path / name for name in ("first", "second")]
    for place in places:
        artifact(*ASK, "--only", "none,xnli", "--scale", own, "--results", place)
    first, second = (
        {
            path.relative_to(place): path.read_bytes()
            for path in (place / "table2.two").rglob("*.tsv")
        }
        for place in places
    )
    assert len(first) == 2 * (8 + 7)  # labels and predictions of two tasks
    assert first == second


def test_a_missing_pooler_is_said_before_anything_runs(artifact: Run, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "bare"
    shutil.copytree(shipped_encoder(), folder)
    (folder / "manifest.json").unlink()
    weights = load_file(folder / "model.safetensors")
    bare = {name: tensor for name, tensor in weights.items() if "pooler." not in name}
    assert len(bare) == len(weights) - 2
    save_file(bare, folder / "model.safetensors", {"format": "pt"})
    dry = artifact(*ASK, "--scale", "mini", "--encoder", folder, "--dry-run", "--results", tmp_path)
    assert "without a pooler: that starts from the seed of each training run" in dry.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--encoder", "no/such/folder"), "no such folder"),
        (("--encoder", "somebody/model"), "no model of this name in the Hugging Face cache"),
        (("--languages", "qaa,de"), "unknown language 'de'"),
        (("--scale", "own.yml"), "own.yml"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_before_anything_runs(
    artifact: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    scale = () if "--scale" in arguments else ("--scale", "mini")
    ran = artifact(*ASK, *scale, *arguments, "--results", tmp_path / "results")
    assert ran.returncode in (ExitCode.USAGE, ExitCode.DATA)
    assert said in ran.stderr
    assert not (tmp_path / "results").exists()


def test_a_layer_that_the_encoder_does_not_have_is_refused_before_anything_is_trained(
    artifact: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("{name: deep, extends: mini, retrieval: {layer: 9}}")
    ran = artifact(*ASK, "--scale", own, "--results", tmp_path / "results")
    assert ran.returncode == ExitCode.USAGE
    assert "retrieval.layer 9 of scale deep" in ran.stderr


def test_a_dry_run_promises_only_what_the_run_would_do(
    artifact: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would end the run is said, and then no step would run: the exit code says so, too."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    own = tmp_path / "own.yaml"
    data = tmp_path / "data"
    data.mkdir()
    rows = "A.\tB.\tneutral\n" * 8
    for name in ("mnli.train-en", "xnli.dev-en", "xnli.dev-de"):
        (data / f"{name}.tsv").write_text(rows)
    places = ("--encoder", shipped_encoder(), "--own-data", data, "--results", tmp_path / "results")
    ask = ("reproduce", "--table", "2", "--offline", "--only", "none,xnli", *places, "--scale", own)
    for device, code, said in (
        ("gpu", 6, "0 of 7 steps would run"),
        ("cpu", 0, "7 of 7 steps would run"),
    ):
        own.write_text(f"{{name: own, extends: base, retrieval: {{layer: 1}}, device: {device}}}")
        dry = artifact(*ask, "--dry-run")
        assert dry.returncode == code, dry.stderr
        assert said in dry.stdout
    nothing = artifact(*ask[:4], "--only", "none,panx", *places, "--scale", own, "--dry-run")
    assert nothing.returncode == ExitCode.INCOMPLETE
    assert "0 of 0 steps would run" in nothing.stdout
