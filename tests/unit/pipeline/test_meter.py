"""What a step used: its own peak and its own writes, not those of steps before it."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stilts_artifact.pipeline import meter
from stilts_artifact.pipeline.meter import Meter

SIZE = 64 << 20


def _resets_peaks() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _resets_peaks(), reason="this system does not reset the peak of a process")
def test_the_peak_is_that_of_the_step_and_not_of_the_one_before() -> None:
    # In a process of its own, whose memory nothing else in this one moves.
    program = f"""
from stilts_artifact.pipeline.meter import Meter
first = Meter()
held = bytearray({SIZE})
held[::4096] = b"x" * len(held[::4096])
del held
most = first.used()["memory"]
second = Meter()
print(most, second.used()["memory"])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    most, after = map(int, ran.stdout.split())
    assert most - after > SIZE * 0.9
    assert after > 1 << 20


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's memory")
@pytest.mark.parametrize("much", [0, 1 << 40])
def test_what_nothing_needs_is_given_back_where_it_is_much(much: int) -> None:
    program = f"""
import re
from pathlib import Path
from stilts_artifact.pipeline.meter import release

def held():
    return 1024 * int(re.search("VmRSS:\\\\s+(\\\\d+)", Path("/proc/self/status").read_text())[1])

del (large := [bytearray(30 << 20)])[:]  # from then on glibc takes what is smaller from its heap
cycle, kept = [], []
for _ in range({SIZE} >> 20):
    cycle.append(bytearray(1 << 20))
    kept.append(bytearray(100 << 10))  # between them: the heap does not shrink by itself
cycle.append(cycle)
first = held()
del cycle
release({much})
print(first - held())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    given = int(ran.stdout)
    assert given > SIZE * 0.8 if much == 0 else given < SIZE * 0.2


@pytest.mark.skipif(not Path("/proc/self/io").is_file(), reason="this system does not count writes")
def test_writes_are_counted_even_of_files_that_are_gone(tmp_path: Path) -> None:
    meter = Meter()
    before = meter.used()["written"]
    with (tmp_path / "checkpoint").open("wb") as file:
        file.write(b"x" * (8 << 20))
        os.fsync(file.fileno())
    (tmp_path / "checkpoint").unlink()
    assert 8 << 20 <= meter.used()["written"] - before < 16 << 20


def test_no_gpu_is_spoken_of_where_none_computes() -> None:
    assert "gpu_memory" not in Meter().used()


@pytest.mark.parametrize(("system", "unit"), [("darwin", 1), ("freebsd14", 1024)])
def test_where_linux_does_not_tell_the_peak_is_in_the_unit_of_the_system(
    system: str, unit: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(meter, "_PROCESS", tmp_path)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=7))
    assert Meter().used()["memory"] == 7 * unit
