"""Expected values recorded from a run."""

from __future__ import annotations

import json

from stilts_artifact import __version__
from stilts_artifact.checking.results import CellRecord, Results
from stilts_artifact.errors import DataError


def recorded_yaml(results: Results, world: str) -> bytes:
    """The measured cells as a file of expected cells, exact to the last digit.

    Raises:
        DataError: a cell was not measured, so that there is nothing to hold later runs against.
    """
    for cell in results.cells:
        if cell.value is None:
            raise DataError("cell without a value", where=str(cell.measurement().key), got=cell.reason,
                            fix="complete the run before it is recorded")  # fmt: skip
    columns = list(dict.fromkeys(cell.column for cell in results.cells))
    command = f"stilts-artifact record --table {results.table} --scale {results.scale}"
    lines = [
        f"# Recorded by `{command}`; a change here must be explained in the commit that makes it.",
        f"table: {results.table}",
        f"world: {world}",
        f"citation: measured by stilts-artifact {__version__}",
        "columns:",
        *(f"  {name}: {{tolerance: 0}}" for name in columns),
        "sources:",
        f"  recorded: {command}, stilts-artifact {__version__}",
        "reasons: {}",
        "cells:",
        *(f"  - {_flow(cell)}" for cell in results.cells),
    ]
    return ("\n".join(lines) + "\n").encode()


def _flow(cell: CellRecord) -> str:
    """A cell as one line of YAML (JSON is YAML).

    Example: ``{"row": "mnli", "column": "train", "language": "qen", "value": 6000, "decimals": 0, ...}``
    """
    place = {"row": cell.row, "column": cell.column} | ({"language": cell.language} if cell.language else {})
    return json.dumps(place | {"value": cell.value, "decimals": 0, "source": "recorded"}, ensure_ascii=False)
