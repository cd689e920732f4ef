"""XTREME's averages: over languages, over the tasks of a group, and over all tasks.

Every function takes points of any shape (a number, or one for each resample) and averages without
weights.
Source: XTREME evaluate.py:118-123 and 288-319 at 838c13b.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from stilts_artifact.metrics.ratios import Array


def over_languages(languages: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    """Mean of each metric over a task's languages, English included.

    Example:
        >>> points = {"de": {"f1": np.array(60.0)}, "en": {"f1": np.array(80.0)}}
        >>> over_languages(points)["f1"].item()
        70.0
    """
    first = next(iter(languages.values()))
    return {
        # Sorted, because the last bits of a floating-point sum depend on its order.
        name: np.mean([languages[language][name] for language in sorted(languages)], axis=0)
        for name in first
    }


def task_score(metrics: Mapping[str, Array]) -> Array:
    """The one number of a task: (EM + F1) / 2 for question answering, else F1, else accuracy.

    Example:
        >>> task_score({"exact_match": np.array(50.0), "f1": np.array(70.0)}).item()
        60.0
    """
    if "exact_match" in metrics:
        return (metrics["exact_match"] + metrics["f1"]) / 2
    return metrics["f1"] if "f1" in metrics else metrics["accuracy"]


def over_groups(
    scores: Mapping[str, Array], groups: Mapping[str, Collection[str]]
) -> dict[str, Array]:
    """Mean score of each group whose tasks are all there.

    Args:
        groups: group -> its tasks.

    Example:
        >>> scores = {"xnli": np.array(80.0), "pawsx": np.array(90.0), "udpos": np.array(70.0)}
        >>> groups = {"classification": ("xnli", "pawsx"), "tagging": ("udpos", "panx")}
        >>> {group: mean.item() for group, mean in over_groups(scores, groups).items()}
        {'classification': 85.0}
    """
    return {
        group: np.mean([scores[task] for task in tasks], axis=0)
        for group, tasks in groups.items()
        if all(task in scores for task in tasks)
    }


def overall(scores: Mapping[str, Array], tasks: Collection[str]) -> Array | None:
    """Mean over all tasks (not over their groups), or ``None`` unless all are there.

    Example:
        >>> scores = {"xnli": np.array(80.0), "pawsx": np.array(90.0)}
        >>> overall(scores, ["xnli", "pawsx"]).item(), overall(scores, ["xnli", "panx"])
        (85.0, None)
    """
    if any(task not in scores for task in tasks):
        return None
    mean: Array = np.mean([scores[task] for task in tasks], axis=0)
    return mean
