"""What a result was made with. Nothing here names the machine or the time: equal runs give equal files."""

from __future__ import annotations

import platform
from importlib import metadata

from stilts_artifact import __version__

# Packages that a number may depend on.
PACKAGES = (
    "numpy",
    "torch",
    "transformers",
    "datasets",
    "sentencepiece",
    "faiss-cpu",
    "faiss-gpu",
    "seqeval",
)


def environment() -> dict[str, str]:
    """Versions of the package, Python, the platform and the libraries that are installed."""
    found = {
        "stilts-artifact": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
