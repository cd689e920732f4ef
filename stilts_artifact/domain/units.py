"""Quantities as people read them."""

from __future__ import annotations

from itertools import pairwise

_TIMES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


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


def readable_time(seconds: float) -> str:
    """A duration in its two largest units: ``d``, ``h``, ``min`` and ``s``, without zeros.

    Under ten seconds it has one decimal; a length of time that is not known is the caller's to say.

    Example:
        >>> [readable_time(value) for value in (0, 0.44, 59.7, 75, 7_200, 7_290, 200_000)]
        ['0 s', '0.4 s', '1 min', '1 min 15 s', '2 h', '2 h 1 min', '2 d 7 h']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for (large, unit), (small, part) in pairwise(_TIMES):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large:,} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"
