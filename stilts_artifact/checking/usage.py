"""What a run took: time, processors and machines, in ``{experiment}.{scale}.usage.json``.

It lies beside the results file and not in it: equal runs give equal results, and never equal times.
Nobody can compute it again; it is what the workers measured of themselves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from stilts_artifact.checking.expected import Strict, VisibleText
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import ConfigError

AnyPath = TypeVar("AnyPath", bound=PurePath)
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class StepUsage(Strict):
    """What the steps of one kind took that ran on machines of one name.

    Attributes:
        machine: processor, cores, memory and GPUs; ``None`` of steps from before that was noted.
        run: whether the run that published the results made them, or found them made.
        seconds: of workers, of all steps together; ``gpu_seconds`` of them with a GPU.
        cpu_seconds: of processors, all threads together; ``None`` where that was not noted.
        memory, gpu_memory: bytes at the peak of the step that held most; 0 where nobody measured.
        written: bytes to disks.
    """

    kind: VisibleText
    machine: VisibleText | None
    run: Literal["this", "earlier"]
    steps: Count
    seconds: Amount
    cpu_seconds: Amount | None
    gpu_seconds: Amount
    memory: Count
    gpu_memory: Count
    written: Count


class Usage(Strict):
    """What the steps took that a results file rests on, made now or earlier.

    Attributes:
        results: sha256 of that file.
        seconds: from the start of the run that published it to the end of its last step.
        unknown: steps of which the store of that run knows nothing; those of kept cells, which may
            have been made with another store, are in no number where ``kept`` is true.
    """

    format: Literal[1] = 1
    results: VisibleText
    seconds: Amount
    unknown: Count
    kept: bool
    steps: list[StepUsage]

    @property
    def earlier(self) -> int:
        """How many steps an earlier run made."""
        return sum(one.steps for one in self.steps if one.run == "earlier")

    @property
    def kinds(self) -> dict[str, StepUsage]:
        """Each kind of step, whoever made them, on whatever machine."""
        names = dict.fromkeys(one.kind for one in self.steps)
        return {name: together([one for one in self.steps if one.kind == name]) for name in names}

    @property
    def machines(self) -> list[str]:
        """Each machine that steps ran on."""
        return sorted({one.machine for one in self.steps if one.machine is not None})

    def dump(self) -> bytes:
        """The bytes of the file."""
        return dump_json(self.model_dump(mode="json"))


def usage_path(results: AnyPath) -> AnyPath:
    """Where it lies, beside a results file."""
    return results.with_suffix(".usage.json")


def load_usage(results: Path, sha256: str) -> Usage | None:
    """What the run took that published a results file; ``None`` if nobody has noted that.

    Args:
        sha256: of the results file: what was noted of another one, which was there before, is not
            of this.

    Raises:
        DataError: it cannot be read or is not strict JSON.
        ConfigError: an unknown or missing key, or a value of the wrong type.
    """
    path = usage_path(results)
    if not path.is_file():
        return None
    document = parse_json(read_document(path), str(path))
    try:
        found = Usage.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            "not a record of what a run took",
            where=f"{path}: {place}",
            got=first["msg"],
            fix="remove it: no result rests on it",
        ) from error
    return found if found.results == sha256 else None


def together(steps: Sequence[StepUsage]) -> StepUsage:
    """Some entries as one: sums, and the most memory; what is not known of all is not known."""
    cpu = [one.cpu_seconds for one in steps if one.cpu_seconds is not None]
    return steps[0].model_copy(
        update={
            "machine": None,
            "cpu_seconds": sum(cpu) if len(cpu) == len(steps) else None,
            **{
                name: sum(getattr(one, name) for one in steps)
                for name in ("steps", "seconds", "gpu_seconds", "written")
            },
            **{name: max(getattr(one, name) for one in steps) for name in ("memory", "gpu_memory")},
        }
    )


def usage_csv(usage: Usage) -> str:
    """A line for the steps of a kind, a machine, and this run or earlier ones.

    ``seconds`` are those of workers; an empty field is what nobody has noted.
    """
    stream = io.StringIO()
    fields = list(StepUsage.model_fields)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(fields)
    for one in usage.steps:
        writer.writerow(["" if (v := getattr(one, name)) is None else v for name in fields])
    return stream.getvalue()
