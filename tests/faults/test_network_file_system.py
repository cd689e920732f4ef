"""What network file systems do otherwise: answers that are lost, names seen late, files kept open.

None is at hand here. Each fault is made as the client of such a file system shows it: by the error
of a system call, at the moment at which it comes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from stilts_artifact.errors import ResourceError
from stilts_artifact.files import LockedFolder, publish_folder, publish_together, write_file
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store
from tests.faults.workflow_helpers import text
from tests.faults.workflow_kinds import KINDS

STEP = Step("join", {"text": "made"})
GRAPH = Graph([STEP], KINDS)
KEYED = GRAPH.keyed(STEP)


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def publish(root: Path) -> Path:
    store = Store(root)
    with store.draft(KEYED) as draft:
        (draft.out / "text").write_text("made")
        draft.publish(1.0)
    return store.read(KEYED.address)


def put_file(root: Path) -> Path:
    write_file(root / "text", b"made")
    return root


def put_folder(root: Path) -> Path:
    with publish_folder(root / "run") as made:
        (made / "text").write_text("made")
    return root / "run"


def put_both(root: Path) -> Path:
    with publish_together(root / "run.json", root / "run") as publication:
        (publication.made / "text").write_text("made")
        publication.commit(b"{}")
    return root / "run"


PUBLISHERS = [publish, put_file, put_folder, put_both]


@pytest.fixture(params=[errno.ENOENT, errno.ESTALE], ids=os.strerror)
def lost_answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every rename is done, and then said to have found nothing: its first answer was lost."""
    lost: list[str] = []

    def once_more(real: Callable[[str, str], None]) -> Callable[[str, str], None]:
        def rename(old: str, new: str) -> None:
            real(old, new)
            # Of what becomes a name that others read; unfinished work has names of its own.
            if Path(new).suffix not in (".part", ".gone"):
                lost.append(Path(new).name)
                raise error(request.param)

        return rename

    monkeypatch.setattr(os, "rename", once_more(os.rename))
    monkeypatch.setattr(os, "replace", once_more(os.replace))
    return lost


@pytest.mark.parametrize("put", PUBLISHERS)
def test_a_rename_whose_answer_was_lost_has_published(
    put: Callable[[Path], Path], lost_answers: list[str], tmp_path: Path
) -> None:
    assert (put(tmp_path) / "text").read_text() == "made"
    assert lost_answers
    # It was the last act: nothing unfinished is left behind.
    assert not [name for name in everything(tmp_path) if ".part" in name or ".gone" in name]


@pytest.mark.parametrize("put", PUBLISHERS)
def test_a_rename_that_was_not_done_is_told_from_one_that_was(
    put: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is there is another's, whatever it holds."""
    put(tmp_path)
    before = everything(tmp_path)
    rename = os.rename

    def refuse(old: str, new: str) -> None:
        if Path(new).suffix in (".part", ".gone"):
            return rename(old, new)
        raise error(errno.ESTALE)

    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ResourceError, match="Stale file handle"):
        put(tmp_path)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE], ids=os.strerror)
def test_what_was_dropped_or_taken_over_is_known_though_the_answer_was_lost(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish(tmp_path)
    rename = os.rename

    def once_more(old: str, new: str) -> None:
        rename(old, new)
        raise error(number)

    monkeypatch.setattr(os, "rename", once_more)
    store, work = Store(tmp_path), tmp_path / "work"
    assert store.drop(KEYED.address, "for room") == len("made")
    assert everything(work) == [], "what was given up takes no room"
    dead = LockedFolder.create(work, "name")
    (dead.path / "checkpoint").write_text("7")
    dead.release()
    taken = LockedFolder.take(work, "name")
    assert (taken.path / "checkpoint").read_text() == "7"
    taken.remove()
    assert everything(work) == []


def test_what_could_not_be_dropped_is_there_still(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish(tmp_path)

    def stale(old: str, new: str) -> None:
        raise error(errno.ESTALE)

    monkeypatch.setattr(os, "rename", stale)
    with pytest.raises(ResourceError, match="Stale file handle"):
        Store(tmp_path).drop(KEYED.address, "for room")
    assert Store(tmp_path).has(KEYED.address)


@pytest.mark.parametrize("put", PUBLISHERS)
def test_a_file_system_that_syncs_no_folders_will_do(
    put: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fsync = os.fsync

    def only_files(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise error(errno.EINVAL)
        fsync(file)

    monkeypatch.setattr(os, "fsync", only_files)
    assert (put(tmp_path) / "text").read_text() == "made"


@pytest.mark.parametrize(("number", "folders"), [(errno.EIO, True), (errno.EINVAL, False)])
def test_what_a_disk_refuses_for_another_reason_is_an_error(
    number: int, folders: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode) == folders:
            raise error(number)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ResourceError):
        publish(tmp_path)
    assert not Store(tmp_path).has(KEYED.address)


def test_a_lock_that_is_kept_while_it_is_open_leaves_no_folder_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NFS renames a file that is removed while it is open; its folder is not empty until then."""
    rmdir, refused = os.rmdir, []

    def as_nfs(path: str, *, dir_fd: int | None = None) -> None:
        # All that are open, but for the one by which they are listed, which is closed by now.
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        open_files = [link.readlink().name for link in links]
        if "lock (deleted)" in open_files:
            refused.append(path)
            raise error(errno.ENOTEMPTY)
        rmdir(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", as_nfs)
    LockedFolder.create(tmp_path, "work").remove()
    assert refused and everything(tmp_path) == []


def test_a_name_that_this_machine_does_not_see_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    publish(tmp_path)
    is_file, late = Path.is_file, [errno.ENOENT, errno.ESTALE, errno.ENOENT]

    def seen_late(path: Path) -> bool:
        if path.name == "manifest.json" and late:
            if late.pop() == errno.ESTALE:
                raise error(errno.ESTALE)
            return False
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", seen_late)
    store.await_published(KEYED.address)
    assert late == [] and store.has(KEYED.address)


@pytest.mark.slow
def test_a_run_ends_when_its_own_machine_sees_what_others_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    awaited: list[str] = []
    monkeypatch.setattr(Store, "await_published", lambda _, address: awaited.append(address))
    report = run(GRAPH, Context(tmp_path), Options(workers=1), lambda snapshot: None)
    assert awaited == [step.address for step in report.made] == [KEYED.address]
    assert text(tmp_path, STEP) == "made"


def test_without_locks_nothing_is_shared_and_only_a_checkpoint_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whether another writer lives, nobody can tell: so nothing of its work is touched."""

    def refuse(file: int, operation: int) -> None:
        raise error(errno.ENOLCK)

    monkeypatch.setattr(fcntl, "flock", refuse)
    store = Store(tmp_path)
    with store.draft(KEYED) as first:
        (first.work / "round").write_text("7")
        store.clean()
        with store.draft(KEYED) as second:
            assert second.work != first.work and not list(second.work.iterdir())
            (second.out / "text").write_text("made")
            second.publish(1.0)
        assert (first.work / "round").read_text() == "7"
        (first.out / "text").write_text("made")
        first.publish(1.0)
    assert (store.read(KEYED.address) / "text").read_text() == "made"
    assert not list(store.work.iterdir())
