"""The command line: parse, one call, print, exit code."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of ``stilts-artifact``: a deliberate error becomes its message and exit code."""
    from stilts_artifact.cli.app import app
    from stilts_artifact.errors import ArtifactError, ExitCode

    try:
        app(prog_name="stilts-artifact")
    except ArtifactError as error:
        sys.stderr.write(
            f"error: {error}\nverdict: failed, exit {error.exit_code:d} ({error.exit_code.name})\n"
        )
        sys.exit(error.exit_code)
    except SystemExit as end:
        # Typer has turned the interrupt into this code, without a word.
        if end.code == ExitCode.INTERRUPTED:
            sys.stderr.write("verdict: interrupted; the same command resumes\n")
        raise
