"""reproduce.sh in front of a stand-in for docker that writes down how it is called."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

FAKE_DOCKER = """
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
name = "HELP" if "--help" in sys.argv else sys.argv[1].upper()
sys.exit(int(os.environ.get("FAKE_" + name, "0")))
"""
# All that reproduce.sh may call: a PATH of these alone has no other docker, and no GPU.
TOOLS = (
    "bash",
    "cat",
    "cut",
    "dirname",
    "flock",
    "git",
    "grep",
    "id",
    "ln",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "timeout",
    "touch",
    "true",
    "uname",
)


def make_command(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # a link to the machine's own tool must not be written through
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def make_docker(path: Path) -> None:
    program = path.with_name("docker.py")
    program.write_text(FAKE_DOCKER, "utf-8")
    make_command(path, f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')


class Caller:
    """Calls reproduce.sh in a folder with a blank and a comma in its name."""

    def __init__(self, repository: Path, tmp_path: Path) -> None:
        self.script = repository / "reproduce.sh"
        self.folder = tmp_path / "some, folder"
        self.folder.mkdir()
        self.calls_file = tmp_path / "calls"
        self.bin = tmp_path / "bin"
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        make_docker(self.bin / "docker")

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("STILTS_ARTIFACT_")
        }
        return subprocess.run(
            [str(self.script), *arguments],
            cwd=self.folder,
            env={**inherited, "PATH": str(self.bin), "CALLS": str(self.calls_file), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def calls(self, command: str) -> list[list[str]]:
        """Arguments of each call of ``docker COMMAND``, help requests aside."""
        lines = self.calls_file.read_text("utf-8").splitlines() if self.calls_file.exists() else []
        calls = [json.loads(line) for line in lines]
        return [call[1:] for call in calls if call[0] == command and "--help" not in call]

    def mounts(self) -> list[str]:
        (call,) = self.calls("run")
        return [call[place + 1] for place, word in enumerate(call) if word == "--mount"]


@pytest.fixture
def call(repository: Path, tmp_path: Path) -> Caller:
    return Caller(repository, tmp_path)


def inner(run: list[str]) -> list[str]:
    """The command that the container is given."""
    return run[run.index("stilts-artifact:cpu") + 1 :]


@pytest.mark.slow
def test_options_alone_mean_reproduce(call: Caller) -> None:
    done = call("--table", "1")
    assert done.returncode == 0, done.stderr
    assert "running in Docker (an engine answers)" in done.stderr
    assert inner(call.calls("run")[0]) == ["reproduce", "--table", "1"]
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("word", ["check", "doctor", "reproduc"])
def test_a_first_word_is_the_command(call: Caller, word: str) -> None:
    call(word, "--x", "two words")
    assert inner(call.calls("run")[0]) == [word, "--x", "two words"]


def test_the_container_knows_what_was_typed(call: Caller) -> None:
    """What resumes an interrupted run is not the command that runs inside."""
    call("--table", "2", "--only", "*,xnli")
    (run,) = call.calls("run")
    typed = next(word for word in run if word.startswith("STILTS_ARTIFACT_COMMAND="))
    script, *arguments = shlex.split(typed.partition("=")[2])
    assert script.endswith("reproduce.sh")
    assert arguments == ["--table", "2", "--only", "*,xnli"]


def test_the_container_is_hardened_and_this_users(call: Caller) -> None:
    call("--table", "1")
    (run,) = call.calls("run")
    text = " ".join(run)
    for option in (
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--rm",
        "--init",
    ):
        assert option in text
    assert f"--user {os.getuid()}:{os.getgid()}" in text
    assert "--network bridge" in text
    assert "--gpus" not in run


def test_offline_leaves_no_network(call: Caller) -> None:
    call("--table", "1", "--offline")
    assert "--network none" in " ".join(call.calls("run")[0])


def test_results_are_made_and_mounted_where_the_caller_is(call: Caller) -> None:
    call("--table", "1")
    assert (call.folder / "results").is_dir()
    path = call.folder / "results"
    assert call.mounts() == [f'type=bind,"source={path}","target={path}"']
    (run,) = call.calls("run")
    assert run[run.index("--workdir") + 1] == str(call.folder)


@pytest.mark.slow
@pytest.mark.parametrize("joined", [False, True])
def test_given_paths_are_mounted_and_only_results_and_store_can_be_written(
    call: Caller, tmp_path: Path, joined: bool
) -> None:
    (call.folder / "da ta").mkdir()
    pairs = [
        ("--results", "out"),
        ("--store", str(tmp_path / "store")),
        ("--data", "da ta"),
        ("--data", "absent"),
    ]
    arguments = (
        [f"{name}={value}" for name, value in pairs]
        if joined
        else [word for pair in pairs for word in pair]
    )
    call("--table", "1", *arguments)
    out, store, data = call.folder / "out", tmp_path / "store", call.folder / "da ta"
    assert call.mounts() == [
        f'type=bind,"source={out}","target={out}"',
        f'type=bind,"source={store}","target={store}"',
        f'type=bind,"source={data}","target={data}",readonly',
    ]
    assert inner(call.calls("run")[0])[3:] == arguments
    assert not (call.folder / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--out", "--plot", "--crate"])
def test_a_file_that_is_written_can_be_written(call: Caller, tmp_path: Path, option: str) -> None:
    call("report", option, "page", f"{option}={tmp_path}/new/page", "--data", "absent")
    folders = [call.folder / "results", call.folder, tmp_path / "new"]
    assert call.mounts() == [f'type=bind,"source={path}","target={path}"' for path in folders]
    assert all(path.is_dir() for path in folders)


def test_it_knows_every_option_that_names_a_file_or_folder_to_be_written() -> None:
    """A new option that takes a path must be put where it belongs, here and in reproduce.sh."""
    from stilts_artifact.cli.app import app

    read = {"--src", "--trg", "--gold", "--csv", "--expected", "--labels", "--predictions"}
    read |= {"--data", "--own-data", "--against", "--apptainer"}
    written = {"--results", "--store", "--out", "--plot", "--crate"}
    commands = [*app.registered_commands]
    for group in app.registered_groups:
        commands += group.typer_instance.registered_commands
    found = set()
    for command in commands:
        for hint in get_type_hints(command.callback, include_extras=True).values():
            kind, *told = get_args(hint) or [None]
            if "Path" in str(kind):
                # Without a default of its own, the first name stands in its place.
                names = (told[0].default, *(told[0].param_decls or ()))
                found |= {name for name in map(str, names) if name.startswith("--")}
    assert found <= read | written, "reproduce.sh mounts what it does not know without write access"
    assert written <= found


def test_a_table_number_is_not_a_path(call: Caller) -> None:
    (call.folder / "1").mkdir()
    call("--table", "1")
    assert len(call.mounts()) == 1


def test_a_folder_is_mounted_once(call: Caller) -> None:
    (call.folder / "out").mkdir()
    call("--table", "1", "--results", "out", "--data", "out")
    assert len(call.mounts()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("code", [1, 6, 130])
def test_the_exit_code_is_the_commands(call: Caller, code: int) -> None:
    assert call("--table", "1", FAKE_RUN=str(code)).returncode == code


@pytest.mark.slow
def test_a_failed_build_ends_the_run_where_docker_was_asked_for(call: Caller) -> None:
    assert call("--table", "1", FAKE_BUILD="1", STILTS_ARTIFACT_RUNNER="docker").returncode == 5
    assert call.calls("run") == []


def test_a_failed_build_falls_back_to_the_local_environment(call: Caller) -> None:
    make_command(
        call.bin / "uname", "#!/bin/sh\necho Plan9 mips"
    )  # so that nothing is installed here
    done = call("--table", "1", FAKE_BUILD="3")
    assert "running in the local environment .venv instead" in done.stderr
    assert "the local environment is for Linux x86_64 and this is Plan9 mips" in done.stderr
    assert done.returncode == 5
    assert call.calls("run") == []


@pytest.mark.slow
def test_the_first_build_shows_its_progress(call: Caller) -> None:
    call("--table", "1", FAKE_IMAGE="1")
    call("--table", "1")
    first, second = call.calls("build")
    assert "--quiet" not in first
    assert "--quiet" in second


def test_build_says_what_it_is_made_from(call: Caller, repository: Path) -> None:
    call("--table", "1", STILTS_ARTIFACT_BUILD="--network host --build-arg BASE=mine")
    (build,) = call.calls("build")
    assert build[-1] == str(repository)
    given = [build[place + 1] for place, word in enumerate(build) if word == "--build-arg"]
    from stilts_artifact.container.image import build_arguments

    expected = build_arguments(repository, "cpu", "mine")
    assert dict(pair.split("=", 1) for pair in given) == expected
    assert "--network host" in " ".join(build)


def test_docker_asked_for_and_absent(call: Caller) -> None:
    done = call("--table", "1", STILTS_ARTIFACT_RUNNER="docker", FAKE_VERSION="1")
    assert done.returncode == 5
    assert (
        done.stderr
        == "reproduce.sh: error: STILTS_ARTIFACT_RUNNER=docker, but no Docker engine answers\n"
    )


def test_docker_asked_for_and_not_able_to_build(call: Caller) -> None:
    done = call("--table", "1", STILTS_ARTIFACT_RUNNER="docker", FAKE_HELP="1")
    assert done.returncode == 5
    assert "lacks the buildx plugin" in done.stderr
    assert done.stderr.count("\n") == 1


def test_unknown_runner(call: Caller) -> None:
    done = call("--table", "1", STILTS_ARTIFACT_RUNNER="podman")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_no_arguments_shows_the_usage(call: Caller) -> None:
    done = call()
    assert done.returncode == 2
    assert "./reproduce.sh --table 1" in done.stdout
    assert call("--help").returncode == 0
    assert call.calls("run") == []


# A clone whose locks/install.sh only pretends.
FAKE_INSTALL = """#!/bin/sh
echo "install $2" >> "$CALLS"
mkdir -p "$1/bin"
cat > "$1/bin/python" <<'PYTHON'
#!/bin/sh
case "$*" in
  "-I -m stilts_artifact"*) shift 3; pwd; printf "<%s>" "$@"; exit 6 ;;
  *) echo "pip $*" >> "$CALLS" ;;
esac
PYTHON
chmod +x "$1/bin/python"
"""


@pytest.fixture
def clone(call: Caller, repository: Path, tmp_path: Path) -> Path:
    """Where ``call`` then finds reproduce.sh; no Docker engine answers it."""
    folder = tmp_path / "my clone"
    (folder / "locks").mkdir(parents=True)
    for name in ("cpu.txt", "dev.txt", "build.txt"):
        (folder / "locks" / name).write_text(name, "utf-8")
    make_command(folder / "locks" / "install.sh", FAKE_INSTALL)
    (folder / "pyproject.toml").touch()
    call.script = folder / "reproduce.sh"
    shutil.copy(repository / "reproduce.sh", call.script)
    (call.bin / "chmod").symlink_to(str(shutil.which("chmod")))
    (call.bin / "docker").unlink()
    return folder


def installs(call: Caller) -> list[str]:
    return call.calls_file.read_text("utf-8").splitlines()


def test_without_docker_the_command_runs_here(call: Caller, clone: Path) -> None:
    done = call("--table", "1", "--results", "two words")
    assert done.returncode == 6
    assert done.stdout == f"{call.folder}\n<reproduce><--table><1><--results><two words>"
    assert "running in the local environment .venv (no docker command)" in done.stderr


def test_the_environment_is_made_once_per_lock(call: Caller, clone: Path) -> None:
    call("check")
    assert installs(call)[0] == "install cpu"
    first = installs(call)
    call("check")
    assert installs(call) == first
    (clone / "locks" / "cpu.txt").write_text("changed", "utf-8")
    call("check")
    assert installs(call).count("install cpu") == 2


def test_two_runs_at_once_make_it_once(call: Caller, clone: Path) -> None:
    (call.bin / "sleep").symlink_to(str(shutil.which("sleep")))
    make_command(
        clone / "locks" / "install.sh", FAKE_INSTALL.replace("mkdir -p", "sleep 1; mkdir -p")
    )
    with ThreadPoolExecutor() as pool:
        codes = [done.returncode for done in pool.map(call, ["check", "check"])]
    assert codes == [6, 6]
    assert installs(call).count("install cpu") == 1


@pytest.mark.parametrize("word", ["container", "expected", "record", "cluster"])
def test_some_commands_run_here_though_docker_answers(call: Caller, clone: Path, word: str) -> None:
    make_docker(call.bin / "docker")
    done = call(word)
    assert done.returncode == 6
    assert "local environment .venv (it " in done.stderr


def test_the_environment_of_the_tests_serves_runs_too(call: Caller, clone: Path) -> None:
    call("test", "--quick")
    call("check")
    assert [line for line in installs(call) if line.startswith("install")] == ["install dev"]


def test_a_moved_clone_makes_its_environment_anew(call: Caller, clone: Path) -> None:
    call("check")
    moved = clone.rename(clone.with_name("moved"))
    call.script = moved / "reproduce.sh"
    call("check")
    assert installs(call).count("install cpu") == 2


def test_a_clone_behind_a_link_is_the_same_clone(call: Caller, clone: Path, tmp_path: Path) -> None:
    call("check")
    (tmp_path / "link").symlink_to(clone)
    call.script = tmp_path / "link" / "reproduce.sh"
    assert call("check").returncode == 6
    assert installs(call).count("install cpu") == 1


@pytest.mark.slow
@pytest.mark.parametrize("old", ["link", "folder"])
def test_an_environment_is_replaced_only_by_a_complete_one(
    call: Caller, clone: Path, old: str
) -> None:
    call("check")
    if old == "folder":  # as earlier versions of the script left it
        made = (clone / ".venv").resolve()
        (clone / ".venv").unlink()
        made.rename(clone / ".venv")
    (clone / "locks" / "cpu.txt").write_text("changed", "utf-8")
    broken = '#!/bin/sh\nmkdir -p "$1/bin"\necho half > "$1/bin/python"\nexit 1\n'
    make_command(clone / "locks" / "install.sh", broken)
    done = call("check")
    assert done.returncode == 5
    assert "what was installed before is untouched" in done.stderr
    (clone / "locks" / "cpu.txt").write_text("cpu.txt", "utf-8")
    assert call("check").returncode == 6, "the environment from before serves on"
    (clone / "locks" / "cpu.txt").write_text("changed", "utf-8")
    make_command(clone / "locks" / "install.sh", FAKE_INSTALL)
    assert call("check").returncode == 6
    assert [path.name for path in (clone / ".venvs").iterdir()] == [
        (clone / ".venv").resolve().name
    ]


def test_an_environment_in_use_outlives_its_successor(call: Caller, clone: Path) -> None:
    call("check")
    used = (clone / ".venv").resolve()
    with (used / "lock.stamp").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        (clone / "locks" / "cpu.txt").write_text("changed", "utf-8")
        assert call("check").returncode == 6
        assert (used / "bin" / "python").exists()
    (clone / "locks" / "cpu.txt").write_text("changed again", "utf-8")
    call("check")
    assert not used.exists()


def test_nothing_of_the_callers_shell_is_used(call: Caller, clone: Path, tmp_path: Path) -> None:
    """Functions, startup files, options, search paths and a mask against the owner himself."""
    (tmp_path / "startup").write_text("set -o noclobber\ncd() { exit 3; }\n", "utf-8")
    hostile = {
        "BASH_ENV": str(tmp_path / "startup"),
        "BASH_FUNC_pwd%%": "() { echo /elsewhere; }",
        "SHELLOPTS": "noclobber",
        "CDPATH": "/tmp:/",
        "GREP_OPTIONS": "--color=always",
        "POSIXLY_CORRECT": "1",
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": "/nowhere",
        "GIT_DIR": "/nowhere",
    }
    before = os.umask(0o777)
    try:
        done = call("--table", "1", **hostile)
    finally:
        os.umask(before)
    assert done.returncode == 6, done.stderr
    assert done.stdout == f"{call.folder}\n<reproduce><--table><1>"


def test_what_fails_on_the_way_is_no_verdict(call: Caller, clone: Path) -> None:
    make_command(call.bin / "touch", "#!/bin/sh\nexit 1\n")
    done = call("check")
    assert done.returncode == 5
    assert "touch" in done.stderr and "failed (exit 1" in done.stderr


def test_an_installation_that_fails_is_not_taken_for_done(call: Caller, clone: Path) -> None:
    make_command(clone / "locks" / "install.sh", "#!/bin/sh\nexit 5\n")
    assert call("check").returncode == 5
    make_command(clone / "locks" / "install.sh", FAKE_INSTALL)
    assert call("check").returncode == 6


def test_another_machine_is_told_to_use_docker(call: Caller, clone: Path) -> None:
    make_command(call.bin / "uname", "#!/bin/sh\necho Darwin arm64\n")
    done = call("check")
    assert done.returncode == 5
    assert "this is Darwin arm64: use Docker" in done.stderr


def test_failed_checks_are_all_named(call: Caller, clone: Path) -> None:
    for name in ("ruff", "mypy", "lint-imports", "shellcheck", "pytest"):
        make_command(call.bin / name, '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n')
    (call.bin / "basename").symlink_to(str(shutil.which("basename")))
    assert call("test").returncode == 0
    assert [line for line in installs(call) if line.startswith("pytest")] == [
        "pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder",
    ]
    make_command(call.bin / "mypy", "#!/bin/sh\nexit 2\n")
    make_command(call.bin / "pytest", "#!/bin/sh\nexit 1\n")
    done = call("test", "tests/unit")
    assert done.returncode == 1
    assert "FAILED: mypy (exit 2); pytest (exit 1);" in done.stderr


def test_no_python_is_one_line(repository: Path, call: Caller, tmp_path: Path) -> None:
    (call.bin / "mktemp").symlink_to(str(shutil.which("mktemp")))
    make_command(call.bin / "python3", "#!/bin/sh\nexit 1\n")
    call.script = repository / "locks" / "install.sh"
    done = call(str(tmp_path / "venv"), "cpu", PYTHON="")
    assert done.returncode == 5
    assert done.stderr == (
        "error: no Python 3.11 with its venv module here, and the locks are for 3.11: "
        "install both, or Docker\n"
    )
