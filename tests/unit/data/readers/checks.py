"""What the reader tests share: strategies for text, and an assertion on errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from stilts_artifact.errors import ArtifactError, DataError

# Any text a cell can hold: all of Unicode but surrogates, NUL and the separators of the format.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\n\r"), max_size=12)
# U+2028, U+0085, vertical tab and form feed end a line for str.splitlines, not for a file.
TRICKY = 'one\u2028two\x85three\x0bfour\x0cfive\x1csix \u201equoted\u201c "half'


def refused(read: Callable[[], object], *parts: str, error: type[ArtifactError] = DataError) -> str:
    """The message of the ``error`` that ``read`` must raise; with every one of ``parts`` in it."""
    with pytest.raises(error) as caught:
        read()
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    return message
