"""The pins against real files: what upstream published has the sizes and hashes of the tables."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.pins import Pin, read_pins


@pytest.fixture(scope="module")
def found(real_data: Path) -> dict[str, int]:
    """Size of every file by its sha256; a ``.gz`` counts as what it holds, too."""
    contents: dict[str, int] = {}
    for path in sorted(real_data.rglob("*")):
        if path.is_file():
            plain = path.read_bytes()
            for data in (plain, gzip.decompress(plain)) if path.suffix == ".gz" else (plain,):
                contents[hashlib.sha256(data).hexdigest()] = len(data)
    return contents


@pytest.fixture(scope="module")
def present(found: dict[str, int]) -> dict[str, Pin]:
    return {name: pin for name, pin in read_pins("xtreme_pins.tsv").items() if pin.sha256 in found}


@pytest.mark.slow
def test_pinned_files_have_the_pinned_size(found: dict[str, int], present: dict[str, Pin]) -> None:
    assert present
    assert {name: found[pin.sha256] for name, pin in present.items()} == {
        name: p.bytes for name, p in present.items()
    }


@pytest.mark.slow
def test_the_complete_sets_are_there(present: dict[str, Pin]) -> None:
    families = ("tatoeba.", "xquad.", "cosmosqa/valid.csv", "ud-treebanks-v2.5.tgz!", "ntrex/")
    wanted = {name for name in read_pins("xtreme_pins.tsv") if name.startswith(families)}
    # Of UD: English whole, nine languages with one test set each, sixteen of several.
    assert len(wanted) == 72 + 11 + 1 + 14 + 9 + 16 + 40
    assert set(present) == wanted


def test_no_treebank_is_unpinned(real_data: Path) -> None:
    members = {
        member.path for member in load_benchmark("xtreme").sources["ud-treebanks-v2.5.tgz"].members
    }
    lying = {
        f"ud-treebanks-v2.5/{path.parent.name}/{path.stem}"
        for path in real_data.glob("udpos/UD_*/*.conllu.gz")
    }
    assert lying
    assert lying <= members
