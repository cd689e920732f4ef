"""The command line: parse, one call, print, exit code."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of ``stilts-artifact``: whatever ends a command, one message and one exit code.

    ``--debug``, anywhere in the line, adds the traceback of what failed.
    """
    from stilts_artifact.cli.ending import end, run

    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    # Not an option of Typer's: it serves also where the command line itself cannot be loaded.
    end(run([one for one in arguments if one != "--debug"], debug=debug))
