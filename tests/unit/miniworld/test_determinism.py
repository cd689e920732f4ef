"""The same seed gives the same bytes everywhere; another seed gives others."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError
from stilts_artifact.miniworld import FILES, SEED, build, serve
from stilts_artifact.miniworld.archives import gzip_stored, tar_gz, zip_archive
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.pin import pins

pytestmark = pytest.mark.slow

SMALL = (
    "xquad.qag.json",
    "cosmosqa/valid.csv",
    "bucc2018-qae-qen.sample-gold.tar.bz2",
    "tatoeba.qac-qen.qac",
)


def test_two_processes_with_other_hash_seeds_agree() -> None:
    code = f"from stilts_artifact.miniworld.pin import pins; print(list(pins({SMALL!r})))"
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].decode().strip() == str(list(pins(SMALL)))


@pytest.mark.parametrize("name", SMALL)
def test_another_seed_gives_other_bytes(name: str) -> None:
    assert build(name, SEED + 1) != build(name)


def test_a_file_does_not_depend_on_what_was_made_before() -> None:
    code = (
        "import hashlib; from stilts_artifact.miniworld import build; "
        "names = ('hellaswag_val.jsonl', 'xquad.qaa.json', 'tatoeba.qac-qen.qen'); "
        "[build(name) for name in names]; "
        "print(hashlib.sha256(build('cosmosqa/valid.csv')).hexdigest())"
    )
    output = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )
    assert output == hashlib.sha256(build("cosmosqa/valid.csv")).hexdigest()


def test_streams_are_pinned() -> None:
    """The very first numbers: a changed generator would silently change every file."""
    stream = Stream(1, "a")
    assert [stream.below(1000) for _ in range(5)] == [14, 286, 453, 575, 481]


@given(st.integers(), st.lists(st.integers(), min_size=1, max_size=30, unique=True))
def test_shuffled_and_sample_keep_the_items(seed: int, items: list[int]) -> None:
    stream = Stream(seed, "test")
    assert sorted(stream.shuffled(items)) == sorted(items)
    size = stream.below(len(items) + 1)
    picked = stream.sample(items, size)
    assert len(picked) == len(set(picked)) == size
    assert set(picked) <= set(items)


@settings(max_examples=30)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_stored_gzip_is_read_back(content: bytes, times: int) -> None:
    content *= 300**times % 70_001  # up to several blocks of 65,535 bytes
    assert gzip.decompress(gzip_stored(content)) == content


def test_archives_hold_no_clock_and_no_owner() -> None:
    members = {"a/b.txt": b"x", "c.txt": b"y" * 100_000}
    with zipfile.ZipFile(io.BytesIO(zip_archive(members))) as archive:
        assert [
            (entry.filename, entry.date_time, entry.compress_type) for entry in archive.infolist()
        ] == [(name, (1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED) for name in members]
        assert archive.read("c.txt") == members["c.txt"]
    with tarfile.open(fileobj=io.BytesIO(tar_gz(members))) as archive:
        assert [(entry.name, entry.mtime, entry.uid, entry.uname) for entry in archive] == [
            (name, 0, 0, "") for name in members
        ]


def test_serve_answers_for_the_scheme_and_its_files_only() -> None:
    assert serve("miniworld:tatoeba.qac-qen.qac") == build("tatoeba.qac-qen.qac")
    with pytest.raises(ConfigError, match=r"did you mean 'MNLI\.zip'"):
        serve("miniworld:MNLl.zip")
    with pytest.raises(ConfigError, match="not a mini world address"):
        serve("https://example.org/MNLI.zip")


def test_names_are_unique_in_lower_case_too() -> None:
    """A file system that does not tell cases apart must not mix two files up."""
    assert len({name.lower() for name in FILES}) == len(FILES)
