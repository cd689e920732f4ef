"""Quantities as people read them."""

from __future__ import annotations


def readable_size(count: float) -> str:
    """A number of bytes in decimal units, three digits.

    Example:
        >>> tuple(map(readable_size, (532, 36_779, 312_783_507, 1.8e9)))
        ('532 B', '36.8 kB', '313 MB', '1.80 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            break
        count /= 1000
    digits = 0 if unit == "B" or count >= 99.95 else 1 if count >= 9.995 else 2
    return f"{count:.{digits}f} {unit}"
