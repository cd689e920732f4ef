"""Hashes of the benchmark's label files: ``expected_results/{folder}/labels.tsv``, recorded with the expected cells.

Whoever may choose the labels can make any predictions look right. At a scale whose labels are the
same on every machine, they are therefore held against this list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stilts_artifact.checking.results import Results
from stilts_artifact.checking.sums import expected_root, read_protected
from stilts_artifact.errors import DataError

LABELS = "labels.tsv"
_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})\t(?P<path>[a-z0-9-]+/[^\t]+)")


def load_labels(folder: str) -> Mapping[str, str]:
    """``{experiment}/{task}/{split}-{language}.{tsv|json}`` -> sha256; empty where none are recorded.

    Raises:
        DataError: a malformed line.
        IntegrityError: the list was edited.
    """
    path = expected_root() / folder / LABELS
    if not path.is_file():
        return {}
    pins: dict[str, str] = {}
    for number, line in enumerate(read_protected(path).decode().splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None or match["path"] in pins:
            raise DataError("not a pinned label file", where=f"{path}:{number}", got=repr(line))
        pins[match["path"]] = match["sha256"]
    return pins


def recorded_labels(results: Results, before: Mapping[str, str]) -> bytes:
    """The list with the label files of a run; those of other experiments stay as they were."""
    own = f"{results.experiment}/"
    prefix = f"{results.run_name}/labels/"
    pins = {path: sha256 for path, sha256 in before.items() if not path.startswith(own)}
    pins |= {
        own + record.path.removeprefix(prefix): record.sha256
        for record in results.files
        if record.path.startswith(prefix)
    }
    return "".join(f"{pins[path]}\t{path}\n" for path in sorted(pins)).encode()
