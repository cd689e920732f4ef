"""Archives that are not their publisher's: unsafe names, links, bombs, lies."""

from __future__ import annotations

import io
import os
import random
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest

from stilts_artifact.data import admission, archive
from stilts_artifact.data.archive import list_members, read_members, read_plain
from stilts_artifact.errors import IntegrityError
from tests.unit.data.archives import KINDS, ZEROS, Put, packed, tar_bytes, written, zip_bytes
from tests.unit.data.readers.checks import refused


@pytest.fixture
def put(tmp_path: Path) -> Put:
    return partial(written, tmp_path)


UNSAFE_NAMES = [
    "../evil",
    "a/../../evil",
    "/etc/evil",
    "..",
    "a/./b",
    "a//b",
    "C:/evil",
    "c:evil",
    "..\\evil",
    "a\\b",
    "x" * 1025,
]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_unsafe_names(kind: str, name: str, put: Put) -> None:
    path = put(packed(kind, {"good": b"1", name: b"2"}))
    for call in (lambda: list_members(path), lambda: read_members(path, ["good"])):
        refused(call, "member name", "source.bin!", error=IntegrityError)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("a/b", "a/b", "two members"),
        ("a/b", "./a/b", "two members"),
        ("a/b", "A/B", "case"),
        ("\u00e9", "e\u0301", "case"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_collide(kind: str, first: str, second: str, what: str, put: Put) -> None:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as writer:
            writer.writestr(first, b"1")
            writer.writestr(second, b"2")
        data = buffer.getvalue()
    else:
        data = tar_bytes({first: b"1"}, tarfile.TarInfo(second))
    refused(lambda: read_members(put(data), [first]), what, "source.bin!", error=IntegrityError)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a symbolic link to '/etc/passwd'"),
        (tarfile.LNKTYPE, "a hard link to '/etc/passwd'"),
        (tarfile.FIFOTYPE, "a FIFO"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (b"V", "an entry of type b'V'"),
    ],
)
def test_tar_entries_that_are_no_files(kind: bytes, what: str, put: Put) -> None:
    entry = tarfile.TarInfo("evil")
    entry.type, entry.linkname = kind, "/etc/passwd"
    path = put(tar_bytes({"good": b"1"}, entry))
    refused(
        lambda: read_members(path, ["good"]),
        "no file",
        what,
        "source.bin!evil",
        error=IntegrityError,
    )


@pytest.mark.parametrize(
    ("mode", "what"), [(0o120777, "a symbolic link"), (0o010644, "a special file")]
)
def test_zip_entries_that_are_no_files(mode: int, what: str, put: Put) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        entry = zipfile.ZipInfo("evil")
        entry.create_system, entry.external_attr = 3, mode << 16
        writer.writestr(entry, "/etc/passwd")
    refused(
        lambda: list_members(put(buffer.getvalue())), what, "source.bin!evil", error=IntegrityError
    )


def test_encrypted_zip(put: Put) -> None:
    data = bytearray(zip_bytes({"secret": b"1"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(
        lambda: list_members(put(bytes(data))),
        "encrypted",
        "source.bin!secret",
        error=IntegrityError,
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_unusual_zip_compression(method: int, put: Put) -> None:
    data = zip_bytes({"a": b"1" * 100}, method)
    refused(
        lambda: list_members(put(data)), "compression", f"method {method}", error=IntegrityError
    )


def test_names_must_be_utf8(put: Put) -> None:
    latin = zip_bytes({"\u00e9\u00e9": b"1"}).replace("\u00e9\u00e9".encode(), b"\xe9abc")
    refused(lambda: list_members(put(latin)), error=IntegrityError)
    unflagged = bytearray(zip_bytes({"abcd": b"1"}).replace(b"abcd", b"\xe9abc"))
    refused(lambda: list_members(put(bytes(unflagged))), "not UTF-8", error=IntegrityError)
    assert list_members(put(bytes(unflagged).replace(b"\xe9abc", "\u00e9ab".encode()))) == [
        "\u00e9ab"
    ]
    tar = bytearray(tar_bytes({"abcd": b"1"}))
    tar[0:512] = tarfile.TarInfo("\udce9abc").tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    refused(lambda: list_members(put(bytes(tar))), error=IntegrityError)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2"])
def test_a_bomb_of_a_thousand_to_one(kind: str, put: Put) -> None:
    path = put(packed(kind, {"bomb": ZEROS, "good": b"1"}))
    assert path.stat().st_size < len(ZEROS) / 800
    refused(
        lambda: read_members(path, ["bomb"]),
        "too many bytes",
        "200 times",
        "source.bin",
        error=IntegrityError,
    )
    if kind != "zip":  # in a stream, what lies before a member has to come out too
        refused(lambda: read_members(path, ["good"]), "too many bytes", error=IntegrityError)


def test_a_bomb_inside_a_stored_archive(put: Put) -> None:
    path = put(packed("tar", {"inner.tar.gz": packed("tar.gz", {"bomb": ZEROS})}))
    refused(
        lambda: read_members(path, ["inner.tar.gz!bomb"]),
        "too many bytes",
        "inner.tar.gz",
        error=IntegrityError,
    )


def test_small_repetitive_files_pass(put: Put) -> None:
    assert read_members(put(zip_bytes({"a": bytes(500_000)})), ["a"]) == {"a": bytes(500_000)}


def test_sizes_in_headers_are_not_believed(put: Put) -> None:
    data = bytearray(zip_bytes({"a": b"abc" * 100}))
    at = data.index(b"PK\x01\x02") + 24
    for claimed, what in ((1, "damaged"), (10**9, "another size")):
        data[at : at + 4] = claimed.to_bytes(4, "little")
        refused(lambda: read_members(put(bytes(data)), ["a"]), what, error=IntegrityError)
    entry = tarfile.TarInfo("huge")
    entry.size = 2 << 30
    lying = entry.tobuf() + bytes(2048)
    refused(
        lambda: list_members(put(lying)), "too many bytes", "source.bin!huge", error=IntegrityError
    )


def test_overlapping_zip_entries(put: Put) -> None:
    """Many entries that share one block of compressed data, as the best known zip bombs do."""
    data = zip_bytes({"a": random.Random(1).randbytes(5000)})
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = b"".join(data[start:end].replace(b"a", letter) for letter in (b"a", b"b"))
    tail = bytearray(data[end:])
    tail[8:12] = (2).to_bytes(2, "little") * 2
    tail[12:16] = len(entries).to_bytes(4, "little")
    refused(
        lambda: list_members(put(data[:start] + entries + bytes(tail))),
        "overlap",
        error=IntegrityError,
    )


@pytest.mark.parametrize("raw", [b"", b"\0ab"])
def test_a_zip_entry_without_a_name(put: Put, raw: bytes) -> None:
    data = zip_bytes({"abc": b"1"}).replace(b"abc", raw.ljust(3, b"\0"))
    refused(lambda: list_members(put(data)), "member name", error=IntegrityError)


def test_a_list_of_members_that_would_fill_the_memory(put: Put) -> None:
    """A zip says how much of it zipfile is to read at one go."""
    data = bytearray(zip_bytes({"a": b"1"}))
    end = data.index(b"PK\x05\x06")
    data[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
    path = put(b"")
    with path.open("wb") as file:
        file.truncate(2 << 30)
        file.seek(0, os.SEEK_END)
        file.write(data)
        file.seek(0)
        file.write(data[:4])
    refused(lambda: list_members(path), "1073741824 bytes", error=IntegrityError)


def test_entries_whose_data_begin_inside_those_of_another(put: Put) -> None:
    """Quoted, as the bomb of Fifield does: never more bytes than the file has."""
    data = bytearray(zip_bytes({"a": b"x" * 5000, "b": b"y" * 5000}))
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = (31).to_bytes(4, "little")
    refused(lambda: list_members(put(bytes(data))), "overlap", error=IntegrityError)


@pytest.mark.slow
def test_many_small_members_are_a_bomb_together(put: Put) -> None:
    path = put(zip_bytes({f"{number}": bytes(1 << 20) for number in range(40)}))
    assert len(read_members(path, ["7"])["7"]) == 1 << 20
    refused(lambda: read_members(path, ["*"]), "too many bytes", error=IntegrityError)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_header_that_would_fill_the_memory(put: Put, kind: bytes) -> None:
    entry = tarfile.TarInfo("about the next")
    entry.type, entry.size = kind, admission.MAX_EXTENDED + 1
    path = put(entry.tobuf() + bytes(entry.size) + tar_bytes({"a": b"1"}))
    refused(lambda: list_members(path), "an extended header", error=IntegrityError)


def test_too_many_members(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_MEMBERS", 10)
    for kind in KINDS:
        assert len(list_members(put(packed(kind, {f"{i}": b"" for i in range(10)})))) == 10
        path = put(packed(kind, {f"{i}": b"" for i in range(11)}))
        refused(
            lambda path=path: list_members(path), "too many members", "10", error=IntegrityError
        )


def test_an_archive_over_the_limit(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its ratio: a whole stream has to be read to reach its last member."""
    monkeypatch.setattr(admission, "MAX_STREAM_BYTES", 20_000)
    for kind in KINDS:
        path = put(packed(kind, {"a": b"a" * 3_000, "b": b"b" * 3_000}))
        assert len(read_members(path, ["*"])) == 2
        path = put(packed(kind, {name: name.encode() * 6_000 for name in "abcd"}))
        refused(lambda path=path: read_members(path, ["*"]), "too many bytes", error=IntegrityError)


def test_a_member_over_the_limit(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_MEMBER_BYTES", 1000)
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 1000)
    for kind in KINDS:
        path = put(packed(kind, {"a": bytes(1000)}))
        assert len(read_members(path, ["a"])["a"]) == 1000
        path = put(packed(kind, {"a": bytes(1001)}))
        refused(
            lambda path=path: read_members(path, ["a"]),
            "more than 1000 bytes",
            "!a",
            error=IntegrityError,
        )
    refused(lambda: read_plain(put(bytes(1001))), "more than 1000 bytes", error=IntegrityError)
