"""An error keeps its class and all its fields from the worker to the person."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from stilts_artifact.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    ExitCode,
    IntegrityError,
    MissingDataError,
    ResourceError,
)
from stilts_artifact.pipeline import errors
from stilts_artifact.pipeline.errors import (
    Failure,
    Fault,
    Outcome,
    RunError,
    RunReport,
    Skipped,
    StepError,
    fault_of,
    lost_workers,
    memory_kills,
)
from stilts_artifact.pipeline.step import KeyedStep


def fault(error: Exception, root: Path = Path("/")) -> Fault:
    try:
        raise error
    except Exception as raised:  # noqa: BLE001  any may come
        return fault_of(raised, "the step", root, 1000, "last line")


@pytest.mark.parametrize(
    "kind", [ConfigError, DataError, MissingDataError, IntegrityError, ResourceError]
)
def test_a_deliberate_error_arrives_as_it_was(kind: type[ArtifactError]) -> None:
    sent = kind("what", where="a:1", got="b", expected="c", fix="d")
    arrived = pickle.loads(pickle.dumps(Outcome(1.0, fault(sent)))).fault.error()
    assert type(arrived) is kind
    assert str(arrived) == str(sent)


class NarrowError(DataError):
    """A class that the receiver need not know."""


def test_a_subclass_arrives_as_the_nearest_known_class() -> None:
    assert type(fault(NarrowError("what")).error()) is DataError


def test_an_unforeseen_error_names_its_place_and_carries_what_was_printed() -> None:
    sent = fault(KeyError("x"))
    error = sent.error()
    assert isinstance(error, StepError) and error.exit_code == ExitCode.INCOMPLETE
    assert (
        error.got == "KeyError: 'x'" and error.where is not None and "test_errors.py" in error.where
    )
    assert "Traceback" in sent.details and sent.details.endswith("last line")


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "out of memory"),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate"), "GPU with more memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "fewer --workers"),
        (OSError(28, "No space left on device"), "more than the 1,000 bytes"),
        (
            RuntimeError("safetensors: I/O error: No space left on device (os error 28)"),
            "free at least",
        ),
    ],
    ids=str,
)
def test_lack_of_room_is_a_resource_error(error: Exception, text: str, tmp_path: Path) -> None:
    found = fault(error, tmp_path).error()
    assert isinstance(found, ResourceError)
    assert text in str(found)


def test_lack_of_room_is_seen_behind_another_error(tmp_path: Path) -> None:
    error = ValueError("cannot save")
    error.__cause__ = OSError(28, "No space left on device")
    assert isinstance(fault(error, tmp_path).error(), ResourceError)


def test_lost_workers_are_put_down_to_memory_only_if_the_system_says_so() -> None:
    assert "lack of memory" not in str(lost_workers("a step", 4, 0))
    error = lost_workers("a step", 4, 2)
    assert "out of memory" in error.what and "--workers" in str(error.fix)


def test_kills_for_lack_of_memory_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert memory_kills() >= 0
    counters = (tmp_path / "memory.events", tmp_path / "vmstat", tmp_path / "absent")
    counters[0].write_text("low 0\noom 9\noom_kill 3\noom_group_kill 5\n")
    counters[1].write_text("nr_free_pages 10\n")
    monkeypatch.setattr(errors, "_COUNTERS", counters)
    assert memory_kills() == 3


def keyed(name: str) -> KeyedStep:
    return KeyedStep("make", name * 8, 1, {"name": name}, {})


def test_a_failed_run_says_what_failed_why_what_was_not_run_and_how_to_go_on() -> None:
    first = Failure(
        keyed("a"), DataError("label outside its set", where="dev.tsv:7", fix="mend the file")
    )
    second = Failure(keyed("b"), ResourceError("no room"))
    report = RunReport(
        (keyed("f"),), (keyed("m"),), (first, second), (Skipped(keyed("s"), keyed("a")),), 1.0
    )
    with pytest.raises(RunError) as caught:
        report.check("stilts-artifact reproduce --table 2")
    text = str(caught.value)
    assert caught.value.exit_code == ExitCode.DATA
    assert "2 steps failed, 1 could not run because of that; 2 of 5 are done and kept" in text
    for part in (
        "make name=a",
        "dev.tsv:7",
        "mend the file",
        "not run: make name=s",
        "no room",
        "reproduce --table 2",
    ):
        assert part in text
    assert RunError.exit_code == ExitCode.INCOMPLETE


def test_a_run_without_failures_passes() -> None:
    RunReport((), (keyed("m"),), (), (), 1.0).check("again")
