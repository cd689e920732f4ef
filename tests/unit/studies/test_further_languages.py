"""Study 001 of real languages: XTREME's and those that XTREME-R adds are one measure of a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.studies import load_protocol
from stilts_artifact.checking.sums import expected_root
from stilts_artifact.domain.cells import Finding
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.forms import form_of
from stilts_artifact.studies.analysis import Analysis, Question, analyse
from stilts_artifact.studies.covariates import Covariates, parse_covariates, parse_sources
from stilts_artifact.studies.effects import Runs

pytestmark = pytest.mark.slow  # a whole analysis of 38 and 48 languages

XTREME, EXPERIMENT = load_benchmark("xtreme"), EXPERIMENTS["study-001"]
LOADED = load_protocol("001")
AGGLUTINATIVE = LOADED.protocol.group("agglutinative", "xtreme")
SEEDS = (1, 2, 3)
RIGHT = {"none": 0.6, "feats": 0.85, "feats-shuffled": 0.6}
"""Row -> share of right tags in agglutinative languages; in the others all have that of none."""
SENTENCES, WORDS = 30, 8


def covariates() -> Covariates:
    root = expected_root() / "studies"
    sources = parse_sources((root / "covariate_sources.csv").read_bytes(), "sources")
    return parse_covariates((root / "covariates.csv").read_bytes(), "covariates", sources)


def publish(folder: Path, task: Task, language: str) -> None:
    """Labels, and what each row and seed predicts: right by chance, as often as the row is."""
    chance = np.random.default_rng([*task.name.encode(), *language.encode()])
    tags = [tag for tag in task.labels if not tag.startswith("I-")]
    gold = chance.choice(tags, (SENTENCES, WORDS))
    written = {folder / "labels": gold}
    for row, share in RIGHT.items():
        right = share if language in AGGLUTINATIVE else RIGHT["none"]
        for seed in SEEDS:
            own = np.where(chance.random(gold.shape) < right, gold, chance.choice(tags, gold.shape))
            written[folder / "predictions" / row / f"seed-{seed}"] = own
    for root, words in written.items():
        path = form_of(task).file(root, task, language, Split.TEST)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join("\n".join(sentence) for sentence in words) + "\n", "utf-8")


def analysed(folder: Path, columns: Sequence[str]) -> Analysis:
    for column in columns:
        for language in XTREME.tasks[column].languages:
            publish(folder, XTREME.tasks[column], language)
    question = Question(LOADED.protocol, LOADED.sha256, False, covariates(), evidence=True)
    return analyse(question, Runs(folder, XTREME, EXPERIMENT, tuple(RIGHT), SEEDS))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    folder = tmp_path_factory.mktemp("study-001")
    return analysed(folder, [task.name for task in EXPERIMENT.targets(XTREME)])


def test_a_group_has_the_further_languages_among_its_own(whole: Analysis) -> None:
    found = {one.id: one for one in whole.record.hypotheses}
    languages = {name: one.fits[0].languages for name, one in found.items() if one.fits}
    # POS: nine of XTREME; NER: these, Georgian and Malayalam, and of XTREME-R az and qu.
    assert languages == {"H1": 9, "H2": 13, "H3": 13, "H4": 37, "H5": 9, "H8": 7, "H9": 15}
    for name in ("H1", "H2", "H3", "H5", "H8", "H9"):
        assert found[name].finding is Finding.SUPPORTED, found[name].reason
    for name, row in (("H6", "upos"), ("H7", "ud-mlm")):
        assert found[name].finding is Finding.NOT_RUN
        assert f"row {row}" in found[name].reason


def test_every_language_but_english_has_its_effects_in_the_table(whole: Analysis) -> None:
    _, *lines = [line.split(",") for line in whole.tables["effects.csv"].decode().splitlines()]
    for effect, columns in (
        ("standard-pos", ("udpos", "udpos_xr")),
        ("standard-ner", ("panx", "panx_xr")),
    ):
        due = {code for column in columns for code in XTREME.tasks[column].languages} - {"en"}
        assert {line[2] for line in lines if line[:2] == [effect, "points"]} == due
    # Nobody's family is unknown: the contrast of genera takes them all.
    assert all(line[3] and line[4] for line in lines)


def test_without_their_files_the_group_is_that_of_xtreme(tmp_path: Path) -> None:
    found = {one.id: one for one in analysed(tmp_path, ["udpos", "panx"]).record.hypotheses}
    assert found["H2"].fits[0].languages == 11
    assert found["H4"].fits[0].languages == 32
