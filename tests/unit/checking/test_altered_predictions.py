"""No altered prediction passes: files edited, swapped or copied over are named, or their cells."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from stilts_artifact.checking.recheck import recheck
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.errors import ArtifactError, IntegrityError
from tests.unit.checking.small import SmallSet


def prediction_files(small: SmallSet) -> list[Path]:
    """Every file of one seed (with three, a median may stand; the values of the seeds do not)."""
    seed = "seed-0" if small.experiment == "table2" else "seed-1"
    return sorted(
        path for path in (small.run / "predictions").rglob(f"{seed}/*/*") if path.is_file()
    )


def relist(small: SmallSet) -> None:
    """Make the results file list its files as they are now, as whoever covers an edit would."""
    document = json.loads(small.results_file.read_text())
    for record_ in document["files"]:
        data = (small.folder / record_["path"]).read_bytes()
        record_.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    small.results_file.write_text(json.dumps(document))


def cells_of(path: Path, small: SmallSet) -> list[CellKey]:
    """The cells that rest on a prediction file alone, one for each column of its task."""
    row, _, task, name = path.relative_to(small.run / "predictions").parts
    language = name.partition("-")[2].partition(".")[0]
    parts = ("", "_f1", "_em") if path.suffix == ".json" else ("",)
    return [CellKey(row, f"{task}{part}", language) for part in parts]


def neighbour(path: Path) -> Path:
    """The same task's predictions for another language."""
    return next(other for other in sorted(path.parent.iterdir()) if other != path)


def judged(small: SmallSet) -> dict[CellKey, Verdict]:
    return {cell.key: cell.verdict for cell in recheck(small.results_file).results.cells}


@pytest.mark.slow
def test_altered_predictions_are_named_by_file(small: SmallSet) -> None:
    for path in prediction_files(small):
        original = path.read_bytes()
        path.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
        with pytest.raises(IntegrityError) as caught:
            recheck(small.results_file)
        assert caught.value.where == str(path)
        path.write_bytes(original)


@pytest.mark.slow
def test_altered_predictions_under_an_old_score_are_named_by_cell(small: SmallSet) -> None:
    """The edit is covered by new hashes; the score no longer follows from the file."""
    for path in prediction_files(small):
        original = path.read_bytes()
        path.write_bytes(spoil(original, path))
        relist(small)
        verdicts = judged(small)
        for key in cells_of(path, small):
            mean, everything = (
                CellKey(key.row, key.column),
                "average" if small.experiment == "table2" else "overall",
            )
            assert verdicts[key] is verdicts[mean] is Verdict.NOT_REPRODUCED, path
            if "_" not in key.column:
                assert verdicts[CellKey(key.row, everything)] is Verdict.NOT_REPRODUCED
        path.write_bytes(original)


def spoil(data: bytes, path: Path) -> bytes:
    """The same form with another score: every answer or label the same, or half of the pairs."""
    if path.suffix == ".json":
        return json.dumps(dict.fromkeys(json.loads(data), "nothing of the kind")).encode()
    lines = data.split(b"\n")
    if b"\t" in data:
        return b"\n".join(lines[: len(lines) // 2]) + b"\n"
    first = next(line for line in lines if line)
    return b"\n".join(first if line else line for line in lines)


@pytest.mark.slow
def test_two_languages_swapped_are_noticed(small: SmallSet) -> None:
    for path in prediction_files(small):
        other = neighbour(path)
        first, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(first)
        relist(small)
        try:
            verdicts = judged(small)
        except ArtifactError as error:
            assert path.name in str(error) or other.name in str(error)
        else:
            assert all(verdicts[key] is Verdict.NOT_REPRODUCED for key in cells_of(path, small)), (
                path
            )
        path.write_bytes(first)
        other.write_bytes(second)


@pytest.mark.slow
def test_two_tasks_swapped_are_noticed(small: SmallSet) -> None:
    for row in sorted((small.run / "predictions").iterdir()):
        for seed in sorted(row.iterdir()):
            first, second = seed / "xnli", seed / "pawsx"
            first.rename(seed / "aside")
            second.rename(first)
            (seed / "aside").rename(second)
            with pytest.raises(IntegrityError):
                recheck(small.results_file)
            relist(small)
            with pytest.raises(ArtifactError, match=r"xnli"):
                recheck(small.results_file)
            first.rename(seed / "aside")
            second.rename(first)
            (seed / "aside").rename(second)
            relist(small)
    assert set(judged(small).values()) == {Verdict.REPRODUCED}, "everything is back in its place"


@pytest.mark.slow
def test_the_other_split_copied_over_is_noticed(
    small: SmallSet, small_sets: dict[str, SmallSet], tmp_path: Path
) -> None:
    """Predictions and labels of dev in the place of test (and the reverse), of the same size."""
    other = small_sets["table3" if small.experiment == "table2" else "table2"]
    tasks = ("xnli", "pawsx", "udpos", "panx", "mlqa", "bucc2018")  # the others have one split only
    for task in tasks:
        for path in sorted((small.run / "labels" / task).iterdir()):
            source = next((other.run / "labels" / task).glob(f"*-{path.name.partition('-')[2]}"))
            original = path.read_bytes()
            path.write_bytes(source.read_bytes())
            with pytest.raises(
                IntegrityError, match=r"not the one the results rest on|not the benchmark's"
            ):
                recheck(small.results_file)
            relist(small)
            with pytest.raises(
                IntegrityError, match="labels that are not the benchmark's"
            ) as caught:
                recheck(small.results_file)
            assert path.name in str(caught.value)
            path.write_bytes(original)
            relist(small)


@pytest.mark.slow
def test_dev_predictions_copied_to_test_are_noticed(
    small: SmallSet, small_sets: dict[str, SmallSet]
) -> None:
    other = small_sets["table3" if small.experiment == "table2" else "table2"]
    source_row = {"mnli": "none", "best": "none", "none": "none"}
    for path in prediction_files(small):
        row, _, task, name = path.relative_to(small.run / "predictions").parts
        if task in ("xquad", "tydiqa", "tatoeba"):
            continue
        folder = other.run / "predictions" / source_row[row] / "seed-0" / task
        original = path.read_bytes()
        path.write_bytes(next(folder.glob(f"*-{name.partition('-')[2]}")).read_bytes())
        relist(small)
        try:
            verdicts = judged(small)
        except ArtifactError as error:
            assert str(path) in str(error)
        else:
            assert all(verdicts[key] is Verdict.NOT_REPRODUCED for key in cells_of(path, small)), (
                path
            )
        path.write_bytes(original)
