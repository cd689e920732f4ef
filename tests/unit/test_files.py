"""Whatever kills a process, and whenever: readers find old content or new content, whole."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stilts_artifact import files
from stilts_artifact.checking.sums import refresh_sums
from stilts_artifact.errors import ConfigError, DataError, IntegrityError, ResourceError
from stilts_artifact.files import (
    FileManifest,
    FileSum,
    LockedFile,
    LockedFolder,
    folder_behind,
    hash_bytes,
    hash_file,
    orphaned_files,
    plain_files,
    publish_folder,
    publish_together,
    remove_orphans,
    require_output,
    settle_folder,
    size_below,
    write_file,
)

SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2
CALLS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir"}


def fill(folder: Path, version: str) -> None:
    """Two files that only together are a version."""
    (folder / "deep").mkdir()
    for name in ("one", "deep/two"):
        (folder / name).write_text(version)


def version(folder: Path) -> str | None:
    """The version that a folder holds, whole; ``None`` if there is no folder."""
    if not folder.exists():
        return None
    found = {name: path.read_text() for name, path in plain_files(folder).items()}
    found.pop(files._MARK, None)
    assert found.keys() == {"one", "deep/two"}
    assert len(set(found.values())) == 1
    return found["one"]


def publish(target: Path, text: str) -> None:
    with publish_folder(target) as made:
        fill(made, text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(action: Callable[[], None], instant: int, *, exchange: bool = True) -> bool:
    """Run in a process of its own that dies before its ``instant``-th call that touches the disk.

    Returns:
        Whether it came that far.
    """
    child = os.fork()
    if child == 0:
        status = 3
        try:
            count = 0

            def tick(event: str, *_: object) -> None:
                nonlocal count
                if event in CALLS:
                    if count == instant:
                        os.kill(os.getpid(), signal.SIGKILL)
                    count += 1

            original, fsync, flock = files._exchange, os.fsync, fcntl.flock

            def swap(one: Path, other: Path) -> bool:
                tick("open")
                return exchange and original(one, other)

            def noted_fsync(file: int) -> None:
                tick("open")
                fsync(file)

            def noted_flock(file: int, operation: int) -> None:
                tick("open")
                flock(file, operation)

            files._exchange, os.fsync, fcntl.flock = swap, noted_fsync, noted_flock
            sys.addaudithook(tick)
            action()
            status = 0
        finally:
            os._exit(status)
    _, result = os.waitpid(child, 0)
    assert os.WIFSIGNALED(result) or os.WEXITSTATUS(result) == 0
    return os.WIFSIGNALED(result)


def instants(run: Callable[[int], bool]) -> int:
    """Run with every instant until one is never reached; their number."""
    instant = 0
    while run(instant):
        instant += 1
    return instant


# --- sums ---------------------------------------------------------------------------------------


def test_sums_are_size_and_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert hash_file(tmp_path / "file") == hash_bytes(b"abc") == FileSum(3, SHA256)
    assert str(FileSum(3, SHA256)) == f"3 bytes, sha256 {SHA256}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    fill(path, "abc")
    return path


def test_a_manifest_is_true_of_the_files_it_was_made_of(folder: Path) -> None:
    manifest = FileManifest.of(plain_files(folder))
    assert manifest.files == {"deep/two": FileSum(3, SHA256), "one": FileSum(3, SHA256)}
    manifest.verify(plain_files(folder), folder, "result")
    assert FileManifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    ("spoil", "what", "name"),
    [
        (lambda folder: (folder / "one").unlink(), "file of the result is missing", "one"),
        (lambda folder: (folder / "more").touch(), "file that the manifest does not know", "more"),
        (lambda folder: (folder / "one").write_text("abd"), "file is altered", "one"),
        (lambda folder: (folder / "deep/two").write_text("ab"), "file is truncated", "deep/two"),
        (lambda folder: (folder / "one").write_text("abcd"), "file is too long", "one"),
    ],
)
def test_a_manifest_names_the_file_that_is_not_as_it_was(
    folder: Path, spoil: Callable[[Path], None], what: str, name: str
) -> None:
    manifest = FileManifest.of(plain_files(folder))
    spoil(folder)
    with pytest.raises(IntegrityError) as caught:
        manifest.verify(plain_files(folder), folder, "result", fix="make it anew")
    assert (caught.value.what, caught.value.where) == (what, str(folder / name))
    assert caught.value.fix == "make it anew"


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"a": {"bytes": 1}},
        {"a": {"bytes": "1", "sha256": SHA256}},
        {"a": {"bytes": True, "sha256": SHA256}},
        {"a": {"bytes": 1, "sha256": SHA256, "more": 1}},
        {"../a": {"bytes": 1, "sha256": SHA256}},
        {"/a": {"bytes": 1, "sha256": SHA256}},
        {"a//b": {"bytes": 1, "sha256": SHA256}},
        {"": {"bytes": 1, "sha256": SHA256}},
    ],
    ids=str,
)
def test_a_manifest_of_another_form_is_refused(content: object) -> None:
    with pytest.raises(ValueError):
        FileManifest.from_json(content)


# --- one file -----------------------------------------------------------------------------------


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "f.json"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["f.json"]


def test_a_full_disk_keeps_the_old_file_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.json"
    write_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="free 3 bytes"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["f.json"]


@pytest.mark.slow
def test_a_file_written_by_a_process_killed_at_any_instant(tmp_path: Path) -> None:
    path = tmp_path / "f.json"

    def run(instant: int) -> bool:
        write_file(path, b"old")
        dead = killed(lambda: write_file(path, b"new"), instant)
        assert path.read_bytes() in (b"old", b"new")
        write_file(path, b"next")
        assert names(tmp_path) == ["f.json"], instant
        return dead

    assert instants(run) > 5


def test_files_are_readable_as_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "f.json", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f.json").stat().st_mode) == 0o640


# --- locks --------------------------------------------------------------------------------------


def test_only_the_work_of_dead_writers_is_orphaned(tmp_path: Path) -> None:
    living, dead = LockedFile(tmp_path, "a.b"), LockedFile(tmp_path, "a.b")
    other = LockedFile(tmp_path, "a")
    for file in (dead, other):
        file.write(b"abc")
        file.release()
    assert orphaned_files(tmp_path, "a.b") == [dead.path]
    living.remove()
    assert not living.path.exists()


def test_a_folder_of_a_dead_writer_is_taken_over_with_all_it_holds(tmp_path: Path) -> None:
    dead = LockedFolder.create(tmp_path, "a")
    (dead.path / "checkpoint").touch()
    dead.release()
    taken = LockedFolder.take(tmp_path, "a")
    assert (taken.path / "checkpoint").exists() and not dead.path.exists()
    other = LockedFolder.take(tmp_path, "a")
    assert names(other.path) == ["lock"]
    remove_orphans(tmp_path)
    assert len(names(tmp_path)) == 2
    for owned in (taken, other):
        owned.remove()
    assert names(tmp_path) == []


@pytest.mark.slow
def test_what_a_process_killed_at_any_instant_was_making_is_removed(tmp_path: Path) -> None:
    def run(instant: int) -> bool:
        dead = killed(lambda: LockedFolder.create(tmp_path, "a").remove(), instant)
        remove_orphans(tmp_path)
        assert names(tmp_path) == [], instant
        return dead

    assert instants(run) > 5


def test_a_folder_robbed_before_it_has_its_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    made: list[str] = []

    def late(file: int, operation: int) -> None:
        if not made:
            made.extend(names(tmp_path))
            remove_orphans(tmp_path)  # by a process that is faster
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    owned = LockedFolder.create(tmp_path, "a")
    assert names(tmp_path) == [owned.path.name] != made
    remove_orphans(tmp_path)
    assert owned.path.exists()


# --- one folder ---------------------------------------------------------------------------------


@pytest.fixture(params=["exchange", "two renames"])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Both ways to replace a folder; the second is that of file systems without the first."""
    if request.param == "two renames":
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    return request.param == "exchange"


def test_this_system_exchanges_folders(tmp_path: Path) -> None:
    """Else the tests below would try the second way twice."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fill(tmp_path / name, name)
    assert files._exchange(tmp_path / "a", tmp_path / "b")
    assert (version(tmp_path / "a"), version(tmp_path / "b")) == ("b", "a")


@pytest.mark.usefixtures("exchange")
def test_a_published_folder_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table2.mini"
    publish(target, "old")
    assert version(target) == "old"
    with publish_folder(target) as made:
        fill(made, "new")
        assert version(target) == "old"
    assert version(target) == "new"
    assert names(target.parent) == ["table2.mini"]


def test_a_block_that_raises_publishes_nothing(tmp_path: Path) -> None:
    publish(tmp_path / "run", "old")
    with pytest.raises(ZeroDivisionError), publish_folder(tmp_path / "run") as made:
        fill(made, "new")
        raise ZeroDivisionError
    assert version(tmp_path / "run") == "old"
    assert names(tmp_path) == ["run"]


def test_a_folder_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "run")
    publish(tmp_path / "link", "old")
    publish(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and version(tmp_path / "disk" / "run") == "new"


@pytest.mark.slow
@pytest.mark.parametrize("killer", ["first", "replacing"])
def test_a_folder_published_by_a_process_killed_at_any_instant(
    tmp_path: Path, exchange: bool, killer: str
) -> None:
    target = tmp_path / "run"
    old = None if killer == "first" else "old"

    def run(instant: int) -> bool:
        shutil.rmtree(target, ignore_errors=True)
        if old:
            publish(target, old)
        dead = killed(lambda: publish(target, "new"), instant, exchange=exchange)
        if not exchange:
            settle_folder(target)
        assert version(target) in (old, "new"), instant
        publish(target, "next")
        assert version(target) == "next"
        assert names(tmp_path) == ["run"], instant
        return dead

    assert instants(run) > 20


@pytest.mark.slow
def test_a_publisher_killed_after_one_that_was_killed_between_its_renames(tmp_path: Path) -> None:
    """The only whole content is then in a dead publisher's folder; nobody may remove it."""
    before, now = tmp_path / "before", tmp_path / "now"
    publish(before / "run", "old")
    first = 0
    while killed(lambda: publish(before / "run", "new"), first, exchange=False):
        if not (before / "run").exists():
            break
        publish(before / "run", "old")
        first += 1
    assert not (before / "run").exists()

    def run(instant: int) -> bool:
        shutil.rmtree(now, ignore_errors=True)
        shutil.copytree(before, now)
        dead = killed(lambda: publish(now / "run", "newer"), instant, exchange=False)
        settle_folder(now / "run")
        assert version(now / "run") in ("old", "newer"), instant
        publish(now / "run", "next")
        assert names(now) == ["run"], instant
        return dead

    assert instants(run) > 20


def at_once(write: Callable[[str], None], turns: int) -> None:
    """Three processes that write ``"<process> <turn>"`` as fast as they can."""
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            status = 3
            try:
                for turn in range(turns):
                    write(f"{number} {turn}")
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 3


def test_several_writers_of_one_file_at_once(tmp_path: Path) -> None:
    at_once(lambda text: write_file(tmp_path / "f.json", text.encode()), turns=50)
    assert (tmp_path / "f.json").read_text() in {f"{number} 49" for number in range(3)}
    assert names(tmp_path) == ["f.json"]


@pytest.mark.slow
@pytest.mark.usefixtures("exchange")
def test_several_publishers_at_once(tmp_path: Path) -> None:
    target = tmp_path / "run"
    at_once(lambda text: publish(target, text), turns=25)
    assert version(target) in {f"{number} 24" for number in range(3)}
    assert names(tmp_path) == ["run"]


def test_publishers_that_come_between_the_two_renames_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "run"
    publish(target, "old")
    original, others = files.move_into_place, ["second", "first"]

    def late(made: Path, place: Path) -> bool:
        if not place.exists() and others:
            monkeypatch.setattr(files, "move_into_place", original)
            publish(target, others.pop())
            monkeypatch.setattr(files, "move_into_place", late)
        return original(made, place)

    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    monkeypatch.setattr(files, "_SWAP_SECONDS", 0.0)
    monkeypatch.setattr(files, "move_into_place", late)
    publish(target, "last")
    assert not others
    assert version(target) == "last"
    assert names(tmp_path) == ["run"]


@pytest.mark.slow
def test_a_reader_finds_a_folder_at_every_instant_of_an_exchange(tmp_path: Path) -> None:
    target = tmp_path / "run"
    publish(target, "old")
    child = os.fork()
    if child == 0:
        try:
            for turn in range(200):
                publish(target, str(turn))
        finally:
            os._exit(0)
    looks = 0
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert target.is_dir()
        looks += 1
    assert looks > 100


@pytest.mark.usefixtures("exchange")
def test_a_disk_that_fills_up_keeps_the_old_folder_and_says_how_much_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "run", "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(ResourceError, match="free 12,345 bytes"),
        publish_folder(tmp_path / "run") as made,
    ):
        (made / "one").write_bytes(bytes(12_345))
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="no room left"), publish_folder(tmp_path / "run"):
        full()
    with (
        pytest.raises(ResourceError, match="no room left"),
        publish_folder(tmp_path / "run") as made,
    ):
        shutil.copytree(tmp_path / "run", made / "copy", copy_function=full)
    assert version(tmp_path / "run") == "old"
    assert names(tmp_path) == ["run"]


def test_a_fault_of_a_file_elsewhere_is_not_put_down_to_this_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), publish_folder(tmp_path / "run"):
        (tmp_path / "absent").read_bytes()
    with pytest.raises(ResourceError), publish_folder(tmp_path / "run") as made:
        (made / "absent" / "file").write_bytes(b"")


def test_a_folder_that_cannot_be_made_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError), publish_folder(tmp_path / "file" / "run"):
        pass
    with pytest.raises(ResourceError), publish_folder(tmp_path / "file"):
        pass
    assert names(tmp_path) == ["file"]


# --- a file together with the folder that it rests on -------------------------------------------


def publish_pair(results: Path, text: str) -> None:
    with publish_together(results / "run.json", results / "run") as publication:
        fill(publication.made, text)
        publication.commit(text.encode())


def pair(results: Path) -> str | None:
    """The version that a file and its folder both are, for a reader who may not write.

    ``None`` if there is no file: then nothing was published.
    """
    file = results / "run.json"
    if not file.exists():
        return None
    before = sorted(results.rglob("*"))
    data = file.read_bytes()
    behind = folder_behind(hash_bytes(data).sha256, results / "run")
    assert version(behind) == data.decode()
    assert sorted(results.rglob("*")) == before
    return data.decode()


@pytest.mark.usefixtures("exchange")
def test_a_file_and_its_folder_replace_the_old_two_and_leave_nothing_else(tmp_path: Path) -> None:
    results = tmp_path / "new"
    for text in ("old", "new", "new"):
        publish_pair(results, text)
        assert pair(results) == text == version(results / "run")
        assert names(results) == ["run", "run.json"]


def test_a_block_that_raises_publishes_neither_file_nor_folder(tmp_path: Path) -> None:
    publish_pair(tmp_path, "old")
    with (
        pytest.raises(ZeroDivisionError),
        publish_together(tmp_path / "run.json", tmp_path / "run") as publication,
    ):
        fill(publication.made, "new")
        raise ZeroDivisionError
    assert pair(tmp_path) == "old"
    assert names(tmp_path) == ["run", "run.json"]


@pytest.mark.slow
@pytest.mark.parametrize("killer", ["first", "replacing"])
def test_a_file_and_its_folder_published_by_a_process_killed_at_any_instant(
    tmp_path: Path, exchange: bool, killer: str
) -> None:
    """A reader finds the old two or the new two; the next publisher leaves nothing else."""
    old = None if killer == "first" else "old"
    found = set()

    def run(instant: int) -> bool:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        if old:
            publish_pair(tmp_path, old)
        dead = killed(lambda: publish_pair(tmp_path, "new"), instant, exchange=exchange)
        found.add(pair(tmp_path))
        assert pair(tmp_path) in (old, "new"), instant
        before = pair(tmp_path)
        # Whoever is killed while it finishes what another left loses nothing either.
        killed(lambda: publish_pair(tmp_path, "third"), instant, exchange=exchange)
        assert pair(tmp_path) in (before, "third"), instant
        publish_pair(tmp_path, "next")
        assert pair(tmp_path) == version(tmp_path / "run") == "next"
        assert names(tmp_path) == ["run", "run.json"], instant
        return dead

    assert instants(run) > 30
    assert found == {old, "new"}


def test_what_a_living_publisher_makes_is_left_alone(tmp_path: Path) -> None:
    with publish_together(tmp_path / "run.json", tmp_path / "run") as publication:
        fill(publication.made, "first")
        publish_pair(tmp_path, "second")
        assert pair(tmp_path) == "second"
        publication.commit(b"first")
    assert pair(tmp_path) == version(tmp_path / "run") == "first"
    assert names(tmp_path) == ["run", "run.json"]


@pytest.mark.slow
@pytest.mark.usefixtures("exchange")
def test_of_several_publishers_of_a_file_and_its_folder_at_once_one_wins_whole(
    tmp_path: Path,
) -> None:
    at_once(lambda text: publish_pair(tmp_path, text), turns=25)
    assert pair(tmp_path) in {f"{number} 24" for number in range(3)}
    assert pair(tmp_path) == version(tmp_path / "run")
    assert names(tmp_path) == ["run", "run.json"]


def test_a_folder_that_was_put_in_place_after_a_later_file_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two publishers whose files and folders come in opposite orders."""
    publish_pair(tmp_path, "old")
    settle, late = files._settle, ["second"]

    def overtaken(*arguments: Path) -> None:
        if late:
            publish_pair(tmp_path, late.pop())
        settle(*arguments)

    monkeypatch.setattr(files, "_settle", overtaken)
    publish_pair(tmp_path, "first")
    assert pair(tmp_path) == version(tmp_path / "run") == "second"
    assert names(tmp_path) == ["run", "run.json"]


def test_a_copied_folder_without_its_mark_and_an_edited_file_are_judged_as_they_lie(
    tmp_path: Path,
) -> None:
    publish_pair(tmp_path, "old")
    assert folder_behind(hash_bytes(b"edited").sha256, tmp_path / "run") == tmp_path / "run"
    (tmp_path / "run" / files._MARK).unlink()
    assert folder_behind(hash_bytes(b"old").sha256, tmp_path / "run") == tmp_path / "run"


def test_a_pair_behind_a_link_to_another_folder_is_replaced_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "disk" / "run").mkdir(parents=True)
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "run")
    publish_pair(tmp_path, "old")
    publish_pair(tmp_path, "new")
    assert (tmp_path / "run").is_symlink()
    assert pair(tmp_path) == version(tmp_path / "disk" / "run") == "new"
    assert names(tmp_path / "disk") == ["run"]


@pytest.mark.parametrize("turn", range(6))
def test_a_disk_that_fills_up_keeps_the_old_file_and_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    """At each of the first writes that reach the disk in turn, until the file is there."""
    publish_pair(tmp_path, "old")
    count, fsync = 0, os.fsync

    def full(file: int) -> None:
        nonlocal count
        count += 1
        if count > turn:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    with pytest.raises(ResourceError, match="no room left"):
        monkeypatch.setattr(os, "fsync", full)
        publish_pair(tmp_path, "new")
    monkeypatch.undo()
    assert pair(tmp_path) == "old"
    assert names(tmp_path) == ["run", "run.json"]


def test_a_folder_that_the_disk_does_not_let_into_its_place_is_kept_for_the_next_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_pair(tmp_path, "old")

    def refused(*_: Path) -> bool:
        raise OSError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch, pytest.raises(ResourceError, match="no right"):
        patch.setattr(files, "_exchange", refused)
        publish_pair(tmp_path, "new")
    assert pair(tmp_path) == "new" and version(tmp_path / "run") == "old"
    with publish_together(tmp_path / "run.json", tmp_path / "run"):
        assert version(tmp_path / "run") == "new"
    assert names(tmp_path) == ["run", "run.json"]


def test_a_folder_in_place_of_the_file_is_an_error_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(ResourceError):
        publish_pair(tmp_path, "new")
    assert names(tmp_path) == ["run.json"]


def test_a_results_folder_that_cannot_be_written_is_an_error_before_anything_is_made(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "run"
    with pytest.raises(ResourceError), publish_together(target.with_suffix(".json"), target):
        pytest.fail("the block was entered")


def test_a_file_takes_the_place_of_no_device_or_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "link", "folder"):
        with pytest.raises(ResourceError, match="not a regular file"):
            write_file(tmp_path / name, b"new")
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert names(tmp_path) == ["fifo", "folder", "link"]


def test_an_output_that_is_an_input_by_any_path_is_refused(tmp_path: Path) -> None:
    source, folder = tmp_path / "a.txt", tmp_path / "folder"
    source.write_text("a")
    folder.mkdir()
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "soft").symlink_to("a.txt")
    (tmp_path / "loop").symlink_to("loop")
    for out in (source, folder / ".." / "a.txt", tmp_path / "hard", tmp_path / "soft"):
        with pytest.raises(ConfigError, match="one of the inputs"):
            require_output(out, (None, source, folder), "--out")
    with pytest.raises(ConfigError, match="one of the inputs"):
        require_output(folder / "new", (source, folder), "--out")
    with pytest.raises(ConfigError, match="not a file"):
        require_output(folder, (), "--out")
    for out in (tmp_path / "b.txt", tmp_path / "loop"):
        require_output(out, (None, source, folder, tmp_path / "absent"), "--out")


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """1,500 folders in each other, a file in the last: deeper than Python calls or paths reach."""
    top = tmp_path / "deep"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("folder", dir_fd=at)
        at, above = os.open("folder", os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(os.open("file", os.O_CREAT, dir_fd=at))
    os.close(at)
    yield top
    # pytest's own removal of tmp_path would go down by recursion.
    subprocess.run(["rm", "-r", str(top)], check=True)


@pytest.mark.parametrize("walk", [plain_files, size_below, refresh_sums])
def test_folders_1500_deep_are_refused_wherever_folders_are_walked(
    deep: Path, walk: Callable[[Path], object]
) -> None:
    with pytest.raises(IntegrityError, match="too deep in each other") as caught:
        walk(deep)
    assert caught.value.where == str(deep)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot read the folder") as caught:
        plain_files(tmp_path / "file")
    assert caught.value.where == str(tmp_path / "file")
    assert plain_files(tmp_path / "absent") == {}
