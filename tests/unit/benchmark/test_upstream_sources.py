"""The files of the real benchmark: pins, urls, licences, members."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.assemble import mini_benchmark, source_names
from stilts_artifact.benchmark.languages import MINI
from stilts_artifact.benchmark.pins import Pin, parse_pins, read_pins
from stilts_artifact.benchmark.sources import CCGBANK, ORIGINS
from stilts_artifact.benchmark.tasks import UD_FURTHER
from stilts_artifact.domain.tasks import Source, Split
from stilts_artifact.errors import ConfigError

SOURCES = load_benchmark("xtreme").sources
HEADER = "name\tbytes\tsha256\n"
ZEROS = 64 * "0"


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_source_is_pinned_and_says_how_to_get_it(source: Source) -> None:
    assert source.licence and source.obtain.endswith(".") and source.pinned_by
    if source.sha256 is None:
        assert (source.urls, source.bytes) == ((), None)
        assert ("LDC2005T13" if source.name == CCGBANK.name else source.name) in source.obtain
        return
    if source.name == UD_FURTHER:
        assert source.bytes is None and "under this name" in source.obtain
    else:
        assert source.bytes is not None and source.bytes > 5_000
    assert re.fullmatch(r"[0-9a-f]{64}", source.sha256 or "")
    assert source.urls
    for url in source.urls:
        assert urlsplit(url).scheme == "https" and urlsplit(url).hostname
        assert url.endswith("/" + source.name.rpartition("/")[2])


def test_pins_are_distinct() -> None:
    pins = [pin for name, pin in read_pins("xtreme_pins.tsv").items()]
    assert len(set(pins)) == len(pins)


def test_every_family_is_there_and_every_origin_is_of_use() -> None:
    names = list(SOURCES)
    sizes = {
        origin.pattern: sum(fnmatchcase(name, origin.pattern) for name in names)
        for origin in ORIGINS
    }
    assert (sizes["tatoeba.*"], sizes["xquad.*.json"], sizes["bucc2018-*.tar.bz2"]) == (72, 11, 8)
    assert all(sizes.values())
    unpinned = [name for name, source in SOURCES.items() if source.sha256 is None]
    assert sum(sizes.values()) == len(names) - 1 - len(unpinned), "each pinned file has one origin"
    assert len(unpinned) == 1 + 40, "CCGbank, and Wikipedia in each language of XTREME"


def test_files_on_moving_branches_have_a_pinned_url_too() -> None:
    for name, source in SOURCES.items():
        if name.startswith(("tatoeba.", "xquad.")):
            moving, pinned = source.urls
            assert re.search(r"/raw/(main|master)/", moving)
            assert re.search(
                r"^https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", pinned
            )


def patterns(task: str, *splits: Split) -> set[str | None]:
    """Of the members that a task reads in some splits."""
    parts = load_benchmark("xtreme").tasks[task].parts
    return {part.member for (split, _), found in parts.items() for part in found if split in splits}


def test_english_treebanks_can_stand_in_for_the_archive() -> None:
    archive = SOURCES["ud-treebanks-v2.5.tgz"]
    english = [member for member in archive.members if "/UD_English-" in member.path]
    splits = [member.path.rpartition("-")[2] for member in english]
    assert {split: splits.count(split) for split in splits} == {
        "train.conllu": 4,
        "dev.conllu": 4,
        "test.conllu": 6,
    }
    for member in archive.members:
        assert member.bytes > 0 and re.fullmatch(r"[0-9a-f]{64}", member.sha256)
    for pattern in archive.complete:
        assert any(fnmatchcase(member.path, pattern) for member in archive.members)
    read = patterns("udpos", *Split)
    assert set(archive.complete) <= read
    for member in archive.members:
        assert any(fnmatchcase(member.path, str(pattern)) for pattern in read)
    assert {name for name, source in SOURCES.items() if source.members} == {
        archive.name,
        UD_FURTHER,
    }


def test_treebanks_of_the_further_languages_stand_in_for_their_archive_but_lithuanian() -> None:
    archive = SOURCES[UD_FURTHER]
    read = patterns("udpos_xr", Split.DEV, Split.TEST)
    assert len(read) == 5 * 2 and len(archive.complete) == 4 * 2
    assert {str(pattern) for pattern in read} - set(archive.complete) == {
        f"ud-treebanks-v2.7/*/lt_*-ud-{split}.conllu" for split in ("dev", "test")
    }
    tests = [member.path.rpartition("/")[2] for member in archive.members]
    # HSE, the other treebank of Lithuanian, is known by no public hash.
    assert [name.partition("-")[0] for name in tests if name.endswith("-test.conllu")] == [
        *("lt_alksnis", "pl_lfg", "pl_pdb", "pl_pud"),
        *("ro_nonstandard", "ro_rrt", "ro_simonero", "uk_iu", "wo_wtb"),
    ]
    for member in archive.members:
        assert member.bytes > 500_000 and re.fullmatch(r"[0-9a-f]{64}", member.sha256)
        assert any(fnmatchcase(member.path, str(pattern)) for pattern in read)


def test_generated_files_are_made_here_and_free() -> None:
    pins = {name: Pin(7, ZEROS) for name in source_names(MINI)}
    for name, source in mini_benchmark(pins).sources.items():
        assert (source.name, source.urls, source.licence) == (
            name,
            (f"miniworld:{name}",),
            "CC0-1.0",
        )
        assert (source.bytes, source.sha256) == (7, ZEROS)


def test_the_recorded_mini_pins_are_those_of_the_mini_world() -> None:
    assert set(load_benchmark("mini").sources) == set(source_names(MINI))


def test_stale_mini_pins_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        mini_benchmark({"old.zip": Pin(1, ZEROS)})
    assert caught.value.fix == "run: python -m stilts_artifact.miniworld.pin"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name\tsize\tsha256\n", 1),
        (HEADER + f"a\t1\t{ZEROS}\nb\t1\n", 3),
        ("", 1),
        (HEADER + f"a\t-1\t{ZEROS}\n", 2),
        (HEADER + f"a\t\u0661\t{ZEROS}\n", 2),
        (HEADER + f"a\t{'9' * 5000}\t{ZEROS}\n", 2),
        (HEADER + f"a\t1\t{ZEROS}\n\n\n", 3),
        (HEADER + f"a\t1\t{ZEROS[:-1]}g\n", 2),
        (HEADER + f"a\t1\t{ZEROS}\na\t2\t{ZEROS}\n", 3),
    ],
)
def test_a_damaged_table_of_pins_is_refused_at_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_pins(text, "pins.tsv")
    assert caught.value.where == f"pins.tsv:{line}"


def test_an_absent_table_of_pins_is_named() -> None:
    with pytest.raises(ConfigError, match="absent"):
        read_pins("no_pins.tsv")


def test_single_files_stand_for_splits_that_only_the_archive_has_whole() -> None:
    """Exactly the known ones; what is known whole, and all that has no files, stays as it is."""
    whole, single = load_benchmark("xtreme"), load_benchmark("xtreme", single_files=True)
    key = (Split.TEST, "tr")
    assert [str(part.member).rpartition("/")[2] for part in single.tasks["udpos"].parts[key]] == [
        "tr_imst-ud-test.conllu",
        "tr_pud-ud-test.conllu",
    ]
    assert {part.reader for part in single.tasks["udpos"].parts[key]} == {"conllu"}
    changed = {
        (name, *place)
        for name, task in whole.tasks.items()
        for place, parts in task.parts.items()
        if single.tasks[name].parts[place] != parts
    }
    assert {place for place in changed if place[0] != "udpos"} == {
        ("udpos_xr", Split.DEV, "lt"),
        ("udpos_xr", Split.TEST, "lt"),
    }
    languages = [
        *("ar", "de", "es", "et", "fi", "fr", "hi", "id"),
        *("it", "ja", "ko", "pt", "ru", "tr", "zh"),
    ]
    assert {place[1:] for place in changed if place[0] == "udpos"} == {
        (Split.TEST, language) for language in languages
    }
