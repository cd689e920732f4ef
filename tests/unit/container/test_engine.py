"""Finding an engine and a client, and saying what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.container import build, engine, image, run
from stilts_artifact.errors import ConfigError, ExitCode, ResourceError


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    host = f"unix://{tmp_path}/absent.sock"
    monkeypatch.setenv("DOCKER_HOST", host)
    return host


def make_docker(folder: Path, script: str) -> Path:
    """A command named docker that runs a shell script."""
    folder.mkdir()
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def test_no_engine_is_a_resource_error_that_names_it(no_engine: str) -> None:
    with pytest.raises(ResourceError, match="no Docker engine answers") as caught:
        engine.connect()
    assert caught.value.exit_code == ExitCode.RESOURCE
    assert caught.value.where == no_engine
    assert caught.value.fix is not None


def test_builder_is_the_first_client_that_has_buildkit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new = make_docker(tmp_path / "new", 'echo "the buildx component is missing" >&2; exit 1')
    old = make_docker(tmp_path / "old", '[ "$DOCKER_BUILDKIT $1 $2" = "1 build --help" ]')
    monkeypatch.setenv("PATH", f"{tmp_path}/none:{new.parent}:{old.parent}")
    assert engine.find_builder() == str(old)


def test_no_builder_lists_the_clients_that_cannot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker = make_docker(tmp_path / "bin", "exit 1")
    monkeypatch.setenv("PATH", str(docker.parent))
    with pytest.raises(ResourceError, match="BuildKit") as caught:
        engine.find_builder()
    assert caught.value.got == str(docker)


def test_unknown_variant_is_found_before_any_engine(no_engine: str) -> None:
    with pytest.raises(ConfigError, match="did you mean 'gpu'"):
        build(variant="gpus")


def test_build_needs_a_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(image, "CLONE", tmp_path)
    with pytest.raises(ResourceError, match="built from a clone") as caught:
        build(variant="cpu")
    assert caught.value.where == str(tmp_path)


def test_build_arguments_carry_the_hash_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "cpu.txt").write_bytes(b"abc")
    arguments = image.build_arguments(tmp_path, "cpu", "debian")
    # The sha256 of "abc", FIPS 180-4.
    assert (
        arguments["LOCK_SHA256"]
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert arguments["BASE"] == "debian"
    assert arguments["REVISION"] == "unknown"
    assert "BASE" not in image.build_arguments(tmp_path, "cpu", None)


def test_run_refuses_a_data_folder_that_is_not_there(no_engine: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data folder"):
        run(["check"], results=tmp_path / "results", data=[tmp_path / "absent"])
    assert not (tmp_path / "results").exists()
