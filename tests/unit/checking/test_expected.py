"""Expected tables are strict, and the shipped ones load."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import experiment_named
from stilts_artifact.checking import expected
from stilts_artifact.checking.expected import (
    ColumnNoise,
    expected_path,
    load_expected,
    load_shipped,
)
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import Results, dump_results
from stilts_artifact.checking.sums import expected_root, refresh_sums
from stilts_artifact.config.load import load_scale
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.errors import ArtifactError, DataError
from stilts_artifact.experiments import outcome
from stilts_artifact.experiments.session import Machine, Measured, Session
from stilts_artifact.model.hub import PhaseOne

GOOD = """\
experiment: table1
benchmark: xtreme
citation: c
columns: {train: {tolerance: 0}}
sources: {s: the source}
reasons: {r: the reason}
cells:
  - {row: mnli, column: train, language: en, value: 5, decimals: 0, source: s}
  - {row: ccg, column: train, language: en, value: null, decimals: 0, reason: r}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "table1.yaml"
    path.write_text(text)
    return path


def test_a_cell_carries_its_value_and_its_source_in_words(tmp_path: Path) -> None:
    table = load_expected(write(tmp_path, GOOD))
    assert table.cells[CellKey("mnli", "train", "en")].source == "the source"
    assert table.cells[CellKey("ccg", "train", "en")].reason == "the reason"
    assert table.tolerances == {"train": 0}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("source: s}", "source: t}"),  # undefined citation
        (", source: s}", "}"),  # value without a source
        (", reason: r}", "}"),  # null without a reason
        ("value: null", "value: 7"),  # value with a reason
        ("value: 5", "value: '5'"),
        ("value: 5", "value: true"),
        ("value: 5", "value: .nan"),
        ("row: ccg, column: train", "row: mnli, column: train"),  # given twice
        (
            "column: train, language: en, value: 5",
            "column: dev, language: en, value: 5",
        ),  # column without tolerance
        ("decimals: 0, source", "decimls: 0, source"),
        ("experiment: table1", "experiment: table9"),
        ("benchmark: xtreme", "benchmark: moon"),
        ("citation: c", "citation: c\ncitation: d"),
    ],
)
def test_a_file_that_is_not_strict_is_refused(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(ArtifactError, match=r"table1\.yaml"):
        load_expected(write(tmp_path, GOOD.replace(old, new)))


NOISY = (
    GOOD.replace(
        "{tolerance: 0}",
        "{tolerance: 2.5, basis: b, seed_sd: 0.5, reason: r, examples: [10, 20]}",
    )
    .replace("r: the reason", "r: the reason, b: the basis")
    .replace("benchmark: xtreme", "benchmark: xtreme\nscale: paper")
    .replace("value: 5, decimals: 0", "value: 5, decimals: 0, n: 3, tolerance: 1")
)


def test_noise_scale_seeds_and_bands_of_cells_are_read(tmp_path: Path) -> None:
    table = load_expected(write(tmp_path, NOISY))
    assert table.noise == {"train": ColumnNoise(0.5, "the reason", (10, 20))}
    assert table.scale == "paper"
    first, second = table.cells.values()
    assert (first.n, table.tolerance_of(first), second.n, table.tolerance_of(second)) == (
        3,
        1.0,
        None,
        2.5,
    )
    assert table.bases == {"train": "the basis"}
    assert table.basis_of(first) == table.basis_of(second) == "the basis"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed_sd: 0.5, reason: r, ", ""),  # examples without a spread
        (", reason: r, examples", ", examples"),  # a spread without a reason
        (", reason: r, examples", ", reason: q, examples"),
        ("seed_sd: 0.5", "seed_sd: -0.5"),
        ("tolerance: 2.5", "tolerance: -1"),
        ("basis: b, ", ""),  # a tolerance without its basis
        ("basis: b, ", "basis: q, "),
        ("tolerance: 1", "basis: b"),  # a basis without its tolerance
        ("[10, 20]", "[10, 0]"),
        ("n: 3", "n: 0"),
        ("decimals: 0, n", "decimals: -1, n"),
        ("n: 3", "signature: udpos"),  # not a whole signature
        ("scale: paper", "scale: huge"),
    ],
)
def test_what_is_declared_about_noise_is_strict_too(tmp_path: Path, old: str, new: str) -> None:
    assert old in NOISY
    with pytest.raises(ArtifactError, match=r"table1\.yaml"):
        load_expected(write(tmp_path, NOISY.replace(old, new, 1)))


SHIPPED = sorted(expected_root().glob("*/*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_band_that_ships_names_its_basis_and_the_basis_its_number(path: Path) -> None:
    """A band that is changed has to be explained anew."""
    if path.parent.name == "studies":
        return
    table = load_shipped(path)
    if path.parent.name == "mini":
        # Of runs of this very program: checking/baseline.py declares these by form of task.
        assert table.bases == {}
        assert all(cell.signature is not None for cell in table.cells.values())
        return
    bands = {(name, own, table.bases.get(name)) for name, own in table.tolerances.items()}
    bands |= {
        (str(cell.key), table.tolerance_of(cell), table.basis_of(cell))
        for cell in table.cells.values()
    }
    for name, band, basis in bands:
        if table.experiment == "table1":
            assert (band, basis) == (0, None), "a count is right or wrong"
        else:
            assert basis is not None
            # As a number of its own: "3.0", not within "13.0".
            assert re.search(rf"(?<![\d.]){re.escape(str(band))}(?!\d)", basis), (name, band, basis)
            # Either public numbers that differ, or said to be assumed.
            assert "assumed" in basis or "differ by" in basis


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "benchmark"), [("paper", "xtreme"), ("mini", "mini")])
def test_the_shipped_tables_load(folder: str, benchmark: str) -> None:
    table = load_expected(expected_path(folder, "table1"))
    assert (table.experiment, table.benchmark) == ("table1", benchmark)
    assert any(cell.value is not None for cell in table.cells.values())


def test_expected_values_that_are_gone_stop_reproduce_and_check_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is deleted, its sum is not: "nothing is recorded yet" would be a lie."""
    root = tmp_path / "expected_results"
    shutil.copytree(expected_root(), root)
    (root / "mini" / "table1.yaml").unlink()
    monkeypatch.setattr(expected, "expected_root", lambda: root)
    table1, scale = experiment_named("table1"), load_scale("mini")
    nothing = Measured([], [], [], [])
    monkeypatch.setattr("stilts_artifact.experiments.table1.measure", lambda _: nothing)
    session = Session(
        experiment=table1,
        scale=scale,
        reason="asked for",
        benchmark=load_benchmark("mini"),
        encoder=PhaseOne.of(scale.encoder),
        library=Library({}, FileStore(tmp_path / "store")),
        machine=Machine(tmp_path / "store"),
        results=tmp_path / "results",
    )
    with pytest.raises(DataError, match=r"table1\.yaml"):
        outcome.reproduce(session)
    assert not session.results.exists()

    made = Results(
        experiment="table1",
        scale="mini",
        scale_reason="asked for",
        stamp=scale.stamp,
        verdict=Verdict.INCONCLUSIVE,
        rows=[],
        cells=[],
        claims=[],
        inputs=[],
        environment={},
    )
    path = tmp_path / "table1.mini.json"
    path.write_bytes(dump_results(made))
    with pytest.raises(DataError, match=r"table1\.yaml"):
        recheck(path)


def test_before_anything_is_recorded_nothing_is_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "expected_results"
    shutil.copytree(expected_root(), root)
    (root / "mini" / "table1.yaml").unlink()
    refresh_sums(root)
    monkeypatch.setattr(expected, "expected_root", lambda: root)
    assert expected.expected_cells(["mini"], experiment_named("table1"), "mini").cells == {}
