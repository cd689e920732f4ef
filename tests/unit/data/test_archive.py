"""Archives: members are read in place, and damage is noticed."""

from __future__ import annotations

import base64
import gzip
import io
import random
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.data.archive import list_members, member_pattern, read_members, read_plain
from stilts_artifact.errors import ArtifactError, DataError, IntegrityError, MissingDataError
from tests.unit.data.archives import FILES, KINDS, ZEROS, Put, packed, tar_bytes, written
from tests.unit.data.readers.checks import refused


@pytest.fixture
def put(tmp_path: Path) -> Put:
    return partial(written, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_read_by_name(kind: str, put: Put) -> None:
    path = put(packed(kind, FILES))
    assert list_members(path) == sorted(FILES)
    assert read_members(path, FILES.keys()) == FILES
    assert read_members(path, ["c"]) == {"c": b""}
    assert read_members(path, []) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_star_stands_for_every_member_of_a_folder(kind: str, put: Put) -> None:
    path = put(packed(kind, FILES))
    assert list(read_members(path, ["folder/*.tsv", "folder/a.tsv"])) == [
        "folder/a.tsv",
        "folder/b.tsv",
    ]
    refused(lambda: read_members(path, ["*.tsv"]), "no member '*.tsv'")
    assert not member_pattern("a.c").fullmatch("abc")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outer", KINDS)
def test_an_archive_in_an_archive(outer: str, kind: str, put: Put) -> None:
    path = put(
        packed(
            outer,
            {"panx/af.tar.gz": packed(kind, FILES), "panx/ar.tar.gz": packed(kind, {"c": b"2"})},
        )
    )
    assert read_members(path, ["panx/af.tar.gz!c", "panx/af.tar.gz!folder/a.tsv"]) == {
        "panx/af.tar.gz!c": b"",
        "panx/af.tar.gz!folder/a.tsv": FILES["folder/a.tsv"],
    }
    assert read_members(path, ["panx/*!c"]) == {"panx/af.tar.gz!c": b"", "panx/ar.tar.gz!c": b"2"}
    refused(
        lambda: read_members(path, ["panx/ar.tar.gz!d"]),
        "no member 'd'",
        "source.bin!panx/ar.tar.gz",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_absent_member_brings_the_nearest_names(kind: str, put: Put) -> None:
    path = put(packed(kind, FILES))
    refused(
        lambda: read_members(path, ["folder/a.tsb"]),
        "no member 'folder/a.tsb'",
        "nearest: folder/a.tsv",
        "source.bin",
    )


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_folders_dots_and_resource_forks_are_no_members(kind: str, put: Put) -> None:
    files = {"./a": b"1", "__MACOSX/b": b"2", "b/._c": b"3", "b/c": b"4"}
    folders = ["./", "b/", "b/"]
    if kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as writer:
            for name in [*folders[1:2], *files]:
                writer.writestr(name, files.get(name, b""))
        data = buffer.getvalue()
    else:
        entries = [tarfile.TarInfo(name) for name in folders]
        for entry in entries:
            entry.type = tarfile.DIRTYPE
        data = tar_bytes(files, *entries)
    path = put(data)
    assert list_members(path) == ["a", "b/c"]
    assert read_members(path, ["a"]) == {"a": b"1"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_noticed(kind: str, put: Put) -> None:
    noise = random.Random(0).randbytes(3000)
    data = packed(kind, {"a": noise[:1000], "b": noise})
    # tar ends with blocks of zeros, of which one is enough; all else is needed
    needed = len(data) if kind != "tar" else len(data.rstrip(b"\0")) + 512
    for end in [*range(0, needed - 512, 97), *range(needed - 512, needed, 64)]:
        path = put(data[:end])
        refused(lambda path=path: read_members(path, ["a"]), "source.bin", error=IntegrityError)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2"])
def test_a_flipped_bit_is_noticed(kind: str, put: Put) -> None:
    text = base64.b64encode(random.Random(0).randbytes(3000))
    data = bytearray(packed(kind, {"a": text}))
    for at in range(100, 2900, 70):
        data[at] ^= 4
        refused(lambda: read_members(put(bytes(data)), ["a"]), "damaged", error=IntegrityError)
        data[at] ^= 4
    assert read_members(put(bytes(data)), ["a"]) == {"a": text}


def test_the_checksum_behind_the_last_block_is_read(put: Put) -> None:
    data = bytearray(
        gzip.compress(tar_bytes({"a": random.Random(0).randbytes(30_000)}) + bytes(3 << 20))
    )
    assert list_members(put(bytes(data))) == ["a"]
    data[-8] ^= 1
    refused(lambda: list_members(put(bytes(data))), "damaged", "CRC", error=IntegrityError)


def test_a_damaged_header_is_not_the_end(put: Put) -> None:
    """tarfile itself stops there in silence, as if the members behind it did not exist."""
    data = bytearray(tar_bytes({"a": b"1", "b": b"2", "c": b"3"}))
    data[1024] ^= 1
    refused(lambda: list_members(put(bytes(data))), "damaged", "header", error=IntegrityError)


NO_ARCHIVES = {
    "empty": b"",
    "html": b"<html>404</html>",
    "zip magic": b"PK\x03\x04",
    "gzip magic": b"\x1f\x8b",
    "bzip2 magic": b"BZh9",
    "gzipped text": gzip.compress(b"text"),
}


@pytest.mark.parametrize("data", NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_what_is_no_archive(data: bytes, put: Put) -> None:
    refused(lambda: list_members(put(data)), "source.bin", error=IntegrityError)


def test_an_empty_archive_has_no_members(put: Put) -> None:
    for kind in KINDS:
        assert list_members(put(packed(kind, {}))) == []


def test_chained_headers(put: Put) -> None:
    """Each long-name header makes tarfile recurse once."""
    entry = tarfile.TarInfo("a")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 1
    data = gzip.compress(
        (entry.tobuf() + b"a".ljust(512, b"\0")) * 3000 + random.Random(0).randbytes(20_000)
    )
    refused(lambda: list_members(put(data)), "damaged", error=IntegrityError)


def test_a_sparse_member_cannot_hide_its_size(put: Put) -> None:
    entry = tarfile.TarInfo("a")
    entry.type = tarfile.GNUTYPE_SPARSE
    refused(
        lambda: list_members(put(entry.tobuf() + bytes(1024))), "source.bin", error=IntegrityError
    )


def test_plain_files(put: Put) -> None:
    assert read_plain(put(b"text")) == b"text"
    assert read_plain(put(gzip.compress(b"text"))) == b"text"
    refused(lambda: read_plain(put(gzip.compress(ZEROS))), "too many bytes", error=IntegrityError)
    refused(
        lambda: read_plain(put(gzip.compress(b"text" * 99)[:-3])),
        "damaged",
        "source.bin",
        error=IntegrityError,
    )


def test_a_missing_file(tmp_path: Path) -> None:
    for call in (list_members, read_plain):
        refused(
            lambda call=call: call(tmp_path / "absent.zip"), "absent.zip", error=MissingDataError
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_random_damage_raises_nothing_but_our_errors(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "source.bin"
    whole = packed(kind, FILES)

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, 2**32))
    def damage(seed: int) -> None:
        chance, data = random.Random(seed), bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data))
            data[at : at + chance.choice([1, 1, 4])] = chance.randbytes(chance.choice([1, 1, 4, 0]))
        path.write_bytes(data)
        try:
            read = read_members(path, ["folder/a.tsv"])
        except (IntegrityError, DataError) as error:
            assert str(path) in str(error)
        else:
            assert kind == "tar" or read["folder/a.tsv"] == FILES["folder/a.tsv"]

    damage()


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9"]),
)
@settings(deadline=None)
def test_random_bytes_are_no_archive(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.bin"
    path.write_bytes(magic + data)
    for call in (lambda: list_members(path), lambda: read_plain(path)):
        try:
            call()
        except ArtifactError as error:
            assert "random.bin" in str(error)
