"""A run of its own: ``python -m tests.faults.workflow_child STORE COUNTS WORKERS GRAPH``."""

from __future__ import annotations

import sys
from pathlib import Path

from stilts_artifact.errors import ArtifactError, ExitCode
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.progress import step_progress
from stilts_artifact.pipeline.step import Graph, Step
from tests.faults.workflow_kinds import KINDS


def slow() -> list[Step]:
    """A quick step and, after it, two long ones."""
    quick = Step("join", {"text": "quick"})
    return [
        Step("join", {"text": str(number), "seconds": 60}, {"quick": quick}) for number in range(2)
    ]


def wide() -> list[Step]:
    """Twelve short steps and one that reads them all."""
    parts = {
        f"part-{number}": Step("join", {"text": f"{number} ", "seconds": 0.2})
        for number in range(12)
    }
    return [Step("join", {"text": "end"}, parts)]


def differing() -> list[Step]:
    """One step that makes something else each time, slow enough for two runs to meet."""
    return [Step("differ", {"seconds": 2})]


GRAPHS = {"slow": slow, "wide": wide, "differing": differing}


def main() -> None:
    """Run the graph and print how it went; the exit code is the command line's."""
    root, counts, workers, name = sys.argv[1:5]
    options = Options(scheduler=workers) if "://" in workers else Options(workers=int(workers))
    try:
        with step_progress(name) as watch:
            report = run(
                Graph(GRAPHS[name](), KINDS),
                Context(Path(root), {"counts": Path(counts)}),
                options,
                watch,
            )
        report.check("again")
    except ArtifactError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    print(f"made {len(report.made)}")


if __name__ == "__main__":
    main()
