"""What a step used of its machine: processors, memory at its peak, disks; and giving it back."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

_PROCESS = Path("/proc/self")
_FORGET_PEAK = "5"  # proc(5): clear_refs resets the peak of the resident set
_MUCH = 2 << 30


def release(much: int = _MUCH) -> None:
    """Give memory back to the system that nothing needs, where this process holds much.

    What a step left in reference cycles (as frames of a first import are), and what the C library
    keeps of freed tensors that were too small for pages of their own: of XLM-R large 7 GB, for
    which the step of another process may be waiting.
    """
    if _number("status", "VmRSS") * 1024 <= much:
        return
    gc.collect()
    # Of glibc alone.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Meter:
    """Measures from its making on.

    Where Linux does not tell, the peak is that of the whole life of this process, which may have
    run other steps before; and nothing is said of what was written.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            (_PROCESS / "clear_refs").write_text(_FORGET_PEAK)
        if (torch := _gpu()) is not None:
            torch.cuda.reset_peak_memory_stats()
        self._written = _written()
        self._cpu = time.process_time()

    def used(self) -> dict[str, int]:
        """Bytes by name: ``memory`` at its peak, ``gpu_memory`` that torch held of a GPU at its
        peak, ``written`` to disks, checkpoints that are gone again included. And ``cpu_ms``:
        milliseconds of processors, all threads together."""
        found = {"memory": _number("status", "VmHWM") * 1024}
        found["cpu_ms"] = round(1000 * (time.process_time() - self._cpu))
        if not found["memory"]:
            unit = 1 if sys.platform == "darwin" else 1024
            found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        if (torch := _gpu()) is not None:
            found["gpu_memory"] = torch.cuda.max_memory_reserved()
        if (written := _written()) is not None and self._written is not None:
            found["written"] = written - self._written
        return found


def _written() -> int | None:
    return _number("io", "write_bytes") if (_PROCESS / "io").is_file() else None


def _number(file: str, name: str) -> int:
    """A field of one of the files in which Linux tells of this process; 0 without it."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+)", (_PROCESS / file).read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def _gpu() -> Any:
    """torch, if this process computes on a GPU; it is not imported for that."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None
