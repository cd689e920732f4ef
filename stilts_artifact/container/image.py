"""Building the image from a clone of the repository."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stilts_artifact import __version__
from stilts_artifact.container.engine import buildkit_environment, connect, find_builder
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
) -> None:
    """Build the image, with docker's own messages on standard error.

    Args:
        variant: which lock is installed, ``"gpu"`` (runs without a GPU too) or ``"cpu"``.
        base: base image in place of the Dockerfile's pinned one.
        tag: name of the image.
        network: of the build steps: ``"default"``, ``"host"``, or ``"none"`` when wheelhouse/ holds
            every wheel.

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
    connect().close()
    command = [find_builder(), "build", "--network", network, "--tag", tag]
    for name, value in build_arguments(CLONE, variant, base).items():
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


def build_arguments(clone: Path, variant: str, base: str | None) -> Mapping[str, str]:
    """The Dockerfile's arguments: the lock to install, and what the labels say it is made from.

    Example:
        >>> sorted(build_arguments(CLONE, "cpu", None))
        ['LOCK_SHA256', 'REVISION', 'VARIANT', 'VERSION']
    """
    lock = (clone / "locks" / f"{variant}.txt").read_bytes()
    arguments = {
        "VARIANT": variant,
        "VERSION": __version__,
        "REVISION": _revision(clone),
        "LOCK_SHA256": hashlib.sha256(lock).hexdigest(),
    }
    return arguments if base is None else {**arguments, "BASE": base}


def _revision(clone: Path) -> str:
    """The commit of a clone, marked when the tree differs from it; "unknown" outside git."""
    command = ["git", "-C", str(clone), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        made = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True
        )
        return made.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
