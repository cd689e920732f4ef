"""The bill of materials of an image is its lock; its provenance names what it was built from."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from stilts_artifact.container.image import build_arguments
from stilts_artifact.container.provenance import (
    bill_of_materials,
    build_provenance,
    write_beside,
)

LOCK = """# made by
b-b==2.0+cpu \\
    --hash=sha256:{b} \\
    --hash=sha256:{c}
    # via
    #   a
    #   stilts-artifact (pyproject.toml)
a==1.0 \\
    --hash=sha256:{a}
    # via stilts-artifact (pyproject.toml)
""".format(a="a" * 64, b="b" * 64, c="c" * 64)


def test_packages_hashes_and_who_asks_for_whom_are_those_of_the_lock() -> None:
    bill = bill_of_materials(LOCK, "cpu")
    assert [(one["name"], one["version"], one["purl"]) for one in bill["components"]] == [
        ("b-b", "2.0+cpu", "pkg:pypi/b-b@2.0%2Bcpu"),
        ("a", "1.0", "pkg:pypi/a@1.0"),
    ]
    digests = [[digest["content"] for digest in one["hashes"]] for one in bill["components"]]
    assert digests == [["b" * 64, "c" * 64], ["a" * 64]]
    own = bill["metadata"]["component"]["bom-ref"]
    assert {one["ref"]: one["dependsOn"] for one in bill["dependencies"]} == {
        own: ["pkg:pypi/a@1.0", "pkg:pypi/b-b@2.0%2Bcpu"],
        "pkg:pypi/a@1.0": ["pkg:pypi/b-b@2.0%2Bcpu"],
        "pkg:pypi/b-b@2.0%2Bcpu": [],
    }


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_every_line_of_the_shipped_locks_is_in_the_bill(repository: Path, variant: str) -> None:
    text = (repository / "locks" / f"{variant}.txt").read_text("utf-8")
    bill = bill_of_materials(text, variant)
    listed = [f"{one['name']}=={one['version']}" for one in bill["components"]]
    assert listed == re.findall(r"^([\w.-]+==\S+)", text, flags=re.MULTILINE)
    hashes = [digest["content"] for one in bill["components"] for digest in one["hashes"]]
    assert hashes == re.findall(r"sha256:(\w+)", text)
    refs = {one["ref"] for one in bill["dependencies"]}
    assert {ref for one in bill["dependencies"] for ref in one["dependsOn"]} <= refs
    # Somebody asks for every package.
    asked = {ref for one in bill["dependencies"] for ref in one["dependsOn"]}
    assert refs - asked == {bill["metadata"]["component"]["bom-ref"]}


def test_the_provenance_names_image_base_commit_lock_and_bill(repository: Path) -> None:
    base = f"python:3@sha256:{'d' * 64}"
    arguments = build_arguments(repository, "cpu", base)
    statement = build_provenance(f"sha256:{'e' * 64}", "mine", arguments, b"abc")
    assert statement["subject"] == [{"name": "mine", "digest": {"sha256": "e" * 64}}]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == arguments
    lock = hashlib.sha256((repository / "locks" / "cpu.txt").read_bytes()).hexdigest()
    assert definition["resolvedDependencies"] == [
        {"name": "python:3", "digest": {"sha256": "d" * 64}},
        {"name": "source", "digest": {"gitCommit": arguments["REVISION"]}},
        {"name": "locks/cpu.txt", "digest": {"sha256": lock}},
    ]
    # The sha256 of "abc", FIPS 180-4.
    (bill,) = statement["predicate"]["runDetails"]["byproducts"]
    assert bill["digest"]["sha256"].startswith("ba7816bf8f01cfea")


def test_both_are_written_the_same_again(repository: Path, tmp_path: Path) -> None:
    arguments = {"BASE": "own", **build_arguments(repository, "cpu", None)}
    made = write_beside(tmp_path / "a", "sha256:1", "mine", arguments, LOCK)
    again = write_beside(tmp_path / "b", "sha256:1", "mine", arguments, LOCK)
    assert [path.read_bytes() for path in made] == [path.read_bytes() for path in again]
    statement = json.loads(made[1].read_text())
    (bill,) = statement["predicate"]["runDetails"]["byproducts"]
    assert bill["digest"]["sha256"] == hashlib.sha256(made[0].read_bytes()).hexdigest()
    # A base that is named without a digest has none.
    definition = statement["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][0] == {"name": "own"}
