"""Scales: one strict YAML file each, loaded, validated and frozen."""

from __future__ import annotations

from collections.abc import Collection
from importlib import resources
from typing import TYPE_CHECKING, Any

from stilts_artifact.documents import parse_yaml
from stilts_artifact.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pydantic import BaseModel

    from stilts_artifact.config.schema import Scale

_SUFFIX = ".yaml"


def _shipped() -> tuple[str, ...]:
    listing = resources.files(__package__).iterdir()
    return tuple(sorted(f.name.removesuffix(_SUFFIX) for f in listing if f.name.endswith(_SUFFIX)))


SCALES: tuple[str, ...] = _shipped()
"""Names of the scales that ship: the YAML files beside this module, and no other list."""


def known_scale(name: str) -> str:
    """The name itself, for documents that name a scale.

    Raises:
        ValueError: no such scale ships.
    """
    if name not in SCALES:
        raise ValueError(f"unknown scale {name!r}, expected one of {', '.join(SCALES)}")
    return name


def load_scale(name: str) -> Scale:
    """The scale called ``name``.

    Raises:
        ConfigError: no such scale, or its file has an unknown key or a wrong value.
    """
    if name not in SCALES:
        raise unknown_name("scale", name, ("auto", *SCALES))
    file = f"{name}.yaml"
    data = resources.files(__package__).joinpath(file).read_bytes()
    return parse_scale(data, file)


def parse_scale(data: bytes, where: str) -> Scale:
    """A scale from the bytes of its YAML file.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a missing key or a value of the
            wrong type.
        DataError: not YAML.
    """
    from pydantic import ValidationError

    from stilts_artifact.config.schema import TASK_SECTIONS, Scale, TaskTraining, training_names

    content = parse_yaml(data, where)
    if not isinstance(content, dict):
        raise ConfigError("a scale is a mapping", where=where, got=type(content).__name__)
    _refuse_unknown(content, Scale, where)
    # The keys of these sections are names of tasks, which the fields of Scale do not list.
    for section, role in TASK_SECTIONS.items():
        found = content.get(section)
        for name, value in found.items() if isinstance(found, dict) else ():
            place = f"{where}: {section}"
            _refuse_key(name, training_names(role), place)
            if isinstance(value, dict):
                _refuse_unknown(value, TaskTraining, f"{place}.{name}")
    try:
        return Scale.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            "wrong value in a scale", where=f"{where}: {place}", got=first["msg"]
        ) from error


def _refuse_unknown(content: dict[Any, Any], section: type[BaseModel], where: str) -> None:
    """Unknown keys come first: the right key is missing too, and that is the lesser news."""
    from pydantic import BaseModel

    for key, value in content.items():
        _refuse_key(key, section.model_fields, where)
        inner = section.model_fields[key].annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, BaseModel):
            separator = "." if ": " in where else ": "
            _refuse_unknown(value, inner, f"{where}{separator}{key}")


def _refuse_key(key: object, known: Collection[str], where: str) -> None:
    if key not in known:
        error = unknown_name("key", str(key), known)
        raise ConfigError(error.what, where=where, got=error.got, expected=error.expected)
