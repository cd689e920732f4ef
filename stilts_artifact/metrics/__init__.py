"""Scores equal to XTREME's: metrics, averages, sampling error, and the submission folder they are read from."""

from stilts_artifact.metrics.scores import (
    METRIC_VERSION,
    ScoreRow,
    Scores,
    TaskScores,
    score_folders,
)

__all__ = ["METRIC_VERSION", "ScoreRow", "Scores", "TaskScores", "score_folders"]
