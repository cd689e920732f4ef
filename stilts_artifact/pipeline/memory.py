"""Why a step lost its workers: whether the system has been killing processes for lack of memory."""

from __future__ import annotations

from pathlib import Path

from stilts_artifact.errors import ResourceError

# The container's own counter where there is one, and the machine's.
_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))


def memory_kills() -> int:
    """Processes killed for lack of memory so far; 0 where the system does not say."""
    return max(_counter(path) for path in _COUNTERS)


def _counter(path: Path) -> int:
    try:
        lines = path.read_text("ascii").splitlines()
    except OSError:
        return 0
    fields = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(fields.get("oom_kill", "0"))


def lost_workers(label: str, times: int, kills: int) -> ResourceError:
    """The error of a step whose workers died.

    Args:
        label: of the step.
        times: it lost its worker.
        kills: processes that the system killed for lack of memory meanwhile.
    """
    if kills > 0:
        return ResourceError(
            f"out of memory: {label}",
            got=f"{times} lost workers; the system killed {kills} processes for lack of memory during this run",
            fix="use fewer --workers, or a machine with more memory",
        )
    return ResourceError(
        f"its workers died: {label}",
        got=f"{times} lost workers",
        expected="a worker that lives through the step",
        fix="look for the reason in the system's log (dmesg, or the cluster's own); it may be too little memory",
    )
