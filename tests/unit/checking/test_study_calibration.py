"""Study 004 checked again: a probability that was altered is seen, and two encoders are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import SMALLER
from stilts_artifact.checking.recompute import VerifiedFiles
from stilts_artifact.checking.results import FileRecord, Results, row_records
from stilts_artifact.checking.studies import (
    analyse_results,
    load_protocol,
    study_disagreements,
    two_encoders,
)
from stilts_artifact.domain.cells import Finding
from stilts_artifact.files import FileManifest, plain_files
from stilts_artifact.forms.probabilities import parse_log_probabilities, write_log_probabilities
from tests.unit.reporting import studies
from tests.unit.studies.probable import MINI, SOURCE, STUDY, XNLI, runs_of

ROWS = {"none": {1: 1.0}, "none-smaller": {1: 1.0}, "qqp": {1: 0.5}}
RUN = "probabilities/qqp/seed-1/xnli"


@pytest.fixture
def published(tmp_path: Path) -> tuple[Results, Path]:
    """A run with its analysis, as it is published."""
    folder = tmp_path / "study-004.mini"
    runs_of(folder, ROWS, (SOURCE, "qad"), 60)
    update = {"rows": row_records(STUDY, MINI, list(ROWS)), "seeds": [1], "study": None}
    results = studies.results("004", "mini", studies.mini_record("004")).model_copy(update=update)
    analysis = analyse_results(results, folder)
    for name, table in analysis.tables.items():
        (folder / name).write_bytes(table)
    return results.model_copy(update={"study": analysis.record}), folder


def disagreements(results: Results, folder: Path) -> set[str]:
    """What is not as the files now give it, whose sums somebody wrote anew."""
    records = [
        FileRecord(path=f"{folder.name}/{path}", bytes=sums.bytes, sha256=sums.sha256)
        for path, sums in FileManifest.of(plain_files(folder)).files.items()
    ]
    files = VerifiedFiles(folder, results.run_name, records)
    found = study_disagreements(results, analyse_results(results, folder, files.read), files)
    return {str(one.key) for one in found}


def test_what_was_published_is_what_its_probabilities_give(
    published: tuple[Results, Path],
) -> None:
    assert disagreements(*published) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("test-qad.csv", {"calibration.csv", "reliability.csv"}),
        (f"test-{SOURCE}.csv", {"calibration.csv"}),
        # Of the temperature alone.
        (f"dev-{SOURCE}.csv", {"calibration.csv", "reliability.csv"}),
    ],
)
def test_an_altered_probability_that_changes_no_prediction_is_seen(
    published: tuple[Results, Path], name: str, tables: set[str]
) -> None:
    results, folder = published
    path = folder / RUN / name
    told = parse_log_probabilities(path.read_bytes(), name, XNLI.labels)
    told[0] *= 0.5
    write_log_probabilities(path, XNLI.labels, told)
    assert disagreements(results, folder) == tables


def test_an_altered_table_is_seen(published: tuple[Results, Path]) -> None:
    results, folder = published
    path = folder / "calibration.csv"
    lines = path.read_text("utf-8").splitlines()
    fields = lines[1].split(",")
    fields[8] = str(float(fields[8]) + 0.01)
    path.write_text("\n".join([lines[0], ",".join(fields), *lines[2:], ""]), "utf-8")
    assert disagreements(results, folder) == {"calibration.csv"}


def of_rows(scale: str, *rows: str) -> Results:
    benchmark = load_benchmark("mini" if scale == "mini" else "xtreme")
    update = {"rows": row_records(STUDY, benchmark, rows)}
    return studies.results("004", scale).model_copy(update=update)


def test_a_finding_of_two_public_encoders_is_about_these() -> None:
    assert list(two_encoders(of_rows("paper", "none", "none" + SMALLER))) == [
        "FacebookAI/xlm-roberta-large against FacebookAI/xlm-roberta-base: they differ in depth, "
        "width and pre-training, and not in size alone"
    ]
    (cut,) = two_encoders(of_rows("small", "none", "none" + SMALLER))
    assert "was not pre-trained as it is" in cut


@pytest.mark.slow
def test_the_reason_of_a_finding_names_the_encoders_that_it_compares(tmp_path: Path) -> None:
    """At a scale of real languages, whose names the folder's files bear here."""
    folder = tmp_path / "study-004.paper"
    tasks = ("squad_v1", "hellaswag", "qqp")
    sharpened = {f"{row}{end}": {1: 0.6, 2: 0.7} for row in tasks for end in ("", SMALLER)}
    plain = {f"none{end}": {1: 1.0, 2: 1.0} for end in ("", SMALLER)}
    rich = load_protocol("004").protocol.group("rich", "xtreme")
    xtreme = load_benchmark("xtreme")
    runs_of(folder, plain | sharpened, ("en", *rich), 60, xtreme)
    rows = row_records(STUDY, xtreme, [*plain, *sharpened])
    update = {"rows": rows, "seeds": [1, 2], "study": None}
    results = studies.results("004", "paper").model_copy(update=update)
    record = analyse_results(results, folder).record
    reasons = {one.id: one.reason for one in record.hypotheses}
    # A scale of one's own is no evidence about the paper, but it is about its encoder.
    own = results.run_scale.model_copy(update={"evidence": False})
    found = analyse_results(results.model_copy(update={"run_scale": own}), folder).record
    assert found.hypotheses == record.hypotheses
    assert Finding.NOT_EVALUATED not in {one.finding for one in found.hypotheses}
    against = "; FacebookAI/xlm-roberta-large against FacebookAI/xlm-roberta-base"
    assert {name for name, reason in reasons.items() if reason.endswith(against)} == {
        "H1",
        "H5",
        "H7",
    }
    assert reasons["H6"] and "against" not in reasons["H6"]


@pytest.mark.parametrize(
    ("scale", "rows"),
    [
        ("paper", ("none", "qqp")),
        ("base", ("none", "none-smaller")),
        ("mini", ("none", "none-smaller")),
    ],
)
def test_of_one_encoder_or_an_invented_world_nothing_is_said(
    scale: str, rows: tuple[str, ...]
) -> None:
    assert list(two_encoders(of_rows(scale, *rows))) == []
