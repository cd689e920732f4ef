"""How a command ends, whatever ends it: one message, and one of the exit codes of the README.

1 means "not reproduced" and nothing else; Python's own answer to an exception, to a closed pipe or
to an unfinished import would be 1 as well.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from stilts_artifact import __version__
from stilts_artifact.errors import (
    ArtifactError,
    ConfigError,
    ExitCode,
    FaultError,
    ResourceError,
    not_installed,
)
from stilts_artifact.isolation import TYPED
from stilts_artifact.texts import visible

_AGAIN_AFTER = 1.0  # seconds
_PROGRAM = "stilts-artifact"
_ANYWHERE = ("--verbose", "--quiet")
_INSTALL = "./reproduce.sh makes a complete environment; or pip install --force-reinstall"


def run(arguments: Sequence[str], *, debug: bool) -> int:
    """Run a command line, say what went wrong, and return the exit code.

    Args:
        debug: show the traceback of what failed.
    """
    # A scheduler, or `docker stop`, ends a run as Ctrl-C does: what is unfinished is put away.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _require_streams()
        _require_folder()
        code = _call(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        # Once more would only interrupt what is being put away.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        _say(f"verdict: interrupted, exit 130; to resume: {typed(arguments)}\n")
        return ExitCode.INTERRUPTED
    # Also what no module of ours foresees: it must not end as Python ends it, with 1.
    except Exception as error:  # noqa: BLE001
        if debug:
            _say(traceback.format_exc())
        shown = as_artifact_error(error)
        code = shown.exit_code
        _say(f"error: {shown}\nverdict: failed, exit {code:d} ({code.name})\n")
        return code


def end(code: int) -> NoReturn:
    """End this process with an exit code, even if what was printed can no longer be delivered."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        # Python would try again at its own end, fail, and make the exit code 120.
        except (OSError, ValueError):
            _discard(number)
    sys.exit(code)


def as_artifact_error(error: Exception) -> ArtifactError:
    """An exception of Python's or a library's as an error of this package, with its exit code."""
    match error:
        case ArtifactError():
            return error
        case ModuleNotFoundError() if not _is_ours(error.name):
            return not_installed("this command", [str(error.name)])
        case ImportError() if not _is_ours(error.name):
            got = f"{type(error).__name__}: {error}"
            return ResourceError("the installation is broken", got=got, fix=_INSTALL)
        case MemoryError():
            return ResourceError(
                "out of memory",
                got=str(error) or type(error).__name__,
                fix="end what else uses this machine's memory, or use fewer --workers; run again",
            )
        case BrokenPipeError():
            return ResourceError(
                "whoever read the output has closed it",
                fix="what was computed is kept: run the same command again",
            )
        case OSError():
            return ResourceError(
                "the system refuses",
                where=None if error.filename is None else str(error.filename),
                got=error.strerror or str(error) or type(error).__name__,
                fix="see that the disk has room and that this user may read and write there",
            )
    return _fault(error)


def _interrupt(number: int, frame: object) -> None:
    """Interrupt what runs, and again each second until it has heard of it.

    Where an extension module is being imported, a finalizer runs or a library catches everything,
    one KeyboardInterrupt is swallowed, and the run would go on as if nobody had asked it to stop.

    Raises:
        KeyboardInterrupt: unless it is the alarm and one is on its way: that puts things away.
    """
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER)
    if number != signal.SIGALRM or not _is_on_its_way(sys.exc_info()[1]):
        raise KeyboardInterrupt


def _is_on_its_way(error: BaseException | None) -> bool:
    """Whether an exception is an interruption, or came of one while that was handled."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _call(arguments: Sequence[str]) -> int:
    """Run a command; the exit code that it asks for.

    Raises:
        ConfigError: a command line that cannot be parsed.
        KeyboardInterrupt: it was interrupted.
    """
    from typer import Abort
    from typer.main import get_command

    from stilts_artifact.cli.app import app

    try:
        # They are options of the program, and may stand behind a command's name all the same.
        front = [one for one in arguments if one in _ANYWHERE]
        line = [*front, *(one for one in arguments if one not in _ANYWHERE)]
        code = get_command(app).main(line, prog_name=_PROGRAM, standalone_mode=False)
    except Abort as error:
        raise KeyboardInterrupt from error
    except SystemExit as stop:
        # Typer's answer to a closed pipe is 1, which is a verdict here. We never exit so ourselves.
        cause = stop.__context__
        # This also ends the answer to a shell that wants a word completed, or the script for it.
        if not stop.code:
            return ExitCode.REPRODUCED
        if isinstance(cause, BrokenPipeError):
            raise cause from None
        raise RuntimeError(f"something exits with {stop.code}") from stop
    except Exception as error:
        # A parser's own exception: Typer brings its parser along, under a name that is not public.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        # Without a word where the help was asked for by giving no arguments, and has been printed.
        if not message():
            return ExitCode.USAGE
        raise _usage(error, message()) from error
    if code == ExitCode.INTERRUPTED:  # Typer's word for it
        raise KeyboardInterrupt
    return code if isinstance(code, int) else ExitCode.REPRODUCED


def typed(arguments: Sequence[str]) -> str:
    """The command line as it can be pasted into a shell, in the words of whoever typed it."""
    return visible(os.environ.get(TYPED) or shlex.join([_PROGRAM, *arguments]))


def _usage(error: Exception, message: str) -> ConfigError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "stilts-artifact"
    return ConfigError(message, fix=f"{command} --help")


def _fault(error: Exception) -> FaultError:
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    place = f"{Path(last.filename).name}:{last.lineno}" if last else "nowhere"
    lines = (str(error) or "no message").splitlines()
    return FaultError(
        "a fault of this program, not of your data",
        where=f"{place}, version {__version__}, Python {sys.version.split()[0]}",
        got=f"{type(error).__name__}: {lines[0][:500]}",
        fix="run it again with --debug, and report the command and all that it prints",
    )


def _is_ours(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "stilts_artifact"


def _require_streams() -> None:
    """See that there are streams to write to: a file opened later would else get their number.

    Raises:
        ResourceError: standard output is closed; nobody would see a verdict.
    """
    if sys.stderr is None:
        _discard(2)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    if sys.stdout is None:
        _discard(1)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        raise ResourceError("standard output is closed", fix="let it go to /dev/null instead")


def _require_folder() -> None:
    """See that there is a working folder: without one, libraries in C end the process themselves.

    Raises:
        ResourceError: it was removed.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise ResourceError(
            "the working folder is gone", fix="change into one that is there"
        ) from error


def _discard(number: int) -> None:
    """Let what is written to a descriptor go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def _say(text: str) -> None:
    """Write to standard error; without one there is nobody to tell, and the exit code says it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
