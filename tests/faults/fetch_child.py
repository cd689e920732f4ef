"""Download one file in a process of its own: ``fetch_child.py ROOT URL BYTES SHA256 [fault ...]``.

Exits with the error's exit code, as the command line does.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
from pathlib import Path

from stilts_artifact.data.download import Downloader
from stilts_artifact.data.receive import Patience
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Source
from stilts_artifact.errors import ArtifactError


def _inject(faults: list[str]) -> None:
    if "no-locks" in faults:
        fcntl.flock = lambda file, operation: None  # type: ignore[assignment]
    if "small-files" in faults:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    if "die-before-rename" in faults:
        os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]


def main() -> int:
    root, url, size, sha256, *faults = sys.argv[1:]
    _inject(faults)
    source = Source("corpus.tsv", (url,), int(size), sha256, "CC0", "Ask the author.", "this test")
    downloader = Downloader(FileStore(Path(root)), Patience(delays=(0.05,) * 20))
    try:
        downloader.download(source, source.urls)
    except ArtifactError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
