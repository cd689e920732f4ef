"""Nothing ambient: the surroundings in which this package's processes run.

What a launcher, a shell profile or a cluster's module left behind must not decide a number: not
variables that libraries read (``ACCELERATE_MIXED_PRECISION``, ``WORLD_SIZE``, ``TORCH_*``), not
modules that shadow the installed ones (``PYTHONPATH``, user site, the working directory). So the
command line starts itself again, and every step runs in a process of its own, with isolated Python
and those variables alone that are listed here. That needs nothing but the standard library, whose
modules are loaded before a shadow of numpy can be. The command line pays for starting twice: what
the first process does not need is imported where it is used.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# None of it enters a number. Whoever needs another one (for a module of CUDA's, say) finds the list
# in docs/scales-and-costs.md.
_KEPT = frozenset(
    [
        # Where things are.
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TMPDIR",
        "TEMP",
        "TMP",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "MPLCONFIGDIR",
        # How a terminal shows text.
        "LANG",
        "LANGUAGE",
        "TERM",
        "COLORTERM",
        "COLUMNS",
        "LINES",
        "NO_COLOR",
        "FORCE_COLOR",
        "TTY_COMPATIBLE",
        "TTY_INTERACTIVE",
        # Which devices there are.
        "CUDA_VISIBLE_DEVICES",
        "CUDA_DEVICE_ORDER",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
        # How the network is reached.
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "NETRC",
        "SSH_AUTH_SOCK",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        # Where models of the hub are kept, and who may have them.
        "HF_HOME",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_DATASETS_CACHE",
        "HF_ENDPOINT",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HF_HUB_OFFLINE",
        # How another Dask cluster is reached over TLS.
        "DASK_CONFIG",
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION",
    ]
)
_KEPT_PREFIXES = (
    "STILTS_ARTIFACT_",
    "LC_",
    "XDG_",
    "DOCKER_",
    "BUILDX_",
    "BUILDKIT_",
    "DASK_DISTRIBUTED__COMM__TLS__",
)
TYPED = "STILTS_ARTIFACT_COMMAND"
"""Variable with the command line as it was typed: by whoever started this program, or a script that
runs it for them."""
# How a shell asks for what a word could go on with; the command line is not called otherwise then.
_COMPLETION = "_STILTS_ARTIFACT_COMPLETE"
_COMPLETION_PREFIXES = ("COMP_", "_TYPER_COMPLETE_", _COMPLETION)


def clean_environment() -> dict[str, str]:
    """Those variables of this process that another one of this package may have."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }


def isolated_command(target: str, paths: Sequence[str] = ()) -> list[str]:
    """The command of a Python process that calls a function and finds only installed modules.

    It is to be started with :func:`clean_environment`. What follows in the command are the
    function's own arguments, in ``sys.argv``.

    Args:
        target: ``package.module:function``.
        paths: looked at for modules after all that is installed.
    """
    places = [os.path.abspath(path) for path in paths]  # noqa: PTH100  # pathlib loads slowly
    # -s, -P: neither the user's own site nor the working directory. -X utf8: no file is read, and
    # nothing printed, in the encoding that a locale happens to name.
    python = [sys.executable, "-s", "-P", "-X", "utf8", os.path.realpath(__file__)]
    return [*python, target, str(len(places)), *places]


def main() -> None:
    """Entry point of ``stilts-artifact``: this process becomes an isolated one, and runs it.

    An interpreter that does not know its own path, as embedded ones do not, goes on as it is.
    """
    if sys.executable:
        import shlex

        flags = ["-B"] if sys.flags.dont_write_bytecode else []
        flags += ["-u"] if os.environ.get("PYTHONUNBUFFERED") else []
        python, *rest = isolated_command("stilts_artifact.cli:main")
        command = [python, *flags, *rest, *sys.argv[1:]]
        environment = clean_environment()
        environment.setdefault(TYPED, shlex.join([*_called(), *sys.argv[1:]]))
        if _COMPLETION in os.environ:
            asked = (name for name in os.environ if name.startswith(_COMPLETION_PREFIXES))
            environment |= {name: os.environ[name] for name in asked}
        os.execve(python, command, environment)  # noqa: S606  # no shell is wanted
    _call("stilts_artifact.cli:main")


def _called() -> list[str]:
    """How this program was called, in words that call it again."""
    script = sys.argv[0]
    name = script.rpartition("/")[2]
    if name == "__main__.py":
        return [sys.executable, "-m", "stilts_artifact"]
    # The kernel gives a script's whole path, also where its name is enough. (Not shutil.which: its
    # module takes longer to load than all that is done here.)
    places = (f"{folder.rstrip('/')}/{name}" for folder in os.get_exec_path())
    first = next((place for place in places if os.access(place, os.X_OK)), None)
    return [name if first == script else script]


def _start(target: str, paths: Sequence[str], arguments: list[str]) -> None:
    """What the new process does first: see the same package, and else only what is installed."""
    from pathlib import Path

    installed = next(
        (place for place, path in enumerate(sys.path) if path.endswith("-packages")), len(sys.path)
    )
    # A clone that is not installed, or a user's own site, is where this file lies.
    sys.path.insert(installed, str(Path(__file__).resolve().parents[1]))
    sys.path += [path for path in paths if path not in sys.path]
    sys.argv = ["stilts-artifact", *arguments]
    # A mask that takes the owner's own rights would leave files that the run itself cannot read.
    os.umask(os.umask(0o077) & 0o077)
    _call(target)


def _call(target: str) -> None:
    """Call a function; when it leaves the process, no thread of its libraries holds up the end."""
    import pkgutil

    try:
        pkgutil.resolve_name(target)()
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        # Closed, or its disk is full: Python itself knows what then to do.
        except (AttributeError, OSError, ValueError):
            raise end from None
        os._exit(end.code or 0)


if __name__ == "__main__":
    _target, _count, *_rest = sys.argv[1:]
    _start(_target, _rest[: int(_count)], _rest[int(_count) :])
