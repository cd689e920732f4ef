"""Expected tables are strict, and the shipped ones load."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.checking.expected import ColumnNoise, expected_path, load_expected
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import ArtifactError

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
    GOOD.replace("{tolerance: 0}", "{tolerance: 2.5, seed_sd: 0.5, reason: r, examples: [10, 20]}")
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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed_sd: 0.5, reason: r, ", ""),  # examples without a spread
        (", reason: r, examples", ", examples"),  # a spread without a reason
        (", reason: r, examples", ", reason: q, examples"),
        ("seed_sd: 0.5", "seed_sd: -0.5"),
        ("tolerance: 2.5", "tolerance: -1"),
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


@pytest.mark.parametrize(("folder", "benchmark"), [("paper", "xtreme"), ("mini", "mini")])
def test_the_shipped_tables_load(folder: str, benchmark: str) -> None:
    table = load_expected(expected_path(folder, "table1"))
    assert (table.experiment, table.benchmark) == ("table1", benchmark)
    assert any(cell.value is not None for cell in table.cells.values())
