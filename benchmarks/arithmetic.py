"""How far Table 2 at mini scale moves with the last bits of the arithmetic.

This is what the tolerances of the expected values at mini scale rest on.

    python -m benchmarks.arithmetic RESULTS [--only none]

Each kind of arithmetic stands for some other processor: ``kernels`` has torch's own kernels at half
the vector width, ``sse`` also has the simplest matrix products. Prints, for each column, the
farthest that a mean and a single language came from the recorded value.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ARITHMETIC = {
    "kernels": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}
"""Name -> variables of the environment that torch and the libraries below it obey."""
# The processes that run steps inherit none of these: they are told.
PROGRAM = """
import json, sys
from stilts_artifact.cli import main
from stilts_artifact.pipeline.process import FIXED
FIXED.update(json.loads(sys.argv.pop(1)))
main()
"""


def measured_with(arithmetic: str, results: Path, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The measured cells of a results file that a run with this arithmetic wrote.

    Raises:
        CalledProcessError: the run gave no verdict.
    """
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        json.dumps(ARITHMETIC[arithmetic]),
        "reproduce",
        "--table",
        "2",
        "--scale",
        "mini",
        "--offline",
        "--results",
        str(results),
        *(part for name in only for part in ("--only", name)),
    ]
    answer = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if answer.returncode not in (0, 1):
        raise subprocess.CalledProcessError(answer.returncode, command)
    document = json.loads((results / "table2.mini.json").read_text())
    return [cell for cell in document["cells"] if cell["value"] is not None]


def farthest(cells: Iterable[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Column -> largest distance from the expected value, in points: of a mean, of one language."""
    found: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for cell in cells:
        column, place = found[cell["column"]], int("language" in cell)
        column[place] = max(column[place], abs(cell["value"] - cell["expected"]))
    return {name: (mean, language) for name, (mean, language) in found.items()}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "results", type=Path, help="folder; each kind of arithmetic gets one below it"
    )
    parser.add_argument(
        "--only", action="append", default=[], help="as of `stilts-artifact reproduce`"
    )
    arguments = parser.parse_args()
    for name in ARITHMETIC:
        print(f"{name:<14}  mean  language")
        for column, (mean, language) in farthest(
            measured_with(name, arguments.results / name, arguments.only)
        ).items():
            print(f"{column:<14} {mean:5.2f} {language:9.2f}", flush=True)


if __name__ == "__main__":
    main()
