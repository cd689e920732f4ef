"""The tables beside a study's results: read as they were written, refused by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.errors import DataError
from stilts_artifact.reporting.study_tables import StudyTables, load_tables
from tests.unit.reporting import studies


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    studies.write_tables(tmp_path, "000")
    tables = load_tables(tmp_path)
    assert set(tables.effects) == {("gain", "points"), ("gain", "log-ratio")}
    assert len(tables.effects["gain", "points"]) == len(studies.SPLIT)
    assert tables.z["complexity"]["fi"] == 1.5
    assert "yo" not in tables.z["data"]
    assert tables.names["fi"] == "Finnish"
    assert tables.specifications["H1"][0].choices == {
        "index": "complexity",
        "data": "data",
        "languages": "all",
    }


def test_a_folder_without_tables_has_none(tmp_path: Path) -> None:
    assert load_tables(tmp_path) == StudyTables()


@pytest.mark.parametrize("number", ["", "1e999", "much"])
def test_what_is_no_number_is_refused_by_file_and_line(tmp_path: Path, number: str) -> None:
    studies.write_tables(tmp_path, "000")
    path = tmp_path / "effects.csv"
    lines = path.read_text().splitlines()
    fields = lines[2].split(",")
    fields[5] = number
    path.write_text("\n".join([*lines[:2], ",".join(fields), *lines[3:]]))
    with pytest.raises(DataError, match=r"value of a study's table\n.*effects\.csv:3"):
        load_tables(tmp_path)


def test_another_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "specifications.csv").write_text("hypothesis,index\n")
    with pytest.raises(DataError, match=r"specifications\.csv:1"):
        load_tables(tmp_path)
