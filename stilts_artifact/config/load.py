"""Scales: one strict YAML file each, those that ship and anyone's own, validated and frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.config import SCALES
from stilts_artifact.documents import parse_yaml, read_document
from stilts_artifact.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from stilts_artifact.config.schema import Scale
    from stilts_artifact.domain.tasks import Benchmark

_SUFFIX = ".yaml"
_LONGEST = 30  # of a name that a word is put behind


def known_scale(name: str) -> str:
    """The name itself, for documents that name a scale that ships.

    Raises:
        ValueError: no such scale ships.
    """
    if name not in SCALES:
        raise ValueError(f"unknown scale {name!r}, expected one of {', '.join(SCALES)}")
    return name


def load_scale(name: str) -> Scale:
    """A scale that ships, by its name, or the one in somebody's own file, by the file's.

    Args:
        name: what ends in ``.yaml`` or ``.yml`` is a file.

    Raises:
        ConfigError: no such scale, or its file has an unknown key or a wrong value.
        DataError: the file cannot be read, or is not YAML.
    """
    if name.endswith((_SUFFIX, ".yml")):
        own = as_own(_parse(read_document(Path(name)), name), name)
        if is_rehearsal(own.name):
            raise ConfigError("a name that rehearsals have", where=name, got=own.name)
        return own
    if name not in SCALES:
        known = ("auto", *SCALES)
        error = unknown_name("scale", name, known)
        raise ConfigError(error.what, got=name, expected=f"{error.expected}; or a file OWN.yaml")
    return parse_scale(_shipped_file(name), f"{name}{_SUFFIX}")


def benchmark_of(scale: Scale) -> Benchmark:
    """The benchmark that a scale reads, in the languages that it evaluates, own data included.

    Raises:
        ConfigError: a language that the benchmark does not have, or a file that cannot stand in for
            anything of it.
    """
    return load_benchmark(
        scale.benchmark, scale.languages, scale.own_data, single_files=scale.single_files
    )


def as_own(scale: Scale, where: str) -> Scale:
    """A scale as it is where it does not ship, whatever its file says of its worth.

    It is no evidence about the paper, and there is nothing that its cells could be held against.

    Raises:
        ConfigError: it has the name of one that ships.
    """
    if scale.name in SCALES:
        raise ConfigError(
            "a scale of this name ships, and is another one",
            where=where,
            got=scale.name,
            fix="choose another name",
        )
    meaning = REHEARSED if is_rehearsal(scale.name) else OWN
    return scale.model_copy(update={"expected": (), "evidence": False, "meaning": meaning})


def varied(scale: Scale, **choices: object) -> Scale:
    """A scale with another encoder, other languages or own data.

    Of one that ships the result is another, under a name of its own, so that results of the two are
    never taken for each other; and what was published of its encoder, another is not calibrated on.
    """
    if scale.name in SCALES:
        choices |= {"name": f"{scale.name}-own", "extends": scale.name}
        if "encoder" in choices:
            choices |= {"calibration": type(scale).model_fields["calibration"].default}
    return as_own(scale.model_copy(update=choices), scale.name)


def is_evidence(name: str) -> bool:
    """Whether results at the scale of this name say anything about the paper."""
    return name in SCALES and load_scale(name).evidence


OWN = "own choices, not evidence about the paper"
"""What a scale means that does not ship as it is."""
_REHEARSAL = "-rehearsal"
REHEARSED = "random weights and generated text, whose scores mean nothing"
"""What a scale means that the machinery of another one is tried with."""


def rehearsal_name(name: str) -> str:
    """Name of the scale that another one is rehearsed at; it is in every signature.

    Example:
        >>> rehearsal_name("paper"), is_rehearsal("paper-rehearsal")
        ('paper-rehearsal', True)
    """
    if len(name) > _LONGEST:
        # Names that begin alike stay apart.
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - 9]}-{digest}"
    return name + _REHEARSAL


def is_rehearsal(name: str) -> bool:
    """Whether results at the scale of this name are a rehearsal's."""
    return name.endswith(_REHEARSAL)


def refuse_rehearsal(name: str, where: str) -> None:
    """Refuse to take results of a rehearsal for results.

    Raises:
        ConfigError: they are at such a scale.
    """
    if is_rehearsal(name):
        raise ConfigError(
            "results of a rehearsal: random weights and generated text, nothing to judge",
            where=where,
            got=f"scale {name}",
            fix="run the same command without --rehearse",
        )


def definition(scale: Scale) -> dict[str, Any] | None:
    """All of a scale that does not ship, for results files; ``None`` of one that does."""
    return None if scale.name in SCALES else scale.model_dump(mode="json")


def parse_definition(text: str, where: str) -> Scale:
    """A scale that does not ship, as a results file has it.

    Args:
        text: JSON of what :func:`definition` gives.

    Raises:
        ConfigError: a value that no scale has, or the name of one that ships.
    """
    from pydantic import ValidationError

    from stilts_artifact.config.schema import Scale

    try:
        # From the text: only of JSON does a strict model know that a list may be a tuple.
        scale = Scale.model_validate_json(text)
    except ValidationError as error:
        raise _wrong_value(error, where) from error
    return as_own(scale, where)


def parse_scale(data: bytes, where: str) -> Scale:
    """A scale from the bytes of a YAML file that is complete. Raises as :func:`load_scale`."""
    return _validated(_mapping(data, where), where)


def _parse(data: bytes, where: str) -> Scale:
    """The same of a file that may extend one that ships, section by section."""
    content = _mapping(data, where)
    extended = content.get("extends")
    if extended is None:
        return _validated(content, where)
    if extended not in SCALES:
        raise unknown_name("scale", str(extended), SCALES, f"{where}: extends")
    if "name" not in content:
        raise ConfigError("a scale of one's own needs a name", where=where, expected="name: ...")
    base = _mapping(_shipped_file(extended), f"{extended}{_SUFFIX}")
    # Of the encoder that ships with it, and days of training: not without being asked for.
    base.pop("calibration", None)
    if "encoder" in content:
        # What is smaller than the base's encoder need not be smaller than this one.
        base.pop("smaller", None)
    return _validated(_merged(base, content), where)


def _merged(base: Mapping[Any, Any], own: Mapping[Any, Any]) -> dict[Any, Any]:
    """Own values in place of those of the base; sections are merged, all else replaced."""
    merged = dict(base)
    for key, value in own.items():
        before = base.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            value = _merged(before, value)
        merged[key] = value
    return merged


def _shipped_file(name: str) -> bytes:
    return resources.files(__package__).joinpath(f"{name}{_SUFFIX}").read_bytes()


def _mapping(data: bytes, where: str) -> dict[Any, Any]:
    content = parse_yaml(data, where)
    if not isinstance(content, dict):
        raise ConfigError("a scale is a mapping", where=where, got=type(content).__name__)
    return content


def _validated(content: dict[Any, Any], where: str) -> Scale:
    from pydantic import ValidationError

    from stilts_artifact.config.schema import TASK_SECTIONS, Scale, TaskTraining, training_names

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
        raise _wrong_value(error, where) from error


def _wrong_value(error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return ConfigError("wrong value in a scale", where=f"{where}: {place}", got=first["msg"])


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
        raise unknown_name("key", str(key), known, where)
