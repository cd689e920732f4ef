"""Text from outside, made fit to be shown: nothing invisible, no line of its own, no secret.

What a file, an archive, a server or a path is called or says may hold anything: escape codes that
recolour a terminal, marks that turn the direction of writing round, a line break and after it a
verdict. Every message and every text of a results file goes through here.
"""

from __future__ import annotations

import re

# Printable to Python, and yet not seen: fillers, joiners, selectors of another glyph.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_CREDENTIALS = re.compile(r"(?<=://)[^\s\"'<>]*@")
_SECRET = re.compile(
    r"([?&;#][^=&;#\s]*(?:token|key|sig|secret|pass|pwd|cred|auth|session)[^=&;#\s]*=)[^&;#\s]+",
    re.IGNORECASE,
)


def visible(text: str) -> str:
    """A text on one line, with whatever does not print escaped as Python writes it.

    That is controls, marks of direction, invisible and unassigned characters, half surrogates and
    spaces other than the plain one; letters of all scripts stay.

    Example:
        >>> print(visible("a\\nverdict: \\x1b[32mREPRODUCED \\u202edetrevni äж中"))
        a\\nverdict: \\x1b[32mREPRODUCED \\u202edetrevni äж中
    """
    if text.isprintable() and _UNSEEN.search(text) is None:
        return text
    return "".join(
        char
        if char.isprintable() and _UNSEEN.match(char) is None
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def redacted(text: str) -> str:
    """A text in which no address shows a user, a password, or a token in its query.

    Example:
        >>> redacted("https://me:secret@host/file?part=1&X-Amz-Signature=abc")
        'https://host/file?part=1&X-Amz-Signature=...'
    """
    return _SECRET.sub(r"\1...", _CREDENTIALS.sub("", text))


def without_password(url: str) -> str:
    """An address that somebody gave, even a malformed one: no user, password or query at all."""
    return re.sub(r"\?.*", "?...", re.sub(r"//.*@", "//", url, flags=re.DOTALL), flags=re.DOTALL)
