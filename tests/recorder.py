"""A stand-in for the progress of a training run, which can kill it."""

from __future__ import annotations


class Killed(BaseException):
    """Stands for the process being killed: no handler for errors sees it."""


class Recorder:
    """Remembers losses and notes, and kills the run when a step is reported."""

    def __init__(self, kill_after: int | None = None) -> None:
        self.kill_after = kill_after
        self.losses: list[float] = []
        self.notes: list[str] = []

    def step(self, done: int, total: int, loss: float) -> None:
        self.losses.append(loss)
        if done == self.kill_after:
            raise Killed

    def note(self, text: str) -> None:
        self.notes.append(text)
