"""Planted effects are found again by the whole analysis, and a broken one is not let by (V2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.studies.planting import Validations, validate
from tests.unit.studies.planted import published, question

REPETITIONS = 8


def looked(folder: Path, study: str, repetitions: int = REPETITIONS) -> Validations:
    """What becomes of everything that can be planted for a study."""
    asked = question(study)
    return validate(asked, published(folder, study), asked.protocol.hypotheses, repetitions)


@pytest.mark.parametrize("study", ["000", "001", "002", "003", "004"])
def test_planted_effects_are_found_and_absent_ones_are_not(study: str, tmp_path: Path) -> None:
    found = looked(tmp_path, study)
    assert found.records
    assert [one.name for one in found.records if not one.passed] == []
