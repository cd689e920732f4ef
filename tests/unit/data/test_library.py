from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import pytest

from stilts_artifact.data import library as module
from stilts_artifact.data.folders import DataFolders, Wanted
from stilts_artifact.data.library import InputRecord, Library
from stilts_artifact.data.progress import Progress
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Part, Source
from stilts_artifact.errors import DataError, IntegrityError, MissingDataError
from stilts_artifact.files import FileSum, hash_bytes
from tests.unit.data.archives import packed
from tests.unit.data.pins import pinned, sha256, unpinned

PLAIN = b"a plain file\n"
TREEBANKS = {
    "ud/UD_A/a_one-train.conllu": b"train one\n",
    "ud/UD_A/a_one-dev.conllu": b"dev one\n",
    "ud/UD_B/a_two-train.conllu": b"train two, longer\n",
    "ud/UD_B/b_two-train.conllu": b"another language\n",
    "ud/README": b"read me\n",
}
TRAIN = "ud/*/a_*-train.conllu"


ARCHIVE = packed("tar.gz", TREEBANKS)


def treebanks(members: list[str], *complete: str) -> Source:
    return pinned(
        ARCHIVE,
        name="ud.tgz",
        members={name: TREEBANKS[name] for name in members},
        complete=complete,
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def library_of(data: Path, *sources: Source) -> Library:
    return Library(
        {source.name: source for source in sources}, FileStore(data.parent / "store"), [data]
    )


def folders_of(*folders: Path) -> DataFolders:
    """Data folders in which ``PLAIN`` is looked for."""
    return DataFolders(folders, Wanted({len(PLAIN)}, {"corpus.tsv"}))


def texts(library: Library, part: Part) -> list[tuple[str, bytes]]:
    return [(document.where, document.data) for document in library.documents(part)]


# Whole sources


def test_plain_source_from_the_store(data: Path) -> None:
    source = pinned(PLAIN)
    library = library_of(data, source)
    part = Part(source.name, "lines")
    assert library.missing([part, part]) == [source]
    library.store.publish(source, [PLAIN])
    assert library.missing([part]) == []
    assert texts(library, part) == [(source.name, PLAIN)]
    assert library.used() == [InputRecord(source.name, sha256(PLAIN), len(PLAIN), "store")]


@pytest.mark.parametrize("name", ["corpus.tsv", "renamed", "deep/er/x.json"])
def test_plain_source_from_a_data_folder_under_any_name(data: Path, name: str) -> None:
    source = pinned(PLAIN)
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_bytes(PLAIN)
    library = library_of(data, source)
    assert library.absent([source]) == []
    assert library.satisfied_by(source) == "data folder, by sha256"
    assert texts(library, Part(source.name, "lines")) == [(source.name, PLAIN)]
    assert library.used() == [
        InputRecord(source.name, sha256(PLAIN), len(PLAIN), "data folder, by sha256")
    ]


def test_plain_source_gzipped_in_a_data_folder(data: Path) -> None:
    source = pinned(PLAIN)
    (data / "any.gz").write_bytes(gzip.compress(PLAIN))
    assert texts(library_of(data, source), Part(source.name, "lines")) == [(source.name, PLAIN)]


# What bgzip ends a file with: a member that holds nothing (SAM specification, 4.1.2).
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(PLAIN[:4]) + gzip.compress(PLAIN[4:]),
        gzip.compress(PLAIN) + BGZF_END,
        b"".join(gzip.compress(bytes([byte])) for byte in PLAIN) + BGZF_END,
        gzip.compress(b"") + gzip.compress(PLAIN) + gzip.compress(b""),
        gzip.compress(PLAIN) + bytes(512),
        gzip.compress(PLAIN[:-1]) + gzip.compress(PLAIN[-1:]) + bytes(7),
    ],
    ids=["two members", "bgzip's end", "blocks", "empty members", "padded", "two, padded"],
)
def test_a_gzip_file_of_several_members_is_found_by_what_gunzip_gives(
    data: Path, packed: bytes
) -> None:
    source = pinned(PLAIN)
    # A gzip file's last four bytes are the size of its last member, not of all it holds.
    (data / "any.gz").write_bytes(packed)
    assert texts(library_of(data, source), Part(source.name, "lines")) == [(source.name, PLAIN)]


def test_a_second_member_is_seen_wherever_it_begins(data: Path) -> None:
    content = random.Random(3).randbytes(1 << 20)
    first, second = gzip.compress(content[:-600]), gzip.compress(content[-600:])
    # The file is looked through a MiB at a time: the head of the second member lies across its end.
    for length in range((1 << 20) - 10, (1 << 20) + 3):
        name = b"n" * (length - len(first) - 1) + b"\0"
        (data / "any.gz").write_bytes(
            first[:3] + b"\x08" + first[4:10] + name + first[10:] + second
        )
        source = pinned(content)
        assert library_of(data, source).satisfied_by(source) == "data folder, by sha256"


def test_store_comes_before_the_data_folder(data: Path) -> None:
    source = pinned(PLAIN)
    (data / "copy").write_bytes(PLAIN)
    library = library_of(data, source)
    library.store.publish(source, [PLAIN])
    assert library.satisfied_by(source) == "store"


def test_wrong_file_of_the_right_name_or_size_is_not_taken_and_is_reported(data: Path) -> None:
    source = pinned(PLAIN, "https://example.org/corpus.tsv", name="folder/corpus.tsv")
    wrong = PLAIN.replace(b"plain", b"other")
    (data / "corpus.tsv").write_bytes(wrong)
    library = library_of(data, source)
    part = Part(source.name, "lines")
    assert library.missing([part]) == [source]
    assert library.absent([source]) == [source]
    with pytest.raises(MissingDataError) as caught:
        library.documents(part)
    text = str(caught.value)
    for expected in (
        sha256(wrong),
        sha256(PLAIN),
        str(data / "corpus.tsv"),
        source.urls[0],
        source.obtain,
    ):
        assert expected in text
    assert library.used() == []


def test_only_files_of_a_pinned_size_are_hashed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (data / str(number)).write_bytes(PLAIN + b"x" * number)
    hashed: list[str] = []

    def counting(path: Path, progress: Progress) -> FileSum:
        hashed.append(path.name)
        return hash_bytes(path.read_bytes())

    monkeypatch.setattr("stilts_artifact.data.folders.hash_shown", counting)
    library = library_of(data, pinned(PLAIN))
    assert library.absent(library.sources.values()) == []
    assert library.absent(library.sources.values()) == []
    assert hashed == ["0"]


# Archives


def test_archive_gives_the_members_that_match_in_sorted_order(data: Path) -> None:
    source = treebanks([])
    (data / "ud-treebanks").write_bytes(ARCHIVE)
    library = library_of(data, source)
    assert texts(library, Part("ud.tgz", "conllu", TRAIN)) == [
        ("ud.tgz!ud/UD_A/a_one-train.conllu", b"train one\n"),
        ("ud.tgz!ud/UD_B/a_two-train.conllu", b"train two, longer\n"),
    ]
    assert texts(library, Part("ud.tgz", "lines", "ud/README")) == [
        ("ud.tgz!ud/README", b"read me\n")
    ]
    assert library.used() == [
        InputRecord("ud.tgz", sha256(ARCHIVE), len(ARCHIVE), "data folder, by sha256")
    ]


@pytest.mark.parametrize("member", ["ud/absent", "ud/*/c_*.conllu", "*.conllu"])
def test_member_that_the_archive_lacks_is_an_error(data: Path, member: str) -> None:
    (data / "x").write_bytes(ARCHIVE)
    with pytest.raises(DataError, match="no member"):
        library_of(data, treebanks([])).documents(Part("ud.tgz", "conllu", member))


def test_archive_in_the_archive(data: Path) -> None:
    outer = packed("zip", {"af.tar.gz": packed("tar.gz", {"dev": b"inner\n"})})
    source = pinned(outer, name="panx.zip")
    library = library_of(data, source)
    library.store.publish(source, [outer])
    assert texts(library, Part("panx.zip", "panx", "af.tar.gz!dev")) == [
        ("panx.zip!af.tar.gz!dev", b"inner\n")
    ]


def test_prefetch_reads_each_tar_archive_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped = packed("zip", {"x/1": b"1", "x/2": b"2"})
    source, other = treebanks([]), pinned(zipped, name="other.zip")
    library = library_of(data, source, other)
    library.store.publish(source, [ARCHIVE])
    library.store.publish(other, [zipped])
    parts = [
        Part("ud.tgz", "conllu", TRAIN),
        Part("ud.tgz", "lines", "ud/README"),
        Part("other.zip", "lines", "x/1"),
    ]
    expected = [texts(library, part) for part in parts]
    passes: list[Path] = []
    really_read = module.read_members

    def counting(path: Path, names: list[str]) -> dict[str, bytes]:
        passes.append(path)
        return really_read(path, names)

    monkeypatch.setattr(module, "read_members", counting)
    library.prefetch(parts)
    library.prefetch(parts[:1])
    assert passes == [library.store.path(source)]
    assert [texts(library, part) for part in parts] == expected
    assert passes == [library.store.path(source), library.store.path(other)]
    assert texts(library, parts[0]) == expected[0]  # consumed, so read again


def test_prefetch_leaves_errors_and_missing_sources_to_documents(data: Path) -> None:
    source, lost = treebanks([]), pinned(b"lost", name="lost.tgz")
    library = library_of(data, source, lost)
    library.store.publish(source, [ARCHIVE])
    good, bad = Part("ud.tgz", "lines", "ud/README"), Part("ud.tgz", "lines", "ud/absent")
    library.prefetch([good, bad, Part("lost.tgz", "lines", "x")])
    assert texts(library, good) == [("ud.tgz!ud/README", b"read me\n")]
    with pytest.raises(DataError, match="ud/absent"):
        library.documents(bad)


def test_changed_archive_in_the_store_is_an_error(data: Path) -> None:
    source = treebanks([])
    library = library_of(data, source)
    library.store.folder.mkdir(parents=True)
    library.store.path(source).write_bytes(ARCHIVE + b"x")
    with pytest.raises(IntegrityError):
        library.documents(Part("ud.tgz", "lines", "ud/README"))


# Members in place of their archive


@pytest.mark.parametrize("pack", [False, True])
def test_known_member_stands_in_for_the_archive(data: Path, pack: bool) -> None:
    member = "ud/UD_A/a_one-dev.conllu"
    content = TREEBANKS[member]
    (data / ("a_one.gz" if pack else "a_one")).write_bytes(
        gzip.compress(content) if pack else content
    )
    source = treebanks([member])
    library = library_of(data, source)
    part = Part("ud.tgz", "conllu", member)
    assert library.missing([part]) == []
    assert texts(library, part) == [(f"ud.tgz!{member}", content)]
    assert library.used() == [
        InputRecord(f"ud.tgz!{member}", sha256(content), len(content), "members")
    ]
    assert library.absent([source]) == [source]
    assert library.satisfied_by(source) is None


def test_pattern_is_satisfied_by_members_only_if_they_are_complete_and_all_here(data: Path) -> None:
    both = ["ud/UD_B/a_two-train.conllu", "ud/UD_A/a_one-train.conllu"]
    part = Part("ud.tgz", "conllu", TRAIN)
    (data / "1").write_bytes(TREEBANKS[both[0]])
    assert library_of(data, treebanks(both, TRAIN)).missing([part]) != []
    (data / "2.gz").write_bytes(gzip.compress(TREEBANKS[both[1]]))
    assert library_of(data, treebanks(both)).missing([part]) != []
    assert library_of(data, treebanks([], TRAIN)).missing([part]) != []
    library = library_of(data, treebanks(both, TRAIN))
    assert library.missing([part]) == []
    assert [where for where, _ in texts(library, part)] == [
        f"ud.tgz!{name}" for name in sorted(both)
    ]


def test_archive_comes_before_its_members(data: Path) -> None:
    member = "ud/UD_A/a_one-dev.conllu"
    (data / "member").write_bytes(TREEBANKS[member])
    (data / "archive").write_bytes(ARCHIVE)
    library = library_of(data, treebanks([member]))
    library.documents(Part("ud.tgz", "conllu", member))
    assert [record.satisfied_by for record in library.used()] == ["data folder, by sha256"]


# Sources without a pin


def test_unpinned_source_is_taken_by_name_and_its_hash_recorded(data: Path) -> None:
    source = unpinned("ccg.tgz")
    (data / "other-name.tgz").write_bytes(ARCHIVE)
    library = library_of(data, source)
    part = Part("ccg.tgz", "lines", "ud/README")
    assert library.missing([part]) == [source]
    (data / "sub").mkdir()
    (data / "sub" / "ccg.tgz").write_bytes(ARCHIVE)
    library = library_of(data, source)
    assert library.missing([part]) == []
    assert texts(library, part) == [("ccg.tgz!ud/README", b"read me\n")]
    how = "data folder, by name (unpinned)"
    assert library.used() == [InputRecord("ccg.tgz", sha256(ARCHIVE), len(ARCHIVE), how)]


def test_two_versions_of_an_unpinned_source_are_an_error_two_copies_are_not(data: Path) -> None:
    source = unpinned("ccg.txt")
    part = Part("ccg.txt", "lines")
    for folder, content in (("a", PLAIN), ("b", PLAIN)):
        (data / folder).mkdir()
        (data / folder / "ccg.txt").write_bytes(content)
    assert texts(library_of(data, source), part) == [("ccg.txt", PLAIN)]
    (data / "b" / "ccg.txt").write_bytes(b"another version")
    library = library_of(data, source)
    assert library.missing([part]) == []
    with pytest.raises(DataError, match="2 versions"):
        library.documents(part)


# Folders


def test_records_are_sorted_and_hold_no_path(data: Path) -> None:
    sources = [pinned(b"%d" % n, name=f"{n}.txt") for n in (3, 1, 2)]
    library = library_of(data, *sources)
    for n in (1, 2, 3):
        (data / f"file {n}").write_bytes(b"%d" % n)
    for source in sources:
        library.documents(Part(source.name, "lines"))
    assert [record.source for record in library.used()] == ["1.txt", "2.txt", "3.txt"]
    assert str(data) not in repr(library.used())


def test_links_are_followed_and_loops_end(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(PLAIN)
    (data / "link to file").symlink_to(elsewhere / "file")
    (data / "link to nothing").symlink_to(elsewhere / "nothing")
    (data / "loop").symlink_to(data)
    (elsewhere / "back").symlink_to(data)
    (data / "link to folder").symlink_to(elsewhere)
    os.mkfifo(data / "fifo.gz")
    folders = folders_of(data, data)
    found = folders.find(len(PLAIN), sha256(PLAIN))
    assert found is not None
    assert found.path == data / "link to file"
    assert folders.unreadable() == [
        f"{data / 'link to nothing'}: cannot be read: No such file or directory"
    ]


def test_first_file_in_sorted_order_is_taken_whatever_the_order_on_disk(data: Path) -> None:
    for name in ("c", "a", "b"):
        (data / name).write_bytes(PLAIN)
    found = folders_of(data).find(len(PLAIN), sha256(PLAIN))
    assert found is not None
    assert found.path.name == "a"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b",
        b"no gzip at all, but it ends in the right size" + len(PLAIN).to_bytes(4, "little"),
        gzip.compress(PLAIN, mtime=0)[:-9] + len(PLAIN).to_bytes(4, "little"),
    ],
)
def test_damaged_gzip_file_is_passed_over(data: Path, content: bytes) -> None:
    (data / "a.gz").write_bytes(content)
    (data / "b.gz").write_bytes(gzip.compress(PLAIN))
    found = folders_of(data).find(len(PLAIN), sha256(PLAIN))
    assert found is not None
    assert found.path.name == "b.gz"


def test_gzip_bomb_is_left_once_it_exceeds_the_size_it_claims(data: Path) -> None:
    (data / "bomb.gz").write_bytes(
        gzip.compress(bytes(1 << 22))[:-4] + len(PLAIN).to_bytes(4, "little")
    )
    folders = folders_of(data)
    assert folders.find(len(PLAIN), sha256(PLAIN)) is None
    assert folders.unreadable() == []  # its end, where the claim is found false, was never reached


def test_data_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        folders_of(tmp_path / "absent").find(1, "")


# What parts rest on, without reading them


def test_records_are_those_of_what_reading_would_use(data: Path) -> None:
    plain, member = pinned(PLAIN), "ud/UD_A/a_one-dev.conllu"
    (data / "plain").write_bytes(PLAIN)
    (data / "member").write_bytes(TREEBANKS[member])
    sources = (plain, treebanks([member]))
    parts = [Part(plain.name, "lines"), Part("ud.tgz", "conllu", member), Part(plain.name, "lines")]
    library, reading = library_of(data, *sources), library_of(data, *sources)
    for part in parts:
        reading.documents(part)
    assert library.records(parts) == reading.used()
    assert library.used() == [], "nothing was read"


def test_records_leave_out_what_is_absent_and_refuse_what_was_changed(data: Path) -> None:
    source = pinned(PLAIN)
    library = library_of(data, source)
    part = Part(source.name, "lines")
    assert library.records([part]) == []
    library.store.publish(source, [PLAIN])
    path = library.store.get(source)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(PLAIN[:-1] + b"!")
    with pytest.raises(IntegrityError):
        library_of(data, source).records([part])
