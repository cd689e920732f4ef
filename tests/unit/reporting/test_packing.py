"""Zip files: the same bytes for the same content, and nothing that can do harm when unpacked."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import stat
import struct
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from stilts_artifact.data import admission
from stilts_artifact.data import archive as archive_module
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
        "a\nb",
        "a:b",
        "\u202ea",
        "x" * 5_000,
        "x" * 300,
        "/".join(["\u00e9" * 100] * 10),
        "d/" * 500 + "x",
        "one.txt/x",
    ],
)
def test_a_path_that_is_not_plain_is_refused(crate: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"not plain|not a plain|too long|a folder, too"):
        unpack(rewrite(crate, {name: b"x"}), tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_a_link_or_device_is_refused(crate: Path, tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="something that is no file"):
        unpack(crate, tmp_path / "out")


def test_a_name_given_twice_is_refused(crate: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr("ONE.txt", b"one\n")
    with pytest.raises(DataError, match="differ in case only"):
        unpack(crate, tmp_path / "out")


def test_an_entry_for_a_folder_is_no_file(crate: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr("e/", b"")
    assert set(unpack(crate, tmp_path / "out")) == set(CONTENT)
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr("c/", b"hidden")
    with pytest.raises(DataError, match="a folder that has bytes"):
        unpack(crate, tmp_path / "again")


@pytest.mark.parametrize(
    ("module", "limit", "value"),
    [
        (admission, "MAX_MEMBERS", 3),
        (admission, "MAX_DIRECTORY", 100),
        (packing, "MAX_BYTES", 10),
        (packing, "MAX_MANIFEST", 100),
    ],
)
def test_a_large_crate_is_refused_before_anything_is_written(
    crate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    limit: str,
    value: int,
) -> None:
    monkeypatch.setattr(module, limit, value)
    monkeypatch.setattr(archive_module, limit, value, raising=False)
    with pytest.raises(DataError):
        unpack(crate, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_crate_that_unpacks_to_many_times_its_size_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    """Issue 13: 3 MB gave 3 GB. Here each file is small enough to pass alone."""
    path = tmp_path / "bomb.zip"
    pack(path, [Member(f"{number}", bytes(1 << 20)) for number in range(50)])
    assert path.stat().st_size < 1 << 17
    with pytest.raises(DataError, match="too large to unpack"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_file_that_unpacks_to_many_times_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    noise = random.Random(1).randbytes(1 << 20)
    pack(path, [Member("noise", noise), Member("zeros", bytes(10 << 20))])
    with pytest.raises(DataError, match="too many bytes"):
        unpack(path, tmp_path / "out")
    assert sum(file.stat().st_size for file in (tmp_path / "out").iterdir()) < 4 << 20


def test_the_most_repetitive_results_are_no_bomb(tmp_path: Path) -> None:
    """Every prediction the same, in every language."""
    path = tmp_path / "crate.zip"
    pack(path, [Member(f"dev-{number}.tsv", b"entailment\n" * 5_010) for number in range(15)])
    assert len(unpack(path, tmp_path / "out")) == 15


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """As the zip bomb of Fifield does: an entry's data begin inside those of the one before."""
    path = tmp_path / "bomb.zip"
    pack(path, [Member(name, random.Random(name).randbytes(3_000)) for name in "abc"])
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second + 42 : second + 46] = (50).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match="overlap"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("field", [24, 20, 42], ids=["size", "packed size", "place"])
def test_a_zip64_number_that_lies_is_refused(tmp_path: Path, field: int) -> None:
    """A member states 2**63 bytes, or lies there, in the field for what 32 bits do not hold."""
    path = tmp_path / "crate.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.extra = struct.pack("<HHQ", 1, 8, 1 << 63)
        archive.writestr(info, b"content")
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start + field : start + field + 4] = b"\xff" * 4
    path.write_bytes(data)
    with pytest.raises(DataError):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_random_damage_raises_nothing_but_our_errors(crate: Path, tmp_path: Path) -> None:
    whole, chance = crate.read_bytes(), random.Random(13)
    path, out = tmp_path / "damaged.zip", tmp_path / "out"
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data))
            data[at : at + chance.choice([1, 1, 4])] = chance.randbytes(chance.choice([1, 1, 4, 0]))
        path.write_bytes(data)
        try:
            sums = unpack(path, out)
        except ArtifactError as error:
            refused += 1
            assert str(path) in str(error)
        else:
            assert set(sums) == set(CONTENT)
        shutil.rmtree(out, ignore_errors=True)
    assert refused > 250


def test_what_the_manifest_does_not_list_is_never_unpacked(crate: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(crate, "a") as archive:
        archive.writestr("surplus", b"x" * 100_000)
    with pytest.raises(IntegrityError, match="surplus"):
        unpack(crate, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"one.txt",
        b"0" * 64 + b" one.txt\n",
        b"0" * 64 + b"  /etc/passwd\n",
        b"0" * 64 + b"  one.txt\n" + b"0" * 64 + b"  one.txt\n",
        b"0" * 64 + b"  one.txt",
        b"\xff" * 1_000,
    ],
)
def test_a_manifest_that_sha256sum_would_not_write_is_refused(
    crate: Path, tmp_path: Path, line: bytes
) -> None:
    with pytest.raises(DataError, match="not a line of sha256sum"):
        unpack(rewrite(crate, {MANIFEST: line}), tmp_path / "out")


def test_an_encrypted_or_oddly_compressed_crate_is_refused(crate: Path, tmp_path: Path) -> None:
    content = crate.read_bytes()
    for offset, change in ((8, 1), (10, 14)):  # bit 0 of the flags; LZMA
        data = bytearray(content)
        data[data.rindex(b"PK\x01\x02") + offset] = change
        crate.write_bytes(data)
        with pytest.raises(DataError, match=r"encrypted|compression"):
            unpack(crate, tmp_path / "out")


def test_what_is_no_file_is_no_crate(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / MANIFEST)
    for path in (tmp_path / "fifo", Path("/dev/zero"), folder):
        with pytest.raises(DataError):
            unpack(path, tmp_path / "out")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(DataError, match="damaged"):
        unpack(tmp_path / "sparse", tmp_path / "out")


def test_a_full_disk_is_not_called_a_bad_crate(
    crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, mode: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ResourceError, match="no room"):
        unpack(crate, tmp_path / "out")


def test_a_file_that_cannot_be_read_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        pack(tmp_path / "crate.zip", [Member("gone", tmp_path / "gone")])
    assert str(tmp_path / "gone") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


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
    with pytest.raises(DataError, match="damaged"):
        unpack(text, tmp_path / "out")
    with pytest.raises(DataError, match="damaged"):
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
