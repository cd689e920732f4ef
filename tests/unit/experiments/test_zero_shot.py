"""The calibration of phase (iii): which steps it is made of, and that it is of all data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.asked import wanted_cells
from stilts_artifact.benchmark.experiments import EXPERIMENTS, NONE, row_named
from stilts_artifact.checking.results import load_results
from stilts_artifact.config.load import load_scale, varied
from stilts_artifact.config.schema import EncoderChoice
from stilts_artifact.experiments.scored import request
from stilts_artifact.experiments.session import Machine
from stilts_artifact.experiments.setup import Choices, open_session
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.model.hub import PhaseOne
from tests.conftest import Run
from tests.unit.experiments.conftest import nothing_missing

XTREME = load_benchmark("xtreme")
ZERO_SHOT = EXPERIMENTS["zero-shot"]


@pytest.mark.parametrize("name", ["small", "base"])
def test_the_published_definition_is_what_is_run(name: str) -> None:
    """Trained on all of MNLI and SQuAD v1.1, chosen on English, scored on whole test sets."""
    capped = load_scale(name)
    scale = capped.within(ZERO_SHOT)
    pins = dict.fromkeys(XTREME.sources, "0" * 64)
    builder = StepBuilder(XTREME, scale, PhaseOne.of(scale.encoder), pins)
    asked = request(builder, ZERO_SHOT, wanted_cells(XTREME, ZERO_SHOT, []), nothing_missing)
    assert {key.task for key in asked.predictions} == {"xnli", "mlqa"}
    assert {key.row for key in asked.predictions} == {row_named(XTREME, NONE).name}
    for key, step in asked.predictions.items():
        model, data = step.inputs["model"], step.inputs["data"]
        assert (data.params["split"], data.params["rows"]) == ("test", None)
        assert model.inputs["encoder"].kind == "encoder"
        assert model.inputs["train"].params["rows"] is None
        assert model.inputs["train"].params["languages"] == ("en",)
        assert model.inputs["dev"].params["languages"] == ("en",)
        trained = {"xnli": "xnli", "mlqa": "squad_v1"}[key.task]
        assert model.inputs["dev"].params["task"] == trained
        # The caps alone are lifted: what is calibrated is the recipe of the scale.
        tuning = capped.tuning("xnli" if key.task == "xnli" else "xquad")
        assert tuning.train_rows is not None
        assert (model.params["schedule"]["epochs"], model.params["schedule"]["batch"]) == (
            tuning.epochs,
            tuning.batch,
        )


@pytest.mark.parametrize("experiment", ["calibration", "zero-shot"])
@pytest.mark.parametrize(
    ("scale", "meant"), [("small", "zero-shot"), ("base", "zero-shot"), ("paper", "calibration")]
)
def test_a_calibration_is_the_one_of_its_scale(
    tmp_path: Path, experiment: str, scale: str, meant: str
) -> None:
    machine = Machine(tmp_path / ".store")
    session = open_session(EXPERIMENTS[experiment], Choices(scale), machine, tmp_path)
    assert session.experiment is EXPERIMENTS[meant]
    assert (session.scale.evaluation_rows is None) == (session.experiment.whole or scale == "paper")
    assert session.folder.name == f"{meant}.{scale}"


@pytest.mark.parametrize(
    ("own", "meant"),
    [
        ("{name: own, extends: small}", "calibration"),
        ("{name: own, extends: small, calibration: zero-shot}", "zero-shot"),
    ],
)
def test_an_own_encoder_is_trained_for_its_calibration_only_where_its_scale_says_so(
    tmp_path: Path, own: str, meant: str
) -> None:
    """What is published of the encoder of a scale is of no other, and days of training are many."""
    path = tmp_path / "own.yaml"
    path.write_text(own)
    scale = load_scale(str(path))
    other = EncoderChoice(name="somebody/other", revision="a" * 40)
    for chosen in (scale, varied(scale, encoder=other)):
        assert chosen.meant(EXPERIMENTS["calibration"]) is EXPERIMENTS[meant]
    small = load_scale("small")
    assert varied(small, encoder=other).calibration == "calibration"
    assert varied(small, languages=("de",)).calibration == "zero-shot"


@pytest.mark.slow
def test_a_plan_and_a_dry_run_of_a_zero_shot_calibration_need_no_encoder(
    artifact: Run, tmp_path: Path
) -> None:
    found = artifact(
        *("plan", "--calibration", "--scale", "small", "--results", tmp_path),
        "--json",
    )
    assert found.returncode == 0, found.stderr
    plan = json.loads(found.stdout)
    assert (plan["experiment"], plan["scale"]) == ("zero-shot", "small")
    assert {kind["kind"]: kind["steps"] for kind in plan["kinds"]}["target"] == 2
    asked = ("reproduce", "--calibration", "--scale", "small", "--dry-run", "--offline")
    dry = artifact(*asked, "--results", tmp_path)
    assert "cannot run" in dry.stdout and "none xnli" in dry.stdout


@pytest.mark.slow
def test_a_zero_shot_calibration_end_to_end_in_the_mini_world(
    artifact: Run, tmp_path: Path
) -> None:
    """Trained on all of it, published, checked: a scale of one's own asks for it by its name."""
    own = tmp_path / "tiny.yaml"
    own.write_text("{name: tiny, extends: mini, calibration: zero-shot, languages: [qen, qaf]}")
    run = artifact(
        *("reproduce", "--calibration", "--scale", own, "--only", "none,xnli", "--offline"),
        *("--results", tmp_path),
    )
    # Nothing is published of it, so that nothing is decided.
    assert run.returncode == 6, run.stderr
    assert run.stdout.splitlines()[-1].startswith("verdict: Zero-shot calibration ")
    results = load_results(tmp_path / "zero-shot.tiny.json")
    scores = {cell.language: cell.value for cell in results.cells if cell.column == "xnli"}
    assert (scores["qen"] or 0) > 80, "trained on the language itself"
    assert results.run_scale.evaluation_rows is None
    labels = tmp_path / "zero-shot.tiny" / "labels" / "xnli" / "test-qen.tsv"
    assert len(labels.read_bytes().splitlines()) > (load_scale("mini").evaluation_rows or 0)
    checked = artifact("check", "--calibration", "--results", tmp_path)
    assert "Zero-shot calibration (tiny) INCONCLUSIVE" in checked.stdout
