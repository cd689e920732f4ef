"""What the engine is asked for, read from the request itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stilts_artifact.container import runner


def test_nothing_is_granted_that_a_run_does_not_need(tmp_path: Path) -> None:
    options = runner.container_options(tmp_path, [], "none", has_gpu=False)
    assert options["read_only"] is True
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges"]
    assert options["network_mode"] == "none"
    assert options["user"] == f"{os.getuid()}:{os.getgid()}"
    assert options["init"] is True
    assert options["device_requests"] == []


def test_results_are_the_only_folder_that_can_be_written(tmp_path: Path) -> None:
    data = [tmp_path / "b", tmp_path / "a"]
    mounts = runner.container_options(tmp_path, data, "none", has_gpu=False)["mounts"]
    assert [(mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in mounts] == [
        (str(tmp_path), "/artifact/results", False),
        (str(data[0]), "/artifact/data/0", True),
        (str(data[1]), "/artifact/data/1", True),
    ]


def test_data_folders_come_before_the_baked_ones(tmp_path: Path) -> None:
    options = runner.container_options(tmp_path, [tmp_path], "none", has_gpu=False)
    assert options["environment"] == {
        "STILTS_ARTIFACT_DATA": f"/artifact/data/0:{runner.MINI_WORLD}"
    }


def test_all_gpus_are_asked_for_where_the_engine_has_them(tmp_path: Path) -> None:
    (request,) = runner.container_options(tmp_path, [], "none", has_gpu=True)["device_requests"]
    assert (request["Count"], request["Capabilities"]) == (-1, [["gpu"]])


def test_relative_folders_are_those_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (mount,) = runner.container_options(Path("results"), [], "none", has_gpu=False)["mounts"]
    assert mount["Source"] == str(tmp_path / "results")
