"""Building the image from a clone of the repository."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stilts_artifact import __version__
from stilts_artifact.container.engine import buildkit_environment, connect, find_builder
from stilts_artifact.container.provenance import write_beside
from stilts_artifact.errors import ResourceError, unknown_name

VARIANTS = ("cpu", "gpu")
CLONE = Path(__file__).resolve().parents[2]
DEFAULT_TAG = "stilts-artifact"


def build(
    *,
    variant: str = "gpu",
    base: str | None = None,
    tag: str = DEFAULT_TAG,
    network: str = "default",
    beside: Path = Path("results/image"),
) -> tuple[Path, Path]:
    """Build the image, with docker's own messages on standard error.

    Args:
        variant: which lock is installed, ``"gpu"`` (runs without a GPU too) or ``"cpu"``.
        base: base image in place of the Dockerfile's pinned one.
        tag: name of the image.
        network: of the build steps: ``"default"``, ``"host"``, or ``"none"`` when wheelhouse/ holds
            every wheel.
        beside: folder for the bill of materials and the provenance of what was built.

    Returns:
        Paths of these two.

    Raises:
        ConfigError: there is no such variant.
        ResourceError: no clone, no engine, no client that can build, or the build failed.
    """
    if variant not in VARIANTS:
        raise unknown_name("variant", variant, VARIANTS)
    if not (CLONE / "Dockerfile").is_file():
        raise ResourceError(
            "the image is built from a clone of the repository, and this is an installed package",
            where=str(CLONE),
            expected="a folder with the Dockerfile",
            fix="clone the repository and run ./reproduce.sh container build there",
        )
    # So that a missing engine is told in this package's words, and before anything is read.
    engine = connect()
    command = [find_builder(), "build", "--network", network, "--tag", tag]
    arguments = build_arguments(CLONE, variant, base)
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    command.append(str(CLONE))
    code = subprocess.run(command, env=buildkit_environment(), check=False).returncode  # noqa: S603
    if code != 0:
        raise ResourceError(
            "the image was not built",
            where=str(CLONE / "Dockerfile"),
            got=f"docker build ended with {code}",
            fix="read docker's messages above",
        )
    built = str(engine.images.get(tag).id)
    engine.close()
    lock = (CLONE / "locks" / f"{variant}.txt").read_text("utf-8")
    used = {"BASE": _base(CLONE), **arguments}
    return write_beside(beside, built, tag, used, lock)


def build_arguments(clone: Path, variant: str, base: str | None) -> Mapping[str, str]:
    """The Dockerfile's arguments: the lock to install, and what the labels say it is made from.

    Example:
        >>> sorted(build_arguments(CLONE, "cpu", None))
        ['CREATED', 'LOCK_SHA256', 'REVISION', 'VARIANT', 'VERSION']
    """
    lock = (clone / "locks" / f"{variant}.txt").read_bytes()
    arguments = {
        "VARIANT": variant,
        "VERSION": __version__,
        "REVISION": _git(clone, "describe", "--always", "--dirty", "--abbrev=40"),
        # When what it is built from was made: a second build has the same labels.
        "CREATED": _git(clone, "log", "-1", "--format=%cI"),
        "LOCK_SHA256": hashlib.sha256(lock).hexdigest(),
    }
    return arguments if base is None else {**arguments, "BASE": base}


def _base(clone: Path) -> str:
    """The Dockerfile's own base image, with its digest."""
    text = (clone / "Dockerfile").read_text("utf-8")
    (base,) = re.findall(r"^ARG BASE=(\S+)$", text, flags=re.MULTILINE)
    return str(base)


def _git(clone: Path, *arguments: str) -> str:
    """What git says of a clone; "unknown" outside git."""
    try:
        made = subprocess.run(  # noqa: S603
            ["git", "-C", str(clone), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
