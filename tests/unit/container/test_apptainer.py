"""The Apptainer definition makes what the Dockerfile makes. No Apptainer was at hand to build it:
neither Debian 12 nor PyPI has one.

The definition's format: a header of ``Key: value`` lines, then sections that begin with ``%name``;
``{{ NAME }}`` is an argument's value. Only lines of shell may hold comments everywhere.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

SHELL = ("post", "environment", "runscript", "test")
# Docker's /tmp is the container's own, and its user has no home. Under Apptainer both are the
# user's on that machine.
OF_THE_USER = {"HOME", "XDG_CACHE_HOME", "HF_HOME", "MPLCONFIGDIR"}
VARIANT = "{{ VARIANT }}"


@pytest.fixture(scope="module")
def sections(repository: Path) -> dict[str, list[str]]:
    """Lines of each section; ``""`` is the header."""
    text = (repository / "container" / "artifact.def").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in text.splitlines():
        if line.startswith("%"):
            name = line.removeprefix("%")
            assert name not in found
            found[name] = []
        elif line.strip():
            found[name].append(line.strip())
    return found


@pytest.fixture(scope="module")
def dockerfile(repository: Path) -> list[list[str]]:
    """Words of each instruction, lines that continue put together."""
    text = (repository / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [shlex.split(line) for line in lines]


def commands(words: list[str]) -> list[list[str]]:
    """The commands of a RUN instruction, without its mounts."""
    rest = [word for word in words[1:] if not word.startswith("--mount=")]
    return [shlex.split(part) for part in shlex.join(rest).split(" '&&' ")]


def test_the_base_is_the_dockerfiles(
    sections: dict[str, list[str]], dockerfile: list[list[str]]
) -> None:
    header = dict(
        re.split(r":\s+", line, maxsplit=1) for line in sections[""] if not line.startswith("#")
    )
    (base,) = (words[1] for words in dockerfile if words[0] == "ARG" and "BASE=" in words[1])
    name, digest = re.fullmatch(r"BASE=(\w+):[\w.-]+(@sha256:[0-9a-f]{64})", base).groups()  # type: ignore[union-attr]
    assert header == {"Bootstrap": "docker", "From": f"{name}{digest}"}


def test_it_is_given_the_files_that_the_dockerfile_takes(
    repository: Path, sections: dict[str, list[str]], dockerfile: list[list[str]]
) -> None:
    copied = [
        source
        for words in dockerfile
        if words[0] == "COPY" and not words[1].startswith("--from")
        for source in words[1:-1]
    ]
    mounted = [
        source
        for words in dockerfile
        for word in words
        for source in re.findall(r"type=bind,source=([^,]+)", word)
    ]
    pairs = [line.split() for line in sections["files"]]
    assert sorted(source for source, _ in pairs) == sorted([*copied, *mounted])
    assert all((repository / source).exists() for source, _ in pairs)
    assert all(target == f"/opt/source/{source}" for source, target in pairs)


def test_it_runs_the_commands_of_the_dockerfile(
    sections: dict[str, list[str]], dockerfile: list[list[str]]
) -> None:
    """But those for folders and rights that only Docker has, and with other folders for the way."""
    folders = {
        "/tmp/locks/install.sh": "locks/install.sh",
        "$VARIANT": VARIANT,
        "/tmp/wheelhouse": "wheelhouse",
        "/tmp/wheels": "/opt/built",
        "/tmp/wheels/*.whl": "/opt/built/*.whl",
        "stilts-artifact": "/opt/venv/bin/stilts-artifact",
    }
    wanted = [
        [folders.get(word, word) for word in command]
        for words in dockerfile
        if words[0] == "RUN"
        for command in commands(words)
        if "/artifact" not in command and command[0] != "mkdir"
    ]
    # Docker installs our package beside the others, for the sake of its layers.
    for command in wanted:
        if "--prefix" in command:
            place = command.index("--prefix")
            del command[place : place + 2]
    post = [shlex.split(line) for line in sections["post"]]
    assert [command for command in post if command in wanted] == wanted
    assert len(wanted) == 5


def test_environment_and_entry_point_are_the_dockerfiles(
    sections: dict[str, list[str]], dockerfile: list[list[str]]
) -> None:
    # Those of the image, not of the stage that builds it.
    last = max(place for place, words in enumerate(dockerfile) if words[0] == "FROM")
    image = dockerfile[last:]
    wanted = dict(
        word.split("=", maxsplit=1) for words in image if words[0] == "ENV" for word in words[1:]
    )
    exports = [shlex.split(line) for line in sections["environment"]]
    assert {words[0] for words in exports} == {"export"}
    found = dict(word.split("=", maxsplit=1) for words in exports for word in words[1:])
    assert wanted.keys() - found.keys() == OF_THE_USER
    assert found == {name: wanted[name] for name in found}
    assert ["ENTRYPOINT", "[stilts-artifact]"] in image
    assert sections["runscript"] == ['exec stilts-artifact "$@"']


def test_labels_are_the_dockerfiles(
    sections: dict[str, list[str]], dockerfile: list[list[str]]
) -> None:
    (label,) = (words for words in dockerfile if words[0] == "LABEL")
    wanted = dict(word.split("=", maxsplit=1) for word in label[1:])
    found = dict(line.split(maxsplit=1) for line in sections["labels"])
    # Of a clone, which a definition does not ask for; the lock's sum is taken as it is built.
    rest = {
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
        "org.opencontainers.image.created",
        "stilts-artifact.lock.sha256",
    }
    assert wanted.keys() - found.keys() == rest
    (base,) = (words[1] for words in dockerfile if words[0] == "ARG" and "BASE=" in words[1])
    given = {"$VARIANT": VARIANT, "$BASE": base.removeprefix("BASE=")}
    assert found == {name: given.get(wanted[name], wanted[name]) for name in found}
    (sum_line,) = (line for line in sections["post"] if "stilts-artifact.lock.sha256" in line)
    # Apptainer has it under both names, SingularityCE under this one alone.
    assert sum_line.endswith('>>"$SINGULARITY_LABELS"')


def test_the_variant_is_the_dockerfiles(
    sections: dict[str, list[str]], dockerfile: list[list[str]]
) -> None:
    (default,) = {words[1] for words in dockerfile if words[1].startswith("VARIANT=")}
    assert sections["arguments"] == [default]


def test_comments_are_where_every_version_takes_them(sections: dict[str, list[str]]) -> None:
    for name, lines in sections.items():
        if name and name not in SHELL:
            assert not [line for line in lines if line.startswith("#")], name
    comments = [line.startswith("#") for line in sections[""]]
    assert comments == sorted(comments, reverse=True)


@pytest.mark.parametrize("name", SHELL)
def test_shellcheck_finds_no_fault(
    sections: dict[str, list[str]], name: str, tmp_path: Path
) -> None:
    script = tmp_path / f"{name}.sh"
    lines = "\n".join(sections[name]).replace(VARIANT, "gpu")
    script.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    answer = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert answer.stdout == "" and answer.returncode == 0
