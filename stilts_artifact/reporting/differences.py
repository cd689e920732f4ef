"""Where this package may differ from the paper: ``known_differences.yaml``."""

from __future__ import annotations

from importlib import resources
from typing import Literal

from pydantic import ValidationError

from stilts_artifact.checking.expected import Strict
from stilts_artifact.documents import parse_yaml
from stilts_artifact.errors import ConfigError

FILE = "known_differences.yaml"


class KnownDifference(Strict):
    """One difference.

    Attributes:
        status: ``unverified``: the paper's text was not at hand; ``choice``: its sources are
            ambiguous or other than this; ``limit``: it cannot be done here.
        change: the file, or the action, that changes it.
    """

    title: str
    status: Literal["unverified", "choice", "limit"]
    paper: str
    here: str
    change: str


class _Document(Strict):
    differences: list[KnownDifference]


def known_differences() -> list[KnownDifference]:
    """All known differences, in the file's order.

    Raises:
        ConfigError: an unknown or missing key.
    """
    data = resources.files(__package__).joinpath(FILE).read_bytes()
    try:
        return _Document.model_validate(parse_yaml(data, FILE)).differences
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            "not a list of differences", where=f"{FILE}: {place}", got=first["msg"]
        ) from error
