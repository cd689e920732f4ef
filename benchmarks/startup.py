"""Start-up: what the command line costs over a bare interpreter, measured in turn.

Processor time says it also on a machine that has other work; a help text in Typer's panels would
cost at least what ``import typer.rich_utils`` does, whoever prints it. Modules are compiled before:
a process that may not write them (``PYTHONDONTWRITEBYTECODE``) pays for that each time.

python benchmarks/startup.py --rounds 7
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import typer": ["-c", "import typer"],
    "import typer.rich_utils": ["-c", "import typer.rich_utils"],
    "--help": ["-m", "stilts_artifact", "--help"],
    "reproduce --help": ["-m", "stilts_artifact", "reproduce", "--help"],
    "usage error": ["-m", "stilts_artifact", "reproduce", "--table", "9"],
    "check, no results": ["-m", "stilts_artifact", "check", "--results", os.devnull],
}


def main() -> None:
    """Run every command once a round and print medians and ratios to the bare interpreter."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(_seconds([sys.executable, *arguments]))
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; of {rounds} rounds")
    print(f"{'':<23}  least, median CPU; median wall clock, ratio of medians of CPU")
    bare = statistics.median(cpu for cpu, _ in times["python -c pass"])
    for name, found in times.items():
        cpus = [cpu for cpu, _ in found]
        median = statistics.median(cpus)
        wall = statistics.median(clock for _, clock in found)
        print(f"{name:<23} {min(cpus):6.3f} {median:6.3f} {wall:6.3f} s {median / bare:6.1f} x")


def _seconds(command: list[str]) -> tuple[float, float]:
    """CPU and wall-clock time of a process and of all that it waited for."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - started


if __name__ == "__main__":
    main()
