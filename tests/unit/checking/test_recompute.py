"""A results file is judged from its files, and only from files that are the ones it lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checking import file_records, make_run
from stilts_artifact.checking.labels import load_labels
from stilts_artifact.checking.recheck import judge_all_claims, recheck
from stilts_artifact.checking.recompute import VerifiedFiles
from stilts_artifact.checking.sums import refresh_sums
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.errors import ArtifactError, ConfigError, IntegrityError
from tests.unit.checking.small import SmallSet

pytestmark = pytest.mark.parametrize("small", ["table2"], indirect=True)
FILE = "predictions/mnli/seed-0/xnli/dev-qaa.tsv"


def edit(small: SmallSet, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(small.results_file.read_text())
    change(document)
    small.results_file.write_text(json.dumps(document))


def list_again(small: SmallSet) -> None:
    records = [record.model_dump() for record in file_records(small.folder, small.run)]
    edit(small, lambda document: document.update(files=records))


def test_a_whole_set_passes(small: SmallSet) -> None:
    found = recheck(small.results_file)
    assert found.results.verdict is Verdict.REPRODUCED
    assert (found.notes, found.disagreements) == ((), [])
    assert {claim.claim for claim in found.results.claims} >= {"improves"}


def test_a_missing_file_is_named(small: SmallSet) -> None:
    (small.run / FILE).unlink()
    with pytest.raises(IntegrityError, match="a file missing") as caught:
        recheck(small.results_file)
    assert caught.value.where == str(small.run / FILE)


@pytest.mark.parametrize(
    "name", ["predictions/mnli/seed-0/xnli/dev-qab.tsv", "predictions/qqp/seed-0/note", "extra"]
)
def test_a_surplus_file_is_named(small: SmallSet, name: str) -> None:
    path = small.run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("neutral\n")
    with pytest.raises(IntegrityError, match="do not list") as caught:
        recheck(small.results_file)
    assert caught.value.where == str(path)


def test_files_that_a_desktop_leaves_behind_are_nobodys(small: SmallSet) -> None:
    (small.run / ".DS_Store").write_text("x")
    assert recheck(small.results_file).results.verdict is Verdict.REPRODUCED


def test_a_link_is_refused(small: SmallSet, tmp_path: Path) -> None:
    path = small.run / FILE
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="plain files only"):
        recheck(small.results_file)


def test_labels_changed_after_they_were_verified_are_noticed(
    small: SmallSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever parses them opens them anew: a verdict on other bytes than the verified is none."""
    verified, label = VerifiedFiles.read, small.run / "labels" / "xnli" / "dev-qaa.tsv"
    was = label.read_bytes()
    assert b"neutral" in was

    def read(files: VerifiedFiles, path: Path) -> bytes:
        data = verified(files, path)
        if path == label and data == was:
            label.write_bytes(was.replace(b"neutral", b"entailment"))
        return data

    monkeypatch.setattr(VerifiedFiles, "read", read)
    with pytest.raises(IntegrityError, match="not the one the results rest on"):
        recheck(small.results_file)


def test_a_file_outside_the_folder_cannot_be_listed(small: SmallSet) -> None:
    outside = {"path": "table2.mini/../../secret", "bytes": 1, "sha256": "0" * 64}
    (small.folder.parent / "secret").write_text("s")
    edit(small, lambda document: document["files"].append(outside))
    with pytest.raises(IntegrityError, match="a file missing"):
        recheck(small.results_file)


def test_a_file_listed_twice_is_refused(small: SmallSet) -> None:
    edit(small, lambda document: document["files"].append(document["files"][0]))
    with pytest.raises(ConfigError, match="a file stands twice"):
        recheck(small.results_file)


def test_a_listed_file_that_no_cell_rests_on_is_verified_too(small: SmallSet) -> None:
    extra = small.run / "predictions" / "notes.txt"
    extra.write_text("as it was")
    list_again(small)
    assert recheck(small.results_file).results.verdict is Verdict.REPRODUCED
    extra.write_text("as it is.")
    with pytest.raises(IntegrityError, match="notes"):
        recheck(small.results_file)


def test_predictions_taken_away_with_their_listing_leave_cells_unrun(small: SmallSet) -> None:
    (small.run / FILE).unlink()
    list_again(small)
    cells = {str(cell.key): cell for cell in recheck(small.results_file).results.cells}
    for name in ("mnli/xnli/qaa", "mnli/xnli", "mnli/average"):
        assert (cells[name].verdict, cells[name].reason) == (Verdict.NOT_RUN, f"no file {FILE}")
    assert cells["none/xnli/qaa"].verdict is Verdict.REPRODUCED


def test_a_run_that_failed_keeps_its_own_reason(small: SmallSet) -> None:
    (small.run / FILE).unlink()
    list_again(small)

    def fail(document: dict[str, Any]) -> None:
        for cell in document["cells"]:
            if (cell["row"], cell["column"], cell.get("language")) == ("mnli", "xnli", "qaa"):
                cell.update(value=None, verdict="NOT_RUN", reason="the step failed: out of memory")

    edit(small, fail)
    cells = {str(cell.key): cell for cell in recheck(small.results_file).results.cells}
    assert cells["mnli/xnli/qaa"].reason == "the step failed: out of memory"


def test_a_flag_is_kept(small: SmallSet) -> None:
    edit(small, lambda document: document["cells"][0].update(flag="DEGENERATE"))
    assert recheck(small.results_file).results.cells[0].flag == "DEGENERATE"


def test_a_cell_that_the_table_does_not_have_is_refused(small: SmallSet) -> None:
    edit(small, lambda document: document["cells"][1].update(language="qab"))
    with pytest.raises(ConfigError, match="no such cell") as caught:
        recheck(small.results_file)
    assert "none/xnli/qab" in str(caught.value)


@pytest.fixture
def unrecorded(small: SmallSet) -> SmallSet:
    """Results with nothing to compare them with, as a paper's cells without a public value are."""
    (small.expected / "mini" / "table2.yaml").unlink()
    refresh_sums(small.expected)
    return small


def judged(small: SmallSet) -> dict[str, tuple[Verdict, str]]:
    return {
        str(cell.key): (cell.verdict, cell.reason)
        for cell in recheck(small.results_file).results.cells
    }


def test_before_anything_is_recorded_there_is_nothing_to_compare(unrecorded: SmallSet) -> None:
    assert {verdict for verdict, _ in judged(unrecorded).values()} == {Verdict.NOT_CHECKABLE}
    assert recheck(unrecorded.results_file).results.verdict is Verdict.INCONCLUSIVE


def test_expected_values_that_are_gone_are_not_taken_for_none(small: SmallSet) -> None:
    (small.expected / "mini" / "table2.yaml").unlink()
    with pytest.raises(ArtifactError, match=r"table2\.yaml"):
        recheck(small.results_file)


def test_a_cell_left_out_is_named_even_where_nothing_is_expected(unrecorded: SmallSet) -> None:
    edit(unrecorded, lambda document: document["cells"].pop(1))
    assert judged(unrecorded)["none/xnli/qaa"] == (Verdict.NOT_RUN, "the results have no such cell")


def test_an_altered_score_is_named_even_where_nothing_is_expected(unrecorded: SmallSet) -> None:
    edit(unrecorded, lambda document: document["cells"][1].update(value=12.5))
    verdict, reason = judged(unrecorded)["none/xnli/qaa"]
    assert verdict is Verdict.NOT_REPRODUCED
    assert reason.startswith("the file says 12.5; its predictions give ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xnli|", "pawsx|"),
        ("split:dev", "split:test"),
        ("lang:qaa", "lang:qac"),
        ("seed:0", "seed:1"),
        ("|seed:0", ""),
        ("mv:xtreme-838c13b", "mv:other"),
    ],
)
def test_a_signature_of_another_place_is_named_even_where_nothing_is_expected(
    unrecorded: SmallSet, old: str, new: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        cell = document["cells"][1]
        assert old in cell["signature"]
        cell["signature"] = cell["signature"].replace(old, new, 1)

    edit(unrecorded, change)
    verdict, reason = judged(unrecorded)["none/xnli/qaa"]
    assert verdict is Verdict.INCONCLUSIVE
    assert "its signature is of another cell or run" in reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "whole", "field", "old", "new"),
    [
        ("mnli/xnli/qaa", "mnli/xnli", "dtype", "dtype:float32", "dtype:bfloat16"),
        ("mnli/tatoeba/qac", "mnli/tatoeba", "encoder", "enc:made-up", "enc:other"),
        ("mnli/panx", "mnli/panx", "dtype", "dtype:float32", "dtype:bfloat16"),
        ("mnli/panx", "mnli/average", "encoder", "enc:made-up", "enc:other"),
    ],
)
def test_a_mean_of_unlike_numbers_is_refused(
    unrecorded: SmallSet, cell: str, whole: str, field: str, old: str, new: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        for found in document["cells"]:
            place = (found["row"], found["column"], found.get("language"))
            if "/".join(filter(None, place)) == cell:
                assert old in found["signature"]
                found["signature"] = found["signature"].replace(old, new)

    edit(unrecorded, change)
    verdict, reason = judged(unrecorded)[whole]
    assert verdict is Verdict.INCONCLUSIVE
    assert reason.startswith("it is no mean of like numbers")
    assert f"{field} differs" in reason
    assert judged(unrecorded)["none/xnli"][0] is Verdict.NOT_CHECKABLE, "other rows go free"


def test_results_without_seeds_are_refused(small: SmallSet) -> None:
    edit(small, lambda document: document.update(seeds=[]))
    with pytest.raises(ConfigError, match="without seeds"):
        recheck(small.results_file)


def test_a_wrong_verdict_on_a_claim_is_named(small: SmallSet) -> None:
    claims = [claim.model_dump(mode="json") for claim in recheck(small.results_file).results.claims]
    claims[0]["verdict"] = "NOT_RUN" if claims[0]["verdict"] != "NOT_RUN" else "REPRODUCED"
    edit(small, lambda document: document.update(claims=claims))
    [found] = recheck(small.results_file).disagreements
    assert found.key == claims[0]["claim"]


def test_claims_on_a_table_that_is_not_there_are_not_run(small: SmallSet) -> None:
    [records] = judge_all_claims([recheck(small.results_file)]).values()
    assert {record.verdict for record in records if record.claim == "best-gain"} == {
        Verdict.NOT_RUN
    }
    assert len({record.claim for record in records}) == len(records)


def test_labels_that_are_not_recorded_make_cells_inconclusive(small: SmallSet) -> None:
    lines = small.labels.read_text().splitlines(keepends=True)
    small.labels.write_text("".join(line for line in lines if "xnli/" not in line))
    refresh_sums(small.expected)
    found = recheck(small.results_file).results
    cells = {str(cell.key): cell for cell in found.cells}
    for name in ("none/xnli/qaa", "mnli/xnli", "mnli/average"):
        assert cells[name].verdict is Verdict.INCONCLUSIVE
        assert "labels xnli/dev-qaa.tsv are not recorded" in cells[name].reason
    assert cells["none/pawsx/qaa"].verdict is Verdict.REPRODUCED
    assert found.verdict is Verdict.INCONCLUSIVE


def test_labels_of_another_number_of_rows_are_others(small: SmallSet) -> None:
    small.labels.write_text(small.labels.read_text().replace("\t120\t", "\t500\t"))
    refresh_sums(small.expected)
    cells = {str(cell.key): cell for cell in recheck(small.results_file).results.cells}
    assert cells["none/xnli"].verdict is Verdict.INCONCLUSIVE
    assert cells["none/tatoeba"].verdict is Verdict.REPRODUCED


def test_a_list_of_labels_that_was_deleted_is_missed(small: SmallSet) -> None:
    small.labels.unlink()
    with pytest.raises(ArtifactError, match=r"mini\.tsv"):
        recheck(small.results_file)


@pytest.mark.parametrize(
    "line",
    [
        "0" * 64,
        "x\tall\txnli/a.tsv",
        "0" * 63 + "\tall\txnli/a.tsv",
        "0" * 64 + "\txnli/a.tsv",
        "0" * 64 + "\t0\txnli/a.tsv",
        "0" * 64 + "\tall\t../a.tsv",
        "\xff",  # no UTF-8
        "0" * 64 + "\tall\txnli/a.tsv\n" + "1" * 64 + "\tall\txnli/a.tsv",
    ],
)
def test_a_malformed_list_of_labels_is_refused(small: SmallSet, line: str) -> None:
    small.labels.write_bytes(line.encode("latin-1") + b"\n")
    refresh_sums(small.expected)
    with pytest.raises(ArtifactError, match=r"mini\.tsv:[12]"):
        load_labels(load_scale("mini"))


def test_two_runs_are_not_mixed(small: SmallSet) -> None:
    """A results file of other seeds beside these predictions: they do not give its cells."""
    from tests.unit.checking.small import ROWS, SIZES, small_benchmark

    own = small.run.rename(small.folder / "own")
    make_run(small.folder, small_benchmark(), "table2", ROWS["table2"], (5,), SIZES["table2"])
    text = small.results_file.read_text()
    own_files = json.dumps([record.model_dump() for record in file_records(small.folder, own)])
    assert '"seed-5' not in own_files
    for path in sorted(small.run.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    small.run.rmdir()
    own.rename(small.run)
    small.results_file.write_text(text)
    with pytest.raises(IntegrityError):
        recheck(small.results_file)
