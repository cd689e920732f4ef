"""The benchmark as literal tables: tasks, languages, splits, upstream files, experiments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from stilts_artifact.benchmark.tasks import INTERMEDIATE_ROWS, TARGET_ROWS
from stilts_artifact.errors import unknown_name

if TYPE_CHECKING:
    from stilts_artifact.domain.tasks import Benchmark

INTERMEDIATE = tuple(row.name for row in INTERMEDIATE_ROWS)
TARGETS = tuple(row.name for row in TARGET_ROWS)
TASKS = (*INTERMEDIATE, *TARGETS)
BENCHMARKS = ("xtreme", "mini")


@cache
def load_benchmark(
    name: Literal["xtreme", "mini"], languages: tuple[str, ...] | None = None
) -> Benchmark:
    """One of the two worlds, built at the first call.

    Args:
        languages: the only ones that targets are evaluated in; by default all.

    Raises:
        ConfigError: no benchmark has this name, or its pins do not fit its tasks; or a language
            that it does not have.

    Example:
        >>> load_benchmark("xtreme").tasks["xquad"].languages[:3]
        ('ar', 'de', 'el')
    """
    from stilts_artifact.benchmark import assemble

    if languages is not None:
        return assemble.restricted(load_benchmark(name), languages)
    if name == "xtreme":
        return assemble.xtreme_benchmark()
    if name == "mini":
        return assemble.mini_benchmark()
    raise unknown_name("benchmark", name, BENCHMARKS)
