"""Prints the pins: ``python -m stilts_artifact.miniworld.pin > .../benchmark/mini_pins.tsv``."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator

from stilts_artifact.miniworld.files import FILES, build
from stilts_artifact.miniworld.grammar import SEED


def pins(names: tuple[str, ...] = FILES, seed: int = SEED) -> Iterator[tuple[str, int, str]]:
    """Name, size in bytes and sha256 of each file, sorted by name."""
    for name in sorted(names):
        content = build(name, seed)
        yield name, len(content), hashlib.sha256(content).hexdigest()


def main() -> None:
    """Writes a header and one tab-separated line for each file to standard output."""
    sys.stdout.write("name\tbytes\tsha256\n")
    for name, size, digest in pins():
        sys.stdout.write(f"{name}\t{size}\t{digest}\n")


if __name__ == "__main__":
    main()
