"""No wrong number passes: every cell of a passing set is spoilt in every way, and each is noticed.

A mutation survives if its cell is still REPRODUCED and nothing that names the cell was raised.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checking import make_run
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking import baseline
from stilts_artifact.checking.baseline import baseline_yaml
from stilts_artifact.checking.expected import ExpectedTable, load_expected
from stilts_artifact.checking.foundation import unfounded
from stilts_artifact.checking.recheck import judge_recomputed
from stilts_artifact.checking.recompute import Recomputation, find_misfits, recompute
from stilts_artifact.checking.results import load_results
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.errors import ArtifactError
from tests.unit.checking.small import SmallSet, mark_reproduced, small_benchmark

Cell = dict[str, Any]
ROUNDING = 0.5e-4  # of values recorded with four decimals


@dataclass(frozen=True, slots=True)
class Bench:
    """A passing set in memory: only the results file is read anew for each mutation."""

    document: dict[str, Any]
    found: Recomputation
    expected: ExpectedTable
    benchmark: Benchmark
    scratch: Path
    pins: Mapping[str, str]

    def near(self, key: CellKey) -> Bench:
        """The set cut down to the cells of this one's column, or of its row and language."""

        def kept(other: CellKey) -> bool:
            return other.column == key.column or (other.row, other.language) == (
                key.row,
                key.language,
            )

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
            found = replace(
                self.found, misfits=find_misfits(results, self.benchmark, self.found.values)
            )
            faults = unfounded(results, self.benchmark, self.pins)
            cells = judge_recomputed(results, found, self.expected, faults)
            judged = {cell.key: cell for cell in cells}
        except ArtifactError as error:
            assert all(part in str(error) for part in (key.row, key.column, key.language or "")), (
                str(error)
            )
            return False
        return judged[key].verdict is Verdict.REPRODUCED


def bench_of(
    path: Path, folder: Path, benchmark: Benchmark, expected: ExpectedTable, scratch: Path
) -> Bench:
    document = json.loads(path.read_text())
    prefix = f"{path.stem}/labels/"
    pins = {
        record.path.removeprefix(prefix): record.sha256
        for record in load_results(path).files
        if record.path.startswith(prefix)
    }
    # Predictions were verified once, when the cells were computed.
    document["files"] = [file for file in document["files"] if file["path"].startswith(prefix)]
    for cell in document["cells"]:
        cell["limit"] = expected.tolerance_of(expected.cells[key_of(cell)]) + ROUNDING
    return Bench(
        document,
        recompute(load_results(path), folder / path.stem, benchmark, {}),
        expected,
        benchmark,
        scratch,
        pins,
    )


@pytest.fixture
def bench(small: SmallSet, tmp_path: Path) -> Bench:
    expected = load_expected(small.expected / "mini" / f"{small.experiment}.yaml")
    return bench_of(
        small.results_file,
        small.folder,
        small_benchmark(),
        expected,
        tmp_path / small.results_file.name,
    )


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
    cell["value"] += 1.01 * cell["limit"]


def fraction(cell: Cell, _: list[Cell]) -> None:
    cell["value"] /= 100


def of_another_language(cell: Cell, cells: list[Cell]) -> None:
    _swap(cell, [other for other in cells if key_of(other) == _other_language(cell)])


def of_another_task(cell: Cell, cells: list[Cell]) -> None:
    place = (cell["row"], cell.get("language"))
    others = [other for other in cells if (other["row"], other.get("language")) == place]
    _swap(cell, [other for other in others if abs(other["value"] - cell["value"]) > 0.01])


def of_another_row(cell: Cell, cells: list[Cell]) -> None:
    _swap(
        cell,
        [
            other
            for other in cells
            if other["row"] != cell["row"]
            and (other["column"], other.get("language")) == (cell["column"], cell.get("language"))
        ],
    )


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
    "another metric": edit_signature("|metric:", "|metric:half-of-"),
    "stale metric": edit_signature("mv:xtreme-838c13b", "mv:xtreme-0000000"),
    "stale seeds": edit_signature("|seed:", "|seed:7+"),
    "stale languages": edit_signature("|lang:", "|lang:qab+"),
    "stale encoder": edit_signature("enc:made-up", "enc:other"),
    "stale arithmetic": edit_signature("dtype:float32", "dtype:bfloat16"),
    "no signature": change(signature=""),
    "broken signature": change(signature="colour:red"),
    "unknown field": change(values=71.5),
}


IN_TEXT = {
    "duplicate key": ('"value":', '"value": 1.5, "value":'),
    "1e999": ('"value": ', '"value": 1e999, "was": '),
}


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
    return (
        None if cells == bench.document["cells"] else json.dumps(bench.document | {"cells": cells})
    )


@pytest.mark.slow
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


@pytest.mark.slow
def test_no_cell_survives_without_what_it_rests_on(bench: Bench) -> None:
    keys = [key_of(cell) for cell in bench.document["cells"]]
    for changed in (
        replace(bench, pins={}),
        replace(bench, document=bench.document | {"inputs": []}),
    ):
        text = json.dumps(changed.document)
        assert not [key for key in keys[::7] if changed.survives(text, key)]


@pytest.mark.parametrize("sign", [1, -1])
def test_every_cell_is_held_to_its_limit(bench: Bench, sign: int) -> None:
    """A true change of the score, not of the file: what was recorded is moved instead."""
    bench.scratch.write_text(json.dumps(bench.document))
    results = load_results(bench.scratch)

    def moved_by(factor: float) -> dict[CellKey, Verdict]:
        cells = {}
        for key, cell in bench.expected.cells.items():
            tolerance = bench.expected.tolerance_of(cell) + ROUNDING
            cells[key] = replace(cell, value=(cell.value or 0) + sign * factor * tolerance)
        judged = judge_recomputed(results, bench.found, replace(bench.expected, cells=cells))
        return {cell.key: cell.verdict for cell in judged}

    assert set(moved_by(0.99).values()) == {Verdict.REPRODUCED}
    assert set(moved_by(1.01).values()) == {Verdict.NOT_REPRODUCED}


@pytest.mark.slow
def test_a_whole_table_sampled(tmp_path: Path) -> None:
    """All 31 rows and eight languages at full size: each mutation of some cell drawn at random."""
    benchmark = load_benchmark("mini")
    make_run(tmp_path / "results", benchmark)
    path = tmp_path / "results" / "table2.mini.json"
    (tmp_path / "table2.yaml").write_bytes(baseline_yaml(baseline.load_measured(path), "mini"))
    mark_reproduced(path)
    bench = bench_of(
        path,
        path.parent,
        benchmark,
        load_expected(tmp_path / "table2.yaml"),
        tmp_path / "table2.mini.json",
    )
    keys = [key_of(cell) for cell in bench.document["cells"] if "language" in cell]
    assert len(bench.document["cells"]) == 31 * 130
    assert bench.survives(json.dumps(bench.document), keys[0])
    chance = random.Random(7)
    for name in [*MUTATIONS, *IN_TEXT]:
        key = chance.choice(keys)
        text = mutant(bench, key, name)
        assert text is not None
        assert not bench.survives(text, key), f"{key}: {name}"
