"""Building the image and running commands in it, through a Docker engine.

The Dockerfile describes the image; ``reproduce.sh`` does the same for a clone on a machine without
Python.
"""

from stilts_artifact.container.image import build
from stilts_artifact.container.runner import run

__all__ = ["build", "run"]
