"""Research objects: what they hold, and what verifying them finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath

import pytest
from rocrate.rocrate import ROCrate

from stilts_artifact.checking.results import dump_results, load_results
from stilts_artifact.checking.usage import usage_path
from stilts_artifact.config.load import definition, load_scale, varied
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.files import hash_bytes
from stilts_artifact.reporting import crate as crates
from stilts_artifact.reporting.crate import RESULTS, metadata, write_crate
from stilts_artifact.reporting.packing import MANIFEST, Member, pack, unpack
from stilts_artifact.reporting.runs import Run, load_runs
from stilts_artifact.reporting.verify import verify_crate
from tests.unit.reporting.synthetic import calibration, table1, table2
from tests.unit.reporting.test_page import usage

pytestmark = pytest.mark.slow

Passing = Callable[[str], Path]


def packed(folder: Path, path: Path, *, labels: bool = False) -> int:
    return write_crate(path, folder, load_runs(folder), labels=labels)


def repack(crate: Path, change: Callable[[Path], None]) -> Path:
    """The crate after a change of its files, with a manifest that fits them."""
    folder = crate.parent / "opened"
    unpack(crate, folder)
    (folder / MANIFEST).unlink()
    change(folder)
    pack(
        crate,
        [
            Member(path.relative_to(folder).as_posix(), path)
            for path in folder.rglob("*")
            if path.is_file()
        ],
    )
    return crate


@pytest.fixture
def crate(passing: Passing, tmp_path: Path) -> Path:
    path = tmp_path / "crate.zip"
    assert packed(passing("table2"), path) == 0
    return path


@pytest.mark.parametrize("experiment", ["table2", "table3"])
def test_a_crate_gives_the_same_verdict_elsewhere(
    passing: Passing, tmp_path: Path, experiment: str
) -> None:
    folder = passing(experiment)
    packed(folder, tmp_path / "crate.zip")
    shutil.rmtree(folder)
    found = verify_crate(tmp_path / "crate.zip")
    assert [table.results.verdict for table in found.tables] == [Verdict.REPRODUCED]
    assert found.tables[0].run is not None
    assert found.notes == ()


def test_what_the_run_took_is_packed_and_on_the_page_that_is_made_again(
    passing: Passing, tmp_path: Path
) -> None:
    folder = passing("table2")
    path = folder / "table2.mini.json"
    own = usage(results=hash_bytes(path.read_bytes()).sha256)
    usage_path(path).write_bytes(own.dump())
    packed(folder, tmp_path / "crate.zip")
    found = verify_crate(tmp_path / "crate.zip")
    assert found.notes == ()
    assert found.tables[0].run is not None and found.tables[0].run.usage == own
    with zipfile.ZipFile(tmp_path / "crate.zip") as archive:
        assert b'id="usage"' in archive.read("report.html")
        graph = json.loads(archive.read(crates.METADATA))["@graph"]
    assert "results/table2.mini.usage.json" in {one["@id"] for one in graph}


def test_the_same_results_give_the_same_crate_whenever_their_files_were_written(
    passing: Passing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    folder = passing("table2")
    packed(folder, tmp_path / "one.zip")
    os.utime(folder / "table2.mini.json", (2e9, 2e9))
    packed(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    unpack(tmp_path / "one.zip", tmp_path / "out")
    metadata = json.loads((tmp_path / "out" / crates.METADATA).read_bytes())
    root = next(entity for entity in metadata["@graph"] if entity["@id"] == "./")
    assert root["datePublished"] == "2001-09-09"


def test_a_crate_is_dated_by_the_day_of_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    before = datetime.now(UTC).date()
    assert before <= date.fromisoformat(crates.packing_day()) <= datetime.now(UTC).date()
    for wrong in ("", "soon", "1" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(ConfigError, match="not a time"):
            crates.packing_day()


def test_every_folder_of_a_crate_has_an_entry_of_its_own(crate: Path) -> None:
    """As zip(1) writes them; without, validators take a Dataset for missing."""
    with zipfile.ZipFile(crate) as archive:
        names = archive.namelist()
        above = {f"{folder}/" for name in names for folder in PurePosixPath(name).parents}
        assert {name for name in names if name.endswith("/")} == above - {"./"}
        graph = json.loads(archive.read(crates.METADATA))["@graph"]
    datasets = {one["@id"] for one in graph if one["@type"] == "Dataset"} - {"./"}
    assert "results/table2.mini/" in datasets
    assert datasets <= set(names)


def test_a_changed_prediction_is_noticed_under_a_manifest_that_fits(crate: Path) -> None:
    def change(folder: Path) -> None:
        file = next((folder / RESULTS).glob("table2.mini/predictions/mnli/*/xnli/*.tsv"))
        file.write_bytes(file.read_bytes().replace(b"entailment", b"neutral"))

    with pytest.raises(IntegrityError, match="not the one the results rest on"):
        verify_crate(repack(crate, change))


def test_a_prediction_that_is_missing_is_never_taken_for_a_label_left_out(crate: Path) -> None:
    def change(folder: Path) -> None:
        next((folder / RESULTS).glob("table2.mini/predictions/mnli/*/xnli/*.tsv")).unlink()

    with pytest.raises(IntegrityError, match="without a file"):
        verify_crate(repack(crate, change))


def test_a_changed_score_is_not_reproduced(crate: Path) -> None:
    def change(folder: Path) -> None:
        path = folder / RESULTS / "table2.mini.json"
        results = load_results(path)
        cells = [
            cell.model_copy(update={"value": 99.0} if str(cell.key) == "mnli/xnli" else {})
            for cell in results.cells
        ]
        path.write_bytes(dump_results(results.model_copy(update={"cells": cells})))

    found = verify_crate(repack(crate, change))
    assert found.tables[0].results.verdict is Verdict.NOT_REPRODUCED
    assert any("MNLI, XNLI" in note for note in found.notes)


def test_a_crate_without_results_is_named_and_not_where_it_was_unpacked(crate: Path) -> None:
    empty = repack(crate, lambda folder: shutil.rmtree(folder / RESULTS))
    with pytest.raises(DataError, match="without results") as caught:
        verify_crate(empty)
    assert caught.value.where == str(crate)


@pytest.mark.parametrize("name", ["report.html", "report-tables/table2.mini.csv"])
def test_an_edited_page_or_table_is_noticed(crate: Path, name: str) -> None:
    found = verify_crate(
        repack(crate, lambda folder: (folder / name).write_text("<p>All is well."))
    )
    assert found.tables[0].results.verdict is Verdict.REPRODUCED
    assert [name in note for note in found.notes] == [True]


def test_a_crate_cannot_bring_its_own_expected_values(crate: Path) -> None:
    def change(folder: Path) -> None:
        path = next(path for path in (folder / "expected_results").rglob("*.yaml"))
        path.write_bytes(path.read_bytes() + b"\n")

    found = verify_crate(repack(crate, change))
    assert "the crate was judged by other expected values" in found.notes[0]


@pytest.mark.parametrize(
    "path", ["../../../../evil", "table2.mini/labels/../../../../evil", "/tmp/evil"]
)
def test_a_results_file_cannot_name_files_outside(crate: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "mine" / "table2.mini" / "labels").mkdir(parents=True)
    (tmp_path / "evil").write_text("evil")

    def change(folder: Path) -> None:
        file = folder / RESULTS / "table2.mini.json"
        text = json.loads(file.read_bytes())
        text["files"][0]["path"] = path
        file.write_text(json.dumps(text))

    with pytest.raises(DataError, match="leaves the results folder"):
        verify_crate(repack(crate, change), tmp_path / "mine")


def test_labels_of_others_are_left_out_and_can_be_given_again(
    passing: Passing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crates, "is_third_party", lambda _, record: crates.is_label(record.path))
    folder = passing("table2")
    path = tmp_path / "crate.zip"
    left_out = packed(folder, path)
    assert left_out == len(list((folder / "table2.mini" / "labels").rglob("*.*")))
    found = verify_crate(path)
    assert found.tables[0].results.verdict is Verdict.INCONCLUSIVE
    assert len(found.tables[0].missing) == left_out
    # What the crate says of itself is no verdict, not even beside one that says so.
    claimed = found.tables[0].results
    assert {cell.verdict for cell in claimed.cells} == {Verdict.INCONCLUSIVE}
    assert claimed.claims == []
    assert found.tables[0].run is None
    assert "belong to others" in found.notes[0]
    assert verify_crate(path, folder).tables[0].results.verdict is Verdict.REPRODUCED
    assert packed(folder, tmp_path / "all.zip", labels=True) == 0
    assert verify_crate(tmp_path / "all.zip").tables[0].results.verdict is Verdict.REPRODUCED


def test_other_labels_are_refused(
    passing: Passing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crates, "is_third_party", lambda _, record: crates.is_label(record.path))
    folder = passing("table2")
    packed(folder, tmp_path / "crate.zip")
    label = next((folder / "table2.mini" / "labels" / "xnli").iterdir())
    content = label.read_bytes()
    label.write_bytes(content.swapcase())
    with pytest.raises(IntegrityError):
        verify_crate(tmp_path / "crate.zip", folder)
    os.truncate(label, 10 << 30)  # which is not copied to find out
    with pytest.raises(IntegrityError, match="not the one the results rest on"):
        verify_crate(tmp_path / "crate.zip", folder)


def test_the_workflow_is_the_commands_that_were_run(tmp_path: Path) -> None:
    asked = [["none,tatoeba", "*,xnli"], ["mnli"]]
    part = table2().model_copy(update={"asked": asked})
    runs = [Run(results, "", "") for results in (table1(), calibration(), part)]
    lines = crates.workflow(runs).decode().splitlines()
    assert lines[2:] == [
        "stilts-artifact reproduce --table 1 --scale mini",
        "stilts-artifact reproduce --calibration --scale mini",
        "stilts-artifact reproduce --table 2 --scale mini --only none,tatoeba --only '*,xnli'",
        "stilts-artifact reproduce --table 2 --scale mini --only mnli",
        "stilts-artifact report",
    ]
    # A shell reads them as they were given, in a folder whose files match the patterns, too.
    (tmp_path / "a,xnli").touch()
    script = f'stilts-artifact() {{ printf "%s|" "$@"; }}\n{lines[4]}'
    said = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.split("|")[5:-1] == ["--only", "none,tatoeba", "--only", "*,xnli"]


@pytest.mark.parametrize("text", ["mnli;rm -rf ~", "$(id)", "a\nb", "`id`", "a'b", "\u202emnli"])
def test_what_was_asked_for_cannot_carry_a_command(tmp_path: Path, text: str) -> None:
    results = table2().model_dump(mode="json") | {"asked": [[text]]}
    (tmp_path / "table2.mini.json").write_text(json.dumps(results))
    with pytest.raises(ConfigError, match="not a results file"):
        load_results(tmp_path / "table2.mini.json")


def test_software_is_software_with_its_version_and_its_home() -> None:
    graph = json.loads(metadata([Run(table2(), "table2.mini.json", "2" * 64)], "2026-01-02"))
    entities = {one["@id"]: one for one in graph["@graph"]}
    required = [entities[one["@id"]] for one in entities["workflow.sh"]["softwareRequirements"]]
    found = {one["name"]: (one["@type"], one["softwareVersion"]) for one in required}
    assert found["torch"] == ("SoftwareApplication", "2.13.0+cpu")
    assert found["stilts-artifact"] == ("SoftwareApplication", "0.1.0")
    assert "platform" not in found
    torch = next(one for one in required if one["name"] == "torch")
    assert torch["url"] == {"@id": "https://pytorch.org/"}
    assert entities["https://www.gnu.org/software/bash/"]["@type"] == "ComputerLanguage"


def test_only_labels_of_real_data_belong_to_others() -> None:
    label = table2().files[0]
    own = varied(load_scale("paper"), languages=("de",))
    named = {"scale": "paper-own", "definition": definition(own)}
    assert not crates.is_third_party(Run(table2(), "", ""), label)
    for update in ({"scale": "paper"}, named):
        real = table2().model_copy(update=update)
        assert crates.is_third_party(Run(real, "", ""), label)
    prediction = label.model_copy(
        update={"path": "table2.paper/predictions/none/seed-1/labels/x.tsv"}
    )
    real = table2().model_copy(update={"scale": "paper"})
    assert not crates.is_third_party(Run(real, "", ""), prediction)


def test_the_metadata_are_a_workflow_run_crate(tmp_path: Path) -> None:
    runs = [
        Run(table1(), "table1.mini.json", "1" * 64),
        Run(table2(), "table2.mini.json", "2" * 64),
    ]
    for file in (
        "report.html",
        "workflow.sh",
        "manifest-sha256.txt",
        *(f"results/{run.file}" for run in runs),
    ):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    for folder in ("expected_results", "results/table2.mini"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ro-crate-metadata.json").write_bytes(metadata(runs, "2026-01-02"))
    crate = ROCrate(tmp_path)
    profiles = {profile.id for profile in crate.root_dataset["conformsTo"]}
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in profiles
    assert crate.datePublished.date().isoformat() == "2026-01-02"
    assert crate.mainEntity.id == "workflow.sh"
    assert "ComputationalWorkflow" in crate.mainEntity.type
    actions = crate.root_dataset["mentions"]
    assert [action.type for action in actions] == ["CreateAction", "CreateAction"]
    for action, run in zip(actions, runs, strict=True):
        assert action["instrument"] is crate.mainEntity
        made = action["result"]
        assert (made[0] if isinstance(made, list) else made).id == f"results/{run.file}"
        assert len(action["object"]) == len(run.results.inputs)
        assert "agent" not in action.properties()
    graph = json.loads((tmp_path / "ro-crate-metadata.json").read_bytes())["@graph"]
    known = {entity["@id"] for entity in graph}
    used = {
        value["@id"]
        for entity in graph
        for values in entity.values()
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, dict)
    }
    assert {name for name in used - known if not name.startswith("http")} == set()
    assert all(" " not in entity["@id"] and "<" not in entity["@id"] for entity in graph)
