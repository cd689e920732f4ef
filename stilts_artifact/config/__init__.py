"""Scales: one strict YAML file each, validated and frozen; the directory lists their names."""

from __future__ import annotations

from pathlib import Path

# Here and not beside the reading of them: the help of most commands lists them, and reads none.
SCALES: tuple[str, ...] = tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.yaml")))
"""Names of the scales that ship: the YAML files in this folder, and no other list."""
