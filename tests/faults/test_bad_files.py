"""Every bad file, from the disk to the error: exit code, place, found, expected."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from stilts_artifact.data.archive import list_members, read_members, read_plain
from stilts_artifact.data.readers import READERS
from stilts_artifact.errors import ArtifactError, ExitCode

UD = b"1\ta\t_\tX\t_\t_\t0\troot\t_\t_\n"
PAWSX = b"id\tsentence1\tsentence2\tlabel\n1\ta\tb\t0\n"
QUESTION = {"id": "56be4db0", "question": "who?", "answers": [{"text": "cat", "answer_start": 3}]}
SQUAD = json.dumps({"data": [{"paragraphs": [{"context": "the cat", "qas": [QUESTION]}]}]}).encode()
BLINDED = b"id\tsentence1\tsentence2\tlabel\n" + b"1\ta\tb\t0\n" * 2000

# reader, bytes, exit code, and what the message has to say
BAD_TEXT = {
    "empty": ("lines", b"", ["the file is empty", "file.txt", "0 bytes", "at least one record"]),
    "CRLF": (
        "pawsx",
        PAWSX.replace(b"\n", b"\r\n"),
        ["CRLF", "file.txt:1", r"b'\r\n'", r"lines end in \n"],
    ),
    "BOM": ("pawsx", b"\xef\xbb\xbf" + PAWSX, ["BOM", "file.txt:1", "U+FEFF"]),
    "NUL": ("bucc_text", b"de-1\ta\nde-2\tb\0\n", ["NUL", "file.txt:2", r"b'\x00' at offset 13"]),
    "invalid UTF-8": (
        "lines",
        b"a\nM\xfcnchen\n",
        ["invalid UTF-8", "file.txt:2", "byte 0xfc at offset 3"],
    ),
    "missing column": (
        "pawsx",
        PAWSX + b"2\ta\tb\n",
        ["missing columns: label", "file.txt:3", "got:      3"],
    ),
    "extra column": (
        "conllu",
        UD[:-1] + b"\t_\n\n",
        ["extra columns", "file.txt:1", "11 columns", "10 columns"],
    ),
    "label": (
        "pawsx",
        PAWSX + b"2\ta\tb\t2\n",
        ["label outside its set", "file.txt:3", "'2'", "'0' or '1'"],
    ),
    "constant labels": (
        "pawsx",
        BLINDED,
        ["blinded", "XTREME", "file.txt", "2000 labels, all '0'", "true labels"],
    ),
    "span": ("squad", SQUAD, ["question '56be4db0'", "file.txt:1", "' ca' at offset 3", "'cat'"]),
    "cut JSON": (
        "squad",
        SQUAD[:-2],
        ["invalid JSON", "file.txt:1", "the end of the text is missing"],
    ),
    "cut row": ("conllu", UD + b"\n" + UD[:9], ["missing columns", "file.txt:3", "10 columns"]),
    "cut sentence": (
        "conllu",
        UD + b"\n" + UD,
        ["the last sentence is cut", "file.txt:3", "a blank line"],
    ),
    "repeated id": (
        "bucc_text",
        b"de-1\ta\nde-1\tb\n",
        ["one id", "file.txt:2", "'de-1', as in", "file.txt:1"],
    ),
    "nesting bomb": ("squad", b"[" * 1_000_000, ["nested too deeply", "file.txt:1"]),
}


@pytest.mark.parametrize("fault", BAD_TEXT)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gz"])
def test_a_bad_text_file(fault: str, compressed: bool, tmp_path: Path) -> None:
    reader, data, parts = BAD_TEXT[fault]
    path = tmp_path / "file.txt"
    path.write_bytes(gzip.compress(data) if compressed else data)
    with pytest.raises(ArtifactError) as caught:
        READERS[reader](read_plain(path), str(path))
    assert caught.value.exit_code == ExitCode.DATA
    for part in parts:
        assert part in str(caught.value)


def test_a_line_separator_inside_a_sentence_is_no_fault() -> None:
    """U+2028, U+0085 and the like must not cut a line: its rest would become a sentence."""
    for separator in "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e":
        text = f"one{separator}two"
        assert [s.text for s in READERS["lines"](f"{text}\nthree\n".encode(), "f")] == [
            text,
            "three",
        ]
        assert (
            READERS["pawsx"](PAWSX.replace(b"\ta\t", f"\t{text}\t".encode()), "f")[0].first == text
        )
        assert READERS["conllu"](UD.replace(b"\ta\t", f"\t{text}\t".encode()) + b"\n", "f")[
            0
        ].words == (text,)


def _tar(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as writer:
        writer.addfile(tarfile.TarInfo("train.tsv"))
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, "../../target", len(data)
        writer.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _zip(name: str, mode: int = 0o100644, data: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("train.tsv", b"")
        entry = zipfile.ZipInfo(name)
        entry.external_attr, entry.create_system, entry.compress_type = (
            mode << 16,
            3,
            zipfile.ZIP_DEFLATED,
        )
        writer.writestr(entry, data)
    return packed.getvalue()


ZEROS = bytes(20_000_000)
BAD_ARCHIVES = {
    "parent, tar": (_tar("../evil"), ["plain relative path", "source!../evil", "'../evil'"]),
    "parent, zip": (_zip("a/../../evil"), ["plain relative path", "source!a/../../evil"]),
    "absolute, tar": (_tar("/tmp/evil"), ["plain relative path", "source!/tmp/evil"]),
    "absolute, zip": (_zip("/tmp/evil"), ["plain relative path", "source!/tmp/evil"]),
    "symlink, tar": (
        _tar("link", tarfile.SYMTYPE),
        ["a symbolic link to '../../target'", "source!link"],
    ),
    "symlink, zip": (_zip("link", 0o120777, b"../../target"), ["a symbolic link", "source!link"]),
    "hard link": (_tar("link", tarfile.LNKTYPE), ["a hard link to '../../target'", "source!link"]),
    "1000:1, tar": (_tar("bomb", data=ZEROS), ["too many bytes", "source", "200 times"]),
    "1000:1, zip": (_zip("bomb", data=ZEROS), ["too many bytes", "source!bomb", "200 times"]),
    "truncated, tar": (_tar("good", data=b"x" * 999)[:-20], ["damaged, truncated", "source"]),
    "truncated, zip": (_zip("good", data=b"x" * 999)[:-20], ["damaged, truncated", "source"]),
    "an html page": (
        b"<!doctype html><title>404</title>" * 40,
        ["damaged, truncated or none at all", "source"],
    ),
}


@pytest.mark.parametrize("fault", BAD_ARCHIVES)
def test_a_bad_archive(fault: str, tmp_path: Path) -> None:
    data, parts = BAD_ARCHIVES[fault]
    path = tmp_path / "source"
    path.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        read_members(path, list_members(path))
    assert caught.value.exit_code == ExitCode.INTEGRITY
    for part in parts:
        assert part in str(caught.value)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_bomb_costs_little_memory(tmp_path: Path) -> None:
    """500 MB behind 0.5 MB: with 300 MB of address space, the limit is met before memory ends."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(10_000_000)) * 50)
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from stilts_artifact.data.archive import read_plain\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 10**8, 3 * 10**8))\n"
        "read_plain(Path(sys.argv[1]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert "HarmfulArchiveError: too many bytes" in answer.stderr, answer.stderr
