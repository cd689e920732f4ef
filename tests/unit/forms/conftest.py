"""The same small benchmark as that of the metrics."""

from tests.unit.metrics.conftest import benchmark as benchmark
