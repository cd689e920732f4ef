"""Every hypothesis of every protocol is seen SUPPORTED, NOT SUPPORTED and INCONCLUSIVE.

Effects are made up for the real languages, with the covariates and under the protocols that ship.
Of invented languages the same effects have no finding at all.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.domain.cells import Finding
from stilts_artifact.domain.tasks import Split
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies import analysis
from stilts_artifact.studies.analysis import Study
from stilts_artifact.studies.effects import Effect, Effects, Measures, Runs
from stilts_artifact.studies.protocol import EffectDefinition, EffectScale, HypothesisDefinition
from stilts_artifact.studies.record import SPECIFICATIONS
from tests.unit.studies.planted import XTREME, real_question

pytestmark = pytest.mark.slow  # every hypothesis, three times, with its power

STUDIES = ("000", "001", "002", "003", "004")
SEEDS = (1, 2, 3, 4, 5)
EVALUATED = (Finding.SUPPORTED, Finding.NOT_SUPPORTED, Finding.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is so of a hypothesis, in its smallest effects of interest.

    Args:
        size: of the effect, in the claimed direction.
        languages, runs: standard deviations of chance in languages, and in a run of all of them.
    """

    size: float
    languages: float
    runs: float


CLEAR, NOTHING, LOST = Truth(4, 0.3, 0.1), Truth(0, 0.3, 0.1), Truth(0.8, 5, 2.5)
TRUTHS = {Finding.SUPPORTED: CLEAR, Finding.NOT_SUPPORTED: NOTHING, Finding.INCONCLUSIVE: LOST}
TURNED = {Finding.SUPPORTED: NOTHING, Finding.NOT_SUPPORTED: CLEAR, Finding.INCONCLUSIVE: LOST}
"""Of equivalence: nothing there is what supports it."""


class Known(Measures):
    """Effects that are known, of every scale alike: no file is read."""

    found: Callable[[EffectDefinition], Effects]

    def effects(self, definition: EffectDefinition, scale: EffectScale) -> Effects:
        return Known.found(definition)


def made_up(study: str, hypothesis: HypothesisDefinition, truth: Truth, seed: int) -> Effects:
    """Effects in all languages that a hypothesis's columns have."""
    asked, chance = real_question(study), np.random.default_rng(seed)
    sign = -1 if hypothesis.direction == "less" else 1
    size = sign * truth.size * hypothesis.delta
    shared = truth.runs * hypothesis.delta * np.linspace(-1.5, 1.5, len(SEEDS))
    measures = []
    for columns in asked.protocol.effects[hypothesis.effect].measures:
        codes = {
            code
            for column in columns
            if column in XTREME.tasks
            for code in XTREME.tasks[column].languages_of(Split.TEST)
        }
        strengths = {}
        for code in sorted(codes - {XTREME.source_language}):
            group = hypothesis.languages
            inside = group is None or code in asked.protocol.group(group, XTREME.name)
            z = None
            if hypothesis.covariate is not None:
                z = asked.covariates.of(hypothesis.covariate, code).z
            strengths[code] = inside * (1.0 if hypothesis.covariate is None else z or 0.0)
        found = {}
        # Languages differ to both sides in turn, so that chance goes along with nothing.
        for number, code in enumerate(sorted(strengths, key=strengths.__getitem__)):
            own = truth.languages * hypothesis.delta * (-1) ** number * chance.uniform(0.8, 1.2)
            value = size * strengths[code] + own
            found[code] = _effect(value + shared, hypothesis.delta, chance)
        measures.append(found)
    return Effects(tuple(measures))


def _effect(seeds: Array, delta: float, chance: np.random.Generator) -> Effect:
    draws = seeds.mean() + chance.normal(0, 0.2 * delta, 200)
    return Effect(np.stack([seeds + 60, np.full(len(seeds), -60.0)]), draws, 60.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known effects, and no simulation of power, which decides nothing."""
    monkeypatch.setattr(analysis, "Measures", Known)
    monkeypatch.setattr(analysis, "slope_power", lambda *_: [])
    monkeypatch.setattr(analysis, "mean_power", lambda *_: [])


def findings(study: str, finding: Finding, folder: Path, *, evidence: bool) -> dict[str, Finding]:
    """Hypothesis -> what is found, where it alone is asked and so is the truth."""
    asked = real_question(study, evidence=evidence)
    experiment = EXPERIMENTS[f"study-{study}"]
    rows = tuple(row.name for row in experiment.rows(XTREME))
    found = {}
    for number, one in enumerate(asked.protocol.hypotheses):
        update = {"hypotheses": (one,), "draws": 499}
        alone = analysis.Question(
            asked.protocol.model_copy(update=update), "", False, asked.covariates, evidence
        )
        truth = (TURNED if one.direction == "equivalent" else TRUTHS)[finding]
        effects = made_up(study, one, truth, number)
        Known.found = lambda _, effects=effects: effects
        (record,) = Study(alone, Runs(folder, XTREME, experiment, rows, SEEDS)).judge()
        found[one.id] = record.finding
    return found


@pytest.mark.parametrize("finding", EVALUATED)
@pytest.mark.parametrize("study", STUDIES)
def test_every_hypothesis_has_every_finding(study: str, finding: Finding, tmp_path: Path) -> None:
    found = findings(study, finding, tmp_path, evidence=True)
    assert found == dict.fromkeys(found, finding)


@pytest.mark.parametrize("study", STUDIES)
def test_runs_that_are_no_evidence_have_none(study: str, tmp_path: Path) -> None:
    found = findings(study, Finding.SUPPORTED, tmp_path, evidence=False)
    assert set(found.values()) == {Finding.NOT_EVALUATED}


def test_specifications_that_fit_the_same_languages_count_once(tmp_path: Path) -> None:
    """Vietnamese is in no group of low-resource languages: to leave it out is no other choice."""
    asked, experiment = real_question("002"), EXPERIMENTS["study-002"]
    one = asked.protocol.hypotheses[0]
    assert "vi" not in asked.protocol.group(str(one.languages), XTREME.name)
    alone = replace(asked, protocol=asked.protocol.model_copy(update={"hypotheses": (one,)}))
    effects = made_up("002", one, CLEAR, 0)
    Known.found = lambda _: effects
    rows = tuple(row.name for row in experiment.rows(XTREME))
    study = Study(alone, Runs(tmp_path, XTREME, experiment, rows, SEEDS))
    (record,) = study.judge()
    lines = list(csv.DictReader(study.tables()[SPECIFICATIONS].decode().splitlines()))
    assert len(lines) == record.specifications > 50
    subsets = {line["languages"] for line in lines}
    assert subsets == {"all", "without indo-european"}
