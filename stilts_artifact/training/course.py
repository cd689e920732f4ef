"""The course of a run: losses, development scores, the best of them, and what its report says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from stilts_artifact.errors import ConfigError

DEGENERATE = "DEGENERATE"
"""Flag of a collapsed run: no better on development data than always giving the commonest answer."""

_POINTS = 20


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Development scores in points after ``step`` steps; ``score`` is their mean, which decides."""

    step: int
    score: float
    tasks: dict[str, float]


@dataclass(slots=True)
class History:
    """Grows with the run; goes into checkpoints and, at the end, into the report.

    Args:
        planned: optimiser steps.
        patience: evaluations without a new best after which a run stops.
    """

    planned: int
    patience: int
    sums: dict[str, list[list[float]]] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)

    def lost(self, step: int, task: str, loss: float) -> None:
        """Take down the loss of step ``step``, 0-based.

        Raises:
            ConfigError: it is not a number.
        """
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise ConfigError(
                "training diverged: the loss is not a number",
                where=f"step {step + 1} of {self.planned}, task {task}",
                got=str(loss),
                fix="lower the task's learning rate in the scale file",
            )
        curve = self.sums.setdefault(task, [[0.0, 0] for _ in range(min(_POINTS, self.planned))])
        point = curve[step * len(curve) // self.planned]
        point[0] += loss
        point[1] += 1

    def scored(self, evaluation: Evaluation) -> bool:
        """Take down an evaluation; whether it is a new best. The earlier of two equal ones stays the best."""
        best = self.best
        self.evaluations.append(evaluation)
        return best is None or evaluation.score > best.score

    @property
    def best(self) -> Evaluation | None:
        """The first evaluation with the highest score."""
        return max(self.evaluations, key=lambda evaluation: evaluation.score, default=None)

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        best = self.best
        return (
            best is not None
            and sum(other.step > best.step for other in self.evaluations) >= self.patience
        )

    def facts(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "sums": self.sums,
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
        }

    def resume(self, facts: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.sums = facts["sums"]
        self.evaluations = [Evaluation(**evaluation) for evaluation in facts["evaluations"]]

    def losses(self) -> dict[str, list[float | None]]:
        """Mean loss of each task in each twentieth of the run; ``None`` where it had no step."""
        return {
            task: [round(total / count, 6) if count else None for total, count in self.sums[task]]
            for task in sorted(self.sums)
        }
