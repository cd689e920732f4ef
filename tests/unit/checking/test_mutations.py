"""No wrong number passes: every cell of a passing set is spoilt in every way, and each time the check must say so.

A mutation survives if its cell is still REPRODUCED and nothing that names the cell was raised.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checking import make_run
from stilts_artifact.benchmark import world as load_world
from stilts_artifact.checking import record
from stilts_artifact.checking.expected import ExpectedTable, load_expected
from stilts_artifact.checking.recheck import judge_recomputed, recheck
from stilts_artifact.checking.recompute import Recomputation, find_misfits, recompute
from stilts_artifact.checking.record import recorded_yaml
from stilts_artifact.checking.results import load_results
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.domain.tasks import World
from stilts_artifact.errors import ArtifactError, IntegrityError
from tests.unit.checking.small import SmallSet, mark_reproduced, small_world

Cell = dict[str, Any]
ROUNDING = 0.5e-4  # of values recorded with four decimals


@dataclass(frozen=True, slots=True)
class Bench:
    """A passing set in memory: only the results file is read anew for each mutation."""

    document: dict[str, Any]
    found: Recomputation
    expected: ExpectedTable
    world: World
    scratch: Path

    def near(self, key: CellKey) -> Bench:
        """The set cut down to the cells that this one is mutated with: those of its column, or of its language."""

        def kept(other: CellKey) -> bool:
            return other.column == key.column or (other.row, other.language) == (key.row, key.language)

        cells = [cell for cell in self.document["cells"] if kept(key_of(cell))]
        values = {other: value for other, value in self.found.values.items() if kept(other)}
        expected = {other: cell for other, cell in self.expected.cells.items() if kept(other)}
        return replace(
            self,
            document=self.document | {"cells": cells},
            found=replace(self.found, values=values),
            expected=replace(self.expected, cells=expected),
        )

    def survives(self, text: str, key: CellKey) -> bool:
        """Whether the cell passes in a results file with this text."""
        self.scratch.write_text(text)
        try:
            results = load_results(self.scratch)
            found = replace(self.found, misfits=find_misfits(results, self.world))
            judged = {cell.key: cell for cell in judge_recomputed(results, found, self.expected)}
        except ArtifactError as error:
            assert all(part in str(error) for part in (key.row, key.column, key.language or "")), str(error)
            return False
        return judged[key].verdict is Verdict.REPRODUCED


def bench_of(path: Path, folder: Path, world: World, expected: ExpectedTable, scratch: Path) -> Bench:
    document = json.loads(path.read_text()) | {"files": []}  # verified once, when the cells are computed
    for cell in document["cells"]:
        cell["tolerance"] = expected.band(expected.cells[key_of(cell)]) + ROUNDING
    return Bench(document, recompute(load_results(path), folder, world, {}), expected, world, scratch)


@pytest.fixture
def bench(small: SmallSet, tmp_path: Path) -> Bench:
    expected = load_expected(small.expected / "mini" / f"table{small.table}.yaml")
    return bench_of(small.results_file, small.folder, small_world(), expected, tmp_path / "mutated.json")


def key_of(cell: Cell) -> CellKey:
    return CellKey(cell["row"], cell["column"], cell.get("language"))


def change(**values: Any) -> Callable[[Cell, list[Cell]], None]:
    return lambda cell, _: cell.update(values)


def edit_signature(old: str, new: str) -> Callable[[Cell, list[Cell]], None]:
    def mutate(cell: Cell, _: list[Cell]) -> None:
        assert old in cell["signature"]
        cell["signature"] = cell["signature"].replace(old, new)

    return mutate


def off(cell: Cell, _: list[Cell]) -> None:
    cell["value"] += 1.01 * cell["tolerance"]


def fraction(cell: Cell, _: list[Cell]) -> None:
    cell["value"] /= 100


def of_another_language(cell: Cell, cells: list[Cell]) -> None:
    _swap(cell, [other for other in cells if key_of(other) == _other_language(cell)])


def of_another_task(cell: Cell, cells: list[Cell]) -> None:
    place = (cell["row"], cell.get("language"))
    others = [other for other in cells if (other["row"], other.get("language")) == place]
    _swap(cell, [other for other in others if abs(other["value"] - cell["value"]) > 0.01])


def of_another_row(cell: Cell, cells: list[Cell]) -> None:
    _swap(cell, [other for other in cells if other["row"] != cell["row"]
                 and (other["column"], other.get("language")) == (cell["column"], cell.get("language"))])  # fmt: skip


def _other_language(cell: Cell) -> CellKey:
    order = {"qaa": "qac", "qac": "qaa", "qen": "qaa"}
    return CellKey(cell["row"], cell["column"], order.get(cell.get("language") or ""))


def _swap(cell: Cell, others: list[Cell]) -> None:
    if others:  # the mean over languages has no other language
        for name in ("value", "seeds"):
            if name in cell:
                cell[name], others[0][name] = others[0][name], cell[name]


def drop(cell: Cell, cells: list[Cell]) -> None:
    cells.remove(cell)


def twice(cell: Cell, cells: list[Cell]) -> None:
    cells.append(dict(cell))


def nothing(cell: Cell, _: list[Cell]) -> None:
    cell.update(value=None)


def seeds_of_another(cell: Cell, _: list[Cell]) -> None:
    cell["seeds"] = [number + 1 for number in cell.get("seeds", [cell["value"]])]


MUTATIONS: dict[str, Callable[[Cell, list[Cell]], None]] = {
    "off by 1.01 tolerance": off,
    "a fraction": fraction,
    "another language": of_another_language,
    "another task": of_another_task,
    "another row": of_another_row,
    "dropped": drop,
    "null": nothing,
    "twice": twice,
    "a string": change(value="71.5"),
    "a truth value": change(value=True),
    "NaN": change(value=float("nan")),
    "infinite": change(value=float("inf")),
    "seeds": seeds_of_another,
    "stale scale": edit_signature("scale:mini", "scale:base"),
    "stale metric": edit_signature("mv:xtreme-838c13b", "mv:xtreme-0000000"),
    "stale seeds": edit_signature("|seed:", "|seed:7+"),
    "stale languages": edit_signature("|lang:", "|lang:qab+"),
    "stale encoder": edit_signature("enc:made-up", "enc:other"),
    "stale arithmetic": edit_signature("dtype:float32", "dtype:bfloat16"),
    "no signature": change(signature=""),
    "broken signature": change(signature="colour:red"),
    "unknown field": change(values=71.5),
}


IN_TEXT = {"duplicate key": ('"value":', '"value": 1.5, "value":'), "1e999": ('"value": ', '"value": 1e999, "was": ')}


def mutant(bench: Bench, key: CellKey, name: str) -> str | None:
    """The results file with one cell spoilt, ``None`` where the mutation does not apply to it."""
    cells = [dict(cell) for cell in bench.document["cells"]]
    cell = next(cell for cell in cells if key_of(cell) == key)
    if name in IN_TEXT:
        written = json.dumps(cell)
        text = json.dumps(bench.document)
        assert text.count(written) == 1
        return text.replace(written, written.replace(*IN_TEXT[name], 1))
    MUTATIONS[name](cell, cells)
    return None if cells == bench.document["cells"] else json.dumps(bench.document | {"cells": cells})


def test_every_mutation_of_every_cell_is_noticed(bench: Bench) -> None:
    keys = [key_of(cell) for cell in bench.document["cells"]]
    tried: dict[str, int] = dict.fromkeys([*MUTATIONS, *IN_TEXT], 0)
    survivors = []
    for key in keys:
        near = bench.near(key)
        assert near.survives(json.dumps(near.document), key), "the set itself must pass"
        for name in tried:
            text = mutant(near, key, name)
            tried[name] += text is not None
            if text is not None and near.survives(text, key):
                survivors.append(f"{key}: {name}")
    assert survivors == []
    assert min(tried.values()) >= len(keys) // 2, tried


@pytest.mark.parametrize("sign", [1, -1])
def test_every_cell_is_held_to_its_band(bench: Bench, sign: int) -> None:
    """A true change of the score, not of the file: what was recorded is moved instead."""
    bench.scratch.write_text(json.dumps(bench.document))
    results = load_results(bench.scratch)

    def moved_by(factor: float) -> dict[CellKey, Verdict]:
        cells = {}
        for key, cell in bench.expected.cells.items():
            band = bench.expected.band(cell) + ROUNDING
            cells[key] = replace(cell, value=(cell.value or 0) + sign * factor * band)
        judged = judge_recomputed(results, bench.found, replace(bench.expected, cells=cells))
        return {cell.key: cell.verdict for cell in judged}

    assert set(moved_by(0.99).values()) == {Verdict.REPRODUCED}
    assert set(moved_by(1.01).values()) == {Verdict.NOT_REPRODUCED}


def prediction_files(small: SmallSet) -> list[Path]:
    """Every file of one seed (with three, a median may stand; the values of the seeds do not)."""
    seed = "seed-0" if small.table == 2 else "seed-1"
    return sorted(path for path in (small.run / "predictions").rglob(f"{seed}/*/*") if path.is_file())


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


def test_altered_predictions_are_named_by_file(small: SmallSet) -> None:
    for path in prediction_files(small):
        original = path.read_bytes()
        path.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
        with pytest.raises(IntegrityError) as caught:
            recheck(small.results_file)
        assert caught.value.where == str(path)
        path.write_bytes(original)


def test_altered_predictions_under_an_old_score_are_named_by_cell(small: SmallSet) -> None:
    """The edit is covered by new hashes; the score no longer follows from the file."""
    for path in prediction_files(small):
        original = path.read_bytes()
        path.write_bytes(spoil(original, path))
        relist(small)
        verdicts = judged(small)
        for key in cells_of(path, small):
            mean, everything = CellKey(key.row, key.column), "average" if small.table == 2 else "overall"
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
            assert all(verdicts[key] is Verdict.NOT_REPRODUCED for key in cells_of(path, small)), path
        path.write_bytes(first)
        other.write_bytes(second)


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


def test_the_other_split_copied_over_is_noticed(
    small: SmallSet, small_sets: dict[int, SmallSet], tmp_path: Path
) -> None:
    """Predictions and labels of dev in the place of test (and the reverse), files of the same number of examples."""
    other = small_sets[5 - small.table]
    tasks = ("xnli", "pawsx", "udpos", "panx", "mlqa", "bucc2018")  # the others have one split only
    for task in tasks:
        for path in sorted((small.run / "labels" / task).iterdir()):
            source = next((other.run / "labels" / task).glob(f"*-{path.name.partition('-')[2]}"))
            original = path.read_bytes()
            path.write_bytes(source.read_bytes())
            with pytest.raises(IntegrityError, match=r"not the one the results rest on|not the benchmark's"):
                recheck(small.results_file)
            relist(small)
            with pytest.raises(IntegrityError, match="labels that are not the benchmark's") as caught:
                recheck(small.results_file)
            assert path.name in str(caught.value)
            path.write_bytes(original)
            relist(small)


def test_dev_predictions_copied_to_test_are_noticed(small: SmallSet, small_sets: dict[int, SmallSet]) -> None:
    other = small_sets[5 - small.table]
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
            assert all(verdicts[key] is Verdict.NOT_REPRODUCED for key in cells_of(path, small)), path
        path.write_bytes(original)


@pytest.mark.slow
def test_a_whole_table_sampled(tmp_path: Path) -> None:
    """All 31 rows and eight languages at full size: each mutation of some cell drawn at random, nothing cut down."""
    world = load_world("mini")
    make_run(tmp_path / "results", world)
    path = tmp_path / "results" / "table2.mini.json"
    (tmp_path / "table2.yaml").write_bytes(recorded_yaml(record.load_measured(path), "mini"))
    mark_reproduced(path)
    bench = bench_of(path, path.parent, world, load_expected(tmp_path / "table2.yaml"), tmp_path / "mutated.json")
    keys = [key_of(cell) for cell in bench.document["cells"] if "language" in cell]
    assert len(bench.document["cells"]) == 31 * 130
    assert bench.survives(json.dumps(bench.document), keys[0])
    chance = random.Random(7)
    for name in [*MUTATIONS, *IN_TEXT]:
        key = chance.choice(keys)
        text = mutant(bench, key, name)
        assert text is not None
        assert not bench.survives(text, key), f"{key}: {name}"
