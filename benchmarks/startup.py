"""Start-up: what the command line costs over a bare interpreter, measured in turn.

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
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
            times[name].append(time.perf_counter() - started)
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; median of {rounds} rounds")
    bare = statistics.median(times["python -c pass"])
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:<18} {median:6.3f} s {median / bare:6.1f} x")


if __name__ == "__main__":
    main()
