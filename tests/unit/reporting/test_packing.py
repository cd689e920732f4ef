"""Zip files: the same bytes for the same content, and nothing that can do harm when unpacked."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from stilts_artifact.errors import (
    ArtifactError,
    DataError,
    IntegrityError,
    MissingDataError,
    ResourceError,
)
from stilts_artifact.reporting import packing
from stilts_artifact.reporting.packing import MANIFEST, Member, pack, unpack

CONTENT = {"b/two.txt": b"two\n", "one.txt": b"one\n", "a name with spaces.txt": b""}


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    path = tmp_path / "crate.zip"
    pack(path, [Member(name, content) for name, content in CONTENT.items()])
    return path


def rewrite(crate: Path, change: dict[str, bytes | None]) -> Path:
    """The crate with files replaced, added or (``None``) removed, its manifest as it was."""
    with zipfile.ZipFile(crate) as archive:
        content = {name: archive.read(name) for name in archive.namelist()} | change
    with zipfile.ZipFile(crate, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return crate


def test_what_was_packed_is_unpacked(crate: Path, tmp_path: Path) -> None:
    sums = unpack(crate, tmp_path / "out")
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    assert all(
        (tmp_path / "out" / name).read_bytes() == content for name, content in CONTENT.items()
    )


def test_the_same_content_gives_the_same_bytes(crate: Path, tmp_path: Path) -> None:
    file = tmp_path / "one"
    file.write_bytes(b"one\n")
    again = tmp_path / "again.zip"
    pack(
        again,
        [Member("one.txt", file), *(Member(name, CONTENT[name]) for name in list(CONTENT)[::-2])],
    )
    assert again.read_bytes() == crate.read_bytes()
    with zipfile.ZipFile(crate) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_manifest_is_sha256sums(crate: Path, tmp_path: Path) -> None:
    unpack(crate, tmp_path / "out")
    subprocess.run(["sha256sum", "--check", "--strict", MANIFEST], cwd=tmp_path / "out", check=True)


@pytest.mark.parametrize(
    "change",
    [{"one.txt": b"One\n"}, {"one.txt": None}, {"three.txt": b""}, {"b/.hidden": b""}],
    ids=["altered", "missing", "surplus", "hidden"],
)
def test_a_file_that_is_not_in_the_manifest_as_it_is_is_refused(
    crate: Path, tmp_path: Path, change: dict[str, bytes | None]
) -> None:
    with pytest.raises(IntegrityError) as error:
        unpack(rewrite(crate, change), tmp_path / "out")
    assert next(iter(change)) in str(error.value.where)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/evil",
        "a/../../evil",
        "a\\..\\evil",
        "C:evil",
        "a//b",
        "./a",
        "a\nb",
        "a/",
        "\u202ea",
    ],
)
def test_a_path_that_is_not_plain_is_refused(crate: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="not plain"):
        unpack(rewrite(crate, {name: b"x"}), tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_a_link_or_device_is_refused(crate: Path, tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="a link or device"):
        unpack(crate, tmp_path / "out")


def test_a_name_given_twice_is_refused(crate: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr("ONE.txt", b"one\n")
    with pytest.raises(DataError, match="given twice"):
        unpack(crate, tmp_path / "out")


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 3), ("MAX_BYTES", 10)])
def test_a_large_archive_is_refused_before_anything_is_written(
    crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(packing, limit, value)
    with pytest.raises(DataError, match="too large"):
        unpack(crate, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_lies_about_its_size_is_refused(crate: Path, tmp_path: Path) -> None:
    data = bytearray(crate.read_bytes())
    start = data.rindex(b"PK\x01\x02", 0, data.rindex(b"one.txt"))
    data[start + 24 : start + 28] = (1).to_bytes(
        4, "little"
    )  # size after unpacking, in the central directory
    crate.write_bytes(data)
    with pytest.raises(ArtifactError):
        unpack(crate, tmp_path / "out")


def test_what_is_no_crate_is_refused(crate: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.zip"
    text.write_text("no zip file")
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(text, tmp_path / "out")
    with pytest.raises(DataError, match="cannot be unpacked"):
        crate.write_bytes(crate.read_bytes()[:-40])
        unpack(crate, tmp_path / "out")
    with pytest.raises(MissingDataError):
        unpack(tmp_path / "absent.zip", tmp_path / "out")


def test_an_archive_without_a_manifest_is_no_crate(crate: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a crate"):
        unpack(rewrite(crate, {MANIFEST: None}), tmp_path / "out")


def test_a_file_that_changes_while_it_is_packed_leaves_the_old_crate(crate: Path) -> None:
    before = crate.read_bytes()
    with pytest.raises(IntegrityError, match="changed while it was packed"):
        pack(crate, [Member("one.txt", b"one\n", "0" * 64)])
    assert crate.read_bytes() == before
    assert [path.name for path in crate.parent.iterdir()] == [crate.name]


def test_a_folder_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        pack(tmp_path / "file" / "crate.zip", [])
