"""Anyone's own scale: a file that may extend one that ships, and is never evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stilts_artifact.config import SCALES
from stilts_artifact.config.load import (
    benchmark_of,
    definition,
    is_evidence,
    load_scale,
    parse_definition,
    varied,
)
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError, DataError

PAPER = load_scale("paper")


def own(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(text)
    return str(path)


def test_what_an_own_scale_does_not_say_is_that_of_the_one_it_extends(tmp_path: Path) -> None:
    scale = load_scale(
        own(
            tmp_path,
            "{name: tiny, extends: paper, seeds: [7], retrieval: {layer: 3}, "
            "targets: {xnli: {train_rows: 64}}}",
        )
    )
    assert (scale.name, scale.extends, scale.seeds) == ("tiny", "paper", (7,))
    assert scale.retrieval == PAPER.retrieval.model_copy(update={"layer": 3})
    assert scale.targets["xnli"] == PAPER.targets["xnli"].model_copy(update={"train_rows": 64})
    assert scale.targets["panx"] == PAPER.targets["panx"]


@pytest.mark.parametrize("said", ["", "evidence: true, expected: [paper], meaning: proof,"])
def test_no_own_scale_is_evidence_or_held_against_anything(tmp_path: Path, said: str) -> None:
    scale = load_scale(own(tmp_path, f"{{{said} name: tiny, extends: paper}}"))
    assert (scale.evidence, scale.expected) == (False, ())
    assert scale.stamp == "tiny: own choices, not evidence about the paper"
    assert not is_evidence("tiny")
    assert [name for name in SCALES if is_evidence(name)] == [
        name for name in SCALES if load_scale(name).evidence
    ]


def test_a_whole_file_extends_nothing(tmp_path: Path) -> None:
    document = json.loads(PAPER.model_dump_json()) | {"name": "whole"}
    scale = load_scale(own(tmp_path, json.dumps(document)))
    assert scale.model_copy(update={"name": "paper"}).targets == PAPER.targets


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("{name: paper, extends: mini}", "a scale of this name ships", "own.yaml"),
        ("{extends: mini}", "needs a name", "own.yaml"),
        ("{name: a, extends: papper}", "did you mean 'paper'", "own.yaml: extends"),
        ("{name: a, extends: [mini]}", "unknown scale", "own.yaml: extends"),
        ("{name: ../a, extends: mini}", "wrong value", "own.yaml: name"),
        ("{name: a, extends: mini, seed: [1]}", "did you mean 'seeds'", "own.yaml"),
        ("{name: a, extends: mini, targets: {xnli: {epoch: 1}}}", "'epochs'", "targets.xnli"),
        ("{name: a, extends: mini, targets: {xnli: 1}}", "wrong value", "targets.xnli"),
        ("{name: a, extends: mini, device: tpu}", "wrong value", "device"),
        ("{name: a, extends: mini, languages: []}", "wrong value", "languages"),
        ("{name: a, extends: mini, languages: [qaa, qaa]}", "wrong value", "languages"),
        ("[]", "a mapping", "own.yaml"),
    ],
)
def test_an_own_scale_is_as_strict_as_one_that_ships(
    tmp_path: Path, text: str, what: str, where: str
) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        load_scale(own(tmp_path, text))
    assert where in str(caught.value.where)


def test_a_file_that_is_not_there_or_no_yaml_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", own(tmp_path, "{name: [")):
        with pytest.raises(DataError):
            load_scale(str(path))


def test_a_variation_of_a_scale_that_ships_has_a_name_of_its_own() -> None:
    """So that its results never stand in the place, or under the name, of the other's."""
    scale = varied(PAPER, languages=("de", "fi"))
    assert (scale.name, scale.extends, scale.expected) == ("paper-own", "paper", ())
    again = varied(scale, seeds=(1,))
    assert (again.name, again.languages) == ("paper-own", ("de", "fi"))


def test_the_definition_of_an_own_scale_is_the_whole_of_it() -> None:
    scale = varied(PAPER, languages=("de",))
    document = definition(scale)
    assert definition(PAPER) is None
    assert parse_definition(json.dumps(document), "x") == scale
    for field, value in (("name", "paper"), ("seeds", []), ("extends", "x"), ("more", 1)):
        with pytest.raises(ConfigError):
            parse_definition(json.dumps({**(document or {}), field: value}), "x")
    lifted = json.dumps({**(document or {}), "evidence": True, "expected": ["paper"]})
    assert parse_definition(lifted, "x") == scale


def test_only_the_languages_of_a_scale_are_evaluated_and_training_stays_as_it_is() -> None:
    whole, some = benchmark_of(PAPER), benchmark_of(varied(PAPER, languages=("fi", "de")))
    assert some.tasks["udpos"].languages_of(Split.TEST) == ("de", "fi")
    assert some.tasks["tydiqa"].languages_of(Split.TEST) == ("fi",)
    assert some.tasks["udpos"].parts == whole.tasks["udpos"].parts
    assert some.tasks["mnli"] == whole.tasks["mnli"]
    with pytest.raises(ConfigError, match="unknown language 'xx'"):
        benchmark_of(varied(PAPER, languages=("xx",)))
