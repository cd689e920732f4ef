"""PLACEHOLDER until helper `files` lands."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stilts_artifact.documents import write_atomically as write_file

__all__ = ["write_file"]


@dataclass(frozen=True)
class FileSum:
    bytes: int
    sha256: str


def describe_folder(folder: Path) -> dict[str, FileSum]:
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = FileSum(
            len(data), hashlib.sha256(data).hexdigest()
        )
    return found


@contextmanager
def publish_folder(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    yield made
    made.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    made.rename(target)
