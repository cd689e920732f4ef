"""CONTRIBUTING.md names files, names and commands that are there; CHANGELOG.md has this version."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import yaml

from stilts_artifact import __version__
from stilts_artifact.checking.results import FORMAT
from tests.docs.test_readme import shell_lines

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "CONTRIBUTING.md"
# Between backticks, outside blocks of commands.
QUOTED = re.findall(
    r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
)
FILES = [text for text in QUOTED if re.fullmatch(r"[\w.]+(/[\w.]*)+|[\w.]+\.(yml|toml)", text)]
NAMES = [text for text in QUOTED if re.fullmatch(r"_?[A-Za-z]\w+", text) and text not in {"null"}]


@pytest.mark.parametrize("name", FILES)
def test_every_file_exists(name: str) -> None:
    """NAME and NNN stand for any name, of which there is one at least."""
    if name.startswith("./"):
        name = name[2:]
    pattern = re.sub(r"NAME|NNN", "*", name).rstrip("/")
    found = [path for base in (ROOT, ROOT / "stilts_artifact") for path in base.glob(pattern)]
    assert found or name == ".venv/bin", name


def test_files_are_named() -> None:
    assert len(set(FILES)) > 40 and len(set(NAMES)) > 15


def test_every_name_stands_in_the_code() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "stilts_artifact").rglob("*"))
        if path.suffix in {".py", ".yaml"}
    )
    known = {"main", "PATH", "NAME", "NNN"}
    assert [one for one in set(NAMES) - known if not re.search(rf"\b{one}\b", code)] == []


def test_commands_that_are_not_the_packages_own_exist() -> None:
    made = ""
    for line in shell_lines(PAGE):
        words = shlex.split(line)
        match words:
            case ["stilts-artifact" | "./reproduce.sh", *_]:  # test_readme.py asks these
                pass
            case ["pytest", folder, *_]:
                assert (ROOT / folder).is_dir(), line
            case [python, "-m", "venv", _]:
                version = python.removeprefix("python")
                assert f"Python :: {version}" in (ROOT / "pyproject.toml").read_text("utf-8"), line
                made = words[-1]
            case ["export", path]:
                assert path == f"PATH=$PWD/{made}/bin:$PATH", line
            case ["pip", "install", "--requirement", file, "--editable", _]:
                assert (ROOT / file).is_file(), line
            case ["python", "-m", module, *_]:
                assert importlib.util.find_spec(module), line
            case [script]:
                assert (ROOT / script).is_file(), line
            case _:
                pytest.fail(f"a command that no test knows: {line}")


def test_the_changelog_begins_with_this_version_and_its_format() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest, *_ = re.findall(r"^## \[([^\]]+)\]", text, flags=re.MULTILINE)
    assert newest == __version__
    section = text.partition(f"## [{newest}]")[2].partition("\n## ")[0]
    assert f"\nResults format {FORMAT}." in section


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == __version__
