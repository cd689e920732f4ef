"""Prints the pins: ``python -m stilts_artifact.miniworld.pin > .../benchmark/mini_pins.tsv``.

With the argument ``family`` those of the family of languages, which ``family_pins.tsv`` has.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator

from stilts_artifact.miniworld.files import FAMILY_FILES, FILES, IN_FAMILY, build
from stilts_artifact.miniworld.grammar import SEED


def pins(
    names: tuple[str, ...] = FILES, seed: int = SEED, within: str = ""
) -> Iterator[tuple[str, int, str]]:
    """Name, size in bytes and sha256 of each file, sorted by name.

    Args:
        within: what stands before the names where they are asked for.
    """
    for name in sorted(names):
        content = build(f"{within}{name}", seed)
        yield name, len(content), hashlib.sha256(content).hexdigest()


def main() -> None:
    """Writes a header and one tab-separated line for each file to standard output."""
    chosen = pins(FAMILY_FILES, within=IN_FAMILY) if sys.argv[1:] == ["family"] else pins()
    sys.stdout.write("name\tbytes\tsha256\n")
    for name, size, digest in chosen:
        sys.stdout.write(f"{name}\t{size}\t{digest}\n")


if __name__ == "__main__":
    main()
