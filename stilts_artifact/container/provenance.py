"""What stands beside an image: a bill of the packages in it, and what it was built from.

Both are made from what pins the image, not by looking into it: the lock has every package with the
hashes of the files that may be installed, the Dockerfile the digest of its base.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stilts_artifact import __version__
from stilts_artifact.documents import dump_json

_PACKAGE = re.compile(r"([A-Za-z0-9._-]+)==(\S+) \\")
_HASH = re.compile(r" +--hash=sha256:([0-9a-f]{64})(?: \\)?")
_VIA = re.compile(r" +# +(?:via +)?(\S+)(?: \(.*\))?")
# Names a bill by what it lists: the same lock, the same bill.
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "stilts-artifact")


@dataclass
class _Package:
    name: str
    version: str
    hashes: list[str] = field(default_factory=list)
    asked_by: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        """Package URL; a local version's plus is escaped (purl-spec, type pypi)."""
        return f"pkg:pypi/{self.name}@{self.version.replace('+', '%2B')}"


def bill_of_materials(lock: str, variant: str) -> dict[str, Any]:
    """The packages of a lock as a CycloneDX document, with who asks for whom.

    Each has the sha256 of every file that the lock allows: one for each platform it was made for.

    Args:
        lock: text of ``locks/cpu.txt`` or ``gpu.txt``.

    Source:
        CycloneDX 1.6, JSON.
    """
    packages = _read(lock)
    own = f"pkg:generic/stilts-artifact@{__version__}"
    refs = {package.name: package.purl for package in packages}
    wanted: dict[str, list[str]] = {ref: [] for ref in (own, *refs.values())}
    for package in packages:
        for name in package.asked_by:
            wanted[refs.get(name, own)].append(package.purl)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(_SPACE, lock).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": own,
                "name": "stilts-artifact",
                "version": __version__,
                "properties": [{"name": "stilts-artifact:variant", "value": variant}],
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": package.purl,
                "name": package.name,
                "version": package.version,
                "purl": package.purl,
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
            }
            for package in packages
        ],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(set(needed))} for ref, needed in wanted.items()
        ],
    }


def build_provenance(
    image: str, tag: str, arguments: Mapping[str, str], bill: bytes
) -> dict[str, Any]:
    """What an image was built from, as an in-toto statement with SLSA's predicate.

    Args:
        image: its id, ``sha256:...``.
        arguments: of the build, see :func:`stilts_artifact.container.image.build_arguments`.
        bill: the file of its :func:`bill_of_materials`.

    Source:
        in-toto Statement v1; SLSA Provenance v1.
    """
    name, _, digest = arguments["BASE"].partition("@sha256:")
    base: dict[str, Any] = {"name": name} | ({"digest": {"sha256": digest}} if digest else {})
    lock = f"locks/{arguments['VARIANT']}.txt"
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": tag, "digest": {"sha256": image.removeprefix("sha256:")}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:stilts-artifact:container-build:1",
                "externalParameters": dict(sorted(arguments.items())),
                "resolvedDependencies": [
                    base,
                    {"name": "source", "digest": {"gitCommit": arguments["REVISION"]}},
                    {"name": lock, "digest": {"sha256": arguments["LOCK_SHA256"]}},
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:stilts-artifact:container-build"},
                "byproducts": [
                    {"name": "sbom", "digest": {"sha256": hashlib.sha256(bill).hexdigest()}}
                ],
            },
        },
    }


def write_beside(
    folder: Path, image: str, tag: str, arguments: Mapping[str, str], lock: str
) -> tuple[Path, Path]:
    """Write both documents of an image into a folder, and return their paths."""
    variant = arguments["VARIANT"]
    bill = dump_json(bill_of_materials(lock, variant))
    provenance = dump_json(build_provenance(image, tag, arguments, bill))
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{variant}.cdx.json", folder / f"{variant}.provenance.json"
    for path, content in zip(paths, (bill, provenance), strict=True):
        path.write_bytes(content)
    return paths


def _read(lock: str) -> list[_Package]:
    """The packages of a lock as ``locks/compile.sh`` writes it."""
    found: list[_Package] = []
    for line in lock.splitlines():
        if package := _PACKAGE.fullmatch(line):
            found.append(_Package(package[1], package[2]))
        elif digest := _HASH.fullmatch(line):
            found[-1].hashes.append(digest[1])
        elif found and (asking := _VIA.fullmatch(line)) and asking[1] != "via":
            found[-1].asked_by.append(asking[1])
    return found
