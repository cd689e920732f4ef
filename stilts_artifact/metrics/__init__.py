"""Scores equal to XTREME's: formulas, averages, sampling error, and whole folders of predictions.

``ratios``, ``chunk_f1`` and ``squad`` count and score one task; ``averages`` and ``bootstrap`` work
on any score. ``score`` and ``tables`` put them together for folders, reading each task by its
:mod:`form <stilts_artifact.forms>`.
"""

METRIC_VERSION = "xtreme-838c13b"
"""The definition behind every score: evaluate.py of google-research/xtreme at this commit."""
