"""A result is published whole or not at all, and is verified before it is read."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from stilts_artifact.errors import IntegrityError, ResourceError
from stilts_artifact.files import FileManifest, FileSum, LockedFolder
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.step import Graph, KeyedStep, KindSpec, Step
from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.worker import work

KINDS = {"make": KindSpec(1, "a:b")}


def keyed(name: str = "one") -> KeyedStep:
    step = Step("make", {"name": name})
    return Graph([step], KINDS).keyed(step)


def publish(store: Store, made: KeyedStep, files: Mapping[str, str]) -> Path:
    with store.draft(made) as draft:
        for name, text in files.items():
            path = draft.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        draft.publish(1.5, {"memory": 7})
    return store.path(made.address)


def everything(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_what_was_published_is_read(store: Store) -> None:
    made = keyed()
    assert not store.has(made.address)
    folder = publish(
        store, made, {"text": "a", "deep/er/text": "b", "manifest.json": "the step's own"}
    )
    assert store.has(made.address)
    files = store.read(made.address)
    assert files.is_relative_to(folder)
    assert everything(files) == ["deep/er/text", "manifest.json", "text"]
    assert not list(store.work.iterdir())


def test_the_manifest_says_what_was_made_of_what(store: Store) -> None:
    made = keyed()
    publish(store, made, {"text": "abc"})
    manifest = store.manifest(made.address)
    assert manifest.step == made
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest.files == FileManifest({"text": FileSum(3, sha256)})
    assert manifest.made["seconds"] == 1.5
    assert manifest.made["used"] == {"memory": 7}
    assert set(manifest.made) == {"host", "machine", "finished", "seconds", "used", "versions"}
    assert store.manifests("make") == [manifest]


def test_a_result_that_an_earlier_version_published_is_read(store: Store) -> None:
    """Format 1, byte by byte: a store outlives the program that filled it."""
    made = keyed()
    folder = store.path(made.address)
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "text").write_text("abc")
    (folder / "manifest.json").write_text(
        f"""{{
 "format": 1,
 "step": {{
  "kind": "make",
  "key": "{made.key}",
  "version": 1,
  "params": {{
   "name": "one"
  }},
  "inputs": {{}}
 }},
 "files": {{
  "text": {{
   "bytes": 3,
   "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  }}
 }},
 "made": {{
  "host": "worker-1",
  "finished": "2026-11-01T12:00:00Z",
  "seconds": 1.5,
  "versions": {{
   "stilts-artifact": "0.1.0",
   "python": "3.11.7"
  }}
 }}
}}
"""
    )
    assert (store.read(made.address) / "text").read_text() == "abc"
    assert made.key == "ae06de31d12034f7d3f1806d07ac9e7451753cdb27944a58aebbaa0355be0917"
    assert store.manifest(made.address).dump() == (folder / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    "spoil",
    ["flip", "cut", "grow", "missing", "surplus", "link", "manifest", "no manifest", "moved"],
)
def test_a_result_that_is_not_what_was_published_is_refused_and_made_anew(
    store: Store, spoil: str
) -> None:
    made = keyed()
    folder = publish(store, made, {"text": "abc"})
    path = folder / "files" / "text"
    if spoil == "flip":
        path.write_text("abd")
    elif spoil == "cut":
        path.write_text("ab")
    elif spoil == "grow":
        path.write_text("abcd")
    elif spoil == "missing":
        path.unlink()
    elif spoil == "surplus":
        (folder / "files" / "more").write_text("")
    elif spoil == "link":
        path.rename(folder / "elsewhere")
        path.symlink_to(folder / "elsewhere")
    elif spoil == "manifest":
        (folder / "manifest.json").write_text("{}")
    elif spoil == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        publish(store, keyed("other"), {"text": "abc"})
        (store.path(keyed("other").address) / "manifest.json").replace(folder / "manifest.json")
    with pytest.raises(IntegrityError) as caught:
        store.read(made.address)
    assert str(store.root) in str(caught.value)
    assert not store.has(made.address)
    publish(store, made, {"text": "abc"})
    assert store.read(made.address)


def test_a_file_edited_after_it_was_verified_is_found(store: Store) -> None:
    """Even one with the same size and the same time of change."""
    made = keyed()
    publish(store, made, {"text": "abc"})
    path = store.read(made.address) / "text"
    before = path.stat()
    path.write_text("abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError, match="altered"):
        store.read(made.address)


def test_a_file_is_hashed_once_in_a_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keyed()
    publish(store, made, {"text": "abc"})
    store.read(made.address)
    monkeypatch.setattr(
        "stilts_artifact.pipeline.store.hash_file",
        lambda path: pytest.fail(f"hashed again: {path}"),
    )
    store.read(made.address)


def test_reading_what_is_not_there(store: Store) -> None:
    with pytest.raises(IntegrityError, match="without a sound manifest"):
        store.read(keyed().address)


@pytest.mark.parametrize(
    "step",
    [
        {"params": True},
        {"inputs": []},
        {"inputs": {"data": 1}},
        {"kind": None},
        {"version": "1"},
        {"more": 1},
    ],
)
def test_a_manifest_whose_step_has_other_types_is_not_sound(
    store: Store, step: dict[str, object]
) -> None:
    made = keyed()
    path = publish(store, made, {"text": "abc"}) / "manifest.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"step": document["step"] | step}))
    with pytest.raises(IntegrityError, match="without a sound manifest"):
        store.manifest(made.address)


def test_second_writer_of_equal_bytes_changes_nothing(store: Store) -> None:
    made = keyed()
    with store.draft(made) as second:
        folder = publish(store, made, {"text": "abc"})
        before = (folder / "manifest.json").read_bytes()
        (second.out / "text").write_text("abc")
        second.publish(99)
    assert (folder / "manifest.json").read_bytes() == before
    assert not list(store.work.iterdir())


@pytest.mark.parametrize(
    "files", [{"text": "abd"}, {"text": "abc", "more": ""}, {"other": "abc"}], ids=str
)
def test_second_writer_of_other_bytes_is_an_error_that_names_the_file(
    store: Store, files: dict[str, str]
) -> None:
    made = keyed()
    with store.draft(made) as second:
        folder = publish(store, made, {"text": "abc"})
        for name, text in files.items():
            (second.out / name).write_text(text)
        with pytest.raises(IntegrityError, match="different files") as caught:
            second.publish(1)
    name = min(set(files) ^ {"text"} or {"text"})
    assert f"{name} in {folder}" in str(caught.value)
    assert everything(store.read(made.address)) == ["text"]
    assert len(list((store.root / "aside").iterdir())) == 1


def test_two_drafts_of_one_step_share_nothing(store: Store) -> None:
    with store.draft(keyed()) as first, store.draft(keyed()) as second:
        assert first.out != second.out
        assert first.work != second.work
        (first.work / "checkpoint").write_text("first")
        assert not list(second.work.iterdir())


def test_checkpoints_of_a_failed_attempt_come_back_and_its_files_do_not(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.draft(keyed()) as draft:
        (draft.work / "checkpoint").write_text("step 5")
        (draft.out / "half").write_text("half")
        raise ZeroDivisionError
    store.clean()
    with store.draft(keyed("other")) as other:
        assert not list(other.work.iterdir())
    with store.draft(keyed()) as draft:
        assert (draft.work / "checkpoint").read_text() == "step 5"
        assert not list(draft.out.iterdir())
        (draft.out / "text").write_text("")
        draft.publish(1)
    assert not list(store.work.iterdir())


def test_a_failed_attempt_without_checkpoints_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.draft(keyed()) as draft:
        (draft.out / "half").write_text("half")
        raise ZeroDivisionError
    assert not list(store.work.iterdir())


def test_cleaning_spares_living_drafts_and_unfinished_checkpoints(store: Store) -> None:
    with store.draft(keyed("left")) as left:
        (left.work / "checkpoint").write_text("5")
    with store.draft(keyed("live")) as live:
        store.clean()
        assert live.out.is_dir()
        assert [path.name.split(".")[0] for path in sorted(store.work.iterdir())] == sorted(
            [keyed("left").key, keyed("live").key]
        )
        publish(store, keyed("left"), {"text": ""})


def test_checkpoints_of_a_result_published_by_another_are_cleaned(store: Store) -> None:
    with store.draft(keyed()) as first, store.draft(keyed()) as second:
        (first.work / "checkpoint").write_text("5")
        (second.out / "text").write_text("")
        second.publish(1)
        assert first.work.is_dir()
    store.clean()
    assert not list(store.work.iterdir())


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk_publishes_nothing_and_says_how_much_room_is_needed(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ResourceError) as caught, store.draft(keyed()) as draft:
        (draft.out / "text").write_bytes(bytes(12_345))
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            draft.publish(1)
    assert "12,345 bytes" in str(caught.value)
    assert not store.has(keyed().address)
    assert not list(store.work.iterdir())
    publish(store, keyed(), {"text": ""})


@pytest.mark.parametrize("what", ["nothing", "link", "pipe"])
def test_only_plain_files_are_a_result(store: Store, what: str) -> None:
    with pytest.raises(IntegrityError), store.draft(keyed()) as draft:
        if what == "link":
            (draft.out / "link").symlink_to("/etc/hostname")
        elif what == "pipe":
            os.mkfifo(draft.out / "pipe")
        draft.publish(1)
    assert not store.has(keyed().address)


def test_a_store_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError), Store(tmp_path / "file").draft(keyed()):
        pass


def test_a_writer_whose_draft_was_taken_away_publishes_nothing(store: Store) -> None:
    """What happens where locks do nothing: another process takes the living draft over."""
    with pytest.raises(ResourceError), store.draft(keyed()) as draft:
        (draft.out / "text").write_text("")
        draft.out.parent.parent.rename(store.root / "taken")
        draft.publish(1)
    assert not store.has(keyed().address)


def killed_draft(store: Store, made: KeyedStep) -> None:
    """What a killed run leaves: half a result and a checkpoint in a folder that nobody holds."""
    left = LockedFolder.take(store.work, made.key)
    for name in ("result/files/half", "checkpoints/state"):
        path = left.path / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    left.release()


def test_a_killed_attempt_leaves_its_checkpoints_and_nothing_else(store: Store) -> None:
    killed_draft(store, keyed())
    with store.draft(keyed()) as draft:
        assert everything(draft.work) == ["state"]
        assert everything(draft.out) == []


def test_publishing_removes_what_other_killed_attempts_left(store: Store) -> None:
    with store.draft(keyed()) as draft:
        killed_draft(store, keyed())
        (draft.out / "text").write_text("")
        draft.publish(1)
    assert not list(store.work.iterdir())


def test_what_a_process_left_that_was_killed_once_it_had_published_is_removed(
    store: Store,
) -> None:
    """By the one that tries the step again and finds it made: the run goes on, on that disk."""
    publish(store, keyed(), {"text": ""})
    killed_draft(store, keyed())
    killed_draft(store, keyed("other"))
    assert work(keyed(), KINDS["make"], Context(store.root)).fault is None
    assert [path.name.split(".")[0] for path in store.work.iterdir()] == [keyed("other").key]


def test_all_is_on_the_disk_before_the_rename_and_the_rename_after(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(file: int) -> None:
        done.append(Path(f"/proc/self/fd/{file}").readlink().name)
        fsync(file)

    def note_rename(old: Path, new: Path) -> None:
        done.append(f"rename {Path(old).name}")
        rename(old, new)

    with store.draft(keyed()) as draft:
        (draft.out / "deep").mkdir()
        (draft.out / "deep" / "text").write_text("")
        monkeypatch.setattr(os, "fsync", note_fsync)
        monkeypatch.setattr(os, "rename", note_rename)
        draft.publish(1)
    assert done[:7] == ["text", "deep", "files", "manifest.json", "result", "rename result", "make"]


MODEL = {"report.json": '{"flags": ["é"]}', "encoder/weights": "many bytes"}


def test_what_is_dropped_leaves_its_sums_and_what_it_reported(store: Store) -> None:
    made = keyed()
    publish(store, made, MODEL)
    manifest, report = store.manifest(made.address), store.report(made.address)
    assert (
        store.drop(made.address, "for room")
        == manifest.size
        == sum(len(text.encode()) for text in MODEL.values())
    )
    assert (store.has(made.address), store.has_report(made.address)) == (False, True)
    assert everything(store.root) == [f"dropped/{made.address}.json"]
    record = store.dropped(made.address)
    assert record is not None and record.first == manifest and record.why == "for room"
    assert store.report(made.address) == report == MODEL["report.json"].encode()
    assert store.drop(made.address, "again") == 0
    publish(store, made, MODEL)
    store.drop(made.address, "for other reasons")
    assert store.dropped(made.address) == record, "the record is of the first making"


@pytest.mark.parametrize(
    "change",
    [("é", "e"), ('"why"', '"when"'), ("{", "")],
)
def test_a_damaged_record_is_refused(store: Store, change: tuple[str, str]) -> None:
    made = keyed()
    publish(store, made, MODEL)
    store.drop(made.address, "for room")
    path = store.root / "dropped" / f"{made.address}.json"
    changed = path.read_text().replace(*change)
    path.write_text(changed if changed != path.read_text() else "{}")
    with pytest.raises(IntegrityError):
        store.report(made.address)


def test_a_damaged_record_is_replaced_when_the_result_is_dropped_again(store: Store) -> None:
    made = keyed()
    publish(store, made, MODEL)
    store.drop(made.address, "for room")
    path = store.root / "dropped" / f"{made.address}.json"
    path.write_text("{}")
    publish(store, made, MODEL)
    store.drop(made.address, "again")
    assert store.report(made.address) == MODEL["report.json"].encode()


def test_an_altered_report_is_told_and_the_result_put_aside(store: Store) -> None:
    made = keyed()
    (publish(store, made, MODEL) / "files" / "report.json").write_text("{}")
    with pytest.raises(IntegrityError, match="the result now lies in"):
        store.report(made.address)
    assert not store.has_report(made.address)


def test_a_report_in_other_words_is_told_and_is_no_fault(store: Store) -> None:
    made = keyed()
    publish(store, made, MODEL)
    store.drop(made.address, "for room")
    with store.draft(made) as draft:
        (draft.out / "encoder").mkdir()
        (draft.out / "encoder" / "weights").write_text(MODEL["encoder/weights"])
        (draft.out / "report.json").write_text("{}")
        said = draft.publish(1.0)
    assert said is not None and "(report.json)" in said and store.has(made.address)
