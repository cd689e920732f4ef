"""The commands of README and docs exist, their links lead somewhere, tables say what code says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stilts_artifact.cli.app import app
from stilts_artifact.errors import ExitCode

README = Path(__file__).resolve().parents[2] / "README.md"
DOCS = sorted((README.parent / "docs").glob("*.md"))
PAGES = [README, README.parent / "CONTRIBUTING.md", *DOCS]


def shell_lines(page: Path = README) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [
        line.partition("#")[0].strip()
        for block in blocks
        for line in block.splitlines()
        if line.strip()
    ]


def artifact_commands() -> list[list[str]]:
    """Arguments of each command line that ends in a call of the package, however it is reached."""
    found = []
    for line in [line for page in PAGES for line in shell_lines(page)]:
        words = shlex.split(line)
        if words[0] == "./reproduce.sh" and words[1] != "test":
            found.append([*(["reproduce"] if words[1].startswith("-") else []), *words[1:]])
        elif "stilts-artifact" in words:
            found.append(words[words.index("stilts-artifact") + 1 :])
    return found


def test_the_readme_names_the_two_commands() -> None:
    assert {"./reproduce.sh --table 1", "./reproduce.sh test"} <= set(shell_lines())


@pytest.mark.parametrize("arguments", artifact_commands(), ids=" ".join)
def test_every_command_and_option_exists(arguments: list[str]) -> None:
    answer = CliRunner().invoke(app, [*arguments, "--help"])
    assert answer.exit_code == 0, answer.output
    assert "Usage: " in answer.output


def pasted() -> list[tuple[str, str]]:
    """Each command of ours on a page, as a line that asks for its help instead."""
    return [
        (page.name, re.sub(r"[<>] *\S+|&&.*", "", line).rstrip() + " --help")
        for page in PAGES
        for line in shell_lines(page)
        if line.split()[0] in ("./reproduce.sh", "stilts-artifact") and " test" not in line
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), pasted())
def test_a_pasted_command_runs_in_a_plain_shell(page: str, line: str) -> None:
    """A shell that knows nothing but what README and docs/install.md have it do first."""
    (path,) = [one for one in shell_lines() if one.startswith("export PATH=")]
    assert path in shell_lines(README.parent / "docs" / "install.md")
    answer = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", f"{path}\n{line}"],
        cwd=README.parent,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "STILTS_ARTIFACT_RUNNER": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, f"{page}: {answer.stderr}"
    assert "Usage: " in answer.stdout


def test_the_table_of_commands_is_that_of_the_program() -> None:
    commands = [
        command.callback.__name__
        for command in app.registered_commands
        if command.callback is not None
    ]
    groups = [group.name for group in app.registered_groups]
    listed = re.findall(
        r"^\| `stilts-artifact (\w+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert sorted(listed) == sorted([*commands, *filter(None, groups)])


def test_the_table_of_exit_codes_is_complete() -> None:
    listed = re.findall(r"^\| (\d+) \|", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [int(code) for code in listed] == [int(code) for code in ExitCode]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)(?:#[\w-]+)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_listed() -> None:
    listed = (README.parent / "docs" / "README.md").read_text("utf-8")
    for page in DOCS:
        assert page.name == "README.md" or f"]({page.name})" in listed, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    files = r"`((?:locks|expected_results|stilts_artifact|benchmarks|\.ci)/[a-z\d_./-]+)`"
    for name in re.findall(files, page.read_text(encoding="utf-8")):
        assert (README.parent / name).exists(), name
