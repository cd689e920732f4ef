"""The command line, killed: ``... -m tests.faults.published_child AT COUNT RESULTS ARGUMENT...``.

It kills itself right before it changes the file system outside the store for the AT-th time, that
is inside the publication of its results, however that is done. With AT 0 it lives, and writes to
the file COUNT how many such moments there were.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}


def main() -> None:
    """Run the command line with a hook that counts what it changes below RESULTS."""
    at, count, results = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).resolve()
    moments = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal moments
        # How a file is opened: its path, the mode in words, the flags.
        writes = event == "open" and int(str(arguments[2] or 0)) & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event in CHANGES) or not isinstance(arguments[0], str | os.PathLike):
            return
        path = Path(arguments[0]).absolute()
        if results in path.parents and results / ".store" not in (path, *path.parents):
            moments += 1
            if moments == at:
                os.kill(os.getpid(), signal.SIGKILL)

    from stilts_artifact.cli import main as command

    sys.argv = ["stilts-artifact", *sys.argv[4:]]
    sys.addaudithook(hook)
    try:
        command()
    finally:
        if at == 0:
            count.write_text(str(moments))


if __name__ == "__main__":
    main()
